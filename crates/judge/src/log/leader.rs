//! The record of a question about the leader of a moving target.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answers to a question about the leader of a moving target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderAsked {
    /// The attack, by its index in the plan: the first alternative, or before its faults are armed the one that is to run.
    pub attack: usize,
    /// The target.
    pub target: String,
    /// Each candidate's answer: empty if it was good, otherwise the cause. A program has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, String>,
    /// The host that is the leader; `None` if no host was named, or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The reason why no leader is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl LeaderAsked {
    /// Returns the answer in words.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.leader {
            Some(leader) => format!("the leader of `{}` is {leader}", self.target),
            None => format!("the leader of `{}` is not known: {}", self.target, self.why),
        }
    }
}
