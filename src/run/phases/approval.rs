//! Asks people for their approval of an attack, and decides by the answers. Verifies no approval itself.

use std::collections::BTreeSet;

use super::super::{approvals::Asks, clock::signed, error::RunError, parts::Run};
use crate::{
    log::Event,
    plan::model::{Approve, Attack},
};

/// Asks people for approval, and waits for their answers. The inner error is the reason why the attack does not run.
pub(super) async fn approved(
    run: &mut Run,
    index: usize,
    attack: &Attack,
    approve: &Approve,
) -> Result<Result<(), String>, RunError> {
    // Only answers after this record count.
    let before = run.recorder.len();
    let approve = &Approve { people: run.approvals.wanted(index, approve.people), ..approve.clone() };
    run.recorder.write(Event::ApprovalAsked { attack: index, people: approve.people })?;
    run.approvals.ask_for(Some(index));
    let answer = ask_people(run, index, attack, approve, before).await;
    run.approvals.ask_for(None);
    answer
}

/// As [`approved`], with the number of people that hosts want, too. Answers count from record number `before` on.
async fn ask_people(
    run: &mut Run,
    index: usize,
    attack: &Attack,
    approve: &Approve,
    before: usize,
) -> Result<Result<(), String>, RunError> {
    let wanted = usize::try_from(approve.people).unwrap_or(usize::MAX);
    for path in run.approvals.sources.given.clone() {
        run.approvals.take_file(&path, &run.facts, &mut run.recorder)?;
    }
    let agreed = run.recorder.approvals(index, before).0.len();
    if agreed >= wanted {
        return Ok(Ok(()));
    }
    let folder = run.approvals.folder.display();
    let operator_may = wanted == 1 && !run.approvals.wants_others(&run.facts.plan, index);
    let other_way = match run.approvals.sources.asks {
        Asks::Nowhere => {
            return Ok(Err(format!(
                "needs {wanted} to approve and there is no terminal to ask on; name what they signed with --approve \
                 FILE (`firedrill approve` makes it)"
            )));
        }
        Asks::InFolder => "on the run's page of a control room by passkey",
        Asks::OnTerminal if operator_may => "type yes, the file that they signed, or no",
        Asks::OnTerminal => "type the file that they signed, or no",
    };
    run.recorder.say(&format!(
        "\"{}\" needs {} more within {}: each runs `firedrill approve {folder}`; or {other_way}",
        attack.name,
        wanted - agreed,
        approve.expires
    ));
    let looking = run.approvals.look(&run.tasks);
    let until = run.facts.now_us() + signed(approve.expires.as_micros());
    let is_over = |run: &Run| {
        run.between.skips(index).is_some() || is_answered(&run.recorder.approvals(index, before), wanted)
    };
    let answered = run.pump(until, is_over).await?;
    drop(looking);
    Ok(match answered {
        Err(stop) => Err(stop.reason()),
        Ok(_) if let Some(why) = run.between.skip(index) => Err(why),
        Ok(_) => decided(&run.recorder.approvals(index, before), wanted, approve),
    })
}

/// The people who approved, and whether somebody said no.
type Answers = (BTreeSet<String>, bool);

/// Whether no further answer is needed.
fn is_answered((names, no): &Answers, wanted: usize) -> bool {
    *no || names.len() >= wanted
}

/// Decides by the answers. The error is the reason why the attack does not run. A single no outweighs all approvals.
fn decided((names, no): &Answers, wanted: usize, approve: &Approve) -> Result<(), String> {
    if *no {
        return Err("somebody said no".to_owned());
    }
    if names.len() >= wanted {
        return Ok(());
    }
    Err(format!("approval by {wanted} lapsed after {}", approve.expires))
}

#[cfg(test)]
mod tests {
    use firedrill_wire::Span;

    use super::*;

    #[test]
    fn one_no_outweighs_all_approvals_and_too_few_answers_are_a_no() {
        let approve = Approve { people: 2, expires: Span::secs(600) };
        let answers = |names: &[&str], no| (names.iter().map(|name| (*name).to_owned()).collect(), no);
        let decide = |names: &[&str], no| decided(&answers(names, no), 2, &approve);
        assert_eq!(decide(&["bob", "carol"], false), Ok(()));
        assert_eq!(decide(&["bob", "carol"], true).unwrap_err(), "somebody said no");
        assert_eq!(decide(&["bob"], false).unwrap_err(), "approval by 2 lapsed after 10m");
        assert!(is_answered(&answers(&[], true), 2) && is_answered(&answers(&["bob", "carol"], false), 2));
        assert!(!is_answered(&answers(&["bob"], false), 2));
    }
}
