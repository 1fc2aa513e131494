//! The data of a page for its script, as JSON: the drawn values, and the names by which the page can be filtered.

use serde::Serialize;

use super::{
    chart::{FRAME, Frame},
    error::ReportError,
    input::Input,
    values::{LogValues, Metric, Panel},
    view::View,
};

/// The data of a page.
#[derive(Serialize)]
struct Data<'a> {
    /// The version of this format.
    v: u32,
    /// Duration of the run in milliseconds.
    end: i64,
    /// Hosts and vantages; attributes of the page refer to them by their index.
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
    /// Start of the first phase; `None` if the attack did not run.
    from: Option<i64>,
    /// End of the last phase; `None` if the attack did not run.
    until: Option<i64>,
    /// Start and end of the time in which its faults were in force; `None` if one of them is not known.
    fault: Option<[i64; 2]>,
    /// The hosts of its injections, as indexes into `names`.
    hosts: String,
}

/// Returns the data as JSON that can be put into a script element.
pub(super) fn json(input: &Input<'_>, view: &View) -> Result<String, ReportError> {
    let names = &input.drawn.names;
    let attacks = input.card.attacks.iter().map(|card| Attack {
        number: card.index + 1,
        name: &card.name,
        from: card.phases.first().map(|phase| phase.from_us / 1000),
        until: card.phases.last().map(|phase| phase.until_us / 1000),
        fault: card.fault_from_us.zip(card.healed_us).map(|(from, until)| [from / 1000, until / 1000]),
        hosts: names.refer(card.injections.iter().map(|injection| injection.host.as_str())),
    });
    let data = Data {
        v: 1,
        end: input.facts.last_us.max(1000) / 1000,
        names: names.all(),
        frame: FRAME,
        attacks: attacks.collect(),
        panels: &input.drawn.panels,
        metrics: view.metrics.iter().map(|metric| &metric.values).collect(),
        logs: view.logs.iter().map(|log| &log.values).collect(),
    };
    // Without `<`, no text in the data can end the script element.
    Ok(serde_json::to_string(&data)?.replace('<', "\\u003c"))
}
