//! Goals over a time: good again while the fault holds, and good again after the heal.

use firedrill_wire::Span;

use super::{
    card::{Measured, Unit},
    judge::{Finding, View},
    regain::{Regain, Slips, WINDOW, regain},
    say,
};
use crate::{plan::model::Phase, verdict::Verdict};

/// Good again within so long from the fault's start, while it still holds?
pub(crate) fn mitigated(view: &View<'_, '_>, limit: Span) -> Finding {
    match fault_span(view) {
        Some((from, until)) => judge(view, from, until, limit, "from the fault's start", "fault"),
        None => nothing("the fault was never in force"),
    }
}

/// Good again within so long from the heal?
pub(crate) fn recovered(view: &View<'_, '_>, limit: Span) -> Finding {
    match recovery_span(view) {
        Some((from, until)) => judge(view, from, until, limit, "from the heal", "recovery"),
        None => nothing("the fault was never healed"),
    }
}

/// From the fault in force to its end.
pub(crate) fn fault_span(view: &View<'_, '_>) -> Option<(i64, i64)> {
    let acts = view.bench.acts;
    Some((acts.fault_us?, acts.get(Phase::Fault)?.until_us))
}

/// From the heal to the attack's end.
pub(crate) fn recovery_span(view: &View<'_, '_>) -> Option<(i64, i64)> {
    let acts = view.bench.acts;
    acts.healed_us.zip(acts.all.last().map(|act| act.until_us))
}

fn judge(view: &View<'_, '_>, from: i64, until: i64, limit: Span, since: &str, what: &str) -> Finding {
    let acts = view.bench.acts;
    let limit = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
    let inside = || view.samples.iter().filter(move |bin| bin.until_us > from && bin.from_us < until);
    let clock = inside().filter_map(|bin| bin.uncertainty_us).max().unwrap_or(0);
    let unsure = acts.uncertainty_us.saturating_add(clock);
    // A failure is seen only when a request is due; so the truth may be one request later.
    let step = super::whole(1e6 / view.probe.rate.max(0.001));
    let late = unsure.saturating_add(i64::try_from(step).unwrap_or(0));
    let good = view.bench.good_enough(&view.probe.name);
    let if_slips = |slips| regain(view.samples, from, until, good, slips);
    let found = if_slips(Slips::Out);
    let measured = |value: Option<i64>, endless: bool| Measured {
        unit: Unit::Time,
        value: value.filter(|_| !endless).map(|us| us as f64),
        endless,
        low: value.map(|us| us.saturating_sub(unsure).max(0) as f64),
        high: value.filter(|us| *us > 0 && !endless).map(|us| us.saturating_add(late) as f64),
        samples: inside().map(|bin| bin.good + bin.bad).sum(),
    };
    let wanted = format!("{} wanted", say::time(limit));
    // What a moment of being good again means, if it was that one.
    let meaning = |found: Regain| match found {
        Regain::Unmeasured => Verdict::Unknown,
        Regain::AlwaysGood => Verdict::Held,
        Regain::At(moment) if moment.saturating_sub(from).saturating_sub(unsure) > limit => Verdict::Violated,
        Regain::At(moment) if moment.saturating_sub(from).saturating_add(unsure) <= limit => Verdict::Held,
        Regain::NotYet(moment) if moment.saturating_sub(from).saturating_sub(unsure) > limit => {
            Verdict::Violated
        }
        Regain::At(_) | Regain::NotYet(_) => Verdict::Unknown,
    };
    let (verdict, why, measured) = match found {
        Regain::Unmeasured => (Verdict::Unknown, "nothing was measured".to_owned(), measured(None, false)),
        Regain::AlwaysGood => {
            (Verdict::Held, format!("over any {WINDOW} s it stayed good, {wanted}"), measured(Some(0), false))
        }
        Regain::At(moment) => {
            let took = moment.saturating_sub(from);
            let figure = format!("good again {} {since}, {wanted}", say::time(took));
            let verdict = meaning(found);
            let why = match verdict {
                Verdict::Unknown => {
                    format!("{figure}: the clocks are too unsure to tell (± {})", say::time(unsure))
                }
                _ => figure,
            };
            (verdict, why, measured(Some(took), false))
        }
        Regain::NotYet(moment) => {
            let at_least = moment.saturating_sub(from);
            let figure = format!("still bad {} {since}, {wanted}", say::time(at_least));
            if meaning(found) == Verdict::Violated {
                (Verdict::Violated, figure, measured(Some(at_least), true))
            } else {
                let why = format!("{figure}: it was not good for {WINDOW} s on end before that was over");
                (Verdict::Unknown, why, measured(Some(at_least), true))
            }
        }
    };
    // A slipped request may have been either: only what is so with all of them good and with all of them bad is known.
    let slipped = || {
        let sure = match verdict {
            Verdict::Held => meaning(if_slips(Slips::Bad)) == Verdict::Held,
            Verdict::Violated => meaning(if_slips(Slips::Good)) == Verdict::Violated,
            Verdict::Unknown => true,
        };
        let count: u64 = inside().map(|bin| bin.slipped).sum();
        (!sure).then(|| {
            format!("it could not keep its own schedule: {count} requests slipped in the {what}, and how they would have gone decides")
        })
    };
    let weak = match verdict {
        Verdict::Violated => slipped(),
        _ => {
            let general = view.bench.doubts.iter().find(|doubt| !doubt.void).map(|doubt| doubt.text.clone());
            general.or_else(|| view.weakness(from, until, what)).or_else(slipped)
        }
    };
    match weak {
        None => Finding { verdict, why, measured },
        Some(weak) => Finding { verdict: Verdict::Unknown, why: weak, measured },
    }
}

fn nothing(why: &str) -> Finding {
    let measured = Measured { unit: Unit::Time, ..Measured::default() };
    Finding { verdict: Verdict::Unknown, why: why.to_owned(), measured }
}
