//! The closed set of ways to put one thing back. Data: journaled before the effect, carried out by whoever is left.
//!
//! Each is idempotent and checked: absent is success; unreadable is an error. None starts what was down before, or
//! what an administrator stopped meanwhile.

pub mod chains;
pub mod ifb;
pub mod link;
pub mod nft;
pub mod process;
pub mod queue;
pub mod resets;
pub mod service;

use std::time::Duration;

use firedrill_wire::api::Claim;
use serde::{Deserialize, Serialize};

use crate::host::{
    Host,
    iptables::{Table, prefix},
    link::link_state::{self, Class},
    nft::expr::Family,
};

/// How to put one thing back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Undo {
    /// Delete our nftables table. The kernel does so by itself once its owner is gone.
    DeleteNftTable {
        /// Its name, in family `inet`.
        table: String,
    },
    /// Close the gates of our iptables chains, then remove the chains and the jumps to them.
    RemoveChains {
        /// The injection that they were made for; their names and those of their gates derive from it.
        injection: firedrill_wire::InjectionId,
        /// The table that they are in.
        table: Table,
        /// The programs, by the beginning of the name of the IPv4 one.
        program: String,
        /// In whose tables there may be some. A journal that does not say is about both: too much is looked at rather
        /// than too little put back.
        #[serde(default = "both")]
        families: Vec<Family>,
    },
    /// Remove the interfaces through which packets took a detour. They have no effect without the table that sends to
    /// them.
    #[serde(rename = "remove-lines")]
    RemoveIfbs {
        /// The prefix of their names.
        prefix: String,
        /// Maximum time to wait until the packets in them have left.
        patience: firedrill_wire::Span,
    },
    /// Stop a queue of packets; what it holds is sent at once. It ends by itself with the process that works on it.
    StopQueue {
        /// Its number.
        number: u16,
    },
    /// Reset no more connections. It ends by itself with the process that does it.
    StopResets {
        /// The injection that they are made for.
        injection: firedrill_wire::InjectionId,
    },
    /// Set an interface up, and put back what the kernel forgot when it went down.
    RaiseLink {
        /// What it was, and what it had.
        was: crate::host::link::link_state::LinkState,
    },
    /// Start a service that was up before and that we stopped.
    StartService {
        /// The manager: `systemd` or `runit`.
        manager: firedrill_wire::fault::ServiceManager,
        /// The unit, or the absolute path of the service directory.
        unit: String,
        /// A mark that the manager set when *we* stopped it (a time stamp, say). Another mark now: somebody else acted
        /// since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped_mark: Option<String>,
    },
    /// Continue a process that we stopped. Gone, or another with the same pid: nothing to do.
    ContinueProcess {
        /// Its pid.
        pid: i32,
        /// When it started, in clock ticks after boot (`/proc/PID/stat`, field 22).
        start_ticks: u64,
    },
}

/// How putting one thing back went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// What was done, or found to be done already.
    pub detail: String,
    /// Changes by others meanwhile. An entry for an object that is left to them begins with the object's name in claims:
    /// see [`Undone::left`].
    pub foreign: Vec<String>,
}

impl Undone {
    /// Leaves an object as somebody else wants it since. What `claim` names is no longer this run's.
    #[must_use]
    pub fn left(claim: &str, detail: String, why: &str) -> Self {
        Self { foreign: vec![format!("{claim}: {detail}: {why}")], detail }
    }
}

/// Whether one of these says that what a claim names was left to somebody else.
#[must_use]
pub fn is_left(claim: &Claim, foreign: &[String]) -> bool {
    foreign
        .iter()
        .any(|text| text.strip_prefix(claim.what.as_str()).is_some_and(|rest| rest.starts_with(": ")))
}

/// It could not be put back.
#[derive(Debug, thiserror::Error)]
#[error("{what}; by hand: {by_hand}")]
pub struct UndoError {
    /// What was tried, on what, and what went wrong.
    pub what: String,
    /// How a person can do it.
    pub by_hand: String,
    /// Whether the same may go well later (a bus that is down for a moment).
    pub passing: bool,
}

fn both() -> Vec<Family> {
    Family::BOTH.to_vec()
}

impl Undo {
    /// Whether a reboot has put it back already: what only lives in the kernel or in a process.
    #[must_use]
    pub const fn ends_with_boot(&self) -> bool {
        match self {
            Self::DeleteNftTable { .. }
            | Self::RemoveChains { .. }
            | Self::RemoveIfbs { .. }
            | Self::StopQueue { .. }
            | Self::StopResets { .. }
            | Self::RaiseLink { .. }
            | Self::ContinueProcess { .. } => true,
            Self::StartService { .. } => false,
        }
    }

    /// Whether what it takes away may be there before the start: [`Inject::stage`](crate::fault::Inject::stage) makes
    /// it.
    #[must_use]
    pub const fn takes_away_staged(&self) -> bool {
        match self {
            Self::DeleteNftTable { .. }
            | Self::RemoveChains { .. }
            | Self::RemoveIfbs { .. }
            | Self::StopQueue { .. } => true,
            Self::StopResets { .. }
            | Self::RaiseLink { .. }
            | Self::StartService { .. }
            | Self::ContinueProcess { .. } => false,
        }
    }

    /// What it does, as a sentence for plans.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::DeleteNftTable { table } => format!("delete nftables table inet {table}"),
            Self::RemoveChains { injection, table, program, .. } => {
                format!(
                    "close the gates of {program} chains {}* in table {table}, and remove them",
                    prefix(injection)
                )
            }
            Self::RemoveIfbs { prefix, .. } => {
                format!("remove interfaces {prefix}*, once they have run empty")
            }
            Self::StopQueue { number } => format!("stop queue {number} and send on what it holds"),
            Self::RaiseLink { was } => format!(
                "set interface {} up, and put back what is missing of its {} addresses and {} routes",
                was.name(),
                was.count(Class::Address),
                was.count(Class::Route)
            ),
            Self::StopResets { .. } => "stop resetting connections".to_owned(),
            Self::StartService { manager, unit, .. } => format!("start {unit} through {manager}"),
            Self::ContinueProcess { pid, .. } => format!("continue process {pid} (SIGCONT)"),
        }
    }

    /// Maximum time that one try may wait for the effect of its request.
    #[must_use]
    pub fn longest(&self) -> Duration {
        match self {
            Self::StartService { .. } => service::PATIENCE,
            Self::RaiseLink { .. } => link_state::PATIENCE,
            Self::ContinueProcess { .. } => process::PATIENCE,
            Self::RemoveIfbs { patience, .. } => (*patience).into(),
            Self::DeleteNftTable { .. }
            | Self::RemoveChains { .. }
            | Self::StopQueue { .. }
            | Self::StopResets { .. } => Duration::ZERO,
        }
    }

    /// Puts it back.
    ///
    /// # Errors
    /// It is not back, or that could not be read.
    pub fn apply(&self, host: &Host) -> Result<Undone, UndoError> {
        match self {
            Self::DeleteNftTable { table } => nft::apply(host, table),
            Self::RemoveChains { injection, table, program, families } => {
                chains::apply(host, injection, *table, program, families)
            }
            Self::RemoveIfbs { prefix, patience } => ifb::apply(host, prefix, (*patience).into()),
            Self::StopQueue { number } => Ok(queue::apply(host, *number)),
            Self::RaiseLink { was } => link::apply(was),
            Self::StopResets { injection } => Ok(resets::apply(host, injection)),
            Self::StartService { manager, unit, stopped_mark } => {
                service::apply(host, *manager, unit, stopped_mark.as_deref())
            }
            Self::ContinueProcess { pid, start_ticks } => process::apply(host, *pid, *start_ticks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_a_journal_that_names_no_families_are_put_back_in_both() {
        let json = r#"{"remove-chains":{"injection":"a-run-1","table":"filter","program":"iptables","v4":true,"v6":false}}"#;
        let Undo::RemoveChains { families, .. } = serde_json::from_str(json).unwrap() else {
            panic!("another undo")
        };
        assert_eq!(families, Family::BOTH);
        let json = json.replace(r#""v4":true,"v6":false"#, r#""families":["v6"]"#);
        let undo: Undo = serde_json::from_str(&json).unwrap();
        assert!(matches!(undo, Undo::RemoveChains { families, .. } if families == [Family::V6]));
    }

    #[test]
    fn interfaces_have_the_name_in_a_journal_that_they_always_had() {
        let undo = Undo::RemoveIfbs { prefix: "fd_1_".to_owned(), patience: firedrill_wire::Span::secs(3) };
        let json = serde_json::to_string(&undo).unwrap();
        assert!(json.starts_with(r#"{"remove-lines":{"prefix":"fd_1_","patience":"#), "{json}");
        assert_eq!(serde_json::from_str::<Undo>(&json).unwrap(), undo);
    }
}
