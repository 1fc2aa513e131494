//! Injections and the evidence that they took effect, as serialized in `report.json`. Only data; `efficacy.rs` fills it in.
//!
//! All times are microseconds on the run's clock; `None` where the log does not show that it happened.

use firedrill_wire::{InjectionId, evidence::Seen, exchange::Exchanged};
use serde::{Deserialize, Serialize};

/// One injection, and the evidence that it took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectionCard {
    /// Its id; `None` if it was never armed.
    pub id: Option<InjectionId>,
    /// The host on which the fault was to be made.
    pub host: String,
    /// The fault's kind, such as `net-slow`.
    pub kind: String,
    /// The effects that the agent announced when the plan was prepared.
    pub effects: Vec<String>,
    /// The undo actions that the agent announced when the plan was prepared.
    pub undo: Vec<String>,
    /// Time from which it was in force; for a fault that takes the host down, the time at which the agent began to make it.
    pub in_force_us: Option<i64>,
    /// Time at which its undo began.
    pub undoing_us: Option<i64>,
    /// Time at which it was undone; for an irreversible fault, the time at which it was done; for a fault that takes the host down, the time at
    /// which the host was back.
    pub ended_us: Option<i64>,
    /// The planned hold, a duration in microseconds.
    pub hold_us: i64,
    /// Whether it was in force at every check by the agent; `no` if one check found it missing, `unknown` if none could tell.
    pub in_force: Seen,
    /// Whether any traffic or process was affected by it, beside the packets that the run itself sent to try it out.
    pub exercised: Seen,
    /// Number of times that it took effect (packets, processes); `None` for kinds that do not count.
    pub count: Option<u64>,
    /// Number of checks by the agent.
    pub looks: usize,
    /// The text of one check, for people: of the first that found it missing, otherwise of the last. Without checks, the text of the last
    /// change of state.
    pub detail: String,
    /// The test packets that the run exchanged over the fault's path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<ExchangeCard>,
    /// The reason why the run exchanged no test packets, where the fault is on traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_exchanged: Option<String>,
}

/// Test packets that the run exchanged between two hosts over a fault's path, to see whether the fault took effect there.
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
    /// The result before the fault; `None` where it was not measured, here and below.
    pub before: Option<Exchanged>,
    /// The result while the fault was in force.
    pub during: Option<Exchanged>,
    /// The result after the fault was undone.
    pub after: Option<Exchanged>,
    /// The reason why one of the results is missing, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The contradiction between the results and the fault, a sentence; `None` if they agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradiction: Option<String>,
}
