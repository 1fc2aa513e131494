//! Prints the agents' answers to prepare: hosts with equal answers are shown together, and notes that all of them
//! have are shown once.

use std::fmt::Write as _;

use firedrill_wire::api::{Prepared, PreparedOne};

use crate::alike;

/// An agent's answer: the host, the attack by its index in the plan, and the effects.
pub type Answer = (String, usize, PreparedOne);

/// Writes the answers for one attack.
pub(super) fn write(out: &mut String, answers: &[&Answer]) -> std::fmt::Result {
    let groups = alike::together(answers.iter().copied(), |(host, _, prepared)| {
        let mut text = match &prepared.answer {
            Prepared::Ready { .. } => String::new(),
            Prepared::Refused(problem) => format!("{}: {}\n", problem.code, problem.title),
        };
        // Writing to a String cannot fail.
        _ = body(&mut text, prepared, &[]);
        alike::without(&text, &[host, prepared.id.as_str()])
    });
    let common = if groups.len() > 1 { common_notes(answers) } else { Vec::new() };
    for group in groups {
        let Some((host, _, prepared)) = group.first() else { continue };
        let names: Vec<&str> = group.iter().map(|(host, ..)| host.as_str()).collect();
        let names = alike::names(&names);
        match &prepared.answer {
            Prepared::Ready { .. } if group.len() == 1 => writeln!(out, "  {host} ({})", prepared.id)?,
            Prepared::Ready { .. } => writeln!(out, "  {names}")?,
            Prepared::Refused(problem) if group.len() == 1 => {
                writeln!(out, "  {host} REFUSES ({}): {}", problem.code, problem.title)?;
            }
            Prepared::Refused(problem) => {
                writeln!(out, "  {names} REFUSE ({}): {}", problem.code, problem.title)?;
            }
        }
        body(out, prepared, &common)?;
    }
    if !common.is_empty() {
        writeln!(out, "  each of them")?;
        lines(out, "note", &common)?;
    }
    Ok(())
}

/// Returns the notes that all ready hosts have, if there are several hosts.
fn common_notes(answers: &[&Answer]) -> Vec<String> {
    let mut all = answers.iter().filter_map(|(.., prepared)| match &prepared.answer {
        Prepared::Ready { notes, .. } => Some(notes),
        Prepared::Refused(_) => None,
    });
    let Some(mut common) = all.next().cloned() else { return Vec::new() };
    let mut several = false;
    for notes in all {
        several = true;
        common.retain(|note| notes.contains(note));
    }
    if several { common } else { Vec::new() }
}

/// Prints an answer without its first line, and without the notes in `elsewhere`, which are printed for all hosts together.
fn body(out: &mut String, prepared: &PreparedOne, elsewhere: &[String]) -> std::fmt::Result {
    match &prepared.answer {
        Prepared::Ready { claims, effects, undo, switches, notes, lacks, .. } => {
            let claims: Vec<String> = claims
                .iter()
                .map(
                    |claim| {
                        if claim.shared { format!("{} (shared)", claim.what) } else { claim.what.clone() }
                    },
                )
                .collect();
            lines(out, "does", effects)?;
            lines(out, "touches", &claims)?;
            if undo.is_empty() {
                writeln!(out, "    undone    CANNOT BE UNDONE")?;
            } else {
                lines(out, "undone", undo)?;
            }
            if !switches.is_empty() {
                writeln!(out, "    {:<9} {}", "held by", switches.join(", "))?;
            }
            let notes: Vec<String> = notes.iter().filter(|note| !elsewhere.contains(note)).cloned().collect();
            lines(out, "note", &notes)?;
            lacks.iter().try_for_each(|lacks| writeln!(out, "    {:<9} {lacks}", "lacks"))
        }
        Prepared::Refused(problem) if problem.hint.is_empty() => Ok(()),
        Prepared::Refused(problem) => writeln!(out, "    {}", problem.hint),
    }
}

/// Prints lines; the first one has `head` before it.
fn lines(out: &mut String, head: &str, lines: &[String]) -> std::fmt::Result {
    lines.iter().enumerate().try_for_each(|(index, line)| {
        let head = if index == 0 { head } else { "" };
        writeln!(out, "    {head:<9} {line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_wire::{
        RefusalCode,
        api::{Claim, Problem},
    };

    fn ready(n: usize, notes: &[&str]) -> Answer {
        let answer = Prepared::Ready {
            claims: vec![Claim { what: format!("nft-table:fd_r_1_{n}"), shared: false }],
            effects: vec![format!("drop packets to 10.9.0.4 (table inet fd_r_1_{n})")],
            undo: vec![format!("delete table inet fd_r_1_{n}")],
            switches: Vec::new(),
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
            wants: 0,
            lacks: None,
            fingerprint: n.to_string(),
        };
        (format!("app{n}"), 0, PreparedOne { id: format!("r-1-{n}").parse().expect("an id"), answer })
    }

    fn text(answers: &[Answer]) -> String {
        let mut text = String::new();
        write(&mut text, &answers.iter().collect::<Vec<_>>()).expect("writes");
        text
    }

    #[test]
    fn equal_answers_and_common_notes_are_shown_once() {
        let all: Vec<Answer> = (1..=40).map(|n| ready(n, &["SSH is spared"])).collect();
        let one = text(&all);
        assert_eq!(one.lines().count(), 5, "{one}");
        assert!(one.starts_with("  app1…app40 (40)\n") && one.contains("fd_r_1_1)"), "{one}");
        let mut mixed = all;
        mixed[6] = ready(7, &["SSH is spared", "it has a firewall of its own"]);
        let refused =
            Problem { code: RefusalCode::Halted, title: "alice halted it".to_owned(), hint: String::new() };
        for n in [41, 42] {
            let id = format!("r-1-{n}").parse().expect("an id");
            mixed.push((
                format!("app{n}"),
                0,
                PreparedOne { id, answer: Prepared::Refused(refused.clone()) },
            ));
        }
        let text = text(&mixed);
        assert_eq!(text.matches("SSH is spared").count(), 1, "{text}");
        assert!(
            text.contains("  app1…app6, app8…app40 (39)\n") && text.contains("  app7 (r-1-7)\n"),
            "{text}"
        );
        assert!(text.contains("  app41, app42 REFUSE (halted): alice halted it\n"), "{text}");
        assert!(text.ends_with("  each of them\n    note      SSH is spared\n"), "{text}");
    }

    #[test]
    fn refusals_for_different_reasons_are_shown_separately() {
        let refused = |n: usize, code: &str, title: &str| -> Answer {
            let code = serde_json::from_value(code.into()).expect("a code");
            let problem = Problem { code, title: title.to_owned(), hint: String::new() };
            let id = format!("r-1-{n}").parse().expect("an id");
            (format!("app{n}"), 0, PreparedOne { id, answer: Prepared::Refused(problem) })
        };
        let text = text(&[refused(1, "halted", "alice halted it"), refused(2, "no-such-kind", "too old")]);
        assert!(text.contains("app1 REFUSES (halted): alice halted it"), "{text}");
        assert!(text.contains("app2 REFUSES (no-such-kind): too old"), "{text}");
    }

    #[test]
    fn other_peers_are_another_answer() {
        let mut other = ready(2, &[]);
        if let Prepared::Ready { effects, .. } = &mut other.2.answer {
            effects[0] = effects[0].replace("10.9.0.4", "10.9.0.5");
        }
        assert!(text(&[ready(1, &[]), other]).contains("10.9.0.5"));
    }
}
