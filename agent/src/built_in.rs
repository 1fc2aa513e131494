//! What this build is put together from. What a build does not have, it refuses by name.

use std::sync::Arc;

use firedrill_wire::{
    RunId,
    api::{Claim, Problem, StartProbes},
    probe::Bin,
};

use crate::{
    control::Feed,
    fault::refuse,
    host::Host,
    undo::UndoError,
    wiring::{Compared, Prober, Snapshot, Wiring},
};

/// The ports of this build.
#[must_use]
pub fn wiring() -> Wiring {
    Wiring {
        kinds: |_| None,
        apply: |undo, _| {
            Err(UndoError {
                what: "this build cannot put anything back".to_owned(),
                by_hand: undo.sentence(),
                passing: false,
            })
        },
        snapshot: &Absent,
        prober: |_| Arc::new(Absent),
        findings: |_| Vec::new(),
        leftovers: |_| Vec::new(),
        server: |_| Box::pin(async { Err("this build has no link".to_owned()) }),
    }
}

struct Absent;

impl Snapshot for Absent {
    fn take(&self, _: &Host) -> Result<serde_json::Value, String> {
        Err("this build takes no snapshots".to_owned())
    }
    fn compare(&self, _: &Host, _: &serde_json::Value, _: &[Claim]) -> Result<Compared, String> {
        Err("this build takes no snapshots".to_owned())
    }
}

impl Prober for Absent {
    fn start(&self, _: &RunId, _: &StartProbes) -> Result<(), Problem> {
        Err(refuse("no-probes", "this build has no probes", "upgrade the agent"))
    }
    fn stop(&self, _: &RunId) {}
    fn bins(&self, run: &RunId, _: u64) -> Result<Feed<Bin>, Problem> {
        Err(refuse("unknown-run", format!("run {run} has no probes here"), ""))
    }
}
