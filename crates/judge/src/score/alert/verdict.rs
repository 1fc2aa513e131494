//! The verdicts on an alert: pure functions of polls.
//!
//! No answer that is missing could turn `held` into `violated`, or the other way round: where it could, the verdict is `unknown`.

use super::watch::{Between, Poll, Watch};
use crate::{score::format, verdict::Verdict};

/// The times of an attack, and the limit of an objective. Times are microseconds on the run's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// The start of the attack: nothing before it is looked at.
    pub(crate) begun_us: i64,
    /// The fault's start.
    pub(crate) fault_us: i64,
    /// Time at which the fault was put back.
    pub(crate) healed_us: Option<i64>,
    /// Uncertainty of these two.
    pub(crate) unsure_us: i64,
    /// The limit.
    pub(crate) limit_us: i64,
}

/// The finding about an alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
    /// Shortest and longest time that it took; the longest is `None` if it was not over when it was last looked at.
    pub(crate) took_us: Option<(i64, Option<i64>)>,
    /// Number of answers that it rests on.
    pub(crate) polls: u64,
}

impl Course {
    /// Returns the earliest and the latest moment at which the fault may have started.
    fn fault(&self) -> (i64, i64) {
        (self.fault_us.saturating_sub(self.unsure_us), self.fault_us.saturating_add(self.unsure_us))
    }

    /// Returns the shortest and the longest time from `from_us`, which is uncertain, to a moment in a range.
    fn took(&self, from_us: i64, range: Between) -> (i64, i64) {
        let low = range.low_us.saturating_sub(from_us.saturating_add(self.unsure_us)).max(0);
        let high = range.high_us.saturating_sub(from_us.saturating_sub(self.unsure_us)).max(low);
        (low, high)
    }
}

/// Returns the finding `unknown`, with its reason.
pub(super) fn unknown(why: String, polls: u64) -> Found {
    Found { verdict: Verdict::Unknown, why, took_us: None, polls }
}

/// Returns a range of time in words.
fn range((low, high): (i64, i64)) -> String {
    let (low, high) = (format::time(low), format::time(high));
    if low == high { low } else { format!("{low} to {high}") }
}

/// Judges `detect_within`: the time from the fault's start until people are notified.
pub(crate) fn detected(watch: &Watch, course: &Course) -> Found {
    let (earliest, latest) = course.fault();
    let deadline = latest.saturating_add(course.limit_us);
    let polls = watch.count(earliest, deadline);
    let wanted = format!("{} wanted", format::time(course.limit_us));
    let unknown = |why: String| unknown(why, polls);
    let before =
        || watch.answers().filter(|poll| poll.asked_us >= course.begun_us && poll.answered_us <= earliest);
    if before().any(Poll::active) {
        return unknown(if before().next_back().is_some_and(Poll::active) {
            "it was firing already when the fault began, so it tells nothing of the fault".to_owned()
        } else {
            "it fired before the fault began, too, so nothing shows that it is about the fault".to_owned()
        });
    }
    let mut after =
        watch.answers().filter(|poll| poll.answered_us > earliest && poll.asked_us >= course.begun_us);
    let loud = after.clone().find(|poll| poll.loud());
    let told = loud.map(|seen| watch.became_loud(seen));
    if let Some(told) = told {
        let took = course.took(course.fault_us, told);
        if told.high_us <= earliest {
            return unknown(
                "it was firing already when the fault began, so it tells nothing of the fault".to_owned(),
            );
        }
        if told.low_us < latest {
            let why = match watch.hole(told.low_us.max(course.begun_us), told.high_us) {
                Some(hole) => hole_text(&hole, course, "when it began to fire"),
                None => "ask more often (`every`)".to_owned(),
            };
            return unknown(format!("it may have been firing already when the fault began: {why}"));
        }
        if took.1 <= course.limit_us {
            let why = format!("fired {} from the fault's start, {wanted}", range(took));
            return Found { verdict: Verdict::Held, why, took_us: Some((took.0, Some(took.1))), polls };
        }
    }
    let took_us = told.map(|told| course.took(course.fault_us, told)).map(|(low, high)| (low, Some(high)));
    let undecided = |why: String| Found { took_us, ..unknown(why) };
    if let Some(why) = after.find_map(|poll| poll.hushed().filter(|_| poll.asked_us <= deadline)) {
        return undecided(format!("it fired, but nobody was told: {why}"));
    }
    if let Some(hole) = watch.hole(earliest, deadline) {
        return undecided(hole_text(&hole, course, "whether it fired in time"));
    }
    if let Some((low, high)) = took_us.map(|(low, high)| (low, high.unwrap_or(low)))
        && low <= course.limit_us
    {
        return undecided(format!(
            "fired {} from the fault's start, {wanted}: too close to decide; ask more often (`every`)",
            range((low, high))
        ));
    }
    if let Some(healed) = course.healed_us.filter(|healed| *healed < earliest.saturating_add(course.limit_us))
    {
        let held = format::time(healed.saturating_sub(course.fault_us));
        return undecided(format!(
            "the fault held for {held} only, which is shorter than the limit; a longer `hold` would decide it"
        ));
    }
    match took_us {
        Some((low, high)) => Found {
            verdict: Verdict::Violated,
            why: format!("fired {} from the fault's start, {wanted}", range((low, high.unwrap_or(low)))),
            took_us,
            polls,
        },
        None => {
            // The last answer that did not find it tells how long it did not fire.
            let last = watch.answers().next_back().map_or(deadline, |poll| poll.asked_us);
            let until = last.saturating_sub(latest).max(0);
            Found {
                verdict: Verdict::Violated,
                why: format!(
                    "did not fire within {} from the fault's start, {wanted}",
                    format::time(course.limit_us)
                ),
                took_us: Some((until, None)),
                polls,
            }
        }
    }
}

/// Judges `resolve_within`: the time from the heal until the alert is over, and stays over until the limit.
pub(crate) fn resolved(watch: &Watch, course: &Course) -> Found {
    let Some(healed_us) = course.healed_us else {
        return unknown("the fault was never healed".to_owned(), 0);
    };
    let (earliest, latest) =
        (healed_us.saturating_sub(course.unsure_us), healed_us.saturating_add(course.unsure_us));
    let deadline = latest.saturating_add(course.limit_us);
    let polls = watch.count(earliest, deadline);
    let wanted = format!("{} wanted", format::time(course.limit_us));
    let unknown = |why: String| unknown(why, polls);
    let inside =
        || watch.answers().filter(|poll| poll.asked_us >= course.fault().0 && poll.asked_us <= deadline);
    if watch
        .answers()
        .any(|poll| poll.asked_us >= course.begun_us && poll.answered_us <= course.fault().0 && poll.active())
    {
        return unknown("it fired before the fault began, so its end tells nothing of the heal".to_owned());
    }
    if !watch.answers().any(|poll| poll.asked_us >= course.begun_us && poll.answered_us <= course.fault().0) {
        return unknown(
            "nothing is known of the time before the fault, when it may have fired already".to_owned(),
        );
    }
    if let Some(why) = inside().find_map(Poll::hushed) {
        return unknown(format!("nobody was told of it: {why}"));
    }
    let Some(last) = inside().rfind(|poll| poll.active()) else {
        return unknown(match watch.hole(course.fault().0, deadline) {
            Some(hole) => hole_text(&hole, course, "whether it fired and was over in time"),
            None => "it never fired, so nothing shows how fast it resolves".to_owned(),
        });
    };
    let next = watch.answers().find(|poll| poll.asked_us > last.asked_us);
    let Some(next) = next else {
        return Found {
            took_us: Some((last.asked_us.saturating_sub(latest).max(0), None)),
            ..unknown(match watch.hole(last.asked_us, deadline) {
                Some(hole) => hole_text(&hole, course, "when it was over"),
                None => "it was still firing when it was last looked at; a longer `recovery` would decide it"
                    .to_owned(),
            })
        };
    };
    if next.active() {
        // It was firing at the limit; in between it may have been over only if an answer is missing there.
        let took_us = Some((last.asked_us.saturating_sub(latest).max(0), None));
        if watch.adjacent(last, next) {
            return Found {
                verdict: Verdict::Violated,
                why: format!("still firing {} from the heal, {wanted}", format::time(course.limit_us)),
                took_us: Some((course.limit_us, None)),
                polls,
            };
        }
        let why = watch.hole(last.asked_us, next.asked_us);
        let why = why.map_or_else(
            || "answers are missing".to_owned(),
            |hole| hole_text(&hole, course, "when it was over"),
        );
        return Found { took_us, ..unknown(why) };
    }
    let over = Watch::was_over(last, next);
    let took = course.took(healed_us, over);
    let took_us = Some((took.0, Some(took.1)));
    if watch.forgot(course.fault().0, last) {
        return Found {
            took_us: None,
            ..unknown(
                "the source forgot it, or one of several, at its end time, because nobody told it again that it fires; nothing shows that it was over"
                    .to_owned(),
            )
        };
    }
    if let Some(hole) = watch.hole(last.asked_us, deadline) {
        return Found {
            took_us,
            ..unknown(hole_text(&hole, course, "whether it was over in time, and stayed so"))
        };
    }
    let figure = if over.high_us <= earliest {
        format!("was over before the heal, {wanted}")
    } else {
        format!("over {} from the heal, {wanted}", range(took))
    };
    if took.1 <= course.limit_us {
        return Found { verdict: Verdict::Held, why: figure, took_us, polls };
    }
    Found { took_us, ..unknown(format!("{figure}: too close to decide; ask more often (`every`)")) }
}

/// Describes a stretch without answers; `what` is the fact that the answers would show.
fn hole_text(hole: &super::watch::Hole, course: &Course, what: &str) -> String {
    let after = |us: i64| {
        let after = us.saturating_sub(course.fault_us);
        if after < 0 {
            format!("{} before the fault", format::time(-after))
        } else {
            format!("{} after the fault's start", format::time(after))
        }
    };
    let why =
        hole.why.as_ref().map_or_else(|| "it was not asked".to_owned(), |why| format!("no answer: {why}"));
    format!(
        "nothing is known from {} to {} ({why}), which would show {what}",
        after(hole.from_us),
        after(hole.until_us)
    )
}
