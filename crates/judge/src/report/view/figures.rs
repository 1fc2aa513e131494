//! Formats each vantage's measurements: figures by phase, and causes of failed requests.

use firedrill_plan::plan::model::Phase;
use serde::Serialize;

use super::{
    few::folded,
    words::{NONE, took},
};
use crate::score::{
    card::{AttackCard, CauseCard, FigureCard, OutageCard, phase_word},
    causes as words_of, format,
};

/// The figures of one probe at one vantage, or at several vantages with the same figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FigureView {
    pub(crate) probe: String,
    /// The vantage, or the names of several as one text.
    pub(crate) vantage: String,
    /// The vantages' names in full.
    pub(crate) vantages: Vec<String>,
    /// Whether the vantages count for verdicts.
    pub(crate) counts: bool,
    /// Whether an objective judges the probe in this attack.
    pub(crate) judged: bool,
    pub(crate) mitigated: String,
    pub(crate) recovered: String,
    pub(crate) outage: String,
    pub(crate) partial: String,
    /// The share of the allowed failures that was spent.
    pub(crate) budget: String,
    /// The 99th percentile of the lateness with which requests were sent; `None` if it is less than [`LATE_US`].
    pub(crate) late: Option<String>,
    /// For baseline, fault and recovery: name of the phase, share of good requests, median and 99th percentile of latency.
    pub(crate) phases: Vec<(&'static str, String, String, String)>,
}

/// Causes of failed requests of one probe in one phase at one vantage, or at several vantages with the same counts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CauseView {
    pub(crate) phase: &'static str,
    pub(crate) probe: String,
    /// The vantage, or the names of several as one text.
    pub(crate) vantage: String,
    /// The vantages' names in full.
    pub(crate) vantages: Vec<String>,
    /// Whether the vantages count for verdicts.
    pub(crate) counts: bool,
    /// Number of failed requests.
    pub(crate) bad: String,
    pub(crate) causes: String,
    /// Number of requests that the vantage could not send in time.
    pub(crate) slipped: String,
}

/// Formats the causes of one vantage.
fn cause_view(card: &CauseCard) -> CauseView {
    CauseView {
        phase: phase_word(card.phase),
        probe: card.probe.clone(),
        vantage: card.vantage.clone(),
        vantages: vec![card.vantage.clone()],
        counts: card.counts,
        bad: card.bad.to_string(),
        causes: match words_of::text(&card.causes) {
            text if text.is_empty() => NONE.to_owned(),
            text => text,
        },
        slipped: card.slipped.to_string(),
    }
}

/// Minimum lateness that is shown, in microseconds; less is normal on a busy machine.
const LATE_US: u64 = 5000;

/// Formats the longest of outages; a dash if there are none or one of them is not known.
pub(super) fn longest_outage(all: impl Iterator<Item = Option<OutageCard>>) -> String {
    // A single `None` makes the collected list `None`.
    match all.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max_by_key(|one| one.high_us)) {
        None => NONE.to_owned(),
        Some(OutageCard { after_us: None, .. }) => "none".to_owned(),
        Some(OutageCard { low_us: 0, .. }) => "one request".to_owned(),
        Some(outage) => format::time(outage.low_us),
    }
}

/// Formats the worst partial failure of the vantages: the share of requests that failed, and the time for which it lasted. A dash if it is
/// not known.
pub(super) fn partial<'f>(all: impl Iterator<Item = &'f FigureCard>) -> String {
    let all: Vec<&FigureCard> = all.collect();
    let worst = all.iter().filter_map(|one| one.partial).max_by_key(|one| (one.bad, one.for_us));
    // A vantage without a known outage has times without measurements, in which there may have been more failures.
    let unsure = all.iter().any(|one| one.outage.is_none());
    match worst {
        _ if all.is_empty() => NONE.to_owned(),
        None if unsure => NONE.to_owned(),
        None => "none".to_owned(),
        Some(partial) => {
            let at_least = if unsure { "at least " } else { "" };
            let share = format::percent(partial.bad as f64 / partial.all.max(1) as f64);
            format!("{share} for {at_least}{}", format::time(partial.for_us))
        }
    }
}

/// Returns the figures of vantages as rows; vantages with the same figures share a row.
pub(super) fn figures(attack: &AttackCard, cards: &[&FigureCard]) -> Vec<FigureView> {
    let rows = cards.iter().map(|card| figure_view(attack, card)).collect();
    let key = |one: &FigureView| {
        format!("{:?}", FigureView { vantage: String::new(), vantages: Vec::new(), ..one.clone() })
    };
    folded(rows, key, |one| (&mut one.vantage, &mut one.vantages))
}

/// Returns the causes of failed requests as rows; vantages with the same counts share a row.
pub(super) fn causes(cards: &[&CauseCard]) -> Vec<CauseView> {
    let rows = cards.iter().map(|card| cause_view(card)).collect();
    let key = |one: &CauseView| {
        format!("{:?}", CauseView { vantage: String::new(), vantages: Vec::new(), ..one.clone() })
    };
    folded(rows, key, |one| (&mut one.vantage, &mut one.vantages))
}

/// Formats the figures of one vantage.
fn figure_view(attack: &AttackCard, card: &FigureCard) -> FigureView {
    let time = |us: Option<i64>| us.map_or_else(|| NONE.to_owned(), took);
    let latency = |us: Option<u64>, samples: u64| match us {
        Some(us) => format::micros(us),
        None if samples > 0 => "no answer".to_owned(),
        None => NONE.to_owned(),
    };
    FigureView {
        probe: card.probe.clone(),
        vantage: card.vantage.clone(),
        vantages: vec![card.vantage.clone()],
        counts: card.counts,
        judged: attack.judges(&card.probe),
        mitigated: time(card.mitigated_us),
        recovered: time(card.recovered_us),
        outage: longest_outage(std::iter::once(card.outage)),
        partial: partial(std::iter::once(card)),
        late: card.late_p99_us.filter(|us| *us >= LATE_US).map(format::micros),
        budget: card.budget_spent.map_or_else(|| NONE.to_owned(), |spent| format!("{:.0} %", spent * 100.0)),
        phases: card
            .phases
            .iter()
            .filter(|one| one.phase != Phase::Settle)
            .map(|one| {
                let share = one.good.map_or_else(|| NONE.to_owned(), format::percent);
                (
                    phase_word(one.phase),
                    share,
                    latency(one.p50_us, one.samples),
                    latency(one.p99_us, one.samples),
                )
            })
            .collect(),
    }
}
