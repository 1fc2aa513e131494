//! `firedrill doctor`: what each host can do, and what people should know about it.

use firedrill_wire::api::{Doctor, Grade};
use serde::Serialize;

use super::{
    common::{FleetArgs, IdentityArgs, ask_all, fleet, hosts, print_json, runtime, table},
    failure::Result,
};
use crate::{
    link::{self, Offset},
    verdict::Exit,
};

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  firedrill doctor --fleet fleet.toml\n  firedrill doctor --host app1 --fleet fleet.toml --json\n\nExit codes: 0 all is well · 3 a host could not be asked, or something is wrong on one"
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
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Reached {
        doctor: Doctor,
        /// How well its clock is known from here.
        clock_uncertainty_us: u64,
    },
    Error(String),
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let reached = args.fleet.reach(&args.identity)?;
    let hosts = hosts(fleet(&reached.source)?, &args.hosts)?;
    let asked = async {
        ask_all(&hosts, &reached.identity, |agent| async move {
            let offset: Offset = link::offset(&agent, 5).await?;
            Ok((agent.doctor().await?, offset))
        })
        .await
    };
    let rows: Vec<Row> = runtime()?
        .block_on(asked)
        .into_iter()
        .map(|(host, answer)| Row {
            host,
            answer: match answer {
                Ok((doctor, offset)) => {
                    Answer::Reached { doctor, clock_uncertainty_us: offset.uncertainty_us }
                }
                Err(error) => Answer::Error(error.to_string()),
            },
        })
        .collect();
    if args.json {
        print_json(&rows)?;
    } else {
        for row in &rows {
            people(row);
        }
    }
    let bad = rows.iter().any(|row| match &row.answer {
        Answer::Reached { doctor, .. } => doctor.findings.iter().any(|finding| finding.grade == Grade::Bad),
        Answer::Error(_) => true,
    });
    Ok(if bad { Exit::Unknown } else { Exit::Held })
}

fn people(row: &Row) {
    match &row.answer {
        Answer::Error(error) => outln!("{}: {error}\n", row.host),
        Answer::Reached { doctor, clock_uncertainty_us } => {
            let milliseconds = std::time::Duration::from_micros(*clock_uncertainty_us).as_secs_f64() * 1e3;
            outln!(
                "{}: agent {}, Linux {}, clock known to ±{milliseconds:.2} ms",
                row.host,
                doctor.version,
                doctor.kernel
            );
            let lines = doctor.findings.iter().map(|finding| {
                let hint =
                    if finding.hint.is_empty() { String::new() } else { format!(" → {}", finding.hint) };
                vec![
                    finding.grade.mark().to_owned(),
                    finding.what.clone(),
                    format!("{}{hint}", finding.detail),
                ]
            });
            outln!("{}\n", table(lines.collect()));
        }
    }
}
