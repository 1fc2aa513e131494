//! Explains why a source returned no usable value of a metric. A run checks this before any fault is injected.

use crate::{log::Lack, plan::model::Metric};

/// Explains why the newest sample of a metric cannot be used: a clause whose subject, "it", is the source.
pub(super) fn lacking(metric: &Metric, lack: Lack, series: u32) -> String {
    let asks = metric.asks.words();
    match lack {
        Lack::Empty => format!("it answers with no series: {asks}"),
        Lack::Stale => {
            let after = metric.stale_after;
            format!(
                "its newest data are older than {after} (`stale_after`), or of series that are not there: {asks}"
            )
        }
        Lack::Several if series < 2 => {
            format!("it answers with several values for one time, and the goal is about one: {asks}")
        }
        Lack::Several => format!("it answers with {series} series, and the goal is about one: {asks}"),
        Lack::NotANumber | Lack::Other => {
            format!("it answers with something that is not a number: {asks}")
        }
        Lack::Sampled => format!(
            "it is sent with a sample rate, and events that were not sent may decide; send all events, or set a bound that is \
             further away: {asks}"
        ),
        Lack::Dropped
        | Lack::Unreadable
        | Lack::Late
        | Lack::TooMany
        | Lack::Silent
        | Lack::OtherType
        | Lack::OnlyChanges => format!("its newest sample is one {}: {asks}", lack.word()),
    }
}
