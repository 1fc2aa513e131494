//! Decides whether a run passes, by its own results and by those of a baseline.

use firedrill_judge::verdict::{Exit, Verdict};
use serde::Serialize;

use crate::{
    baseline::Results,
    change::Change,
    compare::{Comparison, Side},
};

/// The kind of a reason. Reasons are told in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The run was refused, stopped, or left something behind.
    Run,
    /// An objective was violated, or a guard aborted the run.
    Violated,
    /// An objective is worse than in the baseline, beyond chance, or was judged only in the baseline.
    Worse,
    /// An objective, an attack or a comparison is unknown.
    Unknown,
}

impl Kind {
    /// Returns the word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Violated => "violated",
            Self::Worse => "worse",
            Self::Unknown => "unknown",
            Self::Run => "run",
        }
    }
}

/// One reason why a run does not pass, or would not without an allowance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Its kind.
    pub kind: Kind,
    /// Whether it is allowed, so that it alone does not fail the gate.
    pub allowed: bool,
    /// The reason, on one line.
    pub text: String,
    /// The attack that it is about; `None` if it is about the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack: Option<String>,
    /// The objective that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
}

impl Reason {
    fn new(kind: Kind, text: &str) -> Self {
        Self { kind, allowed: false, text: on_one_line(text), attack: None, objective: None }
    }

    fn on(self, attack: &str, objective: Option<&str>) -> Self {
        Self { attack: Some(attack.to_owned()), objective: objective.map(str::to_owned), ..self }
    }
}

/// The decision about a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// The exit code: 0 passes.
    pub exit: u8,
    /// The reasons, in the order of [`Kind`].
    pub reasons: Vec<Reason>,
    /// The run beside its baseline.
    pub comparison: Option<Comparison>,
}

/// Decides about a run, by its own results and by a comparison with its baseline. An unknown result fails unless it is allowed. A run that was
/// refused, stopped or not put back always fails.
#[must_use]
pub fn gate(run: &Results, comparison: Option<Comparison>, allow_unknown: bool) -> (Exit, Gate) {
    let own = Exit::of_code(run.exit);
    let mut reasons = of_run(run, own);
    reasons.extend(comparison.iter().flat_map(of_comparison));
    if own != Exit::Held && reasons.is_empty() {
        reasons.push(Reason::new(Kind::Run, &format!("the run ended with exit code {}", run.exit)));
    }
    reasons.sort_by_key(|reason| reason.kind);
    // An unknown run is one whose exit code says so; unknown parts of others change nothing.
    let mut exit = if own == Exit::Unknown { Exit::Held } else { own };
    for reason in &reasons {
        match reason.kind {
            Kind::Violated | Kind::Worse => exit = exit.worst(Exit::Violated),
            // Of a run that was refused, most is unknown: its own exit code stays.
            Kind::Unknown if !allow_unknown && exit == Exit::Held => exit = Exit::Unknown,
            Kind::Unknown | Kind::Run => {}
        }
    }
    if own == Exit::Unknown && !allow_unknown && exit == Exit::Held {
        exit = Exit::Unknown;
    }
    for reason in &mut reasons {
        reason.allowed = reason.kind == Kind::Unknown && allow_unknown;
    }
    (exit, Gate { exit: exit as u8, reasons, comparison })
}

fn of_run(run: &Results, own: Exit) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for attack in &run.attacks {
        let Some(verdict) = attack.verdict else {
            let why =
                if attack.why.is_empty() { "no reason is known".to_owned() } else { attack.why.join("; ") };
            let text = format!("{}: not run: {why}", attack.name);
            reasons.push(Reason::new(Kind::Unknown, &text).on(&attack.name, None));
            continue;
        };
        for one in &attack.objectives {
            if let Some(kind) = kind(one.verdict) {
                let text = format!("{}, {}: {}", attack.name, one.name, one.why);
                reasons.push(Reason::new(kind, &text).on(&attack.name, Some(&one.name)));
            }
        }
        // A guard, or a doubt about the whole attack, belongs to no single objective.
        if attack.objectives.iter().all(|one| one.verdict < verdict)
            && let Some(kind) = kind(verdict)
        {
            let text = format!("{}: {}", attack.name, attack.why.join("; "));
            reasons.push(Reason::new(kind, &text).on(&attack.name, None));
        }
    }
    let whole = match own {
        Exit::Held | Exit::Unknown => Kind::Unknown,
        // A guard aborted the run.
        Exit::Violated if reasons.iter().all(|reason| reason.kind != Kind::Violated) => Kind::Violated,
        Exit::Violated => Kind::Unknown,
        _ => Kind::Run,
    };
    reasons.extend(run.why.iter().map(|why| Reason::new(whole, why)));
    if whole == Kind::Run && run.why.is_empty() {
        reasons.push(Reason::new(Kind::Run, &format!("the run ended with exit code {}", run.exit)));
    }
    reasons
}

const fn kind(verdict: Verdict) -> Option<Kind> {
    match verdict {
        Verdict::Held => None,
        Verdict::Unknown => Some(Kind::Unknown),
        Verdict::Violated => Some(Kind::Violated),
    }
}

fn of_comparison(comparison: &Comparison) -> Vec<Reason> {
    let reasons = comparison.rows.iter().filter_map(|row| {
        let name = format!("{}, {}", row.attack, row.objective);
        let why = row.why.as_deref().unwrap_or_default();
        let reason = match row.change {
            Change::Worse => {
                let figure = |side: Option<Side>| side.map_or_else(String::new, |side| side.figure());
                let (was, is) = (figure(row.before), figure(row.after));
                let usual = match row.usual {
                    None => "in the baseline",
                    Some(usual) if usual.enough => "usual is",
                    // The others are not better.
                    Some(_) => "in the newest baseline run",
                };
                Some((Kind::Worse, format!("{name}: {is}, and {usual} {was}")))
            }
            Change::Removed => {
                Some((Kind::Worse, format!("{name}: it was judged in the baseline, and not in this run")))
            }
            // An objective that is unknown in the run itself, or an attack that was not run, is told already.
            Change::Unknown if row.after.is_none_or(|side| side.verdict == Verdict::Unknown) => None,
            // Its own goal decides about it.
            Change::Unknown if row.without_ranges => None,
            Change::Unknown => {
                Some((Kind::Unknown, format!("{name}: not compared with the baseline: {why}")))
            }
            Change::Better | Change::Same | Change::Added => None,
        };
        reason.map(|(kind, text)| Reason::new(kind, &text).on(&row.attack, Some(&row.objective)))
    });
    reasons.collect()
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
