//! Recovery, the first step before anything else: it reads the journal, puts back everything that was open, and
//! journals the result.
//!
//! Putting back does not need a journal that can be written. It is enough that either the journal or its copy can be read.
//!
//! A starting agent, the guardian's helper, and `firedrill-agent undo --all` on a host without a live agent run it. It
//! never runs code of a fault kind.

use firedrill_wire::journal::{HealReason, State, What};

use super::snapshots;
use crate::{
    active,
    config::Config,
    crash_point,
    heal::{Healed, journal_all, put_back_all},
    host::Host,
    identity::Identity,
    journal::{
        Closed, Found, Journal, JournalError, Replayed, forget_closed, keep_closed, read_any, write_copy,
    },
    sweep::Swept,
    time::Time,
    wiring::Wiring,
};

/// The result of recovery.
#[derive(Debug)]
pub struct Recovered {
    /// The journal, open for further records.
    pub journal: Journal,
    /// Each injection that was open, and how it ended.
    pub healed: Vec<Healed>,
    /// The state that journal and copy described, with their damage.
    pub replayed: Replayed,
    /// The objects that were removed although no journal listed them.
    pub swept: Swept,
}

/// The result of putting faults back, before it is journaled.
#[derive(Debug)]
pub struct Healing {
    /// Each injection that was open, and how it ended.
    pub healed: Vec<Healed>,
    /// The state that journal and copy described, with their damage.
    pub replayed: Replayed,
    /// The objects that were removed although no journal listed them.
    pub swept: Swept,
    /// Injections that are over although the journal calls them open.
    closed: Vec<Closed>,
}

/// Puts back everything that the journal and its copy call open, removes kernel objects with the project's prefix, and journals
/// the result. `tick` is called often, for heartbeats.
///
/// # Errors
/// The journal cannot be opened for writing. Everything in its readable part was put back nevertheless.
pub fn recover(
    config: &Config,
    host: &Host,
    wiring: &Wiring,
    reason: &HealReason,
    tick: impl FnMut(),
) -> Result<Recovered, JournalError> {
    heal(config, host, wiring, None, tick).journal(config, reason, wiring.time)
}

/// Puts back everything that the journal and its copy call open; one of the two files is enough. Then removes the kernel objects
/// with the project's prefix, except those of injections that are open in the journal of the configuration `elsewhere`. If nothing
/// is stuck, clears the files in `/run` that list faults in force. It also works if no file can be written.
pub fn heal(
    config: &Config,
    host: &Host,
    wiring: &Wiring,
    elsewhere: Option<&Config>,
    mut tick: impl FnMut(),
) -> Healing {
    let here = Identity::here();
    let paths = config.paths();
    let retry = config.timings.retry();
    let (replayed, closed) = read_any(&paths, &here);
    for damage in &replayed.damage {
        let line = format!("records of drills are damaged or lost: {damage}");
        tracing::error!("{line}");
        active::syslog(&line);
    }
    if replayed.open().next().is_some() {
        crash_point::at(&paths.run, "before-recovery");
    }
    let healed = put_back_all(replayed.open(), &here, wiring.apply, host, &retry, wiring.time, &mut tick);
    for Healed { intent, state, detail, .. } in &healed {
        let line = format!("{} of run {}: {state:?} ({detail})", intent.id(), intent.run);
        if *state == State::Stuck {
            tracing::error!("{line}");
        } else {
            tracing::info!("{line}");
        }
        active::syslog(&line);
    }
    let swept = sweep(wiring, host, &healed, elsewhere);
    if healed.iter().all(|injection| injection.state != State::Stuck) {
        // Each file is changed by itself: an error with one must not keep the other from being changed.
        for cleared in
            [write_copy(&paths.run, &here, 0, std::iter::empty()), active::write(&paths.run, &[], 0)]
        {
            if let Err(error) = cleared {
                tracing::warn!("cannot tidy up {}: {error}", paths.run.display());
            }
        }
    }
    Healing { healed, replayed, swept, closed }
}

impl Healing {
    /// Whether an injection could not be put back.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.healed.iter().any(|injection| injection.state == State::Stuck)
    }

    /// Journals the injections that were put back. If that is impossible, keeps a record of them in `/run`, so that they are not put back
    /// again.
    ///
    /// # Errors
    /// The journal cannot be opened for writing.
    pub fn journal(
        self,
        config: &Config,
        reason: &HealReason,
        time: &'static dyn Time,
    ) -> Result<Recovered, JournalError> {
        let here = Identity::here();
        let paths = config.paths();
        let mut journal = match Journal::open(&paths, &here, time) {
            Ok((journal, _)) => journal,
            Err(error) => {
                self.keep(config);
                return Err(error);
            }
        };
        journal.number_after(self.replayed.last_seq);
        // The journal must have the whole history of each injection, and each change of state in it must be legal.
        for found in &self.replayed.injections {
            if found.journaled.is_none()
                && let Err(error) = journal.intents(std::slice::from_ref(&found.intent))
            {
                tracing::warn!("{}", error.chain());
            }
            if is_behind(found) {
                journal.event(What::Changed {
                    injection: found.intent.id().clone(),
                    run: found.intent.run.clone(),
                    to: State::Injecting,
                    reason: None,
                    detail: "records are lost; it may have started".to_owned(),
                    foreign: Vec::new(),
                });
            }
        }
        for Closed { injection, run, state, detail, foreign, .. } in self.closed.iter().cloned() {
            let changed = |to, detail, foreign| What::Changed {
                injection: injection.clone(),
                run: run.clone(),
                to,
                reason: Some(reason.clone()),
                detail,
                foreign,
            };
            if state == State::Undone {
                let detail = "it was put back while the journal could not be written".to_owned();
                journal.event(changed(State::Undoing, detail, Vec::new()));
            }
            journal.event(changed(state, detail, foreign));
        }
        journal_all(&mut journal, &self.healed, reason);
        journal.sync();
        if journal.is_behind() {
            self.keep(config);
        } else if let Err(error) = forget_closed(&paths.run) {
            tracing::warn!("cannot tidy up {}: {error}", paths.run.display());
        }
        let Self { healed, replayed, swept, closed: _ } = self;
        if let Err(error) = journal.compact(&snapshots::runs(&paths.state), !replayed.damage.is_empty()) {
            tracing::warn!("{}", error.chain());
        }
        Ok(Recovered { journal, healed, replayed, swept })
    }

    /// Keeps in `/run`, in place of the journal, a record of the injections that were put back. Must not be called while another agent may
    /// still act.
    pub fn keep(&self, config: &Config) {
        let run_dir = &config.paths.run;
        let ended = self.healed.iter().filter(|injection| injection.state != State::Stuck);
        let ended = ended.map(|Healed { intent, state, detail, foreign, .. }| {
            Closed::of(intent, *state, detail.clone(), foreign.clone())
        });
        if let Err(error) = keep_closed(run_dir, &Identity::here(), ended) {
            tracing::warn!("cannot keep in {} what was put back: {error}", run_dir.display());
        }
    }
}

/// Removes kernel objects with the project's prefix that belong neither to a stuck injection nor to one that is open elsewhere,
/// and logs them.
fn sweep(wiring: &Wiring, host: &Host, healed: &[Healed], elsewhere: Option<&Config>) -> Swept {
    let live = || {
        let stuck = healed.iter().filter(|injection| injection.state == State::Stuck);
        let mut live: Vec<_> = stuck.map(|injection| injection.intent.id().clone()).collect();
        if let Some(elsewhere) = elsewhere {
            let (replayed, _) = read_any(&elsewhere.paths(), &Identity::here());
            live.extend(replayed.open().map(|found| found.intent.id().clone()));
        }
        live
    };
    let swept = (wiring.sweep)(host, &live);
    tell_swept(&swept);
    swept
}

/// Writes the result of a sweep to the log. Removed objects are also written to syslog, for people who do not know of a drill.
pub(super) fn tell_swept(swept: &Swept) {
    for what in &swept.removed {
        let line = format!("removed {what}, which belonged to no live injection");
        tracing::warn!("{line}");
        active::syslog(&line);
    }
    for what in &swept.left {
        tracing::warn!("left over: {what}");
    }
}

/// Whether an injection may have started although the journal, without its copy, does not show that.
fn is_behind(found: &Found) -> bool {
    !matches!(found.state, State::Armed | State::Disarmed)
        && matches!(found.journaled, None | Some(State::Armed))
}
