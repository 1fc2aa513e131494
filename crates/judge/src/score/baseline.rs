//! Whether the system was healthy before the fault.

use firedrill_plan::plan::model::{Goal, Phase};

use super::{bench::Bench, efficacy::Doubt, format, share};

/// An attack on a system that was unhealthy before it shows nothing.
pub(super) fn doubt(bench: &Bench<'_, '_>) -> Option<Doubt> {
    if bench.attack.baseline.is_zero() {
        return None;
    }
    let doubt = |text: String| Some(Doubt { void: true, text });
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
