//! The answers of a source about one alert: times at which it was seen firing, times at which it was not, and times that are unknown.

use std::collections::BTreeMap;

/// One poll. Times are microseconds on the run's clock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Poll {
    /// Time at which the question was sent.
    pub(crate) asked_us: i64,
    /// Time at which the answer was there. It describes some moment between the two times.
    pub(crate) answered_us: i64,
    /// The alerts that were firing, or the reason why there is no answer.
    pub(crate) answer: Result<Vec<Firing>, String>,
}

/// An alert that a poll found firing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Firing {
    /// Its identity in the source.
    pub(crate) id: String,
    /// Earliest and latest time at which it began to fire, where the source says so by a clock that is known.
    pub(crate) since_us: Option<(i64, i64)>,
    /// Earliest time at which the source forgets it, unless it receives it again.
    pub(crate) forgotten_us: Option<i64>,
    /// The reason why nobody is notified of it: a silence, or another alert. `None` if people are notified.
    pub(crate) hushed: Option<String>,
}

impl Poll {
    /// Returns the alerts that the poll found firing; empty for a poll without an answer.
    fn firing(&self) -> &[Firing] {
        self.answer.as_deref().unwrap_or_default()
    }

    /// Whether it found an alert of which people are notified.
    pub(crate) fn loud(&self) -> bool {
        self.firing().iter().any(|one| one.hushed.is_none())
    }

    /// Whether it found an alert, no matter whether people are notified of it.
    pub(crate) fn active(&self) -> bool {
        !self.firing().is_empty()
    }

    /// Returns the reason why nobody is notified; `None` if there is no alert, or if people are notified of any.
    pub(crate) fn hushed(&self) -> Option<&str> {
        if self.loud() { None } else { self.firing().iter().find_map(|one| one.hushed.as_deref()) }
    }

    /// Returns the time at which the first of its loud alerts began to fire; `None` unless the source knows it of all of them.
    fn since_us(&self) -> Option<(i64, i64)> {
        let mut loud = self.firing().iter().filter(|one| one.hushed.is_none());
        let first = loud.next()?.since_us?;
        loud.try_fold(first, |(low, high), one| one.since_us.map(|(l, h)| (low.min(l), high.min(h))))
    }
}

/// All polls of one alert, in the order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    polls: Vec<Poll>,
    every_us: i64,
}

/// A stretch of time that no answer covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// The reason for which the last question in it got no answer; `None` if the source was not asked.
    pub(crate) why: Option<String>,
}

/// A moment that is known to lie in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between {
    pub(crate) low_us: i64,
    pub(crate) high_us: i64,
}

impl Watch {
    pub(crate) fn new(mut polls: Vec<Poll>, every_us: i64) -> Self {
        polls.sort_by_key(|poll| (poll.asked_us, poll.answered_us));
        Self { polls, every_us: every_us.max(1) }
    }

    /// Returns the polls that got an answer, in the order of time.
    pub(crate) fn answers(&self) -> impl DoubleEndedIterator<Item = &Poll> + Clone {
        self.polls.iter().filter(|poll| poll.answer.is_ok())
    }

    /// Returns the number of answers in a stretch of time.
    pub(crate) fn count(&self, from_us: i64, until_us: i64) -> u64 {
        self.answers().filter(|poll| poll.answered_us >= from_us && poll.asked_us <= until_us).count() as u64
    }

    /// Whether answers are missing between two answers that follow each other: a question between them failed, or was not asked.
    fn apart(&self, one: &Poll, next: &Poll) -> bool {
        let from = self.polls.partition_point(|poll| poll.asked_us <= one.asked_us);
        let until = self.polls.partition_point(|poll| poll.asked_us < next.asked_us);
        let far =
            next.asked_us.saturating_sub(one.asked_us) > self.every_us.saturating_add(self.every_us / 2);
        far || self
            .polls
            .get(from..until)
            .is_some_and(|between| between.iter().any(|poll| poll.answer.is_err()))
    }

    /// Returns the first stretch without answers that begins before `until_us` and ends after `from_us`.
    pub(crate) fn hole(&self, from_us: i64, until_us: i64) -> Option<Hole> {
        let why = |from: i64, until: i64| {
            let inside = self.polls.iter().filter(|poll| poll.answered_us >= from && poll.asked_us <= until);
            inside.filter_map(|poll| poll.answer.as_ref().err()).next_back().cloned()
        };
        let hole = |from_us, until_us| Some(Hole { from_us, until_us, why: why(from_us, until_us) });
        let mut last: Option<&Poll> = None;
        for poll in self.answers() {
            match last {
                Some(last)
                    if self.apart(last, poll) && poll.asked_us > from_us && last.answered_us < until_us =>
                {
                    return hole(last.answered_us, poll.asked_us);
                }
                None if poll.asked_us > from_us.saturating_add(self.every_us) => {
                    return hole(from_us, poll.asked_us);
                }
                _ => {}
            }
            last = Some(poll);
            if poll.asked_us >= until_us {
                return None;
            }
        }
        let end = last.map_or(from_us, |last| last.answered_us.max(from_us));
        hole(end, until_us)
    }

    /// Returns the range in which the alert became loud that the poll `seen` found: after the last answer before it that did not find
    /// it, and before its own. Where the source says since when, that narrows the range.
    pub(crate) fn became_loud(&self, seen: &Poll) -> Between {
        let before = || self.answers().filter(|poll| poll.asked_us < seen.asked_us);
        let low_us = before().next_back().map_or(i64::MIN, |last| last.asked_us);
        let polls = Between { low_us, high_us: seen.answered_us };
        // An alert that was silenced at first has been loud for less time than it fires.
        let hushed = before().next_back().is_some_and(|last| last.active());
        match seen.since_us().filter(|_| !hushed) {
            Some((low, high)) if low <= polls.high_us && high >= polls.low_us => {
                Between { low_us: low.max(polls.low_us), high_us: high.min(polls.high_us) }
            }
            _ => polls,
        }
    }

    /// Returns the range in which the alert was over that `last` found for the last time and `next` did not find any more.
    pub(crate) const fn was_over(last: &Poll, next: &Poll) -> Between {
        Between { low_us: last.asked_us, high_us: next.answered_us }
    }

    /// Whether the source may have forgotten an alert, rather than seen its end. Looks at the alerts that polls from `from_us` up to `last`
    /// found, each by its identity. An alert may have been forgotten if the first answer without it came when its time to be forgotten was
    /// reached.
    pub(crate) fn forgot(&self, from_us: i64, last: &Poll) -> bool {
        // Of the last poll that found an alert: the time at which it is forgotten, and the time of the next answer.
        let mut ends: BTreeMap<&str, (Option<i64>, i64)> = BTreeMap::new();
        let found = self.answers().zip(self.answers().skip(1));
        for (poll, next) in
            found.filter(|(poll, _)| poll.asked_us >= from_us && poll.asked_us <= last.asked_us)
        {
            ends.extend(
                poll.firing().iter().map(|one| (one.id.as_str(), (one.forgotten_us, next.answered_us))),
            );
        }
        ends.values().any(|(forgotten_us, next_us)| forgotten_us.is_some_and(|at| *next_us >= at))
    }

    /// Whether `next` is the answer to the question after that of `last`.
    pub(crate) fn adjacent(&self, last: &Poll, next: &Poll) -> bool {
        !self.apart(last, next)
    }
}
