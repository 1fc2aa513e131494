//! `firedrill-agent doctor`: what this host can do, without certificates, a coordinator or an agent that runs.

use std::{io, process::ExitCode};

use firedrill_wire::api::{Doctor, Grade};

use crate::{config::Usable, wiring::Wiring};

/// Something is wrong on this host.
const EXIT_BAD: u8 = 3;

pub(super) fn run(usable: &Usable, wiring: &Wiring, json: bool) -> io::Result<ExitCode> {
    let doctor = wiring.doctor(&usable.config.host(), &usable.config, usable.findings());
    if json {
        println!("{}", serde_json::to_string_pretty(&doctor)?);
    } else {
        print!("{}", people(&doctor));
    }
    let bad = doctor.findings.iter().any(|finding| finding.grade == Grade::Bad);
    Ok(if bad { ExitCode::from(EXIT_BAD) } else { ExitCode::SUCCESS })
}

/// A line for each finding, and one more where something is to be done.
fn people(doctor: &Doctor) -> String {
    let mut text = format!("{}: agent {}, Linux {}\n", doctor.host, doctor.version, doctor.kernel);
    let width = doctor.findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
    for finding in &doctor.findings {
        let (mark, what, detail) = (finding.grade.mark(), &finding.what, &finding.detail);
        text.push_str(&format!(" {mark} {what:<width$}  {detail}\n"));
        if !finding.hint.is_empty() {
            text.push_str(&format!("   {:<width$}  → {}\n", "", finding.hint));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use firedrill_wire::api::Finding;

    use super::*;

    #[test]
    fn what_is_to_be_done_stands_below_what_is_missing() {
        let finding = |what: &str, grade, hint: &str| Finding {
            what: what.to_owned(),
            grade,
            detail: "seen".to_owned(),
            hint: hint.to_owned(),
        };
        let doctor = Doctor {
            host: "app1".to_owned(),
            version: "1".to_owned(),
            kernel: "6.1".to_owned(),
            findings: vec![finding("nftables", Grade::Good, ""), finding("ifb", Grade::Missing, "load it")],
        };
        assert_eq!(
            people(&doctor),
            "app1: agent 1, Linux 6.1\n ✓ nftables  seen\n – ifb       seen\n             → load it\n"
        );
    }
}
