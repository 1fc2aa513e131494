//! The closed set of undo actions. They are data: they are journaled before the effect is made, and any process that is
//! left can carry them out.
//!
//! Each action is idempotent and verifies its result: an object that is absent is success, one that cannot be read is an error. Never
//! starts a service that was down before, or that an administrator stopped meanwhile.

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
    /// Delete an nftables table of the agent. The kernel does so by itself once its owner is gone.
    DeleteNftTable {
        /// Its name, in family `inet`.
        table: String,
    },
    /// Close the gates of an injection's iptables chains, then remove the chains and the jumps to them.
    RemoveChains {
        /// The injection. The names of chains and gates derive from its id.
        injection: firedrill_wire::InjectionId,
        /// The table that they are in.
        table: Table,
        /// The name of the program for IPv4, such as `iptables`.
        program: String,
        /// The address families whose tables may have the chains. A journal without this field means both: a useless try
        /// does no harm.
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
    /// Stop a queue of packets and send the packets that it holds. The queue also ends with the process that serves it.
    StopQueue {
        /// Its number.
        number: u16,
    },
    /// Stop resetting connections. This also ends with the process that does it.
    StopResets {
        /// The injection for which connections are reset.
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
        /// The injection that makes it flap.
        injection: firedrill_wire::InjectionId,
        /// The state of the interface before.
        was: crate::host::link::link_state::LinkState,
    },
    /// Start a service that was up before and that the agent stopped.
    StartService {
        /// The manager: `systemd` or `runit`.
        manager: firedrill_wire::fault::ServiceManager,
        /// The unit, or the absolute path of the service directory.
        unit: String,
        /// The mark of the service after the agent had stopped it ([`crate::service::State::mark`]). If the mark differs now, somebody
        /// else has acted since. `None` if the agent died before it knew the mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped_mark: Option<String>,
    },
    /// Continue a process that the agent stopped. If it is gone, or another process has its pid, nothing is done.
    ContinueProcess {
        /// Its pid.
        pid: i32,
        /// Its start time, in clock ticks after boot (`/proc/PID/stat`, field 22).
        start_ticks: u64,
    },
    /// Remove rules of the null driver.
    #[cfg(test)]
    RemoveNullRules {
        /// The injection.
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

    /// Returns the maximum time for which one try waits for its result.
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
    fn chains_of_a_journal_without_families_are_removed_in_both() {
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
    fn the_undo_of_interfaces_keeps_its_name_in_journals() {
        let undo = Undo::RemoveIfbs { prefix: "fd_1_".to_owned(), patience: firedrill_wire::Span::secs(3) };
        let json = serde_json::to_string(&undo).unwrap();
        assert!(json.starts_with(r#"{"remove-lines":{"prefix":"fd_1_","patience":"#), "{json}");
        assert_eq!(serde_json::from_str::<Undo>(&json).unwrap(), undo);
    }
}
