//! Derives from a plan the scale of each probe's latencies, and the moments at which its requests were due.

use std::{collections::BTreeMap, sync::Arc};

use firedrill_plan::plan::{Plan, model::Goal, select::arrivals_key};
use firedrill_probe::{cells::Grid, requests::Pace};

/// The scales and paces of a run's probes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scales {
    probes: BTreeMap<String, Scale>,
}

/// The scale of a probe, and its paces by vantage.
#[derive(Clone, Debug)]
struct Scale {
    grid: Arc<Grid>,
    paces: BTreeMap<String, Pace>,
}

impl Scales {
    /// Returns the scales of a run. The limits of objectives on latency are ends of cells, so that they are counted exactly.
    pub(crate) fn of(plan: &Plan, run: &str) -> Self {
        let scale = |probe: &firedrill_plan::plan::model::Probe| {
            let limits = plan.objectives.iter().filter(|one| one.probe == probe.name);
            let limits = limits.filter_map(|one| match one.goal {
                Goal::Latency { below, .. } => Some(below.as_micros()),
                _ => None,
            });
            let pace = |vantage: &String| {
                let key = arrivals_key(plan.seed, run, &probe.name, vantage);
                (vantage.clone(), Pace { rate: probe.rate, arrivals: probe.arrivals, key })
            };
            Scale {
                grid: Arc::new(Grid::new(&limits.collect::<Vec<u64>>())),
                paces: probe.from.iter().map(pace).collect(),
            }
        };
        Self { probes: plan.probes.iter().map(|probe| (probe.name.clone(), scale(probe))).collect() }
    }

    /// Returns the scale of a probe's latencies.
    pub(crate) fn grid(&self, probe: &str) -> Arc<Grid> {
        self.probes.get(probe).map_or_else(|| Arc::new(Grid::new(&[])), |scale| Arc::clone(&scale.grid))
    }

    /// Returns the pace of a probe at a vantage; `None` if the plan does not have it.
    pub(crate) fn pace(&self, probe: &str, vantage: &str) -> Option<Pace> {
        self.probes.get(probe)?.paces.get(vantage).copied()
    }
}
