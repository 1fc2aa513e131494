//! `firedrill status`: what is in force on the fleet now.

use firedrill_wire::{api::AgentStatus, journal::State};
use serde::Serialize;

use super::{
    common::{FleetArgs, IdentityArgs, ask_all, fleet, hosts, print_json, runtime, table},
    failure::Result,
};
use crate::verdict::Exit;

/// Options of `status`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  firedrill status --fleet fleet.toml\n  firedrill status --lab --json\n\nExit codes: 0 nothing in force · 1 something is in force · 3 a host could not be asked, and nothing is in force on the others · 6 something is stuck"
)]
pub(super) struct Args {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Only these hosts
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// For machines
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<AgentStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let reached = args.fleet.reach(&args.identity)?;
    let hosts = hosts(fleet(&reached.source)?, &args.hosts)?;
    let asked =
        async { ask_all(&hosts, &reached.identity, |agent| async move { agent.status().await }).await };
    let rows: Vec<Row> = runtime()?
        .block_on(asked)
        .into_iter()
        .map(|(host, answer)| match answer {
            Ok(status) => Row { host, status: Some(status), error: None },
            Err(error) => Row { host, status: None, error: Some(error.to_string()) },
        })
        .collect();
    if args.json {
        print_json(&rows)?;
    } else {
        outln!("{}", people(&rows));
    }
    Ok(rows.iter().map(exit).fold(Exit::Held, Exit::worst))
}

fn exit(row: &Row) -> Exit {
    let Some(status) = &row.status else { return Exit::Unknown };
    if status.open.iter().any(|one| one.state == State::Stuck) {
        Exit::Unclean
    } else if status.open.is_empty() {
        Exit::Held
    } else {
        Exit::Violated
    }
}

fn people(rows: &[Row]) -> String {
    let mut lines = vec![["host", "agent", "in force", "ends in", "drill"].map(str::to_owned).to_vec()];
    for row in rows {
        let Some(status) = &row.status else {
            let error = row.error.clone().unwrap_or_default();
            lines.push(vec![row.host.clone(), "?".to_owned(), error, String::new(), String::new()]);
            continue;
        };
        let mut agent = status.version.clone();
        if let Some(by) = &status.halted_by {
            agent = format!("{agent}, halted by {by}");
        }
        if status.open.is_empty() {
            lines.push(vec![
                row.host.clone(),
                agent.clone(),
                "nothing".to_owned(),
                String::new(),
                String::new(),
            ]);
        }
        for one in &status.open {
            let left = one.ends_boot_us.saturating_sub(status.clock.boot_us) / 1_000_000;
            let what =
                if one.state == State::Stuck { format!("STUCK {}", one.kind) } else { one.kind.clone() };
            let drill = format!("{} by {} ({})", one.about.drill, one.about.operator, one.run);
            lines.push(vec![row.host.clone(), agent.clone(), what, format!("{left} s"), drill]);
        }
    }
    table(lines)
}
