//! Undoes a fault that consists of one nftables table by deleting the table, even if another process owns it. Never touches another
//! table.

use super::undone::{UndoError, Undone};
use crate::host::{Host, nft::Deleted};

/// Deletes a table of the agent. An absent table is success.
///
/// # Errors
/// It exists and could not be deleted, or nf_tables could not be asked.
pub fn apply(host: &Host, table: &str) -> Result<Undone, UndoError> {
    match host.nft.delete_table(table) {
        Ok(deleted) => {
            let how = match deleted {
                Deleted::Now => "was deleted",
                Deleted::WasGone => "was gone already",
                Deleted::ByKernel => "was deleted by the kernel, as its owner died",
            };
            Ok(Undone { detail: format!("table inet {table} {how}"), foreign: Vec::new() })
        }
        Err(error) => Err(UndoError {
            what: error.to_string(),
            by_hand: format!(
                "end the firedrill-agent that owns it (the kernel then deletes the table), or: nft delete table inet {table}, and netdev {table} if there is one"
            ),
            passing: true,
        }),
    }
}
