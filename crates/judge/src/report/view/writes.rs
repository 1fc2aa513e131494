//! Writes that vantages read back, as rows for people.

use firedrill_plan::plan::model::Phase;
use serde::Serialize;

use crate::{
    log::{Moment, WriteExample, WritesRead},
    score::{card::AttackCard, format, since::Since},
};

/// Maximum number of examples in a row.
const EXAMPLES: usize = 5;

/// A row: the writes that one vantage read back at one moment, of those since the moment before.
#[derive(Debug, Serialize)]
pub(crate) struct WritesView {
    pub(crate) probe: String,
    pub(crate) vantage: String,
    pub(crate) when: &'static str,
    pub(crate) acked: String,
    pub(crate) lost: String,
    /// The other classes that have writes, and the reason why something is not known.
    pub(crate) also: String,
    /// The first lost writes: when each was acknowledged, and when that was beside the fault.
    pub(crate) examples: Vec<String>,
}

impl WritesView {
    pub(super) fn all(attack: &AttackCard) -> Vec<Self> {
        let fault = attack.phases.iter().find(|phase| phase.phase == Phase::Fault).map(|phase| phase.from_us);
        let view = |(at, one): (usize, &WritesRead)| {
            let is_same = |other: &&WritesRead| (&other.probe, &other.vantage) == (&one.probe, &one.vantage);
            let earlier = attack.writes.get(..at).unwrap_or_default();
            let before = earlier.iter().filter(is_same).filter_map(|other| other.counts).next_back();
            let since = one.counts.map(|now| Since::new(&before.unwrap_or_default(), &now));
            let figure = |get: fn(&Since) -> u64| {
                since.as_ref().map_or_else(|| "not known".to_owned(), |since| get(since).to_string())
            };
            Self {
                probe: one.probe.clone(),
                vantage: one.vantage.clone(),
                when: if one.moment == Moment::After { "after the recovery" } else { "before the fault" },
                acked: figure(|since| since.acked),
                lost: figure(|since| since.lost),
                also: also(since.as_ref(), one),
                examples: one.lost.iter().take(EXAMPLES).map(|one| example(one, fault)).collect(),
            }
        };
        attack.writes.iter().enumerate().map(view).collect()
    }
}

fn also(since: Option<&Since>, one: &WritesRead) -> String {
    let mut all = Vec::new();
    if let Some(since) = since {
        let classes = [
            (since.unknown, "with an unknown outcome"),
            (since.duplicates, "there more than once"),
            (since.ghosts, "refused and there"),
            (since.stale, "seen late"),
            (since.altered, "with another value"),
        ];
        let some = classes.into_iter().filter(|(count, _)| *count > 0);
        all.extend(some.map(|(count, what)| format!("{count} {what}")));
    }
    all.extend(one.failed.clone());
    all.join("; ")
}

fn example(one: &WriteExample, fault_us: Option<i64>) -> String {
    let Some(at) = one.at_us else { return format!("write {}, in an earlier boot", one.seq) };
    let beside = fault_us.map_or_else(String::new, |fault| {
        if at < fault {
            format!(", {} before the fault", format::time(fault - at))
        } else {
            format!(", {} after the fault's start", format::time(at - fault))
        }
    });
    let late = if one.late { "; it was there at first" } else { "" };
    format!("acknowledged at {}{beside}{late}", format::clock(at))
}

#[cfg(test)]
mod tests {
    use firedrill_wire::writes::Counts;

    use super::*;
    use crate::{
        score,
        testing::{Drill, S},
    };

    #[test]
    fn rows_have_what_came_since_the_row_before_and_when_lost_writes_were_acknowledged() {
        let read = |moment, counts: Option<Counts>| WritesRead {
            attack: 0,
            moment,
            vantage: "v".to_owned(),
            probe: "p".to_owned(),
            from_us: 0,
            counts,
            lost: vec![WriteExample {
                seq: 7,
                due_us: Some(19 * S),
                at_us: Some(20 * S),
                late: true,
                cause: None,
            }],
            ghosts: Vec::new(),
            failed: counts.is_none().then(|| "timeout".to_owned()),
        };
        let first = Counts { acked: 100, kept: 100, ..Counts::default() };
        let then = Counts { acked: 150, kept: 149, lost: 1, unknown_present: 2, ..Counts::default() };
        let mut card = score::fold(&Drill::one().records()).attacks.remove(0);
        card.writes = vec![
            read(Moment::Before, Some(first)),
            read(Moment::After, Some(then)),
            read(Moment::After, None),
        ];
        let all = WritesView::all(&card);
        assert_eq!((all[0].acked.as_str(), all[0].lost.as_str(), all[0].also.as_str()), ("100", "0", ""));
        assert_eq!((all[1].acked.as_str(), all[1].lost.as_str()), ("50", "1"));
        assert_eq!((all[1].when, all[1].also.as_str()), ("after the recovery", "2 with an unknown outcome"));
        let example = &all[1].examples[0];
        assert!(
            example.starts_with("acknowledged at 00:20.0, ") && example.ends_with("at first"),
            "{example}"
        );
        assert!(example.contains("the fault"), "{example}");
        assert_eq!((all[2].lost.as_str(), all[2].also.as_str()), ("not known", "timeout"));
    }
}
