//! Warns of limits, guards and rates that another value of the scenario makes useless.

use firedrill_wire::{Span, probe::Arrivals};

use super::unit::alike;
use crate::{
    diagnostic::{Item, Problem, Sink},
    plan::{decide::samples, model::Phase, refuse::time, timing},
    scenario::{Scenario, attack::Attack, objective::Objective, probe::Probe},
};

/// Below this number of requests, a phase shows nothing.
const HANDFUL: u64 = 10;

/// Checks objectives, the guard and the rates of probes. Rates are checked only if there are no errors, because too
/// few samples for an objective are an error already.
pub(in crate::plan::refuse) fn warn(scenario: &Scenario, sink: &mut Sink) {
    for objective in &scenario.objectives {
        late_answers(objective, scenario, sink);
    }
    guard(scenario, sink);
    if !sink.failed() {
        scenario.probes.iter().for_each(|probe| seldom(probe, scenario, sink));
    }
}

/// Checks a latency limit: from the time-out on every request is bad, whatever the limit.
fn late_answers(objective: &Item<Objective>, scenario: &Scenario, sink: &mut Sink) {
    let own = &objective.value;
    let (Some(below), Some(probe)) = (&own.below, scenario.probe(&own.probe)) else { return };
    let timeout = probe.value.timeout.value;
    if below.value <= timeout || timeout.is_zero() {
        return;
    }
    let message = format!(
        "objective `{}` allows {}, and probe `{}` gives up after {timeout}: the time-out decides, not the limit",
        objective.name, below.value, probe.name
    );
    let help = alike(objective.text_at(&["below"]), |span| span <= timeout)
        .unwrap_or_else(|| format!("timeout = \"{}\" or more, or a lower limit", below.value));
    sink.push(
        Problem::warning(message)
            .at(objective.place_of(&below.at), "beyond the time-out")
            .also(probe.place(), "the probe")
            .help(help),
    );
}

/// Checks that the guard's window is no longer than the longest hold. Otherwise the good time around a fault hides
/// the fault.
fn guard(scenario: &Scenario, sink: &mut Sink) {
    let Some(item) = &scenario.guard else { return };
    let holds: Option<Vec<Span>> =
        scenario.attacks.iter().map(|attack| timing::timing(attack, scenario).hold).collect();
    let Some(longest) = holds.and_then(|holds| holds.into_iter().max()) else { return };
    let fits = |span: Span, longest| Span::secs(1) <= span && span <= longest;
    for (index, abort) in item.value.abort.iter().enumerate().filter(|(_, abort)| abort.over.value > longest)
    {
        let message = format!(
            "a guard with a window of {} also covers the time around a fault: the longest hold is {longest}",
            abort.over.value
        );
        let help = alike(item.text_at(&["abort", &index.to_string(), "over"]), |span| fits(span, longest))
            .unwrap_or_else(|| "a time shorter than the hold, such as \"5s\"".to_owned());
        sink.push(
            Problem::warning(message).at(item.place_of(&abort.over.at), "longer than any hold").help(help),
        );
    }
}

/// Checks that each judged phase has more than a handful of requests at the given rate.
fn seldom(probe: &Item<Probe>, scenario: &Scenario, sink: &mut Sink) {
    let rate = probe.value.rate.value;
    // The phase with the fewest requests: their number, its key, its length, its attack.
    let mut least: Option<(u64, &str, Span, &Item<Attack>)> = None;
    for attack in &scenario.attacks {
        let timing = timing::timing(attack, scenario);
        let objectives =
            timing::judged(attack, scenario).into_iter().filter_map(|name| scenario.objective(name));
        for phase in
            objectives.filter(|one| *one.value.probe == probe.name).flat_map(|one| one.value.during())
        {
            let (key, length) = match phase {
                Phase::Baseline => ("baseline", timing.baseline),
                Phase::Fault => ("hold", timing.hold.unwrap_or_default()),
                Phase::Recovery => ("recovery", timing.recovery),
                Phase::Settle => continue,
            };
            // The mean number, because that is what people expect.
            let there = samples(rate, length, Arrivals::Even);
            if !length.is_zero() && there < HANDFUL && least.is_none_or(|(fewest, ..)| there < fewest) {
                least = Some((there, key, length, attack));
            }
        }
    }
    let Some((there, key, length, attack)) = least else { return };
    let s = if there == 1 { "" } else { "s" };
    let message = format!(
        "probe `{}` asks {rate} a second: {there} request{s} on the mean in the {key} of {length} of attack `{}`",
        probe.name, attack.name
    );
    sink.push(
        Problem::warning(message)
            .at(probe.place_of(&probe.value.rate.at), "too few requests to judge")
            .also(time::place_of(attack, scenario, key), "judged by these requests")
            .help("give a higher rate; 10 to 100 a second are a small load for most services"),
    );
}
