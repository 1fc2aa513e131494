//! `undo --all`: asks the running agent, or puts back in its place where none answers.

use std::{io, process::ExitCode, time::Duration};

use firedrill_wire::{
    api::{OpenOne, Undo, UndoAnswer, UndoScope},
    journal::{HealReason, State, What},
};

use super::shared::{ANSWER_TIME, DYING_TIME, EXIT_USAGE, HUNG_TIME, NONE_KNOWN, plain};
use crate::{
    audit,
    config::{Config, Usable},
    guardian::{EXIT_LOST, EXIT_STUCK, Lock},
    heal::Healed,
    local::{Answer, Call, ask, listens},
    supervisor::heal,
    wiring::Wiring,
};

/// Undo with the configuration of the agent that lives, and where an agent with other paths may have left something.
pub(super) fn undo_everywhere(
    usable: &Usable,
    wiring: Wiring,
    halt: bool,
    loud: bool,
) -> io::Result<ExitCode> {
    let config = usable.of_running_or_next();
    let left = usable.before.as_ref().filter(|before| before.paths != config.paths);
    let before = left.map(|before| {
        put_back_without_agent(before, Some(config), wiring, DYING_TIME, &HealReason::FoundAtStart, false)
    });
    let none_before = before.as_ref().is_none_or(PutBack::found_none);
    let code_before = before.map_or(0, |done| done.said(false));
    let code = undo(config, left, wiring, halt, loud && none_before, loud);
    Ok(ExitCode::from(worst(code, code_before)))
}

/// Of two exit codes the one that counts.
fn worst(one: u8, other: u8) -> u8 {
    let known = [EXIT_STUCK, EXIT_LOST, EXIT_USAGE];
    known.into_iter().find(|code| *code == one || *code == other).unwrap_or(one)
}

fn undo(
    config: &Config,
    left: Option<&Config>,
    wiring: Wiring,
    halt: bool,
    tell_none: bool,
    loud: bool,
) -> u8 {
    let paths = config.paths();
    let patience = Duration::from(config.timings.undo_budget) + Duration::from_secs(5);
    // One that does not even say how it is hangs, or was stopped: it is not waited for while things stay broken.
    let asked = ask(&paths, Call::Status, ANSWER_TIME).and_then(|alive| match alive {
        Some(_) => ask(&paths, Call::UndoAll { halt }, patience),
        None => Ok(None),
    });
    let dying = match asked {
        Ok(Some(Answer::Undone(answer))) => return said(&answer, tell_none),
        Ok(None) => DYING_TIME,
        Ok(Some(answer)) => {
            tracing::warn!("the running agent answered {answer:?}; putting back without it");
            HUNG_TIME
        }
        Err(error) => {
            tracing::warn!("the running agent does not answer ({error}); putting back without it");
            HUNG_TIME
        }
    };
    // Without a halt it is systemd or the package that asks, when the agent has ended or goes.
    let reason = match (loud, halt) {
        (true, true) => HealReason::Asked { by: root(config) },
        (true, false) => HealReason::AgentStopping,
        (false, _) => HealReason::FoundAtStart,
    };
    put_back_without_agent(config, left, wiring, dying, &reason, halt).said(tell_none)
}

pub(super) fn root(config: &Config) -> String {
    format!("root@{}", config.host)
}

/// The result of putting back without a running agent.
pub(super) struct PutBack {
    answer: UndoAnswer,
    /// A halt was asked for, and nobody will remember it.
    halt_lost: bool,
}

impl PutBack {
    /// Whether nothing was in force, and all records could be read.
    fn found_none(&self) -> bool {
        self.answer.injections.is_empty() && self.answer.lost.is_empty()
    }

    /// Says it; the exit code.
    pub(super) fn said(&self, tell_none: bool) -> u8 {
        worst(said(&self.answer, tell_none), if self.halt_lost { EXIT_USAGE } else { 0 })
    }
}

/// Puts back all that is open, when no agent answers; one that is dying is given that time for it. Nothing that is
/// wrong with the state directory keeps it from that. What is in force by the journal of the configuration
/// `elsewhere` is not swept.
pub(super) fn put_back_without_agent(
    config: &Config,
    elsewhere: Option<&Config>,
    wiring: Wiring,
    dying: Duration,
    reason: &HealReason,
    halt: bool,
) -> PutBack {
    let paths = config.paths();
    let lock = Lock::replace(&paths, dying);
    let healing = heal(config, &config.host(), &wiring, elsewhere, || {});
    let answer = UndoAnswer {
        swept: healing.swept.removed.clone(),
        lost: healing.replayed.damage.clone(),
        ..answer_of(healing.healed.clone())
    };
    let journaled = match lock {
        Ok(_lock) => {
            healing.journal(config, reason, wiring.time).map_err(|error| error.chain()).map(|mut done| {
                if halt {
                    done.journal.event(What::Halted { by: root(config) });
                    done.journal.sync();
                }
                !done.journal.is_behind()
            })
        }
        Err(error) => {
            // Somebody holds on and does nothing. Putting back twice does no harm; writing to one journal would.
            if error.kind() != io::ErrorKind::WouldBlock && !listens(&paths) {
                healing.keep(config);
            }
            Err(error.to_string())
        }
    };
    if let Err(error) = &journaled {
        tracing::error!("{error}; what could be read was put back without journaling it");
    }
    if matches!(reason, HealReason::Asked { .. }) {
        let undo = Undo { scope: UndoScope::All, halt };
        let request = audit::Request::accepted(&root(config), "undo").detail(&audit::undone(&undo, &answer));
        audit::request_now(&paths.state, request);
    }
    let halt_lost = halt && journaled != Ok(true);
    if halt_lost {
        tracing::error!(
            "the halt could not be journaled in {}: an agent that starts would inject again; mend that directory, \
             then `firedrill-agent undo --all` again",
            paths.state.display()
        );
    }
    PutBack { answer, halt_lost }
}

pub(super) fn answer_of(healed: Vec<Healed>) -> UndoAnswer {
    let stuck = healed
        .iter()
        .filter(|one| one.state == State::Stuck)
        .map(|one| format!("{}: {}", one.intent.id(), one.detail))
        .collect();
    let injections = healed
        .into_iter()
        .map(|one| OpenOne {
            id: one.intent.id().clone(),
            run: one.intent.run,
            kind: one.intent.live.ask.fault.kind().to_owned(),
            state: one.state,
            ends_boot_us: one.intent.live.ends_boot_us,
            effects: one.intent.live.prepared.effects,
            about: one.intent.about,
            due: false,
        })
        .collect();
    UndoAnswer { injections, runs: Vec::new(), stuck, swept: Vec::new(), lost: Vec::new() }
}

/// Says what was put back; the exit code.
fn said(answer: &UndoAnswer, loud: bool) -> u8 {
    for one in &answer.injections {
        outln!("{} ({}, run {}): {:?}", one.id, plain(&one.kind), one.run, one.state);
    }
    for stuck in &answer.stuck {
        errln!("could NOT be put back: {}", plain(stuck));
    }
    for what in &answer.swept {
        outln!("removed, because it belonged to no live injection: {}", plain(what));
    }
    for lost in &answer.lost {
        errln!("records of drills are damaged or lost: {}", plain(lost));
    }
    match (answer.lost.is_empty(), answer.injections.is_empty()) {
        (false, true) => errln!("{NONE_KNOWN}; look at services, processes and rules by hand"),
        (true, true) if loud => outln!("nothing was in force"),
        _ => {}
    }
    match (answer.stuck.is_empty(), answer.lost.is_empty()) {
        (false, _) => EXIT_STUCK,
        (true, false) => EXIT_LOST,
        (true, true) => 0,
    }
}
