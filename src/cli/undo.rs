//! `firedrill undo`: the panic button. Asks the hosts to put things back, and notifies the coordinators on this machine. Needs only the fleet
//! and any valid certificate. `rows.rs` has the texts.

mod rows;

use std::{pin::pin, sync::Arc, time::Duration};

use firedrill_wire::{
    InjectionId, RefusalCode, RunId,
    api::{Undo, UndoScope},
    journal::What,
};
use futures_util::{StreamExt as _, stream};

use super::{
    args::{FleetArgs, IdentityArgs},
    ask::{ask_all, runtime},
    failure::{Failure, Result},
    halted,
    hosts::{ToHeal, to_heal},
    output::print_json,
    reached::Reached,
    room_client::{RoomArgs, RoomClient},
};
use crate::{
    link::{Agent, Identity, LinkError, hosts_at_once},
    plan::model::Host,
    run::{UndoNotice, notify},
    verdict::Exit,
};
use rows::{Known, Row, describe, end_of_faults, exit, line, lost, unknown};

/// Options of `undo`.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).multiple(false),
    after_help = "Examples:\n  firedrill undo --all --fleet fleet.toml            everything, everywhere, and halt\n  firedrill undo --all --host app1 --fleet fleet.toml\n  firedrill undo --run 20261120-1402-friday-7f3a --fleet fleet.toml\n  firedrill undo --run 20261120-1402-friday-7f3a --server https://drills.example\n\nWith --server a control room has the run's coordinator end it (docs/api.md), and this command waits for the end.\n`--all` also latches a halt: no agent injects anything until `firedrill release`.\nA run in progress ends when a person undoes it, is not retried, and exits 5.\nExit codes: 0 all is back · 3 no host knows that run or injection · 6 a host is stuck or did not answer (its faults end with their hold, or with the lease once their coordinator, which is notified, has ended) · 7 all known faults are undone, but a host's records of its faults are damaged or lost"
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
    room: RoomArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// For machines
    #[arg(long)]
    json: bool,
}

/// Undoes, and prints the answer of each host.
pub(super) fn run(args: &Args) -> Result<Exit> {
    if let Some(server) = &args.room.server {
        let (Some(run), []) = (&args.run, args.hosts.as_slice()) else {
            return Err(Failure::new("a control room ends whole runs: name one by --run, without --host")
                .help("`firedrill undo --all --fleet FLEET` asks the hosts themselves"));
        };
        if args.json {
            return Err(Failure::new("--json does not go with --server")
                .help("GET /api/v1/runs/RUN tells the run as JSON"));
        }
        return Ok(halted::there(&RoomClient::of(server, &args.room)?, run.as_str()));
    }
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
        async move { agent.undo_until_answered(&undo).await }
    });
    let (notified, answers) = runtime.block_on(async { tokio::join!(notify(&notice), asked) });
    let answered =
        answers.into_iter().map(|(host, answer)| Row::new(host, answer.map_err(|error| error.to_string())));
    let unasked = wrong.into_iter().map(|(host, why)| Row::new(host, Err(why)));
    let mut rows: Vec<Row> = answered.chain(unasked).collect();
    // If there was nothing to undo, the hosts are asked why. That can wait until the undo is done.
    let nothing =
        rows.iter().all(|row| row.answer.as_ref().is_none_or(|answer| answer.injections.is_empty()));
    if undo.scope != UndoScope::All && nothing {
        runtime.block_on(look_up(&mut rows, &hosts, &reached.identity, &undo.scope));
    }
    let end_of_faults = end_of_faults(&rows, &notified);
    for row in rows.iter_mut().filter(|row| row.answer.is_none()) {
        row.meanwhile = Some(end_of_faults.clone());
    }
    let unknown = unknown(&rows, &undo.scope);
    let exit = exit(&rows, unknown.is_some());
    if args.json {
        print_json(&rows)?;
        if let Some(text) = unknown {
            errln!("{text}");
        }
        return Ok(exit);
    }
    for run in &notified {
        outln!("{}", describe(run));
    }
    for row in rows.iter().filter(|row| unknown.is_none() || row.answer.is_none() || !lost(row).is_empty()) {
        outln!("{}", line(row, undo.halt));
    }
    if let Some(text) = unknown {
        outln!("{text}");
    }
    Ok(exit)
}

/// Asks each host that answered whether it knows the run or the injection, and for the injections in force there.
async fn look_up(rows: &mut [Row], hosts: &[Host], identity: &Arc<Identity>, scope: &UndoScope) {
    // The first rows are those of `hosts`, in the same order. Rows of invalid entries follow.
    let asked = rows.iter_mut().zip(hosts).filter(|(row, _)| row.answer.is_some()).map(|(row, host)| {
        let agent = Agent::new(host, Arc::clone(identity));
        let has_runs = row.answer.as_ref().is_some_and(|answer| !answer.runs.is_empty());
        async move {
            row.known = match known(&agent, scope).await {
                Ok(known) => Some(Known { known: known.known || has_runs, ..known }),
                Err(error) => {
                    row.error = Some(error.to_string());
                    None
                }
            };
        }
    });
    stream::iter(asked).buffer_unordered(hosts_at_once(hosts, 2)).collect::<Vec<()>>().await;
}

/// Asks a host whether it has records of the run or the injection, and which injections are in force there.
async fn known(agent: &Agent, scope: &UndoScope) -> Result<Known, LinkError> {
    let status = agent.status().await?;
    let known = match scope {
        UndoScope::All => true,
        // A host knows a run from the run's first question on, long before anything is armed.
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

/// Whether a host's journal contains an injection. `last_seq` is the number of the journal's last event. Returns `false` if that is not
/// found out in time.
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
