//! The specification of a service of a host: its command, its user, its ready check, and the way to stop it. Starts nothing.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// A supervised service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// The service's name, which is also the name of its directory.
    pub name: String,
    /// The command. [`crate::SELF_EXE`] as the first word means the binary that built the lab.
    pub argv: Vec<String>,
    /// Environment variables, in addition to `PATH` and `HOME`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether the service stays down until it is started by hand (with a file `down`, as in runit).
    #[serde(default)]
    pub down: bool,
    /// The user that the service runs as; `None` means the host's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserSpec>,
    /// The check that shows whether the service is ready. Without a check, that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadySpec>,
    /// The way to stop the service.
    #[serde(default)]
    pub stop: StopSpec,
}

/// A user and a group that are not root. The service runs in its own user namespace, in which only these two exist. For the kernel, the
/// service is the host's root without root's privileges: it owns the host's files, and has no power over the host's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The user's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
}

/// The check that shows whether a service is ready, and its time limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadySpec {
    /// The check.
    pub check: ReadyCheck,
    /// Maximum time from the start until the check succeeds, in milliseconds.
    pub within_ms: u64,
}

/// A check that runs in the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyCheck {
    /// Succeeds if a process listens on the TCP port.
    Tcp(u16),
    /// Succeeds if a GET request is answered with status 200.
    Http {
        /// The address, as `host:port`.
        address: String,
        /// The path, with its query.
        path: String,
    },
    /// Succeeds if a command exits with code 0. It runs as the service's user and with the service's environment.
    Command(Vec<String>),
}

/// The way to stop a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopSpec {
    /// The signal that asks the service to end, such as `SIGTERM`.
    pub signal: String,
    /// The time after the signal after which the service is killed, in milliseconds. `None` means that it is never killed, as in runit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience_ms: Option<u64>,
}

impl Default for StopSpec {
    fn default() -> Self {
        Self { signal: Signal::SIGTERM.as_str().to_owned(), patience_ms: None }
    }
}

impl StopSpec {
    /// Returns the signal; `None` if no signal has this name.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signal.parse().ok()
    }
}

impl ServiceSpec {
    /// Returns all problems of the service, each a clause whose subject is the service. Its name is checked elsewhere.
    pub(super) fn problems(&self) -> Vec<String> {
        let nothing = |argv: &[String]| argv.first().is_none_or(String::is_empty);
        let mut wrong = Vec::new();
        if nothing(&self.argv) {
            wrong.push("has nothing to run".to_owned());
        }
        if let Some(UserSpec { uid, gid }) = self.user
            && (uid == 0 || uid == u32::MAX || gid == u32::MAX)
        {
            wrong.push(format!("cannot run as {uid}:{gid}"));
        }
        if let Some(ready) = &self.ready {
            match &ready.check {
                ReadyCheck::Command(argv) if nothing(argv) => {
                    wrong.push("has a ready check without a command".into());
                }
                ReadyCheck::Tcp(0) => wrong.push("has a ready check of port 0".into()),
                _ => {}
            }
            if ready.within_ms == 0 {
                wrong.push("has no time to get ready".into());
            }
        }
        if self.stop.signal().is_none() {
            wrong.push(format!("is stopped by {}, which is no signal", self.stop.signal));
        }
        wrong
    }
}
