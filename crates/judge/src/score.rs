//! `fold(records)` = [`Scorecard`]: verdicts, figures and scores from a log, and from nothing else.
//!
//! Never reads a clock, never panics on a log, and reads no file except the log's own measurements ([`judge`]). A log may be cut at
//! any record: what it does not show is `unknown`, never `held`.

pub mod alert;
pub mod alert_card;
mod attack;
mod attack_score;
pub mod attack_times;
mod baseline;
mod bench;
mod budget;
pub mod budget_card;
pub mod card;
pub mod causes;
mod disagree;
mod efficacy;
mod exchanged;
mod facts;
pub mod figure_card;
mod figures;
pub mod format;
pub(crate) mod host_log;
pub mod injection_card;
pub mod interval;
mod judge;
pub mod latency;
pub mod log_card;
mod met;
pub mod metric;
pub mod metric_card;
mod part;
mod phases;
mod requests;
pub(crate) mod sample;
mod sampled;
pub(crate) mod samples;
mod share;
pub(crate) mod since;
mod single;
pub mod step_card;
mod step_facts;
mod steps;
mod story;
pub(crate) mod stream;
mod time_goals;
pub mod window;
pub mod words;
mod writes;

pub use bench::good_enough;
pub use card::Scorecard;
pub(crate) use facts::Facts;
pub use judge::goal_text;
pub use window::Window;

use card::{AttackCard, HostCard};
use firedrill_wire::api::HostState;
use stream::{Blind, Eye, Judged};

use crate::{
    log::{Log, Outcome, Record, RunOutcome},
    verdict::{Exit, Verdict},
};

/// The version of the scorecard's format that this build writes.
pub const SCHEMA: u32 = 1;

/// Judges a run from records in memory.
#[must_use]
pub fn fold(records: &[Record]) -> Scorecard {
    judge(&Log::of(records))
}

/// Judges a run from its log. Measurements are read one block at a time.
#[must_use]
pub fn judge(log: &Log) -> Scorecard {
    of(&Facts::of(log), log, &mut Blind)
}

/// Judges one attack of a run that is still going on, as if the attack ended at `now_us` with this outcome. By this card the run decides
/// how to go on.
///
/// Returns `None` if the plan has no such attack.
#[must_use]
pub fn attack_so_far(log: &Log, attack: usize, now_us: i64, outcome: &Outcome) -> Option<AttackCard> {
    let mut facts = Facts::of(log);
    facts.attacks.get_mut(attack)?.ended.get_or_insert_with(|| (now_us, outcome.clone()));
    facts.last_us = facts.last_us.max(now_us);
    stream::judge(&facts, log, &[attack], &mut Blind).attacks.pop()
}

/// Judges a run by its facts and the measurements in its log, which `eye` sees, too.
pub(crate) fn of(facts: &Facts<'_>, log: &Log, eye: &mut dyn Eye) -> Scorecard {
    let indexes: Vec<usize> = (0..facts.attacks.len()).collect();
    let Judged { attacks, damaged } = stream::judge(facts, log, &indexes, eye);
    let damaged: Vec<String> = damaged.into_iter().map(|one| one.text).collect();
    let hosts = hosts(facts);
    let budgets = budget::of_run(&attacks);
    let (by_budgets, budget_reasons) = budget::doubts(&budgets, &attacks);
    let steps = steps::cards(facts);
    let mut why = reasons(facts, &attacks, &damaged);
    why.extend(steps::reasons(&steps));
    let worst = attacks.iter().filter_map(|attack| attack.verdict).max().unwrap_or(Verdict::Unknown);
    let worst = steps.iter().filter_map(|step| step.verdict).fold(worst, Verdict::max);
    // Each reason so far makes the run `unknown` at best.
    let verdict = if why.is_empty() { worst } else { worst.max(Verdict::Unknown) }.max(by_budgets);
    why.extend(budget_reasons);
    let ran: Vec<&AttackCard> = attacks.iter().filter(|attack| attack.verdict.is_some()).collect();
    let score = if ran.is_empty() || ran.iter().any(|attack| attack.score.is_none()) {
        None
    } else {
        ran.iter().filter_map(|attack| attack.score).min()
    };
    let mut card = Scorecard {
        schema: SCHEMA,
        run: facts.run.clone(),
        name: facts.plan.map(|plan| plan.name.clone()).unwrap_or_default(),
        hypothesis: facts.plan.map(|plan| plan.hypothesis.clone()).unwrap_or_default(),
        verdict,
        exit: exit(facts, verdict, &hosts) as u8,
        why,
        score,
        ran: ran.len(),
        planned: attacks.iter().filter(|attack| !matches!(attack.course, card::Course::Spared(_))).count(),
        story: String::new(),
        ended: ended(facts.ended),
        end_us: facts.last_us,
        attacks,
        steps,
        hosts,
        budgets,
    };
    card.story = story::tell(&card, facts.plan);
    card
}

/// Returns the reasons why the run as a whole is not `held`, besides the verdicts of its attacks.
fn reasons(facts: &Facts<'_>, attacks: &[AttackCard], damaged: &[String]) -> Vec<String> {
    let mut why = Vec::new();
    if facts.plan.is_none() {
        why.push("the log does not begin with its plan".to_owned());
    }
    if !facts.missing.is_empty() {
        why.push(format!("records {} are missing from the log", format::list(&facts.missing)));
    }
    if !damaged.is_empty() {
        why.push(format!("measurements in the log are damaged: {}", format::list(damaged)));
    }
    if !facts.unknown.is_empty() {
        let names: Vec<String> = facts.unknown.iter().map(|name| format!("`{name}`")).collect();
        why.push(format!(
            "the log has records that this version of firedrill does not know: {}; judge it with the version that wrote it",
            format::list(&names)
        ));
    }
    match facts.ended {
        None => why.push("the log ends without its last record: the run did not end in order".to_owned()),
        Some(RunOutcome::Completed) => {}
        Some(other) => why.push(ended(Some(other))),
    }
    let counts = |attack: &&AttackCard| !matches!(attack.course, card::Course::Spared(_));
    let not_run: Vec<&str> = attacks
        .iter()
        .filter(counts)
        .filter(|attack| attack.verdict.is_none())
        .map(|attack| attack.name.as_str())
        .collect();
    if !not_run.is_empty() {
        why.push(format!("not run: {}", format::list(&not_run)));
    }
    if attacks.is_empty() && facts.plan.is_some() {
        why.push("the plan has no attacks".to_owned());
    }
    for host in hosts(facts) {
        match host.state {
            HostState::Clean => {}
            // A powered-off host is expected to be gone.
            HostState::Gone if powered_off(facts, &host.host) => {}
            state => why.push(format!("{} ended {}", host.host, card::state_word(state))),
        }
    }
    why
}

/// Whether an attack of the plan powers a host off.
fn powered_off(facts: &Facts<'_>, host: &str) -> bool {
    facts
        .attacks
        .iter()
        .flat_map(|attack| &attack.injections)
        .any(|one| one.planned.host == host && one.fault().powers_off())
}

/// Returns every host that was or may have been touched. A host that was not compared at the end is `unproven`.
fn hosts(facts: &Facts<'_>) -> Vec<HostCard> {
    let mut names = facts.touched.clone();
    names.extend(facts.hosts_ended.keys());
    if facts.ended.is_none() {
        // The log may have been cut after the hosts were armed and before that was written.
        names.extend(&facts.prepared);
    }
    let card = |host: &str| match facts.hosts_ended.get(host) {
        Some(end) => HostCard {
            host: host.to_owned(),
            state: end.state,
            ours: end.ours.clone(),
            foreign: end.foreign.clone(),
            compared: end.compared,
        },
        None => HostCard {
            host: host.to_owned(),
            state: HostState::Unproven,
            ours: Vec::new(),
            foreign: Vec::new(),
            compared: 0,
        },
    };
    names.into_iter().map(card).collect()
}

/// Returns the program's exit code: the worst of those for the verdict, the end of the run and the state of the hosts.
fn exit(facts: &Facts<'_>, verdict: Verdict, hosts: &[HostCard]) -> Exit {
    let unclean = hosts
        .iter()
        .any(|host| matches!(host.state, HostState::Dirty | HostState::Stuck | HostState::Unproven));
    let unclean = unclean || steps::may_be_left(facts);
    // The coordinator did not run for longer than the lease, so agents healed.
    let slept = facts.plan.is_some_and(|plan| {
        let lease = i64::try_from(plan.lease.as_micros()).unwrap_or(i64::MAX);
        facts.gaps.iter().any(|(from, to)| to.saturating_sub(*from) > lease)
    });
    let mut exit = match verdict {
        Verdict::Held => Exit::Held,
        Verdict::Unknown => Exit::Unknown,
        Verdict::Violated => Exit::Violated,
    };
    match facts.ended {
        Some(RunOutcome::Refused(_)) if facts.touched.is_empty() => exit = Exit::Refused,
        Some(RunOutcome::Refused(_)) => exit = exit.worst(Exit::Refused),
        Some(RunOutcome::Stopped(_)) => exit = exit.worst(Exit::Stopped),
        Some(RunOutcome::Failed(_)) if slept => exit = exit.worst(Exit::Stopped),
        _ => {}
    }
    if facts.guards.iter().any(|(_, _, blind)| !*blind) {
        exit = exit.worst(Exit::Violated);
    }
    if unclean { exit.worst(Exit::Unclean) } else { exit }
}

/// Returns the end of the run in words.
fn ended(outcome: Option<&RunOutcome>) -> String {
    match outcome {
        None => "the log ends before the run does".to_owned(),
        Some(RunOutcome::Completed) => "all attacks had their turn".to_owned(),
        Some(RunOutcome::Guarded(why)) => format!("a guard aborted the run: {why}"),
        Some(RunOutcome::Stopped(why)) => format!("the run was stopped: {why}"),
        Some(RunOutcome::Refused(why)) => format!("refused, and nothing was touched: {why}"),
        Some(RunOutcome::Failed(why)) => format!("the run could not go on: {why}"),
    }
}

#[cfg(test)]
mod tests;
