//! The event loop: waits for input while a phase goes on, gives each input to the part that it is for, and checks several
//! times a second whether the run has to stop. All input is processed here, in the order of its arrival; only a person who stops
//! everything is heard before what waits. The loop asks no host for anything; phases and background tasks do.

use std::time::Duration;

use firedrill_wire::{
    InjectionId,
    api::UndoAnswer,
    journal::{AgentEvent, What},
    logs::LogBin,
    probe::Bin,
};

use super::{
    by_person::Known,
    ending::slept,
    error::RunError,
    input::Input,
    parts::Run,
    peers::Back,
    read_backs::ReadBackAnswer,
    stop::Stop,
    wish::{Reply, Wants, Wish},
};
use crate::{link::Offset, log::Event, plan::model::COORDINATOR};

/// Maximum number of inputs that are processed between two checks of the guards and the time limit.
const INPUTS_MOST: usize = 4096;
/// Maximum time between two checks of the guards and the time limit, which also update the screen.
const BEAT: Duration = Duration::from_millis(100);

impl Run {
    /// Processes input until `done` returns true, until the run has to stop, or until the time `until_us` (microseconds on the
    /// run's clock). Returns whether `done` returned true; false if the time was over first.
    ///
    /// # Errors
    /// Outer: the log failed. Inner: the run must stop.
    pub(super) async fn pump(
        &mut self,
        until_us: i64,
        done: impl Fn(&Self) -> bool,
    ) -> Result<Result<bool, Stop>, RunError> {
        loop {
            if let Some(stop) = self.ending.why() {
                return Ok(Err(stop.clone()));
            }
            if let Some(is_done) = self.wait_once(until_us, &done).await? {
                return Ok(Ok(is_done));
            }
        }
    }

    /// Does the same as [`Self::pump`], but goes on although the run must stop, because nothing may interrupt healing.
    ///
    /// # Errors
    /// The log failed.
    pub(super) async fn pump_anyway(
        &mut self,
        until_us: i64,
        done: impl Fn(&Self) -> bool,
    ) -> Result<bool, RunError> {
        loop {
            if let Some(is_done) = self.wait_once(until_us, &done).await? {
                return Ok(is_done);
            }
        }
    }

    /// Waits at most a [`BEAT`] for input, processes all that is there, then checks whether the run has to stop. Returns `None`
    /// if the wait goes on, and otherwise whether `done` returned true.
    async fn wait_once(
        &mut self,
        until_us: i64,
        done: &impl Fn(&Self) -> bool,
    ) -> Result<Option<bool>, RunError> {
        if done(self) {
            return Ok(Some(true));
        }
        let left = until_us - self.facts.now_us();
        if left <= 0 {
            return Ok(Some(false));
        }
        let wait = Duration::from_micros(u64::try_from(left).unwrap_or(0)).min(BEAT);
        let input = tokio::time::timeout(wait, self.inbox.recv()).await;
        if let Ok(Some(input)) = input {
            self.take(input)?;
            // Pending input is processed before anything is decided by it. An agent that sends without end must not keep guards waiting.
            for _ in 0..INPUTS_MOST {
                let Some(input) = self.inbox.try_recv() else { break };
                self.take(input)?;
            }
        }
        self.check()?;
        Ok(None)
    }

    /// Checks the guards and the time limit, unless the run stops already, and updates the screen.
    fn check(&mut self) -> Result<(), RunError> {
        let now = self.facts.now_us();
        if self.ending.why().is_none() {
            if let Some(tripped) = self.guards.look(now) {
                // The log may fail or block, and the run has to stop all the same.
                self.ending.stop(Stop::Guard(tripped.why.clone()));
                self.recorder.write(Event::GuardTripped { why: tripped.why, blind: tripped.blind })?;
            } else if let Some(stop) = self.guards.time_is_over(now) {
                self.ending.stop(stop);
            }
        }
        self.recorder.show(now, self.guards.window());
        Ok(())
    }

    /// Gives an input to the part that it is for. What the log needs of it is recorded.
    fn take(&mut self, input: Input) -> Result<(), RunError> {
        match input {
            Input::Agent { host, event } => self.take_event(host, event),
            Input::Bin { vantage, bin } => self.take_bin(vantage, bin),
            Input::Exchanged(event) | Input::AlertSeen(event) => self.recorder.write(*event),
            Input::ReadBack(answer) => self.take_read_back(*answer),
            Input::Sampled(event) => {
                self.guards.sampled(&event);
                self.recorder.write(*event)
            }
            Input::LeaderAnswered(answer) => {
                self.leaders.answered(answer);
                Ok(())
            }
            Input::LogBin { host, bin } => self.take_log_bin(&host, bin),
            Input::LogsEnded { host, why } => {
                self.host_logs.ended(&host);
                why.map_or(Ok(()), |why| {
                    self.recorder.note(format!("{host} reads no logs for this run any more: {why}"))
                })
            }
            Input::BinsEnded { vantage, why } => {
                self.vantages.ended(&vantage);
                why.map_or(Ok(()), |why| {
                    self.recorder.note(format!("{vantage} measures nothing for this run any more: {why}"))
                })
            }
            Input::LinkLost { host, why } => {
                if self.peers.lost(&host) {
                    self.recorder.write(Event::LinkLost { host, why })?;
                }
                Ok(())
            }
            Input::LinkBack { host, offset } => self.take_link(&host, &offset),
            Input::StepRan { step, end } => {
                self.steps.program_ended(step, end);
                Ok(())
            }
            Input::Halt { by } => {
                // While the run waits for a person to put a step back, the second signal ends that wait.
                self.steps.signal();
                let text = if self.ending.halt(&by) {
                    format!("{by}: putting everything back; repeat it to see what the run is waiting for")
                } else {
                    self.waiting_for()
                };
                self.recorder.say(&text);
                Ok(())
            }
            Input::UndoneHere { by } => {
                self.ending.undone_here(&by);
                Ok(())
            }
            Input::Wish { wish, tell } => {
                let reply = self.take_wish(wish)?;
                // The person who asked may be gone.
                let _ = tell.send(reply);
                Ok(())
            }
            Input::Gap { from_us, to_us } => {
                self.recorder.write(Event::Gap { from_us, to_us })?;
                if let Some(stop) = slept(to_us - from_us, self.facts.plan.lease) {
                    self.ending.stop(stop);
                }
                Ok(())
            }
            Input::Line(line) => self.approvals.take_line(line.trim(), &self.facts, &mut self.recorder),
            Input::Approval(path) => self.approvals.take_file(&path, &self.facts, &mut self.recorder),
            Input::TerminalClosed => self.approvals.closed(&self.facts, &mut self.recorder),
            Input::Healed { host, injections, answer } => self.take_healed(&host, &injections, answer),
            // A failure that is not final: the host is asked again.
            Input::Proven { host, end: Err(why), last_word: false } => {
                self.proofs.not_yet(host, why);
                Ok(())
            }
            Input::Proven { host, end, .. } => self.proven(host, end),
            Input::Restarted { vantage } => {
                self.recorder.note(format!("{vantage} measures again; its agent had been restarted"))
            }
        }
    }

    /// Takes a wish and records it. Returns the reply to the person. A run that stops, heals or finishes takes only answers about
    /// steps.
    fn take_wish(&mut self, wish: Wish) -> Result<Reply, RunError> {
        // An answer about a step always counts: people put back at the end of a run what they did by hand.
        if let Wants::Step { step, answer, note } = wish.wants {
            let (event, reply) = self.steps.take((wish.by, answer, note), step, &self.facts.plan);
            event.map_or(Ok(()), |event| self.recorder.write(event))?;
            return Ok(reply);
        }
        let is_healing = self.injections.run_undone();
        if is_healing || self.ending.why().is_some() || self.ending.is_finishing() {
            return Ok(Reply::Refused("it is already ending".to_owned()));
        }
        let clock = self.facts.clock;
        let (event, reply) =
            self.between.take(wish, clock.now_us(), &self.facts.plan, |us| clock.wall_at(us));
        if let Some(event) = event {
            self.recorder.write(event)?;
        }
        Ok(reply)
    }

    /// Takes an event that an agent journaled, unless the log has it already. It may be a reason to stop: a person undid or
    /// halted something, or a fault is stuck.
    fn take_event(&mut self, host: String, event: AgentEvent) -> Result<(), RunError> {
        let Some(happened_us) = self.peers.news(&host, &event, self.facts.now_us()) else { return Ok(()) };
        let known = Known {
            run: &self.facts.id,
            plan: &self.facts.plan,
            targets: &self.facts.targets,
            injections: &self.injections,
            finishing: self.ending.is_finishing(),
        };
        if let Some(why) = known.ended_by(&host, happened_us, &event.what) {
            self.ending.by_person(why);
        }
        if let What::Changed { injection, to, .. } = &event.what
            && self.injections.changed(injection, *to, happened_us)
        {
            let why = format!("{injection} on {host} is stuck: it could not be put back");
            self.ending.stop(Stop::Failed(why));
        }
        self.recorder.write(Event::Agent { host, happened_us, what: event })
    }

    /// Takes a bin, the measurements of a vantage in a second. If the clock of its boot was not measured yet, the bin waits for that.
    fn take_bin(&mut self, vantage: String, bin: Bin) -> Result<(), RunError> {
        let start_us = if vantage == COORDINATOR {
            Some(self.facts.clock.from_boot(bin.start_boot_us))
        } else {
            let boots = self.peers.boots(&vantage);
            boots.and_then(|boots| boots.at_us(&bin.boot_id, bin.start_boot_us))
        };
        let Some(start_us) = start_us else {
            self.peers.keep(&vantage, bin);
            return Ok(());
        };
        self.guards.measured(&vantage, start_us, &bin);
        self.recorder.measured(vantage, start_us, bin)
    }

    fn take_read_back(&mut self, answer: ReadBackAnswer) -> Result<(), RunError> {
        let ReadBackAnswer { asked, answer } = answer;
        // Nobody waits for it any longer.
        if !self.vantages.has_read_back(&asked) {
            return Ok(());
        }
        let own = asked.vantage == COORDINATOR;
        let boots = self.peers.boots(&asked.vantage);
        let clock = self.facts.clock;
        let at_us =
            |boot_id: &str, us| if own { Some(clock.from_boot(us)) } else { boots?.at_us(boot_id, us) };
        asked.answered(answer, at_us).into_iter().try_for_each(|event| self.recorder.write(event))
    }

    /// Takes a bin of a host's log. If the clock of its boot was not measured yet, the bin waits for that.
    fn take_log_bin(&mut self, host: &str, bin: LogBin) -> Result<(), RunError> {
        let Some(boots) = self.peers.boots(host) else { return Ok(()) };
        if boots.at_us(&bin.boot_id, 0).is_none() {
            self.peers.keep_found(host, bin);
            return Ok(());
        }
        let at_us = |boot_us| boots.at_us(&bin.boot_id, boot_us);
        let phase = |us| self.recorder.phase_at(us);
        let events = self.host_logs.take(host, &bin, at_us, phase);
        events.into_iter().try_for_each(|event| self.recorder.write(event))
    }

    /// Takes a measurement of a host's clock, by which its link is known to work. Bins that waited for this clock are taken next.
    fn take_link(&mut self, host: &str, offset: &Offset) -> Result<(), RunError> {
        let zero_us = self.facts.clock.zero_there(offset.boot_minus_local_us);
        let Some(Back { again, early }) = self.peers.back(host, offset, zero_us) else { return Ok(()) };
        self.recorder.clock(host, zero_us, offset)?;
        if let Some(rebooted) = again {
            self.recorder.write(Event::LinkBack { host: host.to_owned(), rebooted })?;
        }
        early.measured.into_iter().try_for_each(|bin| self.take_bin(host.to_owned(), bin))?;
        early.found.into_iter().try_for_each(|bin| self.take_log_bin(host, bin))
    }

    /// Takes a host's answer to the request to undo these injections. Without an answer the host is asked again.
    fn take_healed(
        &mut self,
        host: &str,
        injections: &[InjectionId],
        answer: Result<UndoAnswer, String>,
    ) -> Result<(), RunError> {
        match answer {
            Ok(answer) => {
                self.injections.answered(injections, &answer);
                Ok(())
            }
            Err(why) => self
                .recorder
                .note(format!("{host} has not answered the request to undo yet, and is asked again: {why}")),
        }
    }
}

#[cfg(test)]
mod tests;
