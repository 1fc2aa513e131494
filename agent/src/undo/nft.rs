//! Putting back a fault that is one nftables table: deleting the table, wherever its owner may be.

use super::{UndoError, Undone};
use crate::host::{Host, nft::Deleted};

/// Deletes one of our tables. That it is gone already is success.
///
/// # Errors
/// It is there and could not be deleted, or nf_tables could not be asked.
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
