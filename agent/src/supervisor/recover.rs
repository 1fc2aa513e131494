//! What comes before anything else: read the journal, put back all that was open, journal that.
//!
//! Done by a starting agent, by the guardian's helper, and by `firedrill-agent undo --all` on a host without a live
//! agent. Runs no fault kind.

use firedrill_wire::journal::{HealReason, State, What};

use super::snapshots;
use crate::{
    active,
    config::Config,
    crash_point,
    heal::{Healed, journal_all, put_back_all},
    host::Host,
    identity::Identity,
    journal::{Found, Journal, JournalError, Replayed, read_what_can_be, write_copy},
    sweep::Swept,
    wiring::Wiring,
};

/// What recovery did.
#[derive(Debug)]
pub struct Recovered {
    /// The journal, for what comes.
    pub journal: Journal,
    /// Each injection that was open, and how it ended.
    pub healed: Vec<Healed>,
    /// What the journal had said.
    pub replayed: Replayed,
    /// What was wrong with it.
    pub damage: Vec<String>,
    /// What was removed although no journal told of it.
    pub swept: Swept,
}

/// Puts back all that the journal and its copy call open, and removes from the kernel what has our name. `tick` is called often, for heartbeats.
///
/// # Errors
/// The journal cannot be opened for writing. What could be read of it was put back all the same.
pub fn recover(
    config: &Config,
    host: &Host,
    wiring: &Wiring,
    reason: &HealReason,
    mut tick: impl FnMut(),
) -> Result<Recovered, JournalError> {
    let here = Identity::here();
    let paths = config.paths();
    let retry = config.timings.retry();
    // Undo first, by what can be read; whether it can be written down is another question.
    let replayed = read_what_can_be(&paths);
    for damage in &replayed.damage {
        let line = format!("records of drills are damaged or lost: {damage}");
        tracing::error!("{line}");
        active::syslog(&line);
    }
    if replayed.open().next().is_some() {
        crash_point::at(&paths.run, "before-recovery");
    }
    let healed = put_back_all(replayed.open(), &here, wiring.apply, host, &retry, &mut tick);
    for one in &healed {
        let line = format!("{} of run {}: {:?} ({})", one.intent.id(), one.intent.run, one.state, one.detail);
        if one.state == State::Stuck {
            tracing::error!("{line}");
        } else {
            tracing::info!("{line}");
        }
        active::syslog(&line);
    }
    let swept = sweep(wiring, host, &healed);
    let stuck: Vec<&Healed> = healed.iter().filter(|one| one.state == State::Stuck).collect();
    if stuck.is_empty() {
        let told = write_copy(&paths.run, &here, 0, std::iter::empty())
            .and_then(|()| active::write(&paths.run, &[], 0));
        if let Err(error) = told {
            tracing::warn!("cannot tidy up {}: {error}", paths.run.display());
        }
    }
    let (mut journal, _) = Journal::open(&paths, &here)?;
    journal.number_after(replayed.last_seq);
    // The journal is to tell the whole story, and each of its steps is to be a legal one.
    for found in replayed.open().filter(|found| is_behind(found)) {
        if found.journaled.is_none()
            && let Err(error) = journal.intents(std::slice::from_ref(&found.intent))
        {
            tracing::warn!("{}", error.chain());
        }
        journal.event(What::Changed {
            injection: found.intent.id().clone(),
            run: found.intent.run.clone(),
            to: State::Injecting,
            reason: None,
            detail: "records are lost; it may have started".to_owned(),
            foreign: Vec::new(),
        });
    }
    journal_all(&mut journal, &healed, reason);
    let damage = replayed.damage.clone();
    if let Err(error) = journal.compact(&snapshots::runs(&paths.state), !damage.is_empty()) {
        tracing::warn!("{}", error.chain());
    }
    Ok(Recovered { journal, healed, replayed, damage, swept })
}

/// Removes what has our name and belongs to nothing that is stuck, and says so.
pub fn sweep(wiring: &Wiring, host: &Host, healed: &[Healed]) -> Swept {
    let stuck = || {
        let stuck = healed.iter().filter(|one| one.state == State::Stuck);
        stuck.map(|one| one.intent.id().clone()).collect()
    };
    let swept = (wiring.sweep)(host, &stuck);
    tell_swept(&swept);
    swept
}

/// Says what a sweep did, where people look who know of no drill.
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

/// Whether the journal by itself does not know that it may have started.
fn is_behind(found: &Found) -> bool {
    found.state != State::Armed && matches!(found.journaled, None | Some(State::Armed))
}
