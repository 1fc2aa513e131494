//! `firedrill release`: ends a halt on the hosts of a fleet, so that they may be attacked again.

use serde::Serialize;

use super::{
    args::{FleetArgs, IdentityArgs},
    ask::{ask_all, runtime},
    failure::Result,
    hosts::{ToHeal, to_heal},
    output::print_json,
    reached::Reached,
};
use crate::verdict::Exit;

/// Options of `release`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  firedrill release --fleet fleet.toml\n  firedrill release --host app1 --fleet fleet.toml\n\nExit codes: 0 all are released · 3 a host did not answer · 4 a host refused"
)]
pub(super) struct Args {
    /// Only these hosts
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
    released: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Releases the hosts, and prints the answer of each.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let reached = Reached::to_look(&args.fleet, &args.identity)?;
    let ToHeal { hosts, wrong } = to_heal(&reached.source, &args.hosts)?;
    let asked =
        async { ask_all(&hosts, &reached.identity, |agent| async move { agent.release().await }).await };
    let mut exit = Exit::Held;
    let mut rows = Vec::new();
    for (host, answer) in runtime()?.block_on(asked) {
        match answer {
            Ok(()) => rows.push(Row { host, released: true, error: None }),
            Err(error) => {
                rows.push(Row { host, released: false, error: Some(error.to_string()) });
                exit = if error.problem().is_some() { Exit::Refused } else { Exit::Unknown }.worst(exit);
            }
        }
    }
    for (host, why) in wrong {
        rows.push(Row { host, released: false, error: Some(why) });
        exit = exit.worst(Exit::Unknown);
    }
    if args.json {
        print_json(&rows)?;
    } else {
        for Row { host, error, .. } in &rows {
            outln!("{host}: {}", error.as_deref().unwrap_or("may be attacked again"));
        }
    }
    Ok(exit)
}
