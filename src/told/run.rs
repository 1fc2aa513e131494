//! Makes and sends messages about a run, from the records of its log. Never changes the run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use firedrill_notify::{Begun, Message, What, now, rfc3339};
use firedrill_wire::{
    InjectionId,
    journal::{self, State as Fault},
};

use super::Teller;
use crate::{
    log::{Event, Log, Outcome, Record, RunOutcome},
    plan::{Plan, print::total},
    run::screen::Observer,
    score::window::Window,
    verdict::Exit,
};

/// Sends the messages about one run.
#[derive(Clone, Debug)]
pub struct RunTold(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    teller: Teller,
    /// The command-line options to reach the fleet, for the command in the messages that ends the run.
    fleet: String,
    /// The run; `None` until it has begun.
    begun: Option<Run>,
}

/// A run that has begun.
#[derive(Debug)]
struct Run {
    /// The message that the run has started.
    started: Message,
    plan: Plan,
    /// For each attack (its index in the plan) the faults that are, or were, in force.
    landed: BTreeMap<usize, BTreeSet<InjectionId>>,
    /// The attack of each armed injection.
    armed: BTreeMap<InjectionId, usize>,
    /// The attacks for which a message said that they are in force.
    told: BTreeSet<usize>,
}

impl RunTold {
    /// Begins without messages. `fleet` has the command-line options by which a person reaches the run's fleet.
    #[must_use]
    pub fn new(teller: Teller, fleet: String) -> Self {
        Self(Arc::new(Mutex::new(State { teller, fleet, begun: None })))
    }

    /// Returns an observer that shows the run on a screen and sends the messages.
    #[must_use]
    pub fn beside(&self, screen: Box<dyn Observer>) -> Box<dyn Observer> {
        Box::new(Beside { screen, told: self.clone() })
    }

    /// Sends the message that the run has ended, with its result. `outcome` is the outcome in the log. `why` is a better reason for the
    /// end; without it, the reason in the outcome is used.
    pub fn ended(&self, exit: Exit, outcome: Option<&RunOutcome>, why: Option<String>) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(run) = &state.begun else { return };
        let (what, word) = match outcome {
            Some(RunOutcome::Stopped(_)) => (What::Halted, "was halted"),
            _ => (What::Ended, "has ended"),
        };
        let mut message =
            run.message(&format!("{}/ended", run.id()), what, &format!("{word}: {}", exit.word()));
        message.result = Some(exit.word().to_owned());
        let reason = outcome.filter(|outcome| **outcome != RunOutcome::Completed).map(RunOutcome::reason);
        message.why = why.or_else(|| reason.map(str::to_owned));
        state.teller.tell(&message);
    }

    /// Takes over a run whose program has died. That program has sent the message about the beginning, so it is only read from the log.
    pub fn take_over(&self, log: &Log) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = log.records.iter().find_map(|record| match &record.event {
            Event::RunStarted { run, plan, operator, wall, .. } => {
                let mut begun = Run::begin(run.as_str(), plan, operator, &state.fleet);
                begun.started.at.clone_from(wall);
                Some(begun)
            }
            _ => None,
        });
        state.begun = begun;
    }

    /// Sends the message about a record, if there is one.
    fn record(&self, record: &Record) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::RunStarted { run, plan, operator, .. } = &record.event {
            let begun = Run::begin(run.as_str(), plan, operator, &state.fleet);
            state.teller.tell(&begun.started);
            state.begun = Some(begun);
            return;
        }
        if let Some(message) = state.begun.as_mut().and_then(|run| run.message_about(&record.event)) {
            state.teller.tell(&message);
        }
    }
}

impl Run {
    fn begin(run: &str, plan: &Plan, operator: &str, fleet: &str) -> Self {
        let place = plan.environment.as_ref().map_or_else(String::new, |name| format!(" in {name}"));
        let title = format!("Firedrill: drill \"{}\"{place} has started", plan.name);
        let mut started = Message::new(format!("{run}/started"), What::Started, title);
        started.run = Some(run.to_owned());
        started.scenario = Some(plan.name.clone());
        started.environment.clone_from(&plan.environment);
        started.by = Some(operator.to_owned());
        started.hosts = plan.targets().into_iter().map(str::to_owned).collect();
        started.until = Some(rfc3339(now() + total(plan).0));
        started.stop = Some(format!("firedrill undo --run {run}{fleet}"));
        let (landed, armed, told) = Default::default();
        Self { started, plan: plan.clone(), landed, armed, told }
    }

    fn id(&self) -> &str {
        self.started.run.as_deref().unwrap_or_default()
    }

    /// Returns a message about the run, with the parts of the first message that are still true.
    fn message(&self, id: &str, what: What, title: &str) -> Message {
        let first = self.started.clone();
        let begun = Begun { id: first.id, at: first.at };
        let mut message = Message::new(id, what, format!("Firedrill: drill \"{}\" {title}", self.plan.name));
        (message.run, message.scenario) = (first.run, first.scenario);
        (message.environment, message.by) = (first.environment, first.by);
        message.begun = Some(begun);
        if !what.is_end() {
            message.stop = first.stop;
        }
        message
    }

    /// Returns the message about an event; `None` if there is no message about such events.
    fn message_about(&mut self, event: &Event) -> Option<Message> {
        match event {
            Event::Armed { attack, injection, .. } => {
                self.armed.insert(injection.clone(), *attack);
                None
            }
            Event::Agent { what, .. } => {
                let journal::What::Changed { injection, to: Fault::InForce | Fault::Done, .. } = &what.what
                else {
                    return None;
                };
                let attack = *self.armed.get(injection)?;
                let landed = self.landed.entry(attack).or_default();
                landed.insert(injection.clone());
                let all = self.plan.attacks.get(attack)?.injections.len();
                if landed.len() < all { None } else { self.landed(attack) }
            }
            Event::AttackEnded { attack, outcome: Outcome::Aborted(why), .. } => {
                let name = &self.plan.attacks.get(*attack)?.name;
                let id = format!("{}/attack-{}/aborted", self.id(), attack + 1);
                let title = format!("was ended before its time: attack {name} is aborted and put back");
                let mut message = self.message(&id, What::Aborted, &title);
                message.why = Some(why.clone());
                Some(message)
            }
            Event::AttackEnded { attack, outcome: Outcome::Ran, .. } => self.landed(*attack),
            _ => None,
        }
    }

    /// Returns the message that the faults of an attack are in force, or how many of them were; `None` if there was such a message before.
    fn landed(&mut self, attack: usize) -> Option<Message> {
        if !self.told.insert(attack) {
            return None;
        }
        let planned = self.plan.attacks.get(attack)?;
        let landed = self.landed.get(&attack);
        let (all, number) = (planned.injections.len(), landed.map_or(0, BTreeSet::len));
        let title = if number == all {
            format!("has begun to harm: attack {} is in force", planned.name)
        } else {
            format!("has harmed in part: {number} of {all} faults of attack {} were in force", planned.name)
        };
        let id = format!("{}/attack-{}/landed", self.id(), attack + 1);
        let mut message = self.message(&id, What::Landed, &title);
        let hosts: BTreeSet<&str> =
            planned.injections.iter().map(|injection| injection.host.as_str()).collect();
        message.hosts = hosts.into_iter().map(str::to_owned).collect();
        if number == all {
            message.until =
                Some(rfc3339(now() + planned.hold.0.min(Duration::from_secs(u64::from(u32::MAX)))));
        }
        Some(message)
    }
}

/// An observer that shows a run on a screen and sends the messages about it.
struct Beside {
    screen: Box<dyn Observer>,
    told: RunTold,
}

impl Observer for Beside {
    fn record(&mut self, record: &Record) {
        self.screen.record(record);
        self.told.record(record);
    }

    fn tick(&mut self, now_us: i64, window: &Window) {
        self.screen.tick(now_us, window);
    }

    fn say(&mut self, text: &str) {
        self.screen.say(text);
    }

    fn close(&mut self) {
        self.screen.close();
    }
}

#[cfg(test)]
mod tests {
    use firedrill_judge::testing::Drill;

    use super::*;

    /// Returns the kinds and titles of the messages about a drill, made from the records for which `keep` is true.
    fn messages(drill: &Drill, keep: impl Fn(&Event) -> bool) -> Vec<(What, String)> {
        let mut run: Option<Run> = None;
        let mut messages = Vec::new();
        for record in drill.records().iter().filter(|record| keep(&record.event)) {
            if let Event::RunStarted { run: id, plan, operator, .. } = &record.event {
                let begun = Run::begin(id.as_str(), plan, operator, " --fleet f.toml");
                messages.push((begun.started.what, begun.started.title.clone()));
                run = Some(begun);
            } else if let Some(message) = run.as_mut().and_then(|run| run.message_about(&record.event)) {
                let first = run.as_ref().map(|run| run.started.id.clone());
                assert_eq!(message.begun.map(|begun| begun.id), first, "each message names the first one");
                messages.push((message.what, message.title));
            }
        }
        messages
    }

    /// Whether the event says that a fault is in force, or done, on the host `wanted`.
    fn in_force_on(event: &Event, wanted: &str) -> bool {
        let Event::Agent { host, what, .. } = event else { return false };
        host == wanted && matches!(what.what, journal::What::Changed { to: Fault::InForce | Fault::Done, .. })
    }

    #[test]
    fn an_attack_has_landed_when_all_its_hosts_say_so() {
        let whole = messages(&Drill::good(), |_| true);
        let kinds: Vec<What> = whole.iter().map(|(what, _)| *what).collect();
        assert_eq!(kinds, [What::Started, What::Landed, What::Landed]);
        assert!(whole[2].1.ends_with("has begun to harm: attack lose fremont is in force"), "{whole:?}");
        // An armed fault is not in force. If one host reports nothing, the message at the attack's end has the number of faults in force.
        let part = messages(&Drill::good(), |event| !in_force_on(event, "db2"));
        assert!(
            part[2].1.ends_with("has harmed in part: 1 of 2 faults of attack lose fremont were in force"),
            "{part:?}"
        );
    }

    #[test]
    fn an_aborted_attack_has_a_message_with_the_reason_and_an_attack_that_did_not_run_has_none() {
        let mut drill = Drill::one();
        drill.acts[0].outcome = Outcome::Aborted("bob halted it".to_owned());
        let aborted = messages(&drill, |event| !in_force_on(event, "app1"));
        let kinds: Vec<What> = aborted.iter().map(|(what, _)| *what).collect();
        assert_eq!(kinds, [What::Started, What::Aborted]);
        drill.acts[0].outcome = Outcome::NotRun("refused".to_owned());
        assert_eq!(messages(&drill, |event| !in_force_on(event, "app1")).len(), 1);
    }
}
