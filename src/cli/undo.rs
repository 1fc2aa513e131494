//! `firedrill undo`: the panic button. Needs no state but the fleet and any valid certificate.

use std::{pin::pin, sync::Arc, time::Duration};

use firedrill_wire::{
    InjectionId, RefusalCode, RunId,
    api::{OpenOne, Undo, UndoAnswer, UndoScope},
    journal::What,
};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{
    args::{FleetArgs, IdentityArgs},
    ask::{ask_all, runtime},
    failure::{Failure, Result},
    hosts::{ToHeal, to_heal},
    output::print_json,
    reached::Reached,
};
use crate::{
    link::{Agent, Identity, LinkError, hosts_at_once},
    plan::model::Host,
    run::{Notified, UndoNotice, notify},
    verdict::Exit,
};

/// Options of `undo`.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).multiple(false),
    after_help = "Examples:\n  firedrill undo --all --fleet fleet.toml            everything, everywhere, and halt\n  firedrill undo --all --host app1 --fleet fleet.toml\n  firedrill undo --run 20261120-1402-friday-7f3a --fleet fleet.toml\n\n`--all` also latches a halt: no agent injects anything until `firedrill release`.\nA run in progress ends when a person undoes it, is not retried, and exits 5.\nExit codes: 0 all is back · 3 no host knows that run or injection · 6 a host is stuck or did not answer (its faults end with their hold, or with the lease once their coordinator, which is notified, has ended) · 7 all known faults are undone, but a host's records of its faults are damaged or lost"
)]
pub(super) struct Args {
    /// One injection
    #[arg(long, value_name = "ID", group = "what")]
    injection: Option<InjectionId>,
    /// All of a run
    #[arg(long, value_name = "ID", group = "what")]
    run: Option<RunId>,
    /// Everything, and halt until a person releases it
    #[arg(long, group = "what")]
    all: bool,
    /// With --all: undo, but do not halt
    #[arg(long, requires = "all")]
    no_halt: bool,
    /// Only on these hosts
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// For machines
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<UndoAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The time at which faults end on a host that was not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    meanwhile: Option<String>,
    /// Set if no host had any of it in force.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    known: Option<Known>,
}

/// A host's records of a run or an injection of which nothing was in force.
#[derive(Serialize)]
struct Known {
    /// Whether it has any record of it.
    known: bool,
    /// Other injections in force there.
    open: Vec<OpenOne>,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let scope = match (&args.injection, &args.run) {
        (Some(id), _) => UndoScope::Injection(id.clone()),
        (None, Some(run)) => UndoScope::Run(run.clone()),
        (None, None) if args.all => UndoScope::All,
        (None, None) => return Err(Failure::new("one of --injection, --run or --all is needed")),
    };
    let undo = Undo { halt: scope == UndoScope::All && !args.no_halt, scope };
    let reached = Reached::to_look(&args.fleet, &args.identity)?;
    let ToHeal { hosts, wrong } = to_heal(&reached.source, &args.hosts)?;
    let runtime = runtime()?;
    let notice = UndoNotice {
        scope: undo.scope.clone(),
        hosts: hosts.iter().map(|host| host.name.clone()).collect(),
        authority: reached.identity.authority().to_owned(),
        by: reached.operator.clone(),
    };
    let asked = ask_all(&hosts, &reached.identity, |agent| {
        let undo = undo.clone();
        async move { agent.undo(&undo).await }
    });
    let (told, answers) = runtime.block_on(async { tokio::join!(notify(&notice), asked) });
    let answered = answers.into_iter().map(|(host, answer)| match answer {
        Ok(answer) => Row { answer: Some(answer), ..Row::silent(host, None) },
        Err(error) => Row::silent(host, Some(error.to_string())),
    });
    let unasked = wrong.into_iter().map(|(host, why)| Row::silent(host, Some(why)));
    let mut rows: Vec<Row> = answered.chain(unasked).collect();
    let bad = rows.iter().any(|row| row.answer.as_ref().is_none_or(|answer| !answer.stuck.is_empty()));
    // Finds out why there was nothing to undo; this comes after the undo.
    let nothing =
        rows.iter().all(|row| row.answer.as_ref().is_none_or(|answer| answer.injections.is_empty()));
    if undo.scope != UndoScope::All && nothing {
        runtime.block_on(look_up(&mut rows, &hosts, &reached.identity, &undo.scope));
    }
    let meanwhile = meanwhile(&rows, &told);
    for row in rows.iter_mut().filter(|row| row.answer.is_none()) {
        row.meanwhile = Some(meanwhile.clone());
    }
    let mut exit = if bad { Exit::Unclean } else { Exit::Held };
    if rows.iter().any(|row| !lost(row).is_empty()) {
        exit = exit.worst(Exit::Lost);
    }
    let unknown = unknown(&rows, &undo.scope);
    if unknown.is_some() {
        exit = exit.worst(Exit::Unknown);
    }
    if args.json {
        print_json(&rows)?;
        if let Some(text) = unknown {
            errln!("{text}");
        }
        return Ok(exit);
    }
    for one in &told {
        outln!("{}", describe(one));
    }
    for row in rows.iter().filter(|row| unknown.is_none() || row.answer.is_none() || !lost(row).is_empty()) {
        outln!("{}", line(row, undo.halt));
    }
    if let Some(text) = unknown {
        outln!("{text}");
    }
    Ok(exit)
}

impl Row {
    /// Returns the row of a host that has not answered.
    const fn silent(host: String, error: Option<String>) -> Self {
        Self { host, answer: None, error, meanwhile: None, known: None }
    }
}

fn describe(Notified { run, other_user }: &Notified) -> String {
    match other_user {
        None => format!("the coordinator of run {run}, on this machine, was notified and ends it"),
        Some(user) => format!(
            "a process of user {user}, on this machine, claims to be the coordinator of run {run} and to end it; this is not verified"
        ),
    }
}

/// Describes the end of faults on hosts that were not reached: a running coordinator that reaches them renews their
/// lease, unless it knows of the undo. Answers of other users' processes do not count.
fn meanwhile(rows: &[Row], told: &[Notified]) -> String {
    let runs: Vec<&str> =
        told.iter().filter(|one| one.other_user.is_none()).map(|one| one.run.as_str()).collect();
    if !runs.is_empty() {
        let whose = if runs.len() == 1 { "that run's faults" } else { "the faults of these runs" };
        return format!(
            "the coordinator of {} was notified, so {whose} on this host end with the lease",
            runs.join(", ")
        );
    }
    let knew = |row: &&Row| {
        row.answer.as_ref().is_some_and(|answer| !answer.injections.is_empty() || !answer.runs.is_empty())
            || row.known.as_ref().is_some_and(|known| known.known)
    };
    match rows.iter().find(knew) {
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

/// Asks each host that answered whether it knows the run or the injection, and for the injections in force there.
async fn look_up(rows: &mut [Row], hosts: &[Host], identity: &Arc<Identity>, scope: &UndoScope) {
    // Rows of hosts come first, in the order of the hosts.
    let asked = rows.iter_mut().zip(hosts).filter(|(row, _)| row.answer.is_some()).map(|(row, host)| {
        let agent = Agent::new(host, Arc::clone(identity));
        let told = row.answer.as_ref().is_some_and(|answer| !answer.runs.is_empty());
        async move {
            row.known = match known(&agent, scope).await {
                Ok(known) => Some(Known { known: known.known || told, ..known }),
                Err(error) => {
                    row.error = Some(error.to_string());
                    None
                }
            };
        }
    });
    stream::iter(asked).buffer_unordered(hosts_at_once(hosts, 2)).collect::<Vec<()>>().await;
}

async fn known(agent: &Agent, scope: &UndoScope) -> Result<Known, LinkError> {
    let status = agent.status().await?;
    let known = match scope {
        UndoScope::All => true,
        // A host knows a run from its first question on, long before anything is armed.
        UndoScope::Run(run) => match agent.finish(run).await {
            Ok(_) => true,
            Err(error) => match error.problem() {
                Some(problem) => problem.code != RefusalCode::UnknownRun,
                None => return Err(error),
            },
        },
        UndoScope::Injection(id) => was_armed(agent, id, status.last_seq).await?,
    };
    Ok(Known { known, open: status.open })
}

/// Whether a host's journal contains an injection.
async fn was_armed(agent: &Agent, id: &InjectionId, last_seq: u64) -> Result<bool, LinkError> {
    /// Maximum wait for one agent's events.
    const PATIENCE: Duration = Duration::from_secs(10);
    let reading = async {
        let mut events = pin!(agent.events(0));
        while last_seq > 0
            && let Some(event) = events.next().await
        {
            let event = event?;
            if matches!(&event.what, What::Changed { injection, .. } if injection == id) {
                return Ok(true);
            }
            if event.seq >= last_seq {
                break;
            }
        }
        Ok(false)
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Ok(false))
}

/// Returns the message if no host knows the run or the injection; `None` if one does, or if something was undone.
fn unknown(rows: &[Row], scope: &UndoScope) -> Option<String> {
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
        answers.iter().flat_map(|(host, known)| known.open.iter().map(|one| (*host, one))).collect();
    if open.is_empty() {
        text += "\nnothing is in force on them";
    } else {
        text += "\nin force now:";
        for (host, one) in &open {
            let about = &one.about;
            text +=
                &format!("\n  {host}: {} of \"{}\" by {}, {}", one.kind, about.drill, about.operator, one.id);
        }
        let mut runs: Vec<&RunId> = open.iter().map(|(_, one)| &one.run).collect();
        runs.sort();
        runs.dedup();
        for run in runs {
            text += &format!("\n`firedrill undo --run {run}` undoes its faults");
        }
    }
    Some(text + "\nthe hosts remember the id and refuse to arm it later")
}

fn line(row: &Row, halted: bool) -> String {
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

fn lost(row: &Row) -> &[String] {
    row.answer.as_ref().map_or(&[], |answer| &answer.lost)
}

fn state(row: &Row, halted: bool) -> String {
    let halt = if halted { ", halted" } else { "" };
    match (&row.answer, &row.error) {
        (Some(answer), _) if !answer.stuck.is_empty() => {
            format!("{}: STUCK{halt}: {}", row.host, answer.stuck.join("; "))
        }
        (Some(answer), _) if answer.injections.is_empty() && !answer.lost.is_empty() => {
            format!("{}: no fault is recorded{halt}, but its records are incomplete", row.host)
        }
        (Some(answer), _) if answer.injections.is_empty() => {
            format!("{}: nothing was in force{halt}", row.host)
        }
        (Some(answer), _) => {
            let kinds: Vec<&str> = answer.injections.iter().map(|one| one.kind.as_str()).collect();
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

    fn row(host: &str, known: bool, open: Vec<OpenOne>) -> Row {
        let answer = Some(UndoAnswer {
            injections: Vec::new(),
            runs: Vec::new(),
            stuck: Vec::new(),
            swept: Vec::new(),
            lost: Vec::new(),
        });
        Row { answer, known: Some(Known { known, open }), ..Row::silent(host.to_owned(), None) }
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
    fn an_id_that_no_host_knows_is_said_with_what_is_in_force() {
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
    fn that_a_lease_ends_is_said_only_where_nobody_renews_it() {
        let mut rows = [Row::silent("db1".to_owned(), Some("no way".to_owned())), row("app1", false, vec![])];
        let nobody = meanwhile(&rows, &[]);
        assert!(nobody.contains("only if no running coordinator renews it"), "{nobody}");
        rows[1].answer.as_mut().unwrap().injections = vec![stopped()];
        let heard = meanwhile(&rows, &[]);
        assert!(heard.contains("as soon as the run's coordinator learns of this undo from app1"), "{heard}");
        let by = |other_user| Notified { run: "friday-7f3a".parse().unwrap(), other_user };
        let foreign = by(Some(1000));
        assert_eq!(meanwhile(&rows[..1], std::slice::from_ref(&foreign)), nobody);
        assert!(describe(&foreign).contains("user 1000") && describe(&foreign).contains("not verified"));
        let told = meanwhile(&rows[..1], &[foreign, by(None)]);
        assert!(told.contains("friday-7f3a was notified, so that run's faults"), "{told}");
        rows[0].meanwhile = Some(told);
        assert!(line(&rows[0], false).starts_with("db1: NO ANSWER: no way; the coordinator"));
    }

    #[test]
    fn what_belonged_to_no_injection_is_said() {
        let mut swept = row("app1", true, vec![]);
        swept.answer.as_mut().unwrap().swept = vec!["interface fd_0123456ab_00".to_owned()];
        assert_eq!(
            line(&swept, false),
            "app1: nothing was in force; removed, because it belonged to no live injection: interface fd_0123456ab_00"
        );
    }

    #[test]
    fn lost_records_are_said_and_never_that_nothing_was_in_force() {
        let mut damaged = row("app1", true, vec![]);
        damaged.answer.as_mut().unwrap().lost = vec!["line 4: its checksum does not match".to_owned()];
        let text = line(&damaged, true);
        assert!(text.contains("its records are incomplete"), "{text}");
        assert!(text.contains("lost: line 4") && !text.contains("nothing was in force"), "{text}");
    }

    #[test]
    fn an_id_that_one_host_knows_is_no_typo() {
        let rows = [row("edge1", false, vec![]), row("app1", true, vec![])];
        assert_eq!(unknown(&rows, &UndoScope::Run("friday-7f3a".parse().unwrap())), None);
        assert_eq!(unknown(&rows, &UndoScope::All), None);
        let unasked = Row { known: None, ..row("app1", false, vec![]) };
        assert_eq!(unknown(&[unasked], &UndoScope::Run("friday-7f3a".parse().unwrap())), None);
    }
}
