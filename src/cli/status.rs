//! `firedrill status`: shows the injections in force on the fleet.

use firedrill_wire::{
    api::{AgentStatus, Clock, OpenOne},
    journal::State,
};
use serde::Serialize;

use super::{
    args::{FleetArgs, IdentityArgs},
    ask::{ask_all, runtime},
    failure::Result,
    hosts::{ToHeal, to_heal},
    output::{print_json, table},
    reached::Reached,
};
use crate::{alike, verdict::Exit};

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

/// The status of one host; serialized for `--json`.
#[derive(Serialize)]
struct Row {
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<AgentStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Asks the hosts, and prints the injections in force.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let reached = Reached::to_look(&args.fleet, &args.identity)?;
    let ToHeal { hosts, wrong } = to_heal(&reached.source, &args.hosts)?;
    let asked =
        async { ask_all(&hosts, &reached.identity, |agent| async move { agent.status().await }).await };
    let rows: Vec<Row> = runtime()?
        .block_on(asked)
        .into_iter()
        .map(|(host, answer)| match answer {
            Ok(status) => Row { host, status: Some(status), error: None },
            Err(error) => Row { host, status: None, error: Some(error.to_string()) },
        })
        .chain(wrong.into_iter().map(|(host, why)| Row { host, status: None, error: Some(why) }))
        .collect();
    if args.json {
        print_json(&rows)?;
    } else {
        outln!("{}", people(&rows));
    }
    Ok(rows.iter().map(exit).fold(Exit::Held, Exit::worst))
}

/// Returns the exit code for one host.
fn exit(row: &Row) -> Exit {
    let Some(status) = &row.status else { return Exit::Unknown };
    if status.open.iter().any(|open| open.state == State::Stuck) {
        Exit::Unclean
    } else if status.open.is_empty() {
        Exit::Held
    } else {
        Exit::Violated
    }
}

/// Returns the kind of an injection, marked if it is stuck, and the time until it ends by itself, in seconds.
pub(super) fn injection(open: &OpenOne, clock: &Clock) -> (String, u64) {
    let left_s = open.ends_boot_us.saturating_sub(clock.boot_us) / 1_000_000;
    let kind = if open.state == State::Stuck { format!("STUCK {}", open.kind) } else { open.kind.clone() };
    (kind, left_s)
}

/// Names the drill that an injection belongs to, its operator, and its run.
pub(super) fn drill(open: &OpenOne) -> String {
    format!("{} by {} ({})", open.about.drill, open.about.operator, open.run)
}

/// Formats the hosts as a table. Hosts with equal injections are one line, and errors are below the table.
fn people(rows: &[Row]) -> String {
    let mut lines: Vec<(&str, [String; 4])> = Vec::new();
    let mut errors = Vec::new();
    for row in rows {
        let Some(status) = &row.status else {
            errors.push((row.host.clone(), row.error.clone().unwrap_or_default()));
            lines.push((&row.host, ["?", "not known", "", ""].map(str::to_owned)));
            continue;
        };
        let mut agent = status.version.clone();
        if let Some(by) = &status.halted_by {
            agent = format!("{agent}, halted by {by}");
        }
        if status.open.is_empty() {
            lines.push((&row.host, [agent.clone(), "nothing".to_owned(), String::new(), String::new()]));
        }
        for open in &status.open {
            let (kind, left_s) = injection(open, &status.clock);
            lines.push((&row.host, [agent.clone(), kind, format!("{left_s} s"), drill(open)]));
        }
    }
    let mut shown = vec![["host", "agent", "in force", "ends in", "drill"].map(str::to_owned).to_vec()];
    for group in alike::together(&lines, |(_, line)| line) {
        let hosts: Vec<&str> = group.iter().map(|(host, _)| *host).collect();
        let Some((_, line)) = group.first() else { continue };
        shown.push([alike::names(&hosts)].into_iter().chain(line.iter().cloned()).collect());
    }
    let mut text = table(shown);
    for error in alike::said(&errors) {
        text.push_str(&format!("\n\n{}: {}", error.hosts, error.text));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(host: String, error: Option<String>) -> Row {
        let clock = Clock { boot_us: 1, boot_id: "b".to_owned(), wall_us: 1 };
        let status = AgentStatus {
            host: host.clone(),
            version: "1.0".to_owned(),
            clock,
            halted_by: None,
            open: Vec::new(),
            last_seq: 1,
            warnings: Vec::new(),
        };
        Row { host, status: error.is_none().then_some(status), error }
    }

    #[test]
    fn equal_hosts_are_one_line_and_long_errors_do_not_widen_the_table() {
        let mut rows: Vec<Row> = (1..=40).map(|n| row(format!("app{n}"), None)).collect();
        for n in 1..=2 {
            let why = format!("cannot reach db{n} (10.0.0.{n}:7790): {}", "no route to host ".repeat(9));
            rows.push(row(format!("db{n}"), Some(why)));
        }
        let text = people(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].trim_start().starts_with("app1…app40 (40)") && lines[1].contains("nothing"),
            "{text}"
        );
        assert!(lines[2].trim_start().starts_with("db1, db2") && lines[2].contains('?'), "{text}");
        assert!(lines[..3].iter().all(|line| line.len() < 80), "{text}");
        assert!(
            lines[4].starts_with("db1, db2: cannot reach db1 (10.0.0.1:7790)") && lines.len() == 5,
            "{text}"
        );
    }
}
