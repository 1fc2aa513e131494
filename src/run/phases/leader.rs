//! Finds the leader of a moving target: the coordinator itself asks the candidates, or runs a program. Asks no agent, and arms nothing.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use firedrill_plan::scenario::pick_by::spec;
use firedrill_probe::{Anything, once};
use firedrill_wire::{Span, probe::ProbeKind};
use futures_util::future::join_all;

use super::super::{
    clock::signed,
    error::RunError,
    facts::Facts,
    input::Input,
    parts::Run,
    program::{End, Program, folder, lacking},
    stop::Stop,
};
use crate::{
    log::{Event, LeaderAsked, StepOutcome},
    plan::{
        Plan,
        model::{Ask, Attack, Moving},
    },
    stores,
};

/// Time after the time-out of a question for its answers to arrive.
const REPORT: Span = Span::secs(10);

/// Returns the reason why a program that names a leader cannot be run on this machine; `None` if all programs can.
pub(crate) fn no_leader_program(plan: &Plan) -> Option<String> {
    let folder = folder(&plan.file);
    plan.moving.iter().find_map(|moving| {
        let Ask::Command(argv) = &moving.ask else { return None };
        let why = lacking(argv.first()?, &folder)?;
        Some(format!("the program that tells the leader of `{}` cannot be run here: {why}", moving.target))
    })
}

/// Asks for the leaders of all moving targets of the plan, to show them with the plan. Records nothing.
pub(crate) async fn all_leaders(facts: &Facts) -> Vec<LeaderAsked> {
    let first = |moving: &Moving| {
        let on =
            |attack: &Attack| attack.leader.as_ref().is_some_and(|leader| leader.target == moving.target);
        facts.plan.attacks.iter().position(on).unwrap_or_default()
    };
    join_all(facts.plan.moving.iter().map(|moving| Question::new(facts, first(moving), moving).ask())).await
}

/// Asks for the leader of an attack's target, and records the answers. The inner error is the reason why the run must stop.
pub(super) async fn leader(
    run: &mut Run,
    attack: usize,
    target: &str,
) -> Result<Result<LeaderAsked, Stop>, RunError> {
    let unknown = |why: &str| LeaderAsked {
        attack,
        target: target.to_owned(),
        answers: BTreeMap::new(),
        leader: None,
        why: why.to_owned(),
    };
    let plan = Arc::clone(&run.facts.plan);
    let Some(moving) = plan.moving_target(target) else {
        return Ok(Ok(unknown("the plan has no question about it")));
    };
    let question = Question::new(&run.facts, attack, moving);
    run.leaders.asks();
    // The questions end when the guard is dropped.
    let (calls, _end_with_this) = run.tasks.until_dropped();
    let mail = calls.clone();
    calls.spawn(async move { _ = mail.send(Input::LeaderAnswered(question.ask().await)) });
    let until_us = run.facts.now_us() + signed((moving.timeout + REPORT).as_micros());
    let waited = run.pump(until_us, |run| run.leaders.is_answered()).await?;
    let asked = run.leaders.take().unwrap_or_else(|| unknown("nobody waited for the answers any longer"));
    run.recorder.write(Event::LeaderAsked(asked.clone()))?;
    Ok(waited.map(|_| asked))
}

/// A question about a leader.
struct Question {
    attack: usize,
    moving: Moving,
    /// The folder in which a program runs.
    folder: PathBuf,
    /// The run's id, for a program.
    run: String,
}

impl Question {
    fn new(facts: &Facts, attack: usize, moving: &Moving) -> Self {
        let (folder, run) = (folder(&facts.plan.file), facts.id.to_string());
        Self { attack, moving: moving.clone(), folder, run }
    }

    /// Asks the candidates, or runs the program.
    async fn ask(self) -> LeaderAsked {
        let Self { attack, moving, folder, run } = self;
        let (answers, found) = match &moving.ask {
            Ask::Request(kind) => {
                let answers = answers(&moving, kind).await;
                let found = chosen(&answers);
                (answers, found)
            }
            Ask::Command(argv) => {
                let program = Program { argv: argv.clone(), folder, limit: moving.timeout, run };
                (BTreeMap::new(), named(&moving, &program.run().await))
            }
        };
        let (leader, why) = match found {
            Ok(leader) => (Some(leader), String::new()),
            Err(why) => (None, why),
        };
        LeaderAsked { attack, target: moving.target, answers, leader, why }
    }
}

/// Asks all candidates at the same time. Returns for each host the cause of a bad answer; an empty text means a good answer.
async fn answers(moving: &Moving, kind: &ProbeKind) -> BTreeMap<String, String> {
    let asked = moving.candidates.iter().map(|candidate| async {
        let why = match candidate.request(kind) {
            Some(kind) => {
                once(&spec(&moving.target, kind, moving.timeout), &Anything, stores::clients()).await.err()
            }
            None => Some("it has no address".to_owned()),
        };
        (candidate.host.clone(), why.unwrap_or_default())
    });
    join_all(asked).await.into_iter().collect()
}

/// Returns the host with the only good answer, or the reason why there is none.
fn chosen(answers: &BTreeMap<String, String>) -> Result<String, String> {
    let good: Vec<&str> =
        answers.iter().filter(|(_, why)| why.is_empty()).map(|(host, _)| host.as_str()).collect();
    match good[..] {
        [only] => Ok(only.to_owned()),
        [] => {
            let causes: Vec<String> = answers.iter().map(|(host, why)| format!("{host}: {why}")).collect();
            Err(format!("no host answered as the leader ({})", causes.join(", ")))
        }
        _ => Err(format!("{} hosts answered as the leader: {}", good.len(), good.join(", "))),
    }
}

/// Returns the candidate that a program named, or the reason why it named none.
fn named(moving: &Moving, end: &End) -> Result<String, String> {
    if end.outcome != StepOutcome::Done {
        return Err(format!("its program named nobody: {}", end.why));
    }
    let lines = end.program.iter().flat_map(|program| &program.lines);
    let lines: Vec<&str> = lines.map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    match lines[..] {
        [] => Err("its program named nobody: it printed nothing".to_owned()),
        [name] => {
            let found = moving.candidates.iter().find(|candidate| candidate.is_named(name));
            found.map(|candidate| candidate.host.clone()).ok_or_else(|| {
                format!(
                    "its program named `{name}`, which is no host of the target and none of their addresses"
                )
            })
        }
        _ => Err(format!("its program printed {} lines; one is wanted, with one host", lines.len())),
    }
}

/// Returns the reason why an attack on `host` is not armed: by the second answer, `host` is not the leader any more. `None` if it is.
pub(super) fn moved(host: &str, asked: &LeaderAsked) -> Option<String> {
    match &asked.leader {
        Some(leader) if leader == host => None,
        Some(leader) => Some(format!("the leader moved from {host} to {leader} during the baseline")),
        None => Some(format!("{host} was the leader, and after the baseline {}", asked.words())),
    }
}

#[cfg(test)]
mod tests {
    use firedrill_plan::plan::model::Candidate;

    use super::*;
    use crate::log::ProgramEnd;

    fn answers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(host, why)| ((*host).to_owned(), (*why).to_owned())).collect()
    }

    #[test]
    fn exactly_one_good_answer_names_the_leader() {
        let one = answers(&[("d1", "answer"), ("d2", ""), ("d3", "timeout")]);
        assert_eq!(chosen(&one).as_deref(), Ok("d2"));
        let none = chosen(&answers(&[("d1", "answer"), ("d2", "refused")])).unwrap_err();
        assert_eq!(none, "no host answered as the leader (d1: answer, d2: refused)");
        let two = chosen(&answers(&[("d1", ""), ("d2", ""), ("d3", "answer")])).unwrap_err();
        assert_eq!(two, "2 hosts answered as the leader: d1, d2");
    }

    #[test]
    fn a_program_names_a_candidate_on_one_line() {
        let candidate = |host: &str, address: &str| Candidate {
            host: host.to_owned(),
            addresses: vec![address.parse().unwrap()],
        };
        let moving = Moving {
            target: "db".to_owned(),
            ask: Ask::Command(vec!["./leader.sh".to_owned()]),
            timeout: Span::secs(2),
            candidates: vec![candidate("d1", "10.9.0.1"), candidate("d2", "10.9.0.2")],
        };
        let said = |lines: &[&str], outcome, why: &str| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            let program = Some(ProgramEnd { exit: Some(0), took_us: 1, lines, left_out: 0 });
            named(&moving, &End { outcome, why: why.to_owned(), program })
        };
        let done = |lines: &[&str]| said(lines, StepOutcome::Done, "");
        assert_eq!(done(&["d2"]).as_deref(), Ok("d2"));
        assert_eq!(done(&["", " 10.9.0.1 "]).as_deref(), Ok("d1"));
        assert!(done(&[]).unwrap_err().contains("printed nothing"));
        assert!(done(&["d1", "d2"]).unwrap_err().contains("2 lines"));
        assert!(done(&["d3"]).unwrap_err().contains("`d3`"));
        let failed = said(&["d1"], StepOutcome::Failed, "exit code 3").unwrap_err();
        assert_eq!(failed, "its program named nobody: exit code 3");
    }

    #[test]
    fn an_attack_is_armed_only_if_its_host_is_still_the_leader() {
        let asked = |leader: Option<&str>| LeaderAsked {
            attack: 0,
            target: "db".to_owned(),
            answers: BTreeMap::new(),
            leader: leader.map(str::to_owned),
            why: "nobody is".to_owned(),
        };
        assert_eq!(moved("d1", &asked(Some("d1"))), None);
        let other = moved("d1", &asked(Some("d2")));
        assert_eq!(other.as_deref(), Some("the leader moved from d1 to d2 during the baseline"));
        assert!(moved("d1", &asked(None)).is_some_and(|why| why.contains("nobody is")));
    }
}
