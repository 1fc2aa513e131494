//! A service of a host: its command, its user, its ready check, and how it is stopped.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// One supervised service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// The service directory's name.
    pub name: String,
    /// The command; [`crate::SELF_EXE`] as the first word is the binary that built the lab.
    pub argv: Vec<String>,
    /// Environment, in addition to `PATH` and `HOME`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether it stays down until it is started by hand (a `down` file).
    #[serde(default)]
    pub down: bool,
    /// The user as which it runs; root of the host if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserSpec>,
    /// The check that tells when it is ready. Without one its readiness is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadySpec>,
    /// The way to stop it.
    #[serde(default)]
    pub stop: StopSpec,
}

/// A user and a group that are not root. The service runs in a user namespace of its own, in which only they exist. For the kernel it is
/// the host's root without its privileges: the host's files are its own, and it has no power over the host's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// The check that tells when a service is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadySpec {
    /// The check.
    pub check: ReadyCheck,
    /// Maximum time from the start until the check holds, in milliseconds.
    pub within_ms: u64,
}

/// A check on the host itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyCheck {
    /// Something listens on the TCP port.
    Tcp(u16),
    /// A GET request is answered with status 200.
    Http {
        /// The address, as `host:port`.
        address: String,
        /// The path, with its query.
        path: String,
    },
    /// A command exits with code 0. It runs as the service's user and with its environment.
    Command(Vec<String>),
}

/// The way to stop a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopSpec {
    /// The signal that asks it to end, such as `SIGTERM`.
    pub signal: String,
    /// The time after which it is killed, in milliseconds; without one it is never killed, as with runit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience_ms: Option<u64>,
}

impl Default for StopSpec {
    fn default() -> Self {
        Self { signal: Signal::SIGTERM.as_str().to_owned(), patience_ms: None }
    }
}

impl StopSpec {
    /// Returns the signal; `None` if no signal has that name.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signal.parse().ok()
    }
}

impl ServiceSpec {
    /// Returns all that is invalid in it. Its name is checked elsewhere.
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
