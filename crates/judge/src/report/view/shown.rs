//! Figures and alarms in words, for all formats of reports.

use firedrill_plan::plan::model::Phase;
use firedrill_wire::api::HostState;

use super::{alike::FEW, words::NONE};
use crate::score::{
    card::{FigureCard, HostCard, Measured, ObjectiveCard, Scorecard, StepCard, Unit, state_word},
    format,
};

/// Describes the hosts that may still have effects of faults, and the steps that a person may not have put back. Empty if there are none.
#[must_use]
pub fn alarm(card: &Scorecard) -> String {
    let texts = [hosts(&card.hosts), by_hand(&card.steps)];
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Describes the steps by hand that may still be in force; empty if there are none.
fn by_hand(steps: &[StepCard]) -> String {
    let left = steps.iter().filter_map(|step| Some((step, step.back.as_ref().filter(|back| !back.is_back)?)));
    let left: Vec<String> = left.map(|(step, back)| format!("\"{}\" ({})", step.name, back.says)).collect();
    if left.is_empty() {
        return String::new();
    }
    format!(
        "What a person did by hand may still be in force: {}. Firedrill cannot put it back: do it by hand.",
        left.join(", ")
    )
}

/// Describes the hosts that may still have effects of faults; empty if there are none.
fn hosts(hosts: &[HostCard]) -> String {
    let bad = hosts
        .iter()
        .filter(|host| matches!(host.state, HostState::Stuck | HostState::Dirty | HostState::Unproven));
    let bad: Vec<String> = if hosts.len() <= FEW {
        bad.map(|host| format!("{} ended {}", host.host, state_word(host.state))).collect()
    } else {
        let states = firedrill_plan::alike::together(bad, |host| state_word(host.state));
        let names = |group: &Vec<&HostCard>| {
            firedrill_plan::alike::names(&group.iter().map(|host| host.host.as_str()).collect::<Vec<_>>())
        };
        let line = |group: Vec<&HostCard>| {
            Some(format!("{} ended {}", names(&group), state_word(group.first()?.state)))
        };
        states.into_iter().filter_map(line).collect()
    };
    if bad.is_empty() {
        return String::new();
    }
    format!(
        "Something may not have been put back: {}. Look with `firedrill status`, and put back with `firedrill undo`.",
        bad.join(", ")
    )
}

/// Formats a figure without the unit of a metric.
#[must_use]
pub fn measured(measured: &Measured) -> String {
    match (measured.value, measured.unit) {
        _ if measured.endless => match measured.low {
            Some(low) if measured.unit == Unit::Time => format!("more than {}", us(low)),
            _ => "no answer".to_owned(),
        },
        (None, _) => NONE.to_owned(),
        (Some(share), Unit::Share) => format::percent(share),
        (Some(value), Unit::Number) => format::value(value),
        (Some(time), Unit::Time) if time <= 0.0 => "stayed good".to_owned(),
        (Some(time), Unit::Latency | Unit::Time) => us(time),
    }
}

/// Formats the range of a figure; empty if it has none, or if both ends have the same text.
pub(in crate::report) fn range(measured: &Measured) -> String {
    let text = |value: f64| match measured.unit {
        Unit::Share => format::percent(value),
        Unit::Number => format::value(value),
        Unit::Latency | Unit::Time => us(value),
    };
    match (measured.low, measured.high) {
        (Some(low), Some(high)) if text(low) != text(high) => format!("{} – {}", text(low), text(high)),
        (Some(low), None) if low > 0.0 && measured.unit == Unit::Latency => format!("{} –", text(low)),
        _ => String::new(),
    }
}

/// Adds the unit of a metric or of a log to its formatted figure. Other texts, such as a dash, stay as they are.
pub(super) fn with_unit(card: &ObjectiveCard, figure: String) -> String {
    let is_log = card.probe.is_empty() && card.metric.is_none() && card.alert.is_none();
    let unit = match &card.metric {
        Some(metric) => metric.unit.as_str(),
        // The goal for a log is a rate (`5/s`) or a count.
        None if is_log && card.goal.contains('/') => "lines/s",
        None if is_log => "lines",
        None => "",
    };
    let is_figure = !figure.is_empty() && figure != NONE && card.measured.unit == Unit::Number;
    if is_figure && !unit.is_empty() { format!("{figure} {unit}") } else { figure }
}

/// Formats microseconds.
fn us(value: f64) -> String {
    format::micros(firedrill_statistics::whole(value))
}

/// Whether requests were measured while the fault was in force.
pub(super) fn fault_measured(figure: &FigureCard) -> bool {
    figure.phases.iter().any(|one| one.phase == Phase::Fault && one.good.is_some())
}

/// Returns the share of bad requests while the fault was in force, from 0 to 1; 0 if none was measured.
pub(super) fn errors(figure: &FigureCard) -> f64 {
    figure
        .phases
        .iter()
        .find(|one| one.phase == Phase::Fault)
        .and_then(|one| one.good)
        .map_or(0.0, |good| 1.0 - good)
}
