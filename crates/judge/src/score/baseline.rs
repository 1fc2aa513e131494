//! Whether the system was healthy before the fault.

use firedrill_plan::plan::model::{Goal, Phase};

use super::{bench::Bench, efficacy::Doubt, format, host_log, metric, share, writes};
use crate::log::Sample;

/// Returns the doubt about an attack on a system that was unhealthy, or not measured, before the fault: such an attack shows nothing.
pub(super) fn doubt(bench: &Bench<'_, '_>) -> Option<Doubt> {
    if bench.attack.baseline.is_zero() {
        return None;
    }
    let doubt = |text: String| Some(Doubt { void: true, text });
    for metric in bench.metrics() {
        let all = bench.facts.sampled.get(metric.name.as_str()).zip(bench.phases.get(Phase::Baseline));
        let before: Vec<&Sample> = all.map_or_else(Vec::new, |(sampled, phase)| {
            let mut showing = metric::Showing::new(bench.plan, metric);
            let inside = |one: &&Sample| showing.shows(one) && phase.from_us <= one.from_us();
            sampled.samples(phase.from_us, phase.until_us).iter().copied().filter(inside).collect()
        });
        if let Some(why) = metric::violated_by(metric, &before) {
            return doubt(format!("the system was not healthy before: {} was {why}", metric.name));
        }
    }
    for objective in bench.log_objectives() {
        if let Some(why) = host_log::violated_before(bench, objective) {
            return doubt(format!(
                "the system was not healthy before: {} was violated: {why}",
                objective.name
            ));
        }
    }
    for objective in bench.objectives().filter(|one| matches!(one.goal, Goal::LostWrites(_))) {
        if let Some(why) = writes::violated_before(bench, objective) {
            return doubt(format!(
                "the system was not healthy before: it loses writes without the fault: {why}"
            ));
        }
    }
    for objective in bench.objectives() {
        let Some(probe) = bench.plan.probes.iter().find(|probe| probe.name == objective.probe) else {
            continue;
        };
        for vantage in probe.from.iter().filter(|vantage| bench.counts(vantage)) {
            let view = bench.view(probe, vantage);
            let goal = match objective.goal {
                Goal::Latency { .. } => objective.goal,
                _ => Goal::Good(
                    firedrill_wire::Share::from_fraction(bench.good_enough(&probe.name))
                        .unwrap_or(firedrill_wire::Share::ALL),
                ),
            };
            let tally = share::tally(&view, goal, &[Phase::Baseline]);
            match tally.share() {
                None => {
                    return doubt(format!(
                        "before the fault nothing was measured of {} from {vantage}",
                        probe.name
                    ));
                }
                Some(share) if share < tally.goal => {
                    return doubt(format!(
                        "the system was not healthy before: of {} from {vantage} {} was {}, {} wanted",
                        probe.name,
                        format::percent(share),
                        tally.adjective(),
                        format::percent(tally.goal)
                    ));
                }
                Some(_) => {}
            }
        }
    }
    None
}
