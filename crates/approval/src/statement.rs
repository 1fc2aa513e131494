//! The text that an approver signs.

use std::time::Duration;

use firedrill_wire::{RunId, text::short};
use serde::{Deserialize, Serialize};

use crate::Standing;

/// Prefix of the signed message. Because of it no other signature by the same key is valid as an approval.
pub const PURPOSE: &str = "firedrill approval v1\n";

/// The statement that an approver signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The plan's digest; empty in a standing approval.
    pub plan: String,
    /// The name of the scenario or of the game day, for people.
    #[serde(deserialize_with = "short")]
    pub name: String,
    /// The run that the approval is valid for; `None` if it is valid for every run of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Time of the approval, RFC 3339 UTC.
    pub given: String,
    /// End of its validity, RFC 3339 UTC.
    pub until: String,
    /// The digest over the requests of probes and the commands that lead to agents. The plan does not show these completely. `None` if the
    /// approver did not see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
    /// The root of the tree of the plan's faults ([`crate::Tree`]), in hexadecimal. Agents verify their faults by it. `None` in approvals
    /// of earlier versions, which no agent accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<String>,
    /// The bounds of a standing approval, which is about a game day and not about one plan; `None` in any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

impl Statement {
    /// Returns the time from the approval to the end of its validity; zero if one of the two cannot be read.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        let time = |text: &str| humantime::parse_rfc3339(text).ok();
        let lasts = time(&self.given)
            .zip(time(&self.until))
            .and_then(|(given, until)| until.duration_since(given).ok());
        lasts.unwrap_or_default()
    }
}

/// A digest over data that the plan does not show completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// A random value, so that equal secrets do not have equal digests.
    pub salt: String,
    /// The digest, made with that salt.
    pub digest: String,
}
