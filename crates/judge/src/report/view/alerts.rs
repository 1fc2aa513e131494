//! Formats the answers of sources about alerts.

use serde::Serialize;

use super::words::NONE;
use crate::score::{
    alert_card::{AlertCard, FiringCard, TookCard},
    card::AttackCard,
    format,
};

/// An alert in an attack. Times to detect and to resolve are ranges.
#[derive(Debug, Serialize)]
pub(crate) struct AlertView {
    pub(crate) alert: String,
    pub(crate) source: String,
    pub(crate) detected: String,
    pub(crate) resolved: String,
    /// The times at which answers found it firing.
    pub(crate) firing: String,
    /// The number of questions to its source, in words.
    pub(crate) asked: String,
}

/// Returns an attack's time to detect; empty without alerts.
pub(super) fn detected(attack: &AttackCard) -> String {
    if attack.alerts().is_empty() {
        return String::new();
    }
    attack.detected_us().map_or_else(|| NONE.to_owned(), format::time)
}

impl AlertView {
    /// Returns one row for each alert of an attack.
    pub(super) fn all(attack: &AttackCard) -> Vec<Self> {
        let view = |card: &AlertCard| Self {
            alert: card.alert.clone(),
            source: card.source.clone(),
            detected: took(card.detected),
            resolved: took(card.resolved),
            firing: firing(&card.firing),
            asked: match card.failed {
                0 => format!("{} times", card.asked),
                failed => format!("{} times, {failed} without an answer", card.asked),
            },
        };
        attack.alerts().into_iter().map(view).collect()
    }
}

/// Formats the range of a time; a dash if it is not known or has no upper end.
fn took(took: Option<TookCard>) -> String {
    let Some(TookCard { low_us, high_us: Some(high_us) }) = took else { return NONE.to_owned() };
    let (low, high) = (format::time(low_us), format::time(high_us));
    if low == high { low } else { format!("{low} – {high}") }
}

/// Lists the times at which an alert was found firing.
fn firing(all: &[FiringCard]) -> String {
    if all.is_empty() {
        return "never".to_owned();
    }
    let text = |firing: &FiringCard| {
        let hushed = firing.hushed.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        format!("{} – {}{hushed}", format::clock(firing.from_us), format::clock(firing.until_us))
    };
    format::list(&all.iter().map(text).collect::<Vec<_>>())
}
