//! Describes records in sentences, for the live view, plain lines and `watch`.

use firedrill_wire::{
    InjectionId,
    api::Prepared,
    journal::{HealReason, State, What},
};

use crate::{
    diagnostic::plural,
    log::{Event, Outcome, Record, RunOutcome, StepOutcome},
    plan::{Plan, model::Phase},
};

/// The importance of a sentence, shown as a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Information of little importance.
    Plain,
    /// Progress of the drill.
    Step,
    /// Harm begins.
    Harm,
    /// Good news: something was put back, works again, or held.
    Good,
    /// Bad news, which people should look at.
    Bad,
}

/// Returns the name of an attack; its number if the plan is not known.
fn attack_name(plan: Option<&Plan>, index: usize) -> String {
    plan.and_then(|plan| plan.attacks.get(index))
        .map_or_else(|| format!("attack {}", index + 1), |attack| attack.name.clone())
}

/// Returns the name of a step; its number if the plan is not known.
fn step_name(plan: Option<&Plan>, index: usize) -> String {
    plan.and_then(|plan| plan.steps.get(index))
        .map_or_else(|| format!("step {}", index + 1), |step| step.name.clone())
}

/// Describes the action of a step: the text for a person, or the program.
fn step_does(plan: Option<&Plan>, index: usize) -> String {
    plan.and_then(|plan| plan.steps.get(index)).map_or_else(String::new, |step| {
        let by = if step.does.argv().is_some() { "the coordinator runs" } else { "a person does" };
        format!("{by} {}", step.does.said())
    })
}

/// Returns the tone of a step's outcome.
const fn tone(outcome: StepOutcome) -> Tone {
    match outcome {
        StepOutcome::Done => Tone::Good,
        StepOutcome::Skipped => Tone::Step,
        StepOutcome::Failed | StepOutcome::Unknown => Tone::Bad,
    }
}

/// Describes the outcome of a step: its name, the outcome, the person who says so, and the reason if it is not empty.
fn step_outcome(name: &str, outcome: &str, by: Option<&str>, why: &str) -> String {
    let by = by.map(|by| format!(", says {by}")).unwrap_or_default();
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{name}: {outcome}{by}{why}")
}

/// Describes a record; `None` for records that would flood the screen: measurements, clocks, intermediate states, repeated failures.
#[must_use]
pub fn sentence(plan: Option<&Plan>, record: &Record) -> Option<(Tone, String)> {
    Some(match &record.event {
        Event::RunStarted { run, plan, operator, .. } => {
            (Tone::Step, format!("run {run} of \"{}\" by {operator}: {}", plan.name, plan.hypothesis))
        }
        Event::Prepared { host, prepared, .. } => match &prepared.answer {
            Prepared::Ready { .. } => return None,
            Prepared::Refused(problem) => {
                (Tone::Bad, format!("{host} refuses {}: {}", prepared.id, problem.title))
            }
        },
        Event::Clock { .. } | Event::Bin { .. } | Event::Bins { .. } => return None,
        Event::Phase { attack, phase, until_us } => {
            let left = (until_us - record.at_us).max(0).saturating_add(500_000) / 1_000_000;
            let name = attack_name(plan, *attack);
            match phase {
                Phase::Baseline => (Tone::Step, format!("{name}: baseline, {left} s")),
                Phase::Fault => (Tone::Harm, format!("{name}: fault, {left} s")),
                Phase::Recovery => (Tone::Step, format!("{name}: recovery, {left} s")),
                Phase::Settle => (Tone::Plain, format!("{name}: settling, at most {left} s")),
            }
        }
        Event::Armed { host, kind, start_us, .. } => {
            let lead = (start_us - record.at_us).max(0) / 1_000;
            (Tone::Plain, format!("armed {kind} on {host}, starts in {lead} ms"))
        }
        Event::Agent { host, what, .. } => agent(host, &what.what)?,
        // Single exchanges would flood the screen; the report has them all.
        Event::Exchanged { failed: None, .. } => return None,
        Event::Exchanged { moment, asker, other, ask, failed: Some(why), .. } => {
            let what = format!("{asker} to {other} by {}, {}", ask.way, moment.word());
            (Tone::Plain, format!("{what}: not measured: {why}"))
        }
        Event::WritesRead(read) => {
            let what = format!("{} from {} read back, {}", read.probe, read.vantage, read.moment.word());
            match (&read.counts, &read.failed) {
                (_, Some(why)) => (Tone::Bad, format!("{what}: {why}")),
                (Some(counts), None) => {
                    let lost = counts.newly_lost();
                    let tone = if lost > 0 { Tone::Bad } else { Tone::Plain };
                    (tone, format!("{what}: {lost} of {} acknowledged writes lost", counts.acked))
                }
                (None, None) => return None,
            }
        }
        Event::Sampled { failed: None, .. } | Event::Sampled { again: true, .. } | Event::HostLog(_) => {
            return None;
        }
        Event::Sampled { objective, failed: Some(why), .. } => {
            (Tone::Plain, format!("objective {objective} is not measured: {why}"))
        }
        Event::AlertSeen { failed: None, .. } => return None,
        Event::AlertSeen { objective, failed: Some(why), .. } => {
            (Tone::Plain, format!("objective {objective}: its source has no answer: {why}"))
        }
        Event::LinkLost { host, why } => (Tone::Bad, format!("lost the link to {host}: {why}")),
        Event::LinkBack { host, rebooted: true } => (Tone::Good, format!("{host} is back from a reboot")),
        Event::LinkBack { host, rebooted: false } => (Tone::Good, format!("the link to {host} is back")),
        Event::ApprovalAsked { attack, people } => {
            (Tone::Step, format!("{}: {people} must approve", attack_name(plan, *attack)))
        }
        Event::ApprovalGiven { attack, by, yes, means, .. } => {
            let word = if *yes { "approves" } else { "says no to" };
            let means = means.map_or_else(String::new, |means| format!(" by {means}"));
            (Tone::Step, format!("{by} {word} {}{means}", attack_name(plan, *attack)))
        }
        Event::PauseAsked { attack, by, longest } => {
            let name = attack_name(plan, *attack);
            (Tone::Step, format!("{by} asks for a pause before {name}, for at most {longest}"))
        }
        Event::Paused { attack, by, until, .. } => {
            (Tone::Step, format!("paused by {by} until {until}, before {}", attack_name(plan, *attack)))
        }
        Event::Resumed { attack, by } => (
            Tone::Step,
            format!(
                "{by} lets the run go on with {}, or wants no pause before it",
                attack_name(plan, *attack)
            ),
        ),
        Event::SkipAsked { attack, by } => {
            (Tone::Step, format!("{by} asks to skip {}", attack_name(plan, *attack)))
        }
        Event::StepBegan { step, until, .. } => (
            Tone::Step,
            format!("{}: {}, at most until {until}", step_name(plan, *step), step_does(plan, *step)),
        ),
        Event::StepEnded { step, outcome, by, why, .. } => {
            (tone(*outcome), step_outcome(&step_name(plan, *step), outcome.word(), by.as_deref(), why))
        }
        Event::PutBackAsked { step, until, .. } => {
            let what = format!("{} is to be put back by hand", step_name(plan, *step));
            (Tone::Harm, format!("{what}, at most until {until}"))
        }
        Event::PutBackEnded { step, outcome, by, why } => {
            let word = if *outcome == StepOutcome::Done { "put back" } else { "NOT KNOWN TO BE PUT BACK" };
            (tone(*outcome), step_outcome(&step_name(plan, *step), word, by.as_deref(), why))
        }
        Event::LeaderAsked(asked) => {
            (if asked.leader.is_some() { Tone::Plain } else { Tone::Bad }, asked.words())
        }
        Event::GuardTripped { why, .. } => (Tone::Bad, format!("{why}; aborting")),
        Event::Gap { from_us, to_us } => {
            let gap = (to_us - from_us) / 100_000;
            (Tone::Bad, format!("the coordinator was not running for {}.{} s", gap / 10, gap % 10))
        }
        Event::AttackEnded { attack, outcome, verdict } => {
            let name = attack_name(plan, *attack);
            match (outcome, verdict) {
                (Outcome::Ran, Some(verdict)) => {
                    let tone = if *verdict == crate::verdict::Verdict::Held { Tone::Good } else { Tone::Bad };
                    (tone, format!("{name}: {verdict}"))
                }
                (Outcome::Ran, None) => (Tone::Step, format!("{name}: ran")),
                (Outcome::Aborted(why), _) => (Tone::Bad, format!("{name}: aborted, {why}")),
                (Outcome::NotRun(why), _) => (Tone::Bad, format!("{name}: not run, {why}")),
                (Outcome::Spared(why), _) => (Tone::Plain, format!("{name}: spared, {why}")),
            }
        }
        Event::HostEnded { host, end } => {
            let word = serde_json::to_value(end.state).ok().and_then(|word| word.as_str().map(str::to_owned));
            let word = word.unwrap_or_default();
            if word == "clean" {
                (Tone::Good, format!("{host} is clean ({} things compared)", end.compared))
            } else {
                (Tone::Bad, format!("{host} is {word}: {}", end.ours.join("; ")))
            }
        }
        Event::Note { text } => (Tone::Plain, text.clone()),
        Event::Unknown { text, .. } => (Tone::Bad, text.clone()),
        Event::RunEnded { outcome: RunOutcome::Completed } => (Tone::Good, "the run is complete".to_owned()),
        Event::RunEnded { outcome } => (Tone::Bad, format!("the run ended: {}", outcome.reason())),
    })
}

/// Describes an event of a host's agent.
fn agent(host: &str, what: &What) -> Option<(Tone, String)> {
    Some(match what {
        What::AgentStarted { healed: 0, damage, .. } if damage.is_empty() => {
            (Tone::Plain, format!("{host}: the agent started"))
        }
        What::AgentStarted { healed, damage, .. } => {
            let mut text = format!("{host}: the agent started");
            if *healed > 0 {
                text = format!(
                    "{text} and put back {healed} fault{} that it found",
                    plural(usize::try_from(*healed).unwrap_or(2))
                );
            }
            if !damage.is_empty() {
                text = format!("{text}; its journal was damaged: {}", damage.join("; "));
            }
            (Tone::Bad, text)
        }
        What::Changed { injection, to, reason, detail, foreign, .. } => {
            let (tone, word) = match to {
                State::Armed | State::Injecting | State::Undoing => return None,
                State::InForce => (Tone::Harm, "in force"),
                State::Done => (Tone::Harm, "took effect, cannot be undone"),
                State::Undone => (Tone::Good, "put back"),
                State::Disarmed => (Tone::Plain, "disarmed"),
                State::Stuck => (Tone::Bad, "STUCK"),
            };
            let mut text = format!("{host}: fault {} {word}", short(injection));
            if !detail.is_empty() {
                text = format!("{text}: {detail}");
            }
            if let Some(reason) = reason.as_ref().filter(|reason| **reason != HealReason::HoldOver) {
                text = format!("{text} ({})", why(reason));
            }
            for other in foreign {
                text = format!("{text}; {other}");
            }
            (tone, text)
        }
        What::UndoRetry { injection, attempt, error, .. } => (
            Tone::Bad,
            format!(
                "{host}: attempt {attempt} to undo fault {} failed; it is tried again: {error}",
                short(injection)
            ),
        ),
        What::Looked { .. } => return None,
        What::LeaseExpired { .. } => {
            (Tone::Bad, format!("{host}: the lease expired; the agent puts everything back"))
        }
        What::RunUndone { run, by } => (Tone::Bad, format!("{host}: {by} undid run {run}")),
        What::Distrusted { run, name, serial, why } => (
            Tone::Bad,
            format!(
                "{host}: run {run} is put back, because the certificate {serial} of {name} is not trusted any more: {why}"
            ),
        ),
        What::Halted { by } => (Tone::Bad, format!("{host}: halted by {by}")),
        What::Unknown { text } => {
            (Tone::Bad, format!("{host}: the agent sent an event that this version does not know: {text}"))
        }
        What::Released { by } => (Tone::Good, format!("{host}: halt released by {by}")),
    })
}

/// Returns the last two parts of an id such as `RUN-ATTACK-NUMBER`. They are enough, because only one run is shown.
fn short(id: &InjectionId) -> &str {
    let text = id.as_str();
    let mut dashes = text.rmatch_indices('-').map(|(at, _)| at + 1);
    dashes.nth(1).map_or(text, |at| &text[at..])
}

/// Describes the reason why a fault was put back.
fn why(reason: &HealReason) -> String {
    match reason {
        HealReason::HoldOver => "its hold was over".to_owned(),
        HealReason::LeaseExpired => "the lease ended".to_owned(),
        HealReason::Asked { by } => format!("asked by {by}"),
        HealReason::NotAllowed => "the host's policy does not allow it any more".to_owned(),
        HealReason::InjectFailed => "its effect could not be made completely".to_owned(),
        HealReason::AgentStopping => "the agent was stopped".to_owned(),
        HealReason::FoundAtStart => "found when the agent started".to_owned(),
        HealReason::WorkerDied => "the agent's worker died or hung".to_owned(),
        HealReason::GuardianDied => "the agent's guardian died or hung".to_owned(),
        HealReason::Distrusted { name } => format!("the certificate of {name} is not trusted any more"),
    }
}
