//! `firedrill undo`: the panic button. Needs no state but the fleet and any valid certificate.

use firedrill_wire::{
    InjectionId, RunId,
    api::{Undo, UndoAnswer, UndoScope},
};
use serde::Serialize;

use super::{
    common::{FleetArgs, IdentityArgs, ask_all, fleet, hosts, print_json, runtime},
    failure::{Failure, Result},
};
use crate::verdict::Exit;

/// Options of `undo`.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).multiple(false),
    after_help = "Examples:\n  firedrill undo --all --fleet fleet.toml            everything, everywhere, and halt\n  firedrill undo --all --host app1 --fleet fleet.toml\n  firedrill undo --run 20261120-1402-friday-7f3a --fleet fleet.toml\n\n`--all` also latches a halt: no agent injects anything until `firedrill release`.\nExit codes: 0 all is back · 6 a host is stuck or did not answer (its agent heals by itself when its lease ends)"
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
    /// With --all: put back, but do not halt
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
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let scope = match (&args.injection, &args.run) {
        (Some(id), _) => UndoScope::Injection(id.clone()),
        (None, Some(run)) => UndoScope::Run(run.clone()),
        (None, None) if args.all => UndoScope::All,
        (None, None) => return Err(Failure::new("say what to undo: --injection, --run or --all")),
    };
    let undo = Undo { halt: scope == UndoScope::All && !args.no_halt, scope };
    let reached = args.fleet.reach(&args.identity)?;
    let hosts = hosts(fleet(&reached.source)?, &args.hosts)?;
    let asked = async {
        ask_all(&hosts, &reached.identity, |agent| {
            let undo = undo.clone();
            async move { agent.undo(&undo).await }
        })
        .await
    };
    let rows: Vec<Row> = runtime()?
        .block_on(asked)
        .into_iter()
        .map(|(host, answer)| match answer {
            Ok(answer) => Row { host, answer: Some(answer), error: None },
            Err(error) => Row { host, answer: None, error: Some(error.to_string()) },
        })
        .collect();
    let bad = rows.iter().any(|row| row.answer.as_ref().is_none_or(|answer| !answer.stuck.is_empty()));
    if args.json {
        print_json(&rows)?;
    } else {
        for row in &rows {
            outln!("{}", line(row, undo.halt));
        }
    }
    Ok(if bad { Exit::Unclean } else { Exit::Held })
}

fn line(row: &Row, halted: bool) -> String {
    let halt = if halted { ", halted" } else { "" };
    match (&row.answer, &row.error) {
        (Some(answer), _) if !answer.stuck.is_empty() => {
            format!("{}: STUCK{halt}: {}", row.host, answer.stuck.join("; "))
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
            format!("{}: did not answer: {error}; it heals by itself when its lease ends", row.host)
        }
    }
}
