//! What the run takes in, and what becomes of it: everything that happens meets in this one file.

use firedrill_wire::{
    api::UndoAnswer,
    journal::{AgentEvent, State, What},
    probe::Bin,
};

use super::{Run, RunError, clock::signed};
use crate::{
    link::Offset,
    log::{Event, RunOutcome},
    plan::model::COORDINATOR,
};

/// Something that came in.
pub(crate) enum Input {
    /// An agent journaled something.
    Agent { host: String, event: AgentEvent },
    /// A vantage measured.
    Bin { vantage: String, bin: Bin },
    /// A vantage will send no more bins.
    BinsEnded { vantage: String },
    /// The link to a host broke.
    LinkLost { host: String, why: String },
    /// The link to a host works, again or better measured.
    LinkBack { host: String, offset: Offset },
    /// A person or the system wants us to stop.
    Signal(&'static str),
    /// The coordinator itself did not run for a while.
    Gap { from_us: i64, to_us: i64 },
    /// Somebody answered to an approval.
    Approval { attack: usize, by: String, yes: bool },
    /// Undo of the run on a host has been answered.
    Healed { host: String, answer: Result<UndoAnswer, String> },
}

/// Why a run must stop before its end.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// A guard's condition.
    Guard(String),
    /// A person or a signal.
    Person(String),
    /// Sleep of the coordinator.
    Slept(String),
    /// It cannot go on.
    Failed(String),
}

impl Stop {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Guard(why) | Self::Person(why) | Self::Slept(why) | Self::Failed(why) => why.clone(),
        }
    }

    pub(crate) fn outcome(&self) -> RunOutcome {
        match self {
            Self::Guard(why) => RunOutcome::Guarded(why.clone()),
            Self::Person(why) | Self::Slept(why) => RunOutcome::Stopped(why.clone()),
            Self::Failed(why) => RunOutcome::Failed(why.clone()),
        }
    }
}

impl Run {
    /// Writes down what came in and keeps in mind what it means.
    pub(super) fn take(&mut self, input: Input) -> Result<(), RunError> {
        match input {
            Input::Agent { host, event } => self.take_event(host, event),
            Input::Bin { vantage, bin } => self.take_bin(vantage, bin),
            Input::BinsEnded { vantage } => {
                self.measuring.remove(&vantage);
                Ok(())
            }
            Input::LinkLost { host, why } => {
                if let Some(peer) = self.peers.get_mut(&host)
                    && std::mem::replace(&mut peer.reachable, false)
                {
                    self.book.write(Event::LinkLost { host, why })?;
                }
                Ok(())
            }
            Input::LinkBack { host, offset } => self.take_link(host, &offset),
            Input::Signal(name) => {
                if self.stop.is_some() {
                    self.insisted += 1;
                    let waiting = self.waiting_for();
                    self.book.say(&waiting);
                } else {
                    self.stop = Some(Stop::Person(format!("stopped by {name}")));
                }
                Ok(())
            }
            Input::Gap { from_us, to_us } => self.take_gap(from_us, to_us),
            Input::Approval { attack, by, yes } => self.book.write(Event::ApprovalGiven { attack, by, yes }),
            Input::Healed { host, answer } => self.take_healed(&host, answer),
        }
    }

    fn take_event(&mut self, host: String, event: AgentEvent) -> Result<(), RunError> {
        let Some(peer) = self.peers.get_mut(&host) else { return Ok(()) };
        if event.seq <= peer.last_seq {
            return Ok(());
        }
        peer.last_seq = event.seq;
        let zero = peer.zeros.get(&event.boot_id).copied();
        if let What::Changed { injection, to, .. } = &event.what
            && let Some(tracked) = self.tracked.get_mut(injection)
        {
            tracked.state = *to;
            if *to == State::Stuck {
                let why = format!("{injection} on {host} is stuck: it could not be put back");
                self.stop.get_or_insert(Stop::Failed(why));
            }
        }
        // An event of a boot whose clock was never measured happened before now; that is all that is known.
        let happened_us = zero.map_or_else(|| self.clock.now_us(), |zero| signed(event.boot_us) - zero);
        self.book.write(Event::Agent { host, happened_us, what: event })
    }

    fn take_bin(&mut self, vantage: String, bin: Bin) -> Result<(), RunError> {
        let start_us = if vantage == COORDINATOR {
            Some(self.clock.from_boot(bin.start_boot_us))
        } else {
            self.peers
                .get(&vantage)
                .and_then(|peer| peer.zeros.get(&bin.boot_id))
                .map(|zero| signed(bin.start_boot_us) - zero)
        };
        // Without a measured clock a bin has no place in time: a hole is honest, a guess is not.
        let Some(start_us) = start_us else { return Ok(()) };
        self.guard.window.push(&vantage, start_us, &bin);
        self.book.write(Event::Bin { vantage, start_us, bin })
    }

    fn take_link(&mut self, host: String, offset: &Offset) -> Result<(), RunError> {
        let boot_at_zero_us = self.clock.zero_there(offset.boot_minus_local_us);
        let Some(peer) = self.peers.get_mut(&host) else { return Ok(()) };
        let was_lost = !std::mem::replace(&mut peer.reachable, true);
        let rebooted = peer.boot_id != offset.boot_id;
        peer.boot_id.clone_from(&offset.boot_id);
        peer.zeros.insert(offset.boot_id.clone(), boot_at_zero_us);
        self.book.write(Event::Clock {
            host: host.clone(),
            boot_at_zero_us,
            uncertainty_us: offset.uncertainty_us,
            boot_id: offset.boot_id.clone(),
        })?;
        if was_lost || rebooted { self.book.write(Event::LinkBack { host, rebooted }) } else { Ok(()) }
    }

    fn take_gap(&mut self, from_us: i64, to_us: i64) -> Result<(), RunError> {
        self.book.write(Event::Gap { from_us, to_us })?;
        let gap = to_us - from_us;
        if gap > signed(self.plan.lease.as_micros()) {
            let seconds = gap / 1_000_000;
            let why = format!(
                "the coordinator did not run for {seconds} s, longer than the lease of {}",
                self.plan.lease
            );
            self.stop.get_or_insert(Stop::Slept(why));
        }
        Ok(())
    }

    fn take_healed(&mut self, host: &str, answer: Result<UndoAnswer, String>) -> Result<(), RunError> {
        match answer {
            Ok(answer) => {
                for one in answer.injections {
                    if let Some(tracked) = self.tracked.get_mut(&one.id) {
                        tracked.state = one.state;
                    }
                }
                for tracked in self.tracked.values_mut().filter(|one| one.host == host) {
                    // What the agent no longer holds open is not in its answer.
                    if tracked.state.is_open() && tracked.state != State::Stuck {
                        tracked.state = State::Undone;
                    }
                }
                Ok(())
            }
            Err(why) => {
                self.book.write(Event::Note { text: format!("{host} has not answered to undo yet: {why}") })
            }
        }
    }
}
