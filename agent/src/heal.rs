//! Undoes injections. The supervisor's threads, the guardian's helper and the command line use the same code.
//!
//! It works in reverse order, never stops at the first error, tries again if a failure may be temporary, and collects
//! all errors. It needs no async runtime, no code of fault kinds, and no successful write.

use std::time::Duration;

use firedrill_wire::journal::{HealReason, State, What};

use crate::{
    host::Host,
    identity::Identity,
    journal::{Found, Intent, Journal},
    time::Time,
    undo::{Undo, UndoError, Undone},
};

/// Carries out one undo.
pub type Apply = fn(&Undo, &Host) -> Result<Undone, UndoError>;

/// A try that took at least this time has waited for something. It does not count against the number of tries.
const WAITED: Duration = Duration::from_secs(1);

/// The number of tries of an undo, and the pauses between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Maximum number of tries that fail at once. Tries that wait for something are limited only by the time.
    pub tries: u32,
    /// The first pause. Each pause is twice the one before, if the try between them failed at once.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// Maximum time of all tries and pauses together. No try begins that may end later.
    pub within: Duration,
}

impl Default for Retry {
    /// Ten tries that fail at once take about half a minute. Undos that wait have two minutes: systemd kills a unit
    /// that does not stop after 90 s by default, and then it still has to be started.
    fn default() -> Self {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(6));
        Self { tries: 10, first, most, within: Duration::from_secs(120) }
    }
}

impl Retry {
    /// Returns the pause after this number of tries that failed at once.
    fn pause(&self, failed: u32) -> Duration {
        self.first.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(self.most)
    }

    /// Begins to count tries and time.
    fn begin(self, time: &dyn Time) -> Tries<'_> {
        let now = time.awake_us();
        Tries { retry: self, time, began_us: now, try_began_us: now, counted: 0 }
    }

    /// Returns the sum of all pauses, if each try fails at once.
    #[must_use]
    pub fn all_pauses(&self) -> Duration {
        (1..self.tries).map(|failed| self.pause(failed)).sum()
    }
}

/// Counts the tries of one undo, or of several that take turns. Times are by the clock that stands still during suspend.
struct Tries<'a> {
    retry: Retry,
    time: &'a dyn Time,
    /// The start of the first try, in microseconds.
    began_us: u64,
    /// The start of the last try, in microseconds.
    try_began_us: u64,
    /// Number of tries that failed at once.
    counted: u32,
}

impl Tries<'_> {
    /// Notes that a try begins now.
    fn begin_try(&mut self) {
        self.try_began_us = self.time.awake_us();
    }

    /// Returns the pause after a try that failed; `None` if no other try follows. `longest` is the maximum wait of the next
    /// try.
    fn pause(&mut self, longest: Duration) -> Option<Duration> {
        let now = self.time.awake_us();
        let since = |then| Duration::from_micros(now.saturating_sub(then));
        self.pause_after(since(self.began_us), since(self.try_began_us), longest)
    }

    /// Returns the same as [`Tries::pause`]. `total` is the time since the first try began, and `took` the time since the last
    /// one began.
    fn pause_after(&mut self, total: Duration, took: Duration, longest: Duration) -> Option<Duration> {
        if took < WAITED {
            self.counted += 1;
        }
        let pause = self.retry.pause(self.counted);
        // The next try may take as long as the last one, or as long as it may wait. Such a wait counts for at most half of the
        // budget, so that with a short budget there is still a second try.
        let next = took.max(longest.min(self.retry.within / 2));
        (self.counted < self.retry.tries && total + pause + next <= self.retry.within).then_some(pause)
    }
}

/// The progress of undoing one injection.
#[derive(Debug, Default)]
pub struct PutBack {
    /// The actions that are still to be done, in the order in which the effects were made.
    left: Vec<Undo>,
    /// Descriptions of the actions that were done.
    details: Vec<String>,
    /// Changes by others, which were left alone.
    foreign: Vec<String>,
    /// The errors of the last try.
    errors: Vec<UndoError>,
}

impl PutBack {
    /// Returns the undo actions of an intent that are still necessary in this boot. For an armed injection these are only the
    /// actions that remove staged objects: it has not started, so all other differences were made by others.
    #[must_use]
    pub fn of(intent: &Intent, state: State, here: &Identity) -> Self {
        let same_boot = intent.identity.boot_id == here.boot_id;
        let not_started = same_boot && state == State::Armed;
        let mut new = Self::default();
        for undo in &intent.live.prepared.undo {
            if !same_boot && undo.ends_with_boot() {
                new.details.push(format!(
                    "{}: not needed, it ended with the boot in which it was made",
                    undo.sentence()
                ));
            } else if !not_started || undo.takes_away_staged() {
                new.left.push(undo.clone());
            }
        }
        new
    }

    /// Tries the remaining actions once, in reverse order. Returns whether another try may help.
    pub fn once(&mut self, apply: Apply, host: &Host) -> bool {
        let mut left = Vec::new();
        self.errors.clear();
        while let Some(undo) = self.left.pop() {
            match apply(&undo, host) {
                Ok(done) => {
                    self.details.push(done.detail);
                    self.foreign.extend(done.foreign);
                }
                Err(error) => {
                    self.errors.push(error);
                    left.push(undo);
                }
            }
        }
        left.reverse();
        self.left = left;
        self.errors.iter().any(|error| error.passing)
    }

    /// Whether everything is undone.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Returns the maximum time that one try of the remaining undo may wait.
    fn longest(&self) -> Duration {
        self.left.iter().map(Undo::longest).sum()
    }

    /// Returns the errors of the last try, for people.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.errors.iter().map(ToString::to_string).collect()
    }

    /// Returns the final state, the actions that were done (or the errors, if it is stuck), and the changes by others.
    #[must_use]
    pub fn end(self) -> (State, String, Vec<String>) {
        let (state, texts) =
            if self.is_done() { (State::Undone, self.details) } else { (State::Stuck, self.errors()) };
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        (state, texts.join("; "), self.foreign)
    }
}

/// Undoes one injection. Before each further try it calls `failed` with the number of the try that failed, its errors, and the
/// pause, for which `failed` must wait.
pub fn put_back(
    mut work: PutBack,
    apply: Apply,
    host: &Host,
    retry: &Retry,
    time: &dyn Time,
    mut failed: impl FnMut(u32, &str, Duration),
) -> PutBack {
    let mut tries = retry.begin(time);
    for attempt in 1.. {
        tries.begin_try();
        let may_help = work.once(apply, host);
        if work.is_done() || !may_help {
            break;
        }
        let Some(pause) = tries.pause(work.longest()) else { break };
        failed(attempt, &work.errors().join("; "), pause);
    }
    work
}

/// An injection after it was put back.
#[derive(Clone, Debug, PartialEq)]
pub struct Healed {
    /// The injection.
    pub intent: Intent,
    /// The state in which it ended: `Undone`, `Done`, `Disarmed` or `Stuck`.
    pub state: State,
    /// The actions that were done, or the errors.
    pub detail: String,
    /// Changes by others.
    pub foreign: Vec<String>,
    /// Whether an undo was tried: false if it never started or cannot be undone.
    pub touched: bool,
}

/// The work on one injection in [`put_back_all`].
struct Work<'a> {
    found: &'a Found,
    put_back: PutBack,
    /// Whether another try may help.
    again: bool,
}

/// Undoes all injections that are open, the newest first. Each gets its first try before any gets its second. `tick` is called
/// before each try and again and again during pauses, for heartbeats.
#[must_use]
pub fn put_back_all<'a>(
    open: impl Iterator<Item = &'a Found>,
    here: &Identity,
    apply: Apply,
    host: &Host,
    retry: &Retry,
    time: &dyn Time,
    mut tick: impl FnMut(),
) -> Vec<Healed> {
    let mut healed = Vec::new();
    let mut works: Vec<Work<'_>> = Vec::new();
    for found in open {
        match without_undo(found, here) {
            Some(without_undo) => healed.push(without_undo),
            None => {
                let put_back = PutBack::of(&found.intent, found.state, here);
                works.push(Work { found, put_back, again: true });
            }
        }
    }
    works.reverse();
    let mut tries = retry.begin(time);
    loop {
        tries.begin_try();
        for work in works.iter_mut().filter(|work| work.again) {
            tick();
            work.again = work.put_back.once(apply, host) && !work.put_back.is_done();
        }
        let failed = || works.iter().filter(|work| work.again);
        if failed().next().is_none() {
            break;
        }
        let longest = failed().map(|work| work.put_back.longest()).sum();
        let Some(mut pause) = tries.pause(longest) else { break };
        // In short pieces, so that the heartbeats go on.
        while !pause.is_zero() {
            tick();
            let piece = pause.min(Duration::from_millis(100));
            time.sleep(piece);
            pause -= piece;
        }
    }
    healed.extend(works.into_iter().map(|work| {
        let (state, detail, foreign) = work.put_back.end();
        let intent = work.found.intent.clone();
        if state == State::Undone && work.found.state == State::Armed && same_boot(work.found, here) {
            let detail = format!("it had not started; {detail}");
            return Healed { intent, state: State::Disarmed, detail, foreign, touched: false };
        }
        Healed { intent, state, detail, foreign, touched: true }
    }));
    healed
}

/// Whether an injection was armed in the present boot.
fn same_boot(found: &Found, here: &Identity) -> bool {
    found.intent.identity.boot_id == here.boot_id
}

/// Returns the result for an injection that needs no undo, because it never started and staged nothing, or because it cannot be
/// undone. `None` for all others.
fn without_undo(found: &Found, here: &Identity) -> Option<Healed> {
    let reversible = found.intent.live.ask.fault.reversible();
    let stages = found.intent.live.prepared.undo.iter().any(Undo::takes_away_staged);
    let (state, detail) = match found.state {
        // In the same boot the record of a start cannot be lost, because it is written before the effect. Staging is
        // not recorded, so staged objects are looked for.
        State::Armed if !reversible || (same_boot(found, here) && !stages) => {
            (State::Disarmed, "it had not started")
        }
        State::Injecting if !reversible => {
            (State::Done, "the agent ended while the effect was being made; it cannot be undone")
        }
        _ => return None,
    };
    Some(Healed {
        intent: found.intent.clone(),
        state,
        detail: detail.to_owned(),
        foreign: Vec::new(),
        touched: false,
    })
}

/// Journals the results of [`put_back_all`], which itself writes nothing.
pub fn journal_all(journal: &mut Journal, healed: &[Healed], reason: &HealReason) {
    if healed.is_empty() {
        return;
    }
    for healed in healed {
        let changed = |to, reason, detail, foreign| What::Changed {
            injection: healed.intent.id().clone(),
            run: healed.intent.run.clone(),
            to,
            reason,
            detail,
            foreign,
        };
        if healed.touched {
            journal.event(changed(State::Undoing, Some(reason.clone()), String::new(), Vec::new()));
        }
        let (detail, foreign) = (healed.detail.clone(), healed.foreign.clone());
        journal.event(changed(healed.state, Some(reason.clone()), detail, foreign));
    }
    journal.sync();
}

#[cfg(test)]
mod tests;
