//! `firedrill doctor`: shows each host's capabilities, and findings about it.

use std::fmt::Write as _;

use firedrill_wire::api::{Doctor, Finding, Grade};
use serde::Serialize;

use super::{
    args::{FleetArgs, IdentityArgs},
    ask::{ask_all, runtime},
    failure::Result,
    hosts::{fleet, hosts},
    output::{print_json, table},
    reached::Reached,
};
use crate::{
    alike,
    link::{self, Offset},
    verdict::Exit,
};

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  firedrill doctor --fleet fleet.toml\n  firedrill doctor --host app1 --fleet fleet.toml --json\n\nExit codes: 0 nothing is wrong (a fault may still be impossible on a host) · 3 a host could not be asked, or something is wrong on one"
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

/// The answer of one host; serialized for `--json`.
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
        /// Uncertainty of the offset between the host's clock and this machine's, in microseconds.
        clock_uncertainty_us: u64,
    },
    Error(String),
}

/// Number of round trips to measure the offset of a clock.
const CLOCK_ROUNDS: u32 = 5;

/// Asks the hosts, and prints their answers.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let reached = Reached::to_look(&args.fleet, &args.identity)?;
    let hosts = hosts(fleet(&reached.source)?, &args.hosts)?;
    let asked = async {
        ask_all(&hosts, &reached.identity, |agent| async move {
            let offset: Offset = link::offset(&agent, CLOCK_ROUNDS).await?;
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
        outln!("{}", for_people(&rows));
    }
    let bad = rows.iter().any(|row| match &row.answer {
        Answer::Reached { doctor, .. } => doctor.findings.iter().any(|finding| finding.grade == Grade::Bad),
        Answer::Error(_) => true,
    });
    Ok(if bad { Exit::Unknown } else { Exit::Held })
}

/// Maximum number of forms of one finding that are shown. A form is a grade with a detail and a hint. Forms with the grade missing or bad
/// are always shown, and do not count.
const FORMS: usize = 4;

/// Formats hosts with the same agent version and kernel together: findings that all of them have are shown once, others with the names of
/// the hosts.
fn for_people(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut answers = Vec::new();
    let mut errors = Vec::new();
    for row in rows {
        match &row.answer {
            Answer::Error(error) => errors.push((row.host.clone(), error.clone())),
            Answer::Reached { doctor, clock_uncertainty_us } => {
                answers.push((row.host.as_str(), doctor, *clock_uncertainty_us));
            }
        }
    }
    for group in alike::together(&answers, |(_, doctor, _)| (&doctor.version, &doctor.kernel)) {
        let Some((_, first, _)) = group.first() else { continue };
        let names: Vec<&str> = group.iter().map(|(host, ..)| *host).collect();
        let worst = group.iter().map(|(.., us)| *us).max().unwrap_or(0);
        let milliseconds = std::time::Duration::from_micros(worst).as_secs_f64() * 1e3;
        // Writing to a String cannot fail.
        _ = writeln!(
            text,
            "{}: agent {}, Linux {}, clock known to ±{milliseconds:.2} ms",
            alike::names(&names),
            first.version,
            first.kernel
        );
        let doctors: Vec<(&str, &Doctor)> = group.iter().map(|(host, doctor, _)| (*host, *doctor)).collect();
        _ = writeln!(text, "{}\n", findings(&doctors));
    }
    for error in alike::said(&errors) {
        _ = writeln!(text, "{}: {}\n", error.hosts, error.text);
    }
    text.trim_end().to_owned()
}

/// Formats the findings of hosts as a table, in the order in which they first appear. A finding is about a thing, such as `certificate`.
fn findings(doctors: &[(&str, &Doctor)]) -> String {
    let with_hosts =
        doctors.iter().flat_map(|(host, doctor)| doctor.findings.iter().map(move |finding| (*host, finding)));
    let mut lines = Vec::new();
    for of_thing in alike::together(with_hosts, |(_, finding)| &finding.what) {
        // Details that differ only by the host's own name are one form.
        let without_name = |host: &str, text: &str| alike::without(text, &[host]);
        let forms = alike::together(of_thing, |(host, finding)| {
            (finding.grade, without_name(host, &finding.detail), without_name(host, &finding.hint))
        });
        let (always_shown, limited): (Vec<_>, Vec<_>) = forms.into_iter().partition(|form| {
            form.first().is_some_and(|(_, finding)| matches!(finding.grade, Grade::Missing | Grade::Bad))
        });
        let not_shown = hosts_of(limited.iter().skip(FORMS).flatten().copied());
        for form in always_shown.into_iter().chain(limited.into_iter().take(FORMS)) {
            let Some((_, finding)) = form.first() else { continue };
            let hint = if finding.hint.is_empty() { String::new() } else { format!(" → {}", finding.hint) };
            let names = hosts_of(form.iter().copied());
            // A finding that all hosts have is shown without their names.
            let whose = if names.len() == doctors.len() {
                String::new()
            } else {
                format!("{}: ", alike::names(&names))
            };
            let text = format!("{whose}{}{hint}", finding.detail);
            lines.push(vec![finding.grade.mark().to_owned(), finding.what.clone(), text]);
        }
        if !not_shown.is_empty() {
            let text = format!("{}: other values, not shown (--json has all)", alike::names(&not_shown));
            lines.push(vec![Grade::Note.mark().to_owned(), String::new(), text]);
        }
    }
    table(lines)
}

/// Returns the hosts of findings. A host may have the same finding several times.
fn hosts_of<'a>(findings: impl Iterator<Item = (&'a str, &'a Finding)>) -> Vec<&'a str> {
    let mut hosts: Vec<&str> = findings.map(|(host, _)| host).collect();
    hosts.dedup();
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(host: &str, findings: &[(&str, Grade, &str)]) -> Row {
        let finding = |(what, grade, detail): &(&str, Grade, &str)| Finding {
            what: (*what).to_owned(),
            grade: *grade,
            detail: (*detail).to_owned(),
            hint: if *grade == Grade::Bad { "renew it".to_owned() } else { String::new() },
        };
        let doctor = Doctor {
            host: host.to_owned(),
            version: "1.0".to_owned(),
            kernel: "6.1".to_owned(),
            findings: findings.iter().map(finding).collect(),
        };
        Row { host: host.to_owned(), answer: Answer::Reached { doctor, clock_uncertainty_us: 520 } }
    }

    #[test]
    fn findings_of_all_hosts_are_shown_once_and_others_with_the_hosts_names() {
        let mut rows: Vec<Row> = (1..=40)
            .map(|n| {
                let memory = format!("{n} MiB");
                let certificate = if n == 7 {
                    ("certificate", Grade::Bad, "expired")
                } else {
                    ("certificate", Grade::Good, "good")
                };
                let findings = [
                    ("nftables", Grade::Good, "owner tables"),
                    certificate,
                    ("memory", Grade::Note, &memory),
                ];
                row(&format!("app{n}"), &findings)
            })
            .collect();
        for n in 1..=3 {
            let error = format!("cannot reach db{n} (10.0.0.{n}:7790): refused");
            rows.push(Row { host: format!("db{n}"), answer: Answer::Error(error) });
        }
        let text = for_people(&rows);
        insta::assert_snapshot!(text, @r"
        app1…app40 (40): agent 1.0, Linux 6.1, clock known to ±0.52 ms
         ✓   nftables      owner tables
         ✗   certificate   app7: expired → renew it
         ✓   certificate   app1…app6, app8…app40 (39): good
         ·   memory        app1: 1 MiB
         ·   memory        app2: 2 MiB
         ·   memory        app3: 3 MiB
         ·   memory        app4: 4 MiB
         ·                 app5…app40 (36): other values, not shown (--json has all)

        db1, db2, db3: cannot reach db1 (10.0.0.1:7790): refused
        ");
        let one = for_people(&rows[..1]);
        assert!(one.starts_with("app1: agent 1.0") && !one.contains("app1: owner"), "{one}");
    }

    #[test]
    fn a_host_with_the_same_finding_twice_is_named_once() {
        let twice = ("foreign qdisc", Grade::Note, "on eth0: sfq");
        let text = for_people(&[row("app1", &[twice, twice]), row("app2", &[])]);
        assert!(text.contains("app1: on eth0: sfq") && !text.contains("app1, app1"), "{text}");
    }
}
