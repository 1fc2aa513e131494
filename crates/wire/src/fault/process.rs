//! Faults on processes, which are selected by their properties and never by a pid.

use serde::{Deserialize, Serialize};

use super::{About, Effect, End, HostMeanwhile, Invalid, Kind, On, Scope, Signal, Trial, invalid::wrong};
use crate::{RefusalCode, Touches};

/// The processes that all given clauses match. At least one of `name`, `command` and `service` is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessMatch {
    /// The exact name of the program (`/proc/PID/comm`, or the last part of the executable's path).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A text that the command line contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The user that the process runs as, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The service whose processes they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The most processes that may match. If more do, the fault is refused: this protects against a pattern that is too wide.
    #[serde(default = "ProcessMatch::default_at_most")]
    pub at_most: u32,
}

impl ProcessMatch {
    const fn default_at_most() -> u32 {
        32
    }

    fn touches(&self) -> Touches {
        // A part of the command line and a user only narrow a match: without another clause they may match any process.
        let Self { name, command: _, user: _, service, at_most: _ } = self;
        Touches {
            services: service.iter().cloned().collect(),
            processes: name.iter().cloned().collect(),
            everything: name.is_none() && service.is_none(),
            ..Touches::default()
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        let clauses = [&self.name, &self.command, &self.service];
        if clauses.iter().all(|clause| clause.is_none()) {
            return wrong(
                RefusalCode::MatchTooWide,
                "does not say which processes",
                "give `match` a name, command or service",
            );
        }
        if clauses.into_iter().chain([&self.user]).flatten().any(String::is_empty) {
            return wrong(
                RefusalCode::MatchTooWide,
                "an empty text would match every process",
                "leave the key out",
            );
        }
        if self.at_most == 0 {
            return wrong(RefusalCode::NoProcess, "may match no process at all", "at_most is 1 or more");
        }
        None
    }
}

/// `process-kill`: signal the processes that match, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessKill {
    /// The processes.
    #[serde(rename = "match")]
    pub which: ProcessMatch,
    /// The signal.
    #[serde(default)]
    pub signal: Signal,
}

impl Kind for ProcessKill {
    fn about(&self) -> About<'_> {
        About {
            end: End::Irreversible("whatever started the processes is expected to start them again"),
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Process, done: "killed" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        self.which.invalid()
    }

    fn touches(&self) -> Touches {
        let Self { which, signal: _ } = self;
        which.touches()
    }
}

/// `process-pause`: send SIGSTOP to the processes that match, and SIGCONT afterwards to those that were stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessPause {
    /// The processes.
    #[serde(rename = "match")]
    pub which: ProcessMatch,
}

impl Kind for ProcessPause {
    fn about(&self) -> About<'_> {
        About {
            end: End::PutBack,
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Process, done: "frozen" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        self.which.invalid()
    }

    fn touches(&self) -> Touches {
        let Self { which } = self;
        which.touches()
    }
}
