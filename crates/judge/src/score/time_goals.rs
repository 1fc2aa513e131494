//! Time goals: time to mitigate (good again while the fault holds) and time to recover (good again after the heal).
//!
//! Each goal has its own threshold and does not depend on other objectives. Two things are judged: the moment from
//! which on the share of good requests never falls below the threshold ([`firedrill_statistics::turning`]), and the
//! longest outage in the same time, which must not exceed the limit.

use firedrill_plan::plan::model::Phase;
use firedrill_statistics::turning::{self, Outage, Turning};
use firedrill_wire::Span;

use super::{
    bench::{Finding, View},
    card::{Measured, Unit},
    format,
    requests::Requests,
};
use crate::verdict::Verdict;

/// A stretch of time in which a system should be good again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// The moment from which time is counted, in words.
    pub(crate) since: &'static str,
    /// The phase, in words.
    pub(crate) phase: &'static str,
}

/// The assumed outcome of slipped requests, whose real outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slips {
    /// Left out, for the figure that is shown.
    Out,
    /// Good, and so is everything unmeasured. An attack that is bad even so is violated.
    Good,
    /// Bad. An attack that is good even so has held.
    Bad,
}

/// Returns the stretch from the beginning of the injection to the end of the fault.
pub(crate) fn of_fault(view: &View<'_, '_>) -> Option<Course> {
    let phases = view.bench.phases;
    let (from_us, until_us) = (phases.fault_us?, phases.get(Phase::Fault)?.until_us);
    Some(Course { from_us, until_us, since: "from the fault's start", phase: "fault" })
}

/// Returns the stretch from the heal to the planned end of the recovery.
pub(crate) fn of_recovery(view: &View<'_, '_>) -> Option<Course> {
    let phases = view.bench.phases;
    let (from_us, until_us) = (phases.healed_us?, phases.get(Phase::Recovery)?.until_us);
    Some(Course { from_us, until_us, since: "from the heal", phase: "recovery" })
}

/// Judges `mitigate_within`: the time from the fault's start until requests are good again.
pub(crate) fn mitigated(view: &View<'_, '_>, limit: Span, threshold: f64) -> Finding {
    match of_fault(view) {
        Some(course) => judge(view, course, limit, threshold),
        None => nothing("the fault was never in force"),
    }
}

/// Judges `recover_within`: the time from the heal until requests are good again.
pub(crate) fn recovered(view: &View<'_, '_>, limit: Span, threshold: f64) -> Finding {
    match of_recovery(view) {
        Some(course) => judge(view, course, limit, threshold),
        None => nothing("the fault was never healed"),
    }
}

/// The result of a course. Times are counted from its beginning, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Went {
    /// Time at which it was good again; 0 where it never was bad enough.
    pub(crate) took_us: i64,
    /// Whether it was bad, and nothing shows that it was good again.
    pub(crate) still: bool,
    /// The lower end of the range of `took_us`.
    pub(crate) low_us: i64,
    /// The upper end of that range; `None` if the requests do not show one.
    pub(crate) high_us: Option<i64>,
    pub(crate) outage: Outage,
    /// Number of requests that the result is based on.
    pub(crate) samples: u64,
}

/// Evaluates a course without its slipped requests; `None` if a part of it was not measured.
pub(crate) fn went(view: &View<'_, '_>, course: Course, threshold: f64) -> Option<Went> {
    if !view.gaps(course.from_us, course.until_us).is_empty() {
        return None;
    }
    let requests = Requests::of(view, course.from_us, course.until_us)?;
    (!requests.is_empty()).then(|| went_if(view, course, threshold, &requests, Slips::Out))
}

/// Evaluates a course with an assumed outcome of slipped requests.
fn went_if(
    view: &View<'_, '_>,
    course: Course,
    threshold: f64,
    requests: &Requests<'_>,
    slips: Slips,
) -> Went {
    let all = requests.seen(match slips {
        Slips::Out => None,
        Slips::Good => Some(true),
        Slips::Bad => Some(false),
    });
    let Turning { at_us, low_us, high_us } = turning::turning(&all, course.from_us, threshold);
    // Maximum error of a due time, and of the moment from which time is counted.
    let unsure = requests.unsure_us.saturating_add(view.unsure_us(course.from_us, course.until_us));
    let after = |us: i64| us.saturating_sub(course.from_us);
    Went {
        took_us: at_us.map_or(0, after),
        still: at_us.is_some() && high_us.is_none(),
        low_us: after(low_us).saturating_sub(unsure).max(0),
        high_us: high_us.map(|us| after(us).saturating_add(unsure)),
        outage: turning::longest_outage(&all, course.from_us, course.until_us, threshold),
        samples: all.count(),
    }
}

impl Went {
    /// Returns the verdict for a limit in microseconds.
    fn meaning(&self, limit: i64) -> Verdict {
        let Outage { low_us: shortest, high_us: longest, shown, .. } = self.outage;
        if self.low_us > limit || (shown && shortest > limit) {
            Verdict::Violated
        } else if self.high_us.is_some_and(|high| high <= limit)
            && shortest <= limit
            && (!shown || longest <= limit)
        {
            Verdict::Held
        } else {
            Verdict::Unknown
        }
    }

    /// Describes the result and the limit.
    fn text(&self, course: Course, limit: i64) -> String {
        let wanted = format!("{} wanted", format::time(limit));
        let outage = match self.outage.low_us {
            _ if self.outage.from_us.is_none() => String::new(),
            length => format!("; longest outage {}", format::time(length)),
        };
        let range = match self.high_us {
            Some(high) => format!("(likely {} to {})", format::time(self.low_us), format::time(high)),
            None => format!("(likely {} or more)", format::time(self.low_us)),
        };
        if self.still {
            return format!(
                "not good until {} {} at least, {wanted}{outage}",
                format::time(self.took_us),
                course.since
            );
        }
        match self.took_us {
            0 => format!("good {} on {range}, {wanted}{outage}", course.since),
            took => format!("good again {} {} {range}, {wanted}{outage}", format::time(took), course.since),
        }
    }
}

/// Judges whether the system was good again within the limit of a course.
fn judge(view: &View<'_, '_>, course: Course, limit: Span, threshold: f64) -> Finding {
    let limit = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
    let (from, until) = (course.from_us, course.until_us);
    let Some(requests) = Requests::of(view, from, until) else {
        return nothing("the log claims more requests than the probe can have sent");
    };
    if requests.is_empty() {
        return nothing("nothing was measured");
    }
    let clockless = view.samples.iter().filter(|bin| bin.until_us > from && bin.from_us < until);
    let clockless = clockless.filter(|bin| bin.uncertainty_us().is_none()).count();
    let went = went_if(view, course, threshold, &requests, Slips::Out);
    let measured = Measured {
        unit: Unit::Time,
        value: (!went.still).then_some(went.took_us as f64),
        endless: went.still,
        low: Some(went.low_us as f64),
        high: went.high_us.filter(|_| !went.still).map(|us| us as f64),
        samples: went.samples,
    };
    let figure = went.text(course, limit);
    let slipped = requests.slipped();
    // A slipped request may have been good or bad: a verdict is certain only if it is the same with all of them good
    // and with all of them bad.
    let sure = |verdict: Verdict| match verdict {
        Verdict::Held => {
            slipped == 0 || went_if(view, course, threshold, &requests, Slips::Bad).meaning(limit) == verdict
        }
        Verdict::Violated => {
            let gaps = view.gaps(from, until);
            let mut best = requests.clone();
            best.with_gaps_good(&gaps, view.probe.rate);
            went_if(view, course, threshold, &best, Slips::Good).meaning(limit) == verdict
        }
        Verdict::Unknown => true,
    };
    let verdict = went.meaning(limit);
    let unsure = (clockless > 0 || !sure(verdict)).then(|| {
        if slipped == 0
            && let Some(weakness) = view.weakness(from, until, course.phase)
        {
            return weakness;
        }
        format!(
            "it could not keep its own schedule: {slipped} requests slipped in the {}, and those would decide",
            course.phase
        )
    });
    let weak = if verdict == Verdict::Violated {
        unsure
    } else {
        let general = view.bench.doubts.iter().find(|doubt| !doubt.void).map(|doubt| doubt.text.clone());
        general.or_else(|| view.weakness(from, until, course.phase)).or(unsure)
    };
    match (weak, verdict) {
        (Some(weak), _) => Finding { verdict: Verdict::Unknown, why: weak, measured },
        (None, Verdict::Unknown) => {
            let more = if went.high_us.is_none() {
                format!(
                    "{figure}: it is not shown that it stayed good; a longer {} would show it",
                    course.phase
                )
            } else {
                format!("{figure}: too close to decide; a higher rate would show it")
            };
            Finding { verdict, why: more, measured }
        }
        (None, _) => Finding { verdict, why: figure, measured },
    }
}

/// Returns the finding for a course of which nothing is known.
fn nothing(why: &str) -> Finding {
    let measured = Measured { unit: Unit::Time, ..Measured::default() };
    Finding { verdict: Verdict::Unknown, why: why.to_owned(), measured }
}
