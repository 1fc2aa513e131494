//! The hosts' answers to an undo, and the texts about them. Asks no host.

use firedrill_wire::{
    RunId,
    api::{OpenOne, UndoAnswer, UndoScope},
};
use serde::Serialize;

use crate::{run::Notified, verdict::Exit};

/// The answer of one host; serialized for `--json`.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<UndoAnswer>,
    /// Whether it was asked again, because the link broke. Then the answer lacks faults that the first call has undone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) asked_again: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// A sentence that says when faults end on a host that was not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meanwhile: Option<String>,
    /// The host's records of the run or the injection; looked up only if no host had anything of it in force.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) known: Option<Known>,
}

/// A host's records of a run or an injection that was not in force anywhere.
#[derive(Serialize)]
pub(super) struct Known {
    /// Whether the host has any record of the run or the injection.
    pub(super) known: bool,
    /// Other injections in force there.
    pub(super) open: Vec<OpenOne>,
}

impl Row {
    /// The row of a host with its answer, and whether it was asked again; or with the error.
    pub(super) fn new(host: String, answer: Result<(UndoAnswer, bool), String>) -> Self {
        let (answer, asked_again, error) = match answer {
            Ok((answer, asked_again)) => (Some(answer), asked_again, None),
            Err(why) => (None, false, Some(why)),
        };
        Self { host, answer, asked_again, error, meanwhile: None, known: None }
    }
}

/// Returns the exit code. `unknown` tells that no host knows the run or the injection.
pub(super) fn exit(rows: &[Row], unknown: bool) -> Exit {
    let bad = rows.iter().any(|row| row.answer.as_ref().is_none_or(|answer| !answer.stuck.is_empty()));
    let lost = rows.iter().any(|row| !lost(row).is_empty());
    let codes = [(bad, Exit::Unclean), (lost, Exit::Lost), (unknown, Exit::Unknown)];
    codes.into_iter().filter(|(applies, _)| *applies).fold(Exit::Held, |worst, (_, exit)| worst.worst(exit))
}

/// Describes a coordinator on this machine that was notified.
pub(super) fn describe(Notified { run, other_user }: &Notified) -> String {
    match other_user {
        None => format!("the coordinator of run {run}, on this machine, was notified and ends it"),
        Some(user) => format!(
            "a process of user {user}, on this machine, claims to be the coordinator of run {run} and to end it; this is not verified"
        ),
    }
}

/// Returns a sentence about the end of faults on hosts that were not reached. A coordinator that does not know of the undo goes on to renew
/// their lease. Answers of other users' processes do not count.
pub(super) fn end_of_faults(rows: &[Row], notified: &[Notified]) -> String {
    let runs: Vec<&str> = notified
        .iter()
        .filter(|notified| notified.other_user.is_none())
        .map(|notified| notified.run.as_str())
        .collect();
    if !runs.is_empty() {
        let whose = if runs.len() == 1 { "that run's faults" } else { "the faults of these runs" };
        return format!(
            "the coordinator of {} was notified, so {whose} on this host end with the lease",
            runs.join(", ")
        );
    }
    let knows_the_run = |row: &&Row| {
        row.answer.as_ref().is_some_and(|answer| !answer.injections.is_empty() || !answer.runs.is_empty())
            || row.known.as_ref().is_some_and(|known| known.known)
    };
    match rows.iter().find(knows_the_run) {
        Some(row) => format!(
            "its faults end with the lease as soon as the run's coordinator learns of this undo from {}, and with their hold at the latest",
            row.host
        ),
        None => {
            "its faults end with their hold; they end with the lease only if no running coordinator renews it: stop that coordinator, or run `firedrill-agent undo --all` on the host"
                .to_owned()
        }
    }
}

/// Returns the message that no host knows the run or the injection; `None` if a host does, or if something was undone.
pub(super) fn unknown(rows: &[Row], scope: &UndoScope) -> Option<String> {
    let what = match scope {
        UndoScope::All => return None,
        UndoScope::Run(run) => format!("run {run}"),
        UndoScope::Injection(id) => format!("injection {id}"),
    };
    let answers: Vec<(&str, &Known)> =
        rows.iter().filter_map(|row| Some((row.host.as_str(), row.known.as_ref()?))).collect();
    if answers.is_empty() || answers.iter().any(|(_, known)| known.known) {
        return None;
    }
    let hosts: Vec<&str> = answers.iter().map(|(host, _)| *host).collect();
    let mut text = format!("no host knows {what} (asked: {}); nothing was put back", hosts.join(", "));
    let open: Vec<(&str, &OpenOne)> =
        answers.iter().flat_map(|(host, known)| known.open.iter().map(|open| (*host, open))).collect();
    if open.is_empty() {
        text += "\nnothing is in force on them";
    } else {
        text += "\nin force now:";
        for (host, OpenOne { about, kind, id, .. }) in &open {
            text += &format!("\n  {host}: {kind} of \"{}\" by {}, {id}", about.drill, about.operator);
        }
        let mut runs: Vec<&RunId> = open.iter().map(|(_, open)| &open.run).collect();
        runs.sort();
        runs.dedup();
        for run in runs {
            text += &format!("\n`firedrill undo --run {run}` undoes its faults");
        }
    }
    Some(text + "\nthe hosts remember the id and refuse to arm it later")
}

/// Describes the answer of a host, in one line or more; `halted` is whether a halt was asked for.
pub(super) fn line(row: &Row, halted: bool) -> String {
    let mut line = state(row, halted);
    if let Some(UndoAnswer { swept, .. }) = &row.answer
        && !swept.is_empty()
    {
        line += &format!("; removed, because it belonged to no live injection: {}", swept.join(", "));
    }
    for lost in lost(row) {
        line += &format!("\n  records of drills on it are damaged or lost: {lost}");
    }
    line
}

/// Returns the records that a host has lost, one text each.
pub(super) fn lost(row: &Row) -> &[String] {
    row.answer.as_ref().map_or(&[], |answer| &answer.lost)
}

/// Describes what was put back on a host.
fn state(row: &Row, halted: bool) -> String {
    let halt = if halted { ", halted" } else { "" };
    match (&row.answer, &row.error) {
        (Some(answer), _) if !answer.stuck.is_empty() => {
            format!("{}: STUCK{halt}: {}", row.host, answer.stuck.join("; "))
        }
        (Some(answer), _) if answer.injections.is_empty() && !answer.lost.is_empty() => {
            format!("{}: no fault is recorded{halt}, but its records are incomplete", row.host)
        }
        (Some(answer), _) if answer.injections.is_empty() && row.asked_again => {
            format!(
                "{}: nothing is in force{halt}; the link broke, so it was asked again, and what was put back before is not known here",
                row.host
            )
        }
        (Some(answer), _) if answer.injections.is_empty() => {
            format!("{}: nothing was in force{halt}", row.host)
        }
        (Some(answer), _) => {
            let kinds: Vec<&str> =
                answer.injections.iter().map(|injection| injection.kind.as_str()).collect();
            format!("{}: put back {}{halt}", row.host, kinds.join(", "))
        }
        (None, error) => {
            let error = error.as_deref().unwrap_or("no answer");
            let meanwhile = row.meanwhile.as_deref().unwrap_or_default();
            format!("{}: NO ANSWER: {error}; {meanwhile}", row.host)
        }
    }
}

#[cfg(test)]
mod tests {
    use firedrill_wire::{api::About, journal::State};

    use super::*;

    fn nothing() -> UndoAnswer {
        UndoAnswer {
            injections: Vec::new(),
            runs: Vec::new(),
            stuck: Vec::new(),
            swept: Vec::new(),
            lost: Vec::new(),
        }
    }

    #[test]
    fn a_host_that_was_asked_again_is_not_reported_as_having_had_nothing_in_force() {
        let again = Row::new("app1".to_owned(), Ok((nothing(), true)));
        let text = line(&again, true);
        assert!(text.starts_with("app1: nothing is in force, halted; the link broke"), "{text}");
        let json = serde_json::to_value(&again).unwrap();
        assert_eq!(json["asked_again"], true);
        let once = serde_json::to_value(Row::new("app1".to_owned(), Ok((nothing(), false)))).unwrap();
        assert!(once.get("asked_again").is_none(), "{once}");
    }

    fn row(host: &str, known: bool, open: Vec<OpenOne>) -> Row {
        let answer = Ok((nothing(), false));
        Row { known: Some(Known { known, open }), ..Row::new(host.to_owned(), answer) }
    }

    fn stopped() -> OpenOne {
        OpenOne {
            id: "friday-7f3a-1-1".parse().unwrap(),
            run: "friday-7f3a".parse().unwrap(),
            kind: "service-stop".to_owned(),
            state: State::InForce,
            ends_boot_us: 0,
            effects: Vec::new(),
            about: About { drill: "friday".to_owned(), operator: "alice".to_owned(), ticket: None },
            due: false,
        }
    }

    #[test]
    fn for_an_id_that_no_host_knows_the_injections_in_force_are_listed() {
        let typo = UndoScope::Run("friday-7f3b".parse().unwrap());
        let text =
            unknown(&[row("edge1", false, vec![]), row("app1", false, vec![stopped()])], &typo).unwrap();
        for part in [
            "no host knows run friday-7f3b (asked: edge1, app1); nothing was put back",
            "  app1: service-stop of \"friday\" by alice, friday-7f3a-1-1",
            "`firedrill undo --run friday-7f3a`",
            "remember the id",
        ] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        let quiet = unknown(&[row("app1", false, vec![])], &typo).unwrap();
        assert!(quiet.contains("nothing is in force on them"), "{quiet}");
    }

    #[test]
    fn a_lease_is_said_to_end_only_if_no_coordinator_renews_it() {
        let mut rows = [Row::new("db1".to_owned(), Err("no way".to_owned())), row("app1", false, vec![])];
        let nobody = end_of_faults(&rows, &[]);
        assert!(nobody.contains("only if no running coordinator renews it"), "{nobody}");
        rows[1].answer.as_mut().unwrap().injections = vec![stopped()];
        let heard = end_of_faults(&rows, &[]);
        assert!(heard.contains("as soon as the run's coordinator learns of this undo from app1"), "{heard}");
        let by = |other_user| Notified { run: "friday-7f3a".parse().unwrap(), other_user };
        let foreign = by(Some(1000));
        assert_eq!(end_of_faults(&rows[..1], std::slice::from_ref(&foreign)), nobody);
        assert!(describe(&foreign).contains("user 1000") && describe(&foreign).contains("not verified"));
        let told = end_of_faults(&rows[..1], &[foreign, by(None)]);
        assert!(told.contains("friday-7f3a was notified, so that run's faults"), "{told}");
        rows[0].meanwhile = Some(told);
        assert!(line(&rows[0], false).starts_with("db1: NO ANSWER: no way; the coordinator"));
    }

    #[test]
    fn removed_leftovers_of_no_injection_are_listed() {
        let mut swept = row("app1", true, vec![]);
        swept.answer.as_mut().unwrap().swept = vec!["interface fd_0123456ab_00".to_owned()];
        assert_eq!(
            line(&swept, false),
            "app1: nothing was in force; removed, because it belonged to no live injection: interface fd_0123456ab_00"
        );
    }

    #[test]
    fn with_lost_records_a_host_is_not_reported_as_having_had_nothing_in_force() {
        let mut damaged = row("app1", true, vec![]);
        damaged.answer.as_mut().unwrap().lost = vec!["line 4: its checksum does not match".to_owned()];
        let text = line(&damaged, true);
        assert!(text.contains("its records are incomplete"), "{text}");
        assert!(text.contains("lost: line 4") && !text.contains("nothing was in force"), "{text}");
    }

    #[test]
    fn an_id_that_one_host_knows_gives_no_message() {
        let rows = [row("edge1", false, vec![]), row("app1", true, vec![])];
        assert_eq!(unknown(&rows, &UndoScope::Run("friday-7f3a".parse().unwrap())), None);
        assert_eq!(unknown(&rows, &UndoScope::All), None);
        let unasked = Row { known: None, ..row("app1", false, vec![]) };
        assert_eq!(unknown(&[unasked], &UndoScope::Run("friday-7f3a".parse().unwrap())), None);
    }
}
