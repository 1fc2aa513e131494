//! Undoing: the same code for the supervisor's threads, the guardian's helper and the command line.
//!
//! Works in reverse order, never stops at the first error, repeats tries whose failure may be temporary, and collects
//! all errors. Needs no runtime, no fault kinds, and no successful write.

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

/// A try that took this long has waited for something; it does not count against the number of tries.
const WAITED: Duration = Duration::from_secs(1);

/// The number of tries of an undo, and the pauses between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Maximum number of tries that fail at once. Tries that wait for something are bounded by the time alone.
    pub tries: u32,
    /// The first pause. Each pause is twice the one before, if the try between them failed at once.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// Maximum time of all tries together: none begins that may end later.
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
    fn pause(&self, after: u32) -> Duration {
        self.first.saturating_mul(1 << after.saturating_sub(1).min(20)).min(self.most)
    }

    /// Starts the budget at the first try.
    fn begin(self, time: &dyn Time) -> Tries<'_> {
        let now = time.awake_us();
        Tries { retry: self, time, began: now, tried: now, counted: 0 }
    }

    /// Returns the sum of all pauses.
    #[must_use]
    pub fn all_pauses(&self) -> Duration {
        (1..self.tries).map(|try_| self.pause(try_)).sum()
    }
}

/// Counts the tries of one undo, or of several that take turns.
struct Tries<'a> {
    retry: Retry,
    time: &'a dyn Time,
    began: u64,
    tried: u64,
    counted: u32,
}

impl Tries<'_> {
    /// Notes the begin of a try.
    fn again(&mut self) {
        self.tried = self.time.awake_us();
    }

    /// Returns the pause after a try that failed; `None` if no other follows. `longest` is the maximum wait of the next
    /// try.
    fn pause(&mut self, longest: Duration) -> Option<Duration> {
        let now = self.time.awake_us();
        let since = |then| Duration::from_micros(now.saturating_sub(then));
        self.pause_after(since(self.began), since(self.tried), longest)
    }

    /// Returns the same, for the given time since the first try began and since the last one did.
    fn pause_after(&mut self, all: Duration, took: Duration, longest: Duration) -> Option<Duration> {
        if took < WAITED {
            self.counted += 1;
        }
        let pause = self.retry.pause(self.counted);
        // A budget that is too short for one wait still allows for failures that pass at once.
        let next = took.max(longest.min(self.retry.within / 2));
        (self.counted < self.retry.tries && all + pause + next <= self.retry.within).then_some(pause)
    }
}

/// The progress of undoing one injection.
#[derive(Debug, Default)]
pub struct PutBack {
    left: Vec<Undo>,
    details: Vec<String>,
    foreign: Vec<String>,
    errors: Vec<UndoError>,
}

impl PutBack {
    /// Returns the undo actions of an intent that are still meaningful in this boot. Of an armed one, only those that
    /// remove staged objects: it has not started, so all other differences are somebody else's.
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

    /// Tries the remaining actions once, in reverse order; true if another try may help.
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

    /// Returns the present errors, for people.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.errors.iter().map(ToString::to_string).collect()
    }

    /// Returns the final state, the actions that were done, and the changes by others.
    #[must_use]
    pub fn end(self) -> (State, String, Vec<String>) {
        let (state, texts) =
            if self.is_done() { (State::Undone, self.details) } else { (State::Stuck, self.errors()) };
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        (state, texts.join("; "), self.foreign)
    }
}

/// Undoes one injection. `failed` is called for every try that failed and will be repeated, and waits for the given pause
/// before that.
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
        tries.again();
        let again = work.once(apply, host);
        if work.is_done() || !again {
            break;
        }
        let Some(pause) = tries.pause(work.longest()) else { break };
        failed(attempt, &work.errors().join("; "), pause);
    }
    work
}

/// One injection after [`put_back_all`].
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

/// Undoes all that is open, the newest first; each gets its first try before any gets its second. `tick` is called
/// before every try and pause, for heartbeats.
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
    let mut all = Vec::new();
    let mut work: Vec<(&Found, PutBack, bool)> = Vec::new();
    for found in open {
        match without_undo(found, here) {
            Some(healed) => all.push(healed),
            None => work.push((found, PutBack::of(&found.intent, found.state, here), true)),
        }
    }
    work.reverse();
    let mut tries = retry.begin(time);
    loop {
        tries.again();
        for (_, one, again) in work.iter_mut().filter(|(_, _, again)| *again) {
            tick();
            *again = one.once(apply, host) && !one.is_done();
        }
        let failed = || work.iter().filter(|(_, _, again)| *again);
        if failed().next().is_none() {
            break;
        }
        let Some(mut left) = tries.pause(failed().map(|(_, one, _)| one.longest()).sum()) else { break };
        while !left.is_zero() {
            tick();
            let piece = left.min(Duration::from_millis(100));
            time.sleep(piece);
            left -= piece;
        }
    }
    all.extend(work.into_iter().map(|(found, one, _)| {
        let (state, detail, foreign) = one.end();
        let intent = found.intent.clone();
        if state == State::Undone && found.state == State::Armed && same_boot(found, here) {
            let detail = format!("it had not started; {detail}");
            return Healed { intent, state: State::Disarmed, detail, foreign, touched: false };
        }
        Healed { intent, state, detail, foreign, touched: true }
    }));
    all
}

fn same_boot(found: &Found, here: &Identity) -> bool {
    found.intent.identity.boot_id == here.boot_id
}

/// Returns the end of an injection that needs no undo: one that never started and staged nothing, or one that cannot be
/// undone.
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

/// Journals the results of undoing afterwards.
pub fn journal_all(journal: &mut Journal, healed: &[Healed], reason: &HealReason) {
    if healed.is_empty() {
        return;
    }
    for one in healed {
        let changed = |to, reason, detail, foreign| What::Changed {
            injection: one.intent.id().clone(),
            run: one.intent.run.clone(),
            to,
            reason,
            detail,
            foreign,
        };
        if one.touched {
            journal.event(changed(State::Undoing, Some(reason.clone()), String::new(), Vec::new()));
        }
        journal.event(changed(one.state, Some(reason.clone()), one.detail.clone(), one.foreign.clone()));
    }
    journal.sync();
}

#[cfg(test)]
mod tests;
