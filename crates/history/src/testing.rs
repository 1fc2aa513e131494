//! Folders of made-up runs, for tests.

use std::{fs, path::Path};

use firedrill_judge::{
    log::{Event, Writer},
    testing::Drill,
};

/// The id of a made-up drill.
const DRILL: &str = "20261120-1402-friday-7f3a";

/// What differs between made-up runs.
pub(crate) struct Sample {
    /// The run's id.
    pub(crate) run: String,
    /// Its start.
    pub(crate) wall: String,
    /// The plan's seed.
    pub(crate) seed: u64,
    /// A word in the plan.
    pub(crate) meta: &'static str,
    /// Bad requests of a hundred in each second of the fault.
    pub(crate) bad: u64,
    /// Whether anything is measured; nothing is quicker.
    pub(crate) measured: bool,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            run: DRILL.to_owned(),
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
    let mut drill = Drill::one();
    drill.goals.truncate(1);
    drill.acts[0].bad = if sample.bad > 0 { vec![(0..60, sample.bad)] } else { Vec::new() };
    if !sample.measured {
        drill.bins = Box::new(|_, _, _| None);
    }
    fs::create_dir_all(folder).unwrap();
    let mut writer = Writer::create(&folder.join(crate::scan::LOG)).unwrap();
    for mut record in drill.records() {
        if let Event::RunStarted { plan, wall, .. } = &mut record.event {
            wall.clone_from(&sample.wall);
            plan.seed = sample.seed;
            plan.meta.insert("ticket".to_owned(), sample.meta.to_owned());
        }
        writer.append(record.at_us, record.event).unwrap();
    }
    drop(writer);
    let log = folder.join(crate::scan::LOG);
    // The drill's id stands in the ids of its injections, too.
    let text = fs::read_to_string(&log).unwrap().replace(DRILL, &sample.run);
    fs::write(&log, text).unwrap();
}
