//! What becomes of each input of a run.

use std::path::Path;

use firedrill_wire::{
    InjectionId,
    api::UndoAnswer,
    journal::{AgentEvent, HealReason, State, What},
    probe::Bin,
};

use super::{Run, RunError, clock::signed, input::Input, stop::Stop};
use crate::{link::Offset, log::Event, plan::model::COORDINATOR};

/// Maximum number of bins that wait for a clock measurement: ten minutes of six probes.
const EARLY_MOST: usize = 3600;

impl Run {
    /// Records an input and updates the run's state.
    pub(super) fn take(&mut self, input: Input) -> Result<(), RunError> {
        match input {
            Input::Agent { host, event } => self.take_event(host, event),
            Input::Bin { vantage, bin } => self.take_bin(vantage, bin),
            Input::Exchanged(event) => self.recorder.write(*event),
            Input::BinsEnded { vantage } => {
                self.measuring.remove(&vantage);
                Ok(())
            }
            Input::LinkLost { host, why } => {
                if let Some(peer) = self.peers.get_mut(&host)
                    && std::mem::replace(&mut peer.reachable, false)
                {
                    self.recorder.write(Event::LinkLost { host, why })?;
                }
                Ok(())
            }
            Input::LinkBack { host, offset } => self.take_link(&host, &offset),
            Input::Signal(name) => {
                if self.stop.is_some() || self.finishing {
                    let waiting = self.waiting_for();
                    self.recorder.say(&waiting);
                } else {
                    self.stop = Some(Stop::Person(format!("stopped by {name}")));
                    self.recorder.say(&format!(
                        "{name}: putting everything back; repeat it to see what the run is waiting for"
                    ));
                }
                Ok(())
            }
            Input::UndoneHere { by } => {
                if !self.finishing {
                    self.stop.get_or_insert(Stop::Person(format!("{by} undid the run on this machine")));
                }
                Ok(())
            }
            Input::Gap { from_us, to_us } => self.take_gap(from_us, to_us),
            Input::Line(line) => self.take_line(line.trim()),
            Input::Approval(path) => self.take_approval(&path),
            Input::TerminalClosed => {
                self.listening = false;
                self.take_line("no")
            }
            Input::Healed { host, of, answer } => self.take_healed(&host, &of, answer),
            Input::Proven { host, end, last_word } => match end {
                Err(why) if !last_word => {
                    self.silence.insert(host, why);
                    Ok(())
                }
                end => self.proven(host, end),
            },
            Input::Restarted { vantage } => self.recorder.write(Event::Note {
                text: format!("{vantage} measures again; its agent had been restarted"),
            }),
        }
    }

    fn take_event(&mut self, host: String, event: AgentEvent) -> Result<(), RunError> {
        let Some(peer) = self.peers.get_mut(&host) else { return Ok(()) };
        if event.seq <= peer.last_seq {
            return Ok(());
        }
        peer.last_seq = event.seq;
        let zero = peer.zeros.get(&event.boot_id).copied();
        // The clock of the event's boot was never measured, so the event is only known to have happened before now.
        let happened_us = zero.map_or_else(|| self.clock.now_us(), |zero| signed(event.boot_us) - zero);
        if let Some(why) = self.stopped_by_person(&host, happened_us, &event.what) {
            if self.finishing {
                self.undone_by.get_or_insert(why);
            } else {
                self.stop.get_or_insert(Stop::Person(why));
            }
        }
        if let What::Changed { injection, to, .. } = &event.what
            && let Some(tracked) = self.tracked.get_mut(injection)
        {
            // The answer to an undo may arrive before the events that led to it.
            if tracked.state.is_open() || !to.is_open() || *to == State::Stuck {
                tracked.changed(*to, happened_us);
            }
            if *to == State::Stuck {
                let why = format!("{injection} on {host} is stuck: it could not be put back");
                self.stop.get_or_insert(Stop::Failed(why));
            }
        }
        self.recorder.write(Event::Agent { host, happened_us, what: event })
    }

    /// Returns the reason to end the run, if a person undid one of its faults or halted one of its targets.
    fn stopped_by_person(&self, host: &str, happened_us: i64, what: &What) -> Option<String> {
        /// More than the error of a clock measurement.
        const SURELY_US: i64 = 1_000_000;
        match what {
            What::Changed { injection, reason: Some(HealReason::Asked { by }), .. } => {
                let attack = self.plan.attacks.get(self.tracked.get(injection)?.attack)?;
                let asked = self.asked.get(injection);
                let ours = asked.is_some_and(|asked_us| happened_us + SURELY_US >= *asked_us);
                (!ours).then(|| format!("{by} undid \"{}\" on {host}", attack.name))
            }
            What::RunUndone { run, by } if *run == self.id && !self.undone && !self.finishing => {
                Some(format!("{by} undid the run on {host}"))
            }
            What::Distrusted { run, name, why, .. } if !self.finishing && *run == self.id => Some(format!(
                "{host} put the run back, because the certificate of {name} is not trusted any more: {why}"
            )),
            // After the attacks there is nothing left to stop.
            What::Halted { by } if !self.finishing && self.targets.contains(host) => {
                Some(format!("{by} halted {host}"))
            }
            _ => None,
        }
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
        let Some(start_us) = start_us else {
            // The bin cannot be placed until the clock of its boot is measured, which is under way.
            if let Some(peer) = self.peers.get_mut(&vantage)
                && peer.early.len() < EARLY_MOST
            {
                peer.early.push(bin);
            }
            return Ok(());
        };
        self.guard.window.push(&vantage, start_us, &bin);
        self.recorder.measured(vantage, start_us, bin)
    }

    fn take_link(&mut self, host: &str, offset: &Offset) -> Result<(), RunError> {
        let boot_at_zero_us = self.clock.zero_there(offset.boot_minus_local_us);
        let Some(peer) = self.peers.get_mut(host) else { return Ok(()) };
        let was_lost = !std::mem::replace(&mut peer.reachable, true);
        let rebooted = peer.boot_id != offset.boot_id;
        peer.boot_id.clone_from(&offset.boot_id);
        peer.zeros.insert(offset.boot_id.clone(), boot_at_zero_us);
        self.recorder.write(Event::Clock {
            host: host.to_owned(),
            boot_at_zero_us,
            uncertainty_us: offset.uncertainty_us,
            boot_id: offset.boot_id.clone(),
        })?;
        let early = std::mem::take(&mut peer.early);
        if was_lost || rebooted {
            self.recorder.write(Event::LinkBack { host: host.to_owned(), rebooted })?;
        }
        // A bin of a boot that was never measured is dropped: a gap is reported, a guess would be wrong.
        early
            .into_iter()
            .filter(|bin| bin.boot_id == offset.boot_id)
            .try_for_each(|bin| self.take_bin(host.to_owned(), bin))
    }

    /// Interprets a typed line as the answer to the current question; without a question, ignores it.
    fn take_line(&mut self, line: &str) -> Result<(), RunError> {
        let Some(attack) = self.asking else { return Ok(()) };
        let (by, yes) = match line.to_ascii_lowercase().as_str() {
            "" => return Ok(()),
            "n" | "no" | "stop" => ("terminal".to_owned(), false),
            "y" | "yes" if self.wants_others(attack) => {
                let by = &self.operator;
                self.recorder.say(&format!(
                    "{by} runs this drill; if several approvals are needed, they must come from other people"
                ));
                return Ok(());
            }
            "y" | "yes" => (self.operator.clone(), true),
            _ => return self.take_approval(Path::new(line)),
        };
        self.recorder.write(Event::ApprovalGiven { attack, by, yes, certificate: None })
    }

    fn take_gap(&mut self, from_us: i64, to_us: i64) -> Result<(), RunError> {
        self.recorder.write(Event::Gap { from_us, to_us })?;
        let gap = to_us - from_us;
        if gap > signed(self.plan.lease.as_micros()) {
            let seconds = gap / 1_000_000;
            let why = format!(
                "the coordinator was not running for {seconds} s, longer than the lease of {}",
                self.plan.lease
            );
            self.stop.get_or_insert(Stop::Slept(why));
        }
        Ok(())
    }

    fn take_healed(
        &mut self,
        host: &str,
        of: &[InjectionId],
        answer: Result<UndoAnswer, String>,
    ) -> Result<(), RunError> {
        match answer {
            Ok(answer) => {
                for id in of {
                    let Some(tracked) = self.tracked.get_mut(id) else { continue };
                    match answer.injections.iter().find(|one| &one.id == id) {
                        Some(one) => tracked.state = one.state,
                        // The answer contains only injections that the agent holds open.
                        None if tracked.state.is_open() => tracked.state = State::Undone,
                        None => {}
                    }
                }
                Ok(())
            }
            Err(why) => self
                .recorder
                .write(Event::Note { text: format!("{host} has not answered to undo yet: {why}") }),
        }
    }
}
