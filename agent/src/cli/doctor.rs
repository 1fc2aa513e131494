//! `firedrill-agent doctor`: prints which faults this host can do, and what is wrong or missing on it. It needs no
//! certificate, no coordinator and no running agent. It injects no fault.

use std::{io, process::ExitCode};

use firedrill_wire::api::{Doctor, Grade};

use crate::{config::Usable, wiring::Wiring};

/// The exit code if something is wrong on this host.
const EXIT_BAD: u8 = 3;

/// Prints the findings. The exit code is [`EXIT_BAD`] if one is [`Grade::Bad`], but not for missing things: these only make the agent refuse
/// some faults.
///
/// # Errors
/// The JSON could not be made.
pub(super) fn run(usable: &Usable, wiring: &Wiring, json: bool) -> io::Result<ExitCode> {
    let doctor = wiring.doctor(&usable.config.host(), &usable.config, usable.findings());
    if json {
        outln!("{}", serde_json::to_string_pretty(&doctor)?);
    } else {
        crate::terminal::out(format_args!("{}", for_people(&doctor)));
    }
    let is_bad = doctor.findings.iter().any(|finding| finding.grade == Grade::Bad);
    Ok(if is_bad { ExitCode::from(EXIT_BAD) } else { ExitCode::SUCCESS })
}

/// Formats one line for each finding, and a second line below it if there is a remedy.
fn for_people(doctor: &Doctor) -> String {
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
    fn a_remedy_stands_below_its_finding() {
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
            for_people(&doctor),
            "app1: agent 1, Linux 6.1\n ✓ nftables  seen\n – ifb       seen\n             → load it\n"
        );
    }
}
