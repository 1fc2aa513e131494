//! `undo --all` and `sweep`: ask the running agent to put everything back, or do it themselves if no agent answers.

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

/// Puts everything back: with the configuration of the running agent, or of the next one if none runs, and with the earlier
/// configuration, because an agent with other paths may have left something. `by_person` is true for `undo` and false for
/// `sweep`, which prints nothing if nothing was in force. Returns the exit code.
pub(super) fn undo_everywhere(usable: &Usable, wiring: Wiring, halt: bool, by_person: bool) -> ExitCode {
    let config = usable.of_running_or_next();
    let earlier = usable.before.as_ref().filter(|before| before.paths != config.paths);
    let put_back = earlier.map(|earlier| {
        put_back_without_agent(earlier, Some(config), wiring, DYING_TIME, &HealReason::FoundAtStart, false)
    });
    let print_none = by_person && put_back.as_ref().is_none_or(PutBack::found_none);
    let earlier_code = put_back.map_or(0, |put_back| put_back.print(false));
    let code = undo(config, earlier, wiring, halt, print_none, by_person);
    ExitCode::from(worse(code, earlier_code))
}

/// Returns the more important one of two exit codes.
fn worse(first: u8, second: u8) -> u8 {
    let by_importance = [EXIT_STUCK, EXIT_LOST, EXIT_USAGE];
    by_importance.into_iter().find(|code| *code == first || *code == second).unwrap_or(first)
}

/// Puts everything back with one configuration, by the running agent or by this process. Returns the exit code.
/// `print_none` makes it say if nothing was in force.
fn undo(
    config: &Config,
    earlier: Option<&Config>,
    wiring: Wiring,
    halt: bool,
    print_none: bool,
    by_person: bool,
) -> u8 {
    let paths = config.paths();
    // The agent's own limit for an undo, and some seconds for the request and the answer.
    let undo_time = Duration::from(config.timings.undo_budget) + Duration::from_secs(5);
    // An agent that does not answer even this quick question hangs or was stopped. Faults must not stay while we wait for it.
    let answer = ask(&paths, Call::Status, ANSWER_TIME).and_then(|status| match status {
        Some(_) => ask(&paths, Call::UndoAll { halt }, undo_time),
        None => Ok(None),
    });
    let patience = match answer {
        Ok(Some(Answer::Undone(answer))) => return print(&answer, print_none),
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
    let reason = match (by_person, halt) {
        (true, true) => HealReason::Asked { by: root(config) },
        // `undo --all --no-halt` is what systemd and the packages run when the agent has ended or is to end.
        (true, false) => HealReason::AgentStopping,
        (false, _) => HealReason::FoundAtStart,
    };
    put_back_without_agent(config, earlier, wiring, patience, &reason, halt).print(print_none)
}

/// Returns the name of root on this host, as records of requests have it.
pub(super) fn root(config: &Config) -> String {
    format!("root@{}", config.host)
}

/// The result of putting back without a running agent.
pub(super) struct PutBack {
    answer: UndoAnswer,
    /// Whether a halt was asked for and could not be journaled.
    halt_lost: bool,
}

impl PutBack {
    /// Whether nothing was in force, and all records could be read.
    fn found_none(&self) -> bool {
        self.answer.injections.is_empty() && self.answer.lost.is_empty()
    }

    /// Prints what was put back; with `print_none` also if that is nothing. Returns the exit code.
    pub(super) fn print(&self, print_none: bool) -> u8 {
        worse(print(&self.answer, print_none), if self.halt_lost { EXIT_USAGE } else { 0 })
    }
}

/// Puts back everything that is open, if no agent answers. Before that, waits up to the time `patience` for the end of an
/// agent that still has the lock. Works also if the state directory cannot be used. Does not sweep what is in force by the
/// journal of the configuration `elsewhere`.
pub(super) fn put_back_without_agent(
    config: &Config,
    elsewhere: Option<&Config>,
    wiring: Wiring,
    patience: Duration,
    reason: &HealReason,
    halt: bool,
) -> PutBack {
    let paths = config.paths();
    let lock = Lock::replace(&paths, patience);
    let healing = heal(config, &config.host(), &wiring, elsewhere, || {});
    let answer = UndoAnswer {
        swept: healing.swept.removed.clone(),
        lost: healing.replayed.damage.clone(),
        ..answer_of(healing.healed.clone())
    };
    let journaled = match lock {
        Ok(_lock) => healing.journal(config, reason, wiring.time).map_err(|error| error.chain()).map(
            |mut recovered| {
                if halt {
                    recovered.journal.event(What::Halted { by: root(config) });
                    recovered.journal.sync();
                }
                !recovered.journal.is_behind()
            },
        ),
        Err(error) => {
            // If another process still has the lock, or an agent listens, only that one may write to the journal. An undo that
            // both of them make does no harm.
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

/// Returns the injections in the form of an agent's answer.
pub(super) fn answer_of(healed: Vec<Healed>) -> UndoAnswer {
    let stuck = healed
        .iter()
        .filter(|healed| healed.state == State::Stuck)
        .map(|healed| format!("{}: {}", healed.intent.id(), healed.detail))
        .collect();
    let injections = healed
        .into_iter()
        .map(|healed| OpenOne {
            id: healed.intent.id().clone(),
            run: healed.intent.run,
            kind: healed.intent.live.ask.fault.kind().to_owned(),
            state: healed.state,
            ends_boot_us: healed.intent.live.ends_boot_us,
            effects: healed.intent.live.prepared.effects,
            about: healed.intent.about,
            due: false,
        })
        .collect();
    UndoAnswer { injections, runs: Vec::new(), stuck, swept: Vec::new(), lost: Vec::new() }
}

/// Prints what was put back; with `print_none` also if that is nothing. Returns the exit code.
fn print(answer: &UndoAnswer, print_none: bool) -> u8 {
    for injection in &answer.injections {
        let kind = plain(&injection.kind);
        outln!("{} ({kind}, run {}): {:?}", injection.id, injection.run, injection.state);
    }
    for stuck in &answer.stuck {
        errln!("could NOT be put back: {}", plain(stuck));
    }
    for object in &answer.swept {
        outln!("removed, because it belonged to no live injection: {}", plain(object));
    }
    for lost in &answer.lost {
        errln!("records of drills are damaged or lost: {}", plain(lost));
    }
    match (answer.lost.is_empty(), answer.injections.is_empty()) {
        (false, true) => errln!("{NONE_KNOWN}; look at services, processes and rules by hand"),
        (true, true) if print_none => outln!("nothing was in force"),
        _ => {}
    }
    match (answer.stuck.is_empty(), answer.lost.is_empty()) {
        (false, _) => EXIT_STUCK,
        (true, false) => EXIT_LOST,
        (true, true) => 0,
    }
}
