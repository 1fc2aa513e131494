//! Which charts a report has, and what is on them.

use firedrill_wire::probe::ProbeKind;
use serde::Serialize;

use crate::{
    plan::model::{Goal, Phase, Plan, Probe},
    report::{
        Input,
        chart::{Band, Chart, Line, Point},
    },
    score::{
        card::{AttackCard, phase_word, verdict_word},
        say,
    },
};

fn lines(input: &Input<'_>, probe: &str, counts: impl Fn(&str) -> bool) -> Vec<Line> {
    let plan = input.facts.plan;
    let from =
        plan.and_then(|plan| plan.probes.iter().find(|one| one.name == probe)).map(|probe| &probe.from);
    let samples = |vantage: &str| {
        input
            .facts
            .samples
            .iter()
            .find(|((name, from), _)| *name == probe && *from == vantage)
            .map(|(_, all)| all)
    };
    from.into_iter()
        .flatten()
        .map(|vantage| Line {
            name: vantage.clone(),
            counts: counts(vantage),
            points: samples(vantage)
                .into_iter()
                .flatten()
                .map(|sample| Point {
                    from_us: sample.from_us,
                    until_us: sample.until_us,
                    good: sample.good,
                    bad: sample.bad,
                    latencies: sample.latencies.clone().unwrap_or_default(),
                })
                .collect(),
        })
        .collect()
}

/// The limits that a probe's objectives set.
fn limits(plan: &Plan, probe: &str) -> (Option<f64>, Option<u64>) {
    let goals = || plan.objectives.iter().filter(|one| one.probe == probe).map(|one| one.goal);
    let good = goals().filter_map(|goal| match goal {
        Goal::Good(share) => Some(share.fraction()),
        _ => None,
    });
    let below = goals().filter_map(|goal| match goal {
        Goal::Latency { below, .. } => Some(below.as_micros()),
        _ => None,
    });
    (good.reduce(f64::max), below.min())
}

fn fault_band(attack: &AttackCard, label: String) -> Option<Band> {
    let from_us = attack.fault_from_us?;
    let act = attack.phases.iter().find(|one| one.phase == Phase::Fault)?;
    let until_us = attack.healed_us.unwrap_or(act.until_us).max(from_us);
    let title = format!(
        "{}: in force from {} to {}, {}",
        attack.name,
        say::clock(from_us),
        say::clock(until_us),
        verdict_word(attack.verdict)
    );
    Some(Band { from_us, until_us, label, title, fault: true })
}

/// A chart with the words above it.
#[derive(Debug, Serialize)]
pub(crate) struct ChartView {
    caption: String,
    /// What it is called where it is not seen; no other chart of the page has this name.
    label: String,
    svg: String,
}

fn caption(probe: &Probe) -> String {
    let what = match &probe.kind {
        ProbeKind::Http(http) => format!("{} {}", http.method, http.url),
        ProbeKind::Tcp(tcp) => format!("TCP connections to {}", tcp.address),
    };
    format!("{}: {what}", probe.name)
}

/// The whole run, a chart for each probe.
pub(super) fn timelines(input: &Input<'_>, plan: &Plan) -> Vec<ChartView> {
    let targets = plan.targets();
    let many = plan.attacks.len() > 6;
    let bands: Vec<Band> = input
        .card
        .attacks
        .iter()
        .filter_map(|attack| {
            let number = attack.index + 1;
            fault_band(attack, if many { number.to_string() } else { format!("{number} {}", attack.name) })
        })
        .collect();
    let chart = |(place, probe): (usize, &Probe)| {
        let (good, below_us) = limits(plan, &probe.name);
        let chart = Chart {
            id: format!("run-{place}"),
            title: format!("{}: the whole run", probe.name),
            from_us: 0,
            until_us: input.card.end_us.max(1),
            zero_us: 0,
            // Over the whole run a vantage is a target's if any attack targets it.
            lines: lines(input, &probe.name, |vantage| !targets.contains(vantage)),
            bands: bands.clone(),
            good,
            below_us,
        };
        let judged = input.card.attacks.iter().any(|attack| attack.judges(&probe.name));
        let note = if judged { "" } else { " (not judged)" };
        ChartView {
            caption: format!("{}{note}", caption(probe)),
            label: format!("{} over the whole run", probe.name),
            svg: chart.svg(),
        }
    };
    plan.probes.iter().enumerate().map(chart).collect()
}

/// One attack, a chart for each probe that is judged in it.
pub(super) fn zooms(input: &Input<'_>, plan: &Plan, attack: &AttackCard) -> Vec<ChartView> {
    let (Some(first), Some(last)) = (attack.phases.first(), attack.phases.last()) else { return Vec::new() };
    let mut bands: Vec<Band> = attack
        .phases
        .iter()
        .map(|one| Band {
            from_us: one.from_us,
            until_us: one.until_us,
            label: phase_word(one.phase).to_owned(),
            title: format!(
                "{} from {} to {}",
                phase_word(one.phase),
                say::clock(one.from_us),
                say::clock(one.until_us)
            ),
            fault: false,
        })
        .collect();
    bands.extend(fault_band(attack, String::new()));
    let judged = |probe: &&Probe| attack.judges(&probe.name);
    plan.probes
        .iter()
        .filter(judged)
        .enumerate()
        .map(|(place, probe)| {
            let (good, below_us) = limits(plan, &probe.name);
            let chart = Chart {
                id: format!("attack-{}-{place}", attack.index),
                title: format!("{} during “{}”", probe.name, attack.name),
                from_us: first.from_us,
                until_us: last.until_us,
                zero_us: attack.fault_from_us.unwrap_or(0),
                lines: lines(input, &probe.name, |vantage| {
                    !attack.injections.iter().any(|one| one.host == vantage)
                }),
                bands: bands.clone(),
                good,
                below_us,
            };
            ChartView {
                caption: caption(probe),
                label: format!("{} in attack {}, {}", probe.name, attack.index + 1, attack.name),
                svg: chart.svg(),
            }
        })
        .collect()
}
