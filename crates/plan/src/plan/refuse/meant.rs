//! Values that are valid but rarely intended: a delay that outlasts the hold, a phase of a few requests, a unit that
//! looks like another one (`m` is minutes, `M` months). A delay that outlasts the hold is an error, the rest are
//! warnings.

mod measured;
mod unit;

use firedrill_wire::{Span, fault::Late};

pub(super) use self::measured::warn;
use self::unit::alike;
use crate::{
    diagnostic::{Item, Place, Problem, Sink},
    plan::timing::{self, Part, Timing},
    scenario::{Scenario, attack::Attack, probe::Probe},
};

/// The length of one bin of a probe: a shorter phase has no bin of its own.
const SECOND: Span = Span::secs(1);

/// Minimum time that people need to approve an attack.
const TO_AGREE: Span = Span::secs(10);

/// Checks the delays and the times of one attack.
pub(super) fn refuse(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let timing = timing::timing(attack, scenario);
    for (index, part) in timing::parts(attack, scenario).iter().enumerate() {
        delay(attack, part, index, scenario, sink);
    }
    short_hold(attack, &timing, scenario, sink);
    too_short(attack, &timing, scenario, sink);
}

/// Checks a delay: one as long as the hold is an error, one as long as a time-out a warning. `index` is that of the fault in the
/// attack.
fn delay(attack: &Item<Attack>, part: &Part, index: usize, scenario: &Scenario, sink: &mut Sink) {
    let Some(Late { delay, jitter }) = part.fault.about().late else { return };
    let kind = part.fault.kind();
    // The single `fault` comes before the list of `faults`.
    let number = index.saturating_sub(usize::from(attack.value.fault.is_some())).to_string();
    let path = |key| match index {
        0 if attack.value.fault.is_some() => vec!["fault", kind, key],
        _ => vec!["faults", &number, kind, key],
    };
    let place = attack.place_at(&path("delay"), false);
    let text = attack.text_at(&path("delay"));
    if delay.is_zero() {
        return;
    }
    if let Some(hold) = part.hold.filter(|hold| delay >= *hold && !hold.is_zero()) {
        let message = format!(
            "{kind}: a delay of {delay} is not shorter than the hold of {hold}: delayed packets do not arrive before the \
             fault ends, as in a block"
        );
        let help = alike(text, |span| span < hold)
            .unwrap_or_else(|| "give a delay well below the hold; net-block drops all packets".to_owned());
        sink.push(Problem::error(message).at(place, "outlasts the hold").help(help));
        return;
    }
    let waits = judging(attack, scenario).into_iter().min_by_key(|probe| probe.value.timeout.value);
    if let Some(probe) = waits.filter(|probe| delay >= probe.value.timeout.value) {
        let timeout = probe.value.timeout.value;
        let message = format!(
            "{kind}: a delay of {delay} is not shorter than the time-out of probe `{}` ({timeout}): a request that \
             meets the delay times out, as in a block",
            probe.name
        );
        let help = alike(text, |span| span < timeout).unwrap_or_else(|| {
            "keep it if time-outs are intended; otherwise give a shorter `delay` or a longer `timeout`"
                .to_owned()
        });
        sink.push(Problem::warning(message).at(place.clone(), "outlasts a time-out").help(help));
    }
    if jitter > delay {
        let message = format!("{kind}: a jitter of {jitter} is longer than the delay of {delay}");
        let help = alike(attack.text_at(&path("jitter")), |span| span <= delay)
            .unwrap_or_else(|| "no delay is below zero: give a longer `delay`, or less jitter".to_owned());
        let jitter = attack.place_at(&path("jitter"), false);
        sink.push(
            Problem::warning(message).at(jitter, "more than the delay").also(place, "the delay").help(help),
        );
    }
}

/// Checks that the hold is not shorter than a time-out. Otherwise a request can wait until the fault is over, and an
/// outage looks like slowness.
fn short_hold(attack: &Item<Attack>, timing: &Timing, scenario: &Scenario, sink: &mut Sink) {
    // `too_short` warns of a hold below a second.
    let Some(hold) = timing.hold.filter(|hold| *hold >= SECOND) else { return };
    let patient = judging(attack, scenario).into_iter().max_by_key(|probe| probe.value.timeout.value);
    let Some(probe) = patient.filter(|probe| hold < probe.value.timeout.value) else { return };
    let timeout = probe.value.timeout.value;
    let message = format!(
        "attack `{}` holds for {hold}, and probe `{}` waits up to {timeout} for an answer: requests can outlast the \
         fault, and be good",
        attack.name, probe.name
    );
    let at = super::time::place_of(attack, scenario, "hold");
    let help = alike(text_of(attack, scenario, "hold"), |span| span >= timeout)
        .unwrap_or_else(|| format!("hold = \"{timeout}\" or more, or a shorter time-out"));
    let timeout = &probe.value.timeout.at;
    let problem = Problem::warning(message).at(at, "shorter than a time-out").help(help);
    sink.push(if timeout.is_empty() {
        problem.also(probe.place(), "the time-out is 1s")
    } else {
        problem.also(probe.place_of(timeout), "the time-out")
    });
}

/// Checks for phases and approvals that are too short to be intended.
fn too_short(attack: &Item<Attack>, timing: &Timing, scenario: &Scenario, sink: &mut Sink) {
    let mut check = |key: &str, what: &str, span: Span, least: Span, place: Place, text: Option<&str>| {
        if span.is_zero() || span >= least {
            return;
        }
        let message = format!("{what} of attack `{}` is {span}, probably shorter than intended", attack.name);
        let help =
            alike(text, |span| span >= least).unwrap_or_else(|| format!("{key} = \"{least}\" or more"));
        sink.push(Problem::warning(message).at(place, "very short").help(help));
    };
    let own_hold = attack.value.fault.as_ref().and_then(|fault| Some((fault.kind(), fault.own_hold()?)));
    let phases = [
        ("baseline", "the baseline", Some(timing.baseline)),
        ("hold", "the hold", if own_hold.is_some() { None } else { timing.hold }),
        ("recovery", "the recovery", Some(timing.recovery)),
    ];
    for (key, what, span) in phases {
        let place = super::time::place_of(attack, scenario, key);
        check(key, what, span.unwrap_or_default(), SECOND, place, text_of(attack, scenario, key));
    }
    if let Some((kind, back)) = own_hold {
        let path = ["fault", kind, "back_within"];
        let place = attack.place_at(&path, false);
        check("back_within", "the time to be back", back, SECOND, place, attack.text_at(&path));
    }
    if let Some(approve) = &attack.value.approve {
        let path = ["approve", "expires"];
        let place = attack.place_at(&path, false);
        check("expires", "the time to approve", approve.expires, TO_AGREE, place, attack.text_at(&path));
    }
}

/// Returns the probes of the objectives that an attack is judged by.
fn judging<'s>(attack: &'s Item<Attack>, scenario: &'s Scenario) -> Vec<&'s Item<Probe>> {
    let objectives = timing::judged(attack, scenario).into_iter().filter_map(|name| scenario.objective(name));
    objectives.filter_map(|objective| scenario.probe(&objective.value.probe)).collect()
}

/// Returns the text of an attack's key: its own, or that of the defaults.
fn text_of<'s>(attack: &'s Item<Attack>, scenario: &'s Scenario, key: &str) -> Option<&'s str> {
    let default = || scenario.attack_defaults.as_ref().and_then(|defaults| defaults.text_at(&[key]));
    attack.text_at(&[key]).or_else(default)
}
