//! The closed set of undo actions. They are data: journaled before the effect, and carried out by any process that is
//! left.
//!
//! Each is idempotent and verified: absent is success; unreadable is an error. None starts a service that was down
//! before, or that an administrator stopped meanwhile.

pub mod chains;
pub mod flap;
pub mod ifb;
pub mod link;
pub mod nft;
#[cfg(test)]
pub(crate) mod null;
pub mod process;
pub mod queue;
pub mod resets;
pub mod service;
mod undone;

pub use undone::{UndoError, Undone, is_left};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::{
    Host,
    iptables::{Table, prefix},
    link::link_state::{self, Class},
    nft::expr::Family,
};

/// An undo action.
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
        /// The programs, by the prefix of the IPv4 one's name.
        program: String,
        /// The address families whose tables may have them. A journal without this field means both, since too much
        /// effort is better than too little undone.
        #[serde(default = "both")]
        families: Vec<Family>,
    },
    /// Remove the interfaces through which packets took a detour. They have no effect without the table that redirects
    /// to them.
    #[serde(rename = "remove-lines")]
    RemoveIfbs {
        /// The prefix of their names.
        prefix: String,
        /// Maximum time to wait until the packets in them have left.
        patience: firedrill_wire::Span,
    },
    /// Stop a queue of packets and send the packets that it holds. It also ends with the process that serves it.
    StopQueue {
        /// Its number.
        number: u16,
    },
    /// Stop resetting connections. This also ends with the process that does it.
    StopResets {
        /// The injection for which they are reset.
        injection: firedrill_wire::InjectionId,
    },
    /// Set an interface up, and restore the entries that the kernel deleted when it went down.
    RaiseLink {
        /// The state of the interface before.
        was: crate::host::link::link_state::LinkState,
    },
    /// Stop the flapping of an interface, then set it up and restore the entries that the kernel deleted when it went down.
    /// The flapping also ends with the process that makes it.
    EndFlap {
        /// The injection for which it flaps.
        injection: firedrill_wire::InjectionId,
        /// The state of the interface before.
        was: crate::host::link::link_state::LinkState,
    },
    /// Start a service that was up before and that we stopped.
    StartService {
        /// The manager: `systemd` or `runit`.
        manager: firedrill_wire::fault::ServiceManager,
        /// The unit, or the absolute path of the service directory.
        unit: String,
        /// A mark that the manager set when *we* stopped it, such as a time stamp. If the mark differs now, somebody
        /// else has acted since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped_mark: Option<String>,
    },
    /// Continue a process that we stopped. If it is gone, or another process has its pid, nothing is done.
    ContinueProcess {
        /// Its pid.
        pid: i32,
        /// Its start time, in clock ticks after boot (`/proc/PID/stat`, field 22).
        start_ticks: u64,
    },
    /// Remove rules of the null driver.
    #[cfg(test)]
    RemoveNullRules {
        /// The injection that they were made for.
        injection: firedrill_wire::InjectionId,
    },
}

fn both() -> Vec<Family> {
    Family::BOTH.to_vec()
}

impl Undo {
    /// Whether a reboot undoes it, because the effect is only in the kernel or in a process.
    #[must_use]
    pub const fn ends_with_boot(&self) -> bool {
        match self {
            Self::DeleteNftTable { .. }
            | Self::RemoveChains { .. }
            | Self::RemoveIfbs { .. }
            | Self::StopQueue { .. }
            | Self::StopResets { .. }
            | Self::RaiseLink { .. }
            | Self::EndFlap { .. }
            | Self::ContinueProcess { .. } => true,
            #[cfg(test)]
            Self::RemoveNullRules { .. } => true,
            Self::StartService { .. } => false,
        }
    }

    /// Whether it removes objects that may exist before the start, because
    /// [`Inject::stage`](crate::injection::Inject::stage) makes them.
    #[must_use]
    pub const fn takes_away_staged(&self) -> bool {
        match self {
            Self::DeleteNftTable { .. }
            | Self::RemoveChains { .. }
            | Self::RemoveIfbs { .. }
            | Self::StopQueue { .. } => true,
            #[cfg(test)]
            Self::RemoveNullRules { .. } => true,
            Self::StopResets { .. }
            | Self::RaiseLink { .. }
            | Self::EndFlap { .. }
            | Self::StartService { .. }
            | Self::ContinueProcess { .. } => false,
        }
    }

    /// Describes it as a sentence, for plans.
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
            Self::EndFlap { was, .. } => format!(
                "stop the flapping of interface {name}, set it up, and put back what is missing of its {} addresses and {} routes",
                was.count(Class::Address),
                was.count(Class::Route),
                name = was.name(),
            ),
            Self::StopResets { .. } => "stop resetting connections".to_owned(),
            Self::StartService { manager, unit, .. } => format!("start {unit} through {manager}"),
            Self::ContinueProcess { pid, .. } => format!("continue process {pid} (SIGCONT)"),
            #[cfg(test)]
            Self::RemoveNullRules { injection } => format!("remove null rules of {injection}"),
        }
    }

    /// Returns the maximum time that one try may wait for the effect of its request.
    #[must_use]
    pub fn longest(&self) -> Duration {
        match self {
            Self::StartService { .. } => service::PATIENCE,
            Self::RaiseLink { .. } | Self::EndFlap { .. } => link_state::PATIENCE,
            Self::ContinueProcess { .. } => process::PATIENCE,
            Self::RemoveIfbs { patience, .. } => (*patience).into(),
            Self::DeleteNftTable { .. }
            | Self::RemoveChains { .. }
            | Self::StopQueue { .. }
            | Self::StopResets { .. } => Duration::ZERO,
            #[cfg(test)]
            Self::RemoveNullRules { .. } => Duration::ZERO,
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    /// It failed, or its result could not be verified.
    pub fn apply(&self, host: &Host) -> Result<Undone, UndoError> {
        match self {
            Self::DeleteNftTable { table } => nft::apply(host, table),
            Self::RemoveChains { injection, table, program, families } => {
                chains::apply(host, injection, *table, program, families)
            }
            Self::RemoveIfbs { prefix, patience } => ifb::apply(host, prefix, (*patience).into()),
            Self::StopQueue { number } => Ok(queue::apply(host, *number)),
            Self::RaiseLink { was } => link::apply(was),
            Self::EndFlap { injection, was } => flap::apply(host, injection, was),
            Self::StopResets { injection } => Ok(resets::apply(host, injection)),
            Self::StartService { manager, unit, stopped_mark } => {
                service::apply(host, *manager, unit, stopped_mark.as_deref())
            }
            Self::ContinueProcess { pid, start_ticks } => process::apply(host, *pid, *start_ticks),
            #[cfg(test)]
            Self::RemoveNullRules { injection } => Ok(null::apply(host, injection)),
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
