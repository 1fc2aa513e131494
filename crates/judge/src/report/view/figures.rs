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

#[derive(Clone, Debug, Serialize)]
pub(crate) struct FigureView {
    pub(crate) probe: String,
    /// The vantage, or the vantages whose figures are the same.
    pub(crate) vantage: String,
    /// Each name.
    pub(crate) vantages: Vec<String>,
    pub(crate) counts: bool,
    /// Whether an objective judges the probe in this attack.
    pub(crate) judged: bool,
    pub(crate) mitigated: String,
    pub(crate) recovered: String,
    pub(crate) outage: String,
    pub(crate) partial: String,
    pub(crate) budget: String,
    /// The 99th percentile of how late requests were sent, if any were late.
    pub(crate) late: Option<String>,
    /// For baseline, fault and recovery: share, median, 99th percentile.
    pub(crate) phases: Vec<(&'static str, String, String, String)>,
}

/// Causes of failed requests of one probe in one phase at one vantage.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CauseView {
    pub(crate) phase: &'static str,
    pub(crate) probe: String,
    pub(crate) vantage: String,
    /// Each name.
    pub(crate) vantages: Vec<String>,
    pub(crate) counts: bool,
    pub(crate) bad: String,
    pub(crate) causes: String,
    /// Requests that the vantage itself lost.
    pub(crate) slipped: String,
}

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

/// Returns the longest of some outages; unknown if any of them is.
pub(super) fn longest_outage(all: impl Iterator<Item = Option<OutageCard>>) -> String {
    match all.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max_by_key(|one| one.high_us)) {
        None => NONE.to_owned(),
        Some(OutageCard { after_us: None, .. }) => "none".to_owned(),
        Some(OutageCard { low_us: 0, .. }) => "one request".to_owned(),
        Some(one) => format::time(one.low_us),
    }
}

/// Returns the partial failure of the judged vantage that saw most of it: for how long, and the share of its requests that failed.
pub(super) fn partial<'f>(all: impl Iterator<Item = &'f FigureCard>) -> String {
    let all: Vec<&FigureCard> = all.collect();
    let worst = all.iter().filter_map(|one| one.partial).max_by_key(|one| (one.bad, one.for_us));
    // In a part that was not measured there may be more.
    let unsure = all.iter().any(|one| one.outage.is_none());
    match worst {
        _ if all.is_empty() => NONE.to_owned(),
        None if unsure => NONE.to_owned(),
        None => "none".to_owned(),
        Some(one) => {
            let at_least = if unsure { "at least " } else { "" };
            let share = format::percent(one.bad as f64 / one.all.max(1) as f64);
            format!("{share} for {at_least}{}", format::time(one.for_us))
        }
    }
}

/// Returns figures by vantage, as rows.
pub(super) fn figures(attack: &AttackCard, cards: &[&FigureCard]) -> Vec<FigureView> {
    let rows = cards.iter().map(|card| figure_view(attack, card)).collect();
    let key = |one: &FigureView| {
        format!("{:?}", FigureView { vantage: String::new(), vantages: Vec::new(), ..one.clone() })
    };
    folded(rows, key, |one| (&mut one.vantage, &mut one.vantages))
}

/// Returns the causes of failed requests, as rows.
pub(super) fn causes(cards: &[&CauseCard]) -> Vec<CauseView> {
    let rows = cards.iter().map(|card| cause_view(card)).collect();
    let key = |one: &CauseView| {
        format!("{:?}", CauseView { vantage: String::new(), vantages: Vec::new(), ..one.clone() })
    };
    folded(rows, key, |one| (&mut one.vantage, &mut one.vantages))
}

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
