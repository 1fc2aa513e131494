//! The data of a page for its script, as JSON: what is drawn, and what the page can be filtered by.

use serde::Serialize;

use super::{
    chart::{FRAME, Frame},
    error::ReportError,
    input::Input,
    values::{LogValues, Metric, Panel},
    view::View,
};
use crate::score::card::AttackCard;

/// The data.
#[derive(Serialize)]
struct Data<'a> {
    /// The version of this format.
    v: u32,
    /// Duration of the run in milliseconds.
    end: i64,
    /// Hosts and vantages; attributes of the page refer to them by place.
    names: &'a [String],
    frame: Frame,
    attacks: Vec<Attack<'a>>,
    panels: &'a [Panel],
    metrics: Vec<&'a Metric>,
    logs: Vec<&'a LogValues>,
}

/// An attack, in milliseconds on the run's clock.
#[derive(Serialize)]
struct Attack<'a> {
    number: usize,
    name: &'a str,
    /// Its first and its last phase; none if it did not run.
    from: Option<i64>,
    until: Option<i64>,
    /// The time in which its faults were in force.
    fault: Option<[i64; 2]>,
    hosts: String,
}

/// Returns the data as JSON that can stand in a script element.
pub(super) fn json(input: &Input<'_>, view: &View) -> Result<String, ReportError> {
    let names = &input.drawn.names;
    let attack = |card: &'_ AttackCard| -> (Option<i64>, Option<i64>, Option<[i64; 2]>, String) {
        let fault = card.fault_from_us.zip(card.healed_us).map(|(from, until)| [from / 1000, until / 1000]);
        (
            card.phases.first().map(|one| one.from_us / 1000),
            card.phases.last().map(|one| one.until_us / 1000),
            fault,
            names.refer(card.injections.iter().map(|one| one.host.as_str())),
        )
    };
    let attacks = input.card.attacks.iter().map(|card| {
        let (from, until, fault, hosts) = attack(card);
        Attack { number: card.index + 1, name: &card.name, from, until, fault, hosts }
    });
    let data = Data {
        v: 1,
        end: input.facts.last_us.max(1000) / 1000,
        names: names.all(),
        frame: FRAME,
        attacks: attacks.collect(),
        panels: &input.drawn.panels,
        metrics: view.metrics.iter().map(|one| &one.values).collect(),
        logs: view.logs.iter().map(|one| &one.values).collect(),
    };
    // Nothing in it can end the element.
    Ok(serde_json::to_string(&data)?.replace('<', "\\u003c"))
}
