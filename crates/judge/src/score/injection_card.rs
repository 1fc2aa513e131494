//! Injections and the evidence that they took effect, as serialized in `report.json`.

use firedrill_wire::{InjectionId, evidence::Seen, exchange::Exchanged};
use serde::{Deserialize, Serialize};

/// One injection, and the evidence that it took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectionCard {
    /// Its id; `None` if it was never armed.
    pub id: Option<InjectionId>,
    /// The host.
    pub host: String,
    /// The fault's kind.
    pub kind: String,
    /// The effects that the agent announced when the plan was prepared.
    pub effects: Vec<String>,
    /// The undo actions that the agent announced when the plan was prepared.
    pub undo: Vec<String>,
    /// Time at which it was in force.
    pub in_force_us: Option<i64>,
    /// Time at which its undo began.
    pub undoing_us: Option<i64>,
    /// Time at which it was undone; for an irreversible fault, the time at which it was done.
    pub ended_us: Option<i64>,
    /// The planned hold, in microseconds.
    pub hold_us: i64,
    /// Whether it was in force at each check by the agent.
    pub in_force: Seen,
    /// Whether any traffic or process was affected by it.
    pub exercised: Seen,
    /// Number of times that it took effect, where that is counted.
    pub count: Option<u64>,
    /// Number of checks by the agent.
    pub looks: usize,
    /// The most informative of the latest checks, for people.
    pub detail: String,
    /// The exchanges of packets over the fault's path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<ExchangeCard>,
    /// The reason why no packets were exchanged, where the fault is on traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_exchanged: Option<String>,
}

/// An exchange of packets between two hosts over a fault's path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeCard {
    /// The host that sent requests.
    pub from: String,
    /// The host that was to answer.
    pub to: String,
    /// The address of the host that was to answer.
    pub address: String,
    /// The kind of packets: `ICMP echo`, `TCP port 5432`.
    pub way: String,
    /// Before the fault; `None` where it was not measured.
    pub before: Option<Exchanged>,
    /// While it was in force.
    pub during: Option<Exchanged>,
    /// After it was put back.
    pub after: Option<Exchanged>,
    /// The reason why something could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The contradiction to the fault, a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradiction: Option<String>,
}
