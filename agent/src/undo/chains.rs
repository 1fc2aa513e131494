//! Undoes a fault that consists of iptables chains: closes its gates at once by writing to files, then removes the chains. Never touches
//! a rule of others.

use firedrill_wire::InjectionId;

use super::undone::{UndoError, Undone};
use crate::host::{
    Host,
    iptables::{self, Program, Table, prefix},
    nft::{
        expr::Family,
        table::{ALIVE, HOLD, LEASE},
    },
};

/// Closes gates, then removes chains and the jumps to them. Absent chains are success. An error of one family does not stop the
/// undo of the other.
///
/// # Errors
/// A gate could not be closed, or chains could not be removed.
pub fn apply(
    host: &Host,
    injection: &InjectionId,
    table: Table,
    program: &str,
    families: &[Family],
) -> Result<Undone, UndoError> {
    let prefix = prefix(injection);
    let mut failed = Vec::new();
    for gate in [LEASE, HOLD, ALIVE] {
        if let Err(error) = iptables::shut(injection, families, gate) {
            failed.push(error.to_string());
        }
    }
    let mut removed = 0;
    for family in families {
        match iptables::remove(&Program::new(program, *family), table, &prefix) {
            Ok(chains) => removed += chains,
            Err(error) => failed.push(error.to_string()),
        }
    }
    if !failed.is_empty() {
        let by_hand = format!(
            "{program} -t {table} -S shows rules that lead to chains {prefix}*: delete those (-D), then flush (-F) and \
             delete (-X) these chains; the same with ip6tables"
        );
        return Err(UndoError { what: failed.join("; "), by_hand, passing: true });
    }
    host.iptables.forget(injection);
    let detail = match removed {
        0 => format!("chains {prefix}* of table {table} were gone already"),
        removed => format!("{removed} chains {prefix}* were removed from table {table}, their gates first"),
    };
    Ok(Undone { detail, foreign: Vec::new() })
}
