//! Folders of made-up runs, for tests.

use std::path::Path;

use firedrill_judge::testing::{Drill, RUN};

/// For [`crate::gate`]: an unknown result fails the gate.
pub(crate) const UNKNOWN_FAILS: bool = false;
/// For [`crate::gate`]: an unknown result is allowed.
pub(crate) const UNKNOWN_ALLOWED: bool = true;

/// The properties in which made-up runs differ.
pub(crate) struct Sample {
    /// The run's id.
    pub(crate) run: String,
    /// Its start.
    pub(crate) wall: String,
    /// The plan's seed.
    pub(crate) seed: u64,
    /// A word in the plan's metadata: another word makes it another plan.
    pub(crate) meta: &'static str,
    /// Number of bad requests among 100 in each second of the fault.
    pub(crate) bad: u64,
    /// Whether probes measured anything. Without measurements a run is made faster.
    pub(crate) measured: bool,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            run: RUN.to_owned(),
            wall: "2026-11-20T14:02:00Z".to_owned(),
            seed: 7,
            meta: "OPS-7",
            bad: 0,
            measured: true,
        }
    }
}

/// Writes the folder of a run.
pub(crate) fn sample(folder: &Path, sample: &Sample) {
    let mut drill = Drill::users(sample.bad);
    if !sample.measured {
        drill.bins = Box::new(|_, _, _| None);
    }
    drill.write(folder, &sample.run, |plan, wall| {
        wall.clone_from(&sample.wall);
        plan.seed = sample.seed;
        plan.meta.insert("ticket".to_owned(), sample.meta.to_owned());
    });
}
