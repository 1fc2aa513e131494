//! Decides whether a run passes, by its own results and by a comparison with a baseline. Reads no file.

use firedrill_judge::verdict::{Exit, Verdict};
use serde::Serialize;

use crate::{
    baseline::Results,
    change::Change,
    compare::{Comparison, Side},
};

/// The kind of a reason. Reasons are listed in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The run was refused, stopped, or left something behind.
    Run,
    /// An objective was violated, or a guard aborted the run.
    Violated,
    /// An objective is worse than in the baseline by more than chance explains, or was judged only in the baseline.
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

/// A reason why a run does not pass, or would not pass if unknown results were not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Its kind.
    pub kind: Kind,
    /// Whether it is allowed, so that it alone does not fail the gate.
    pub allowed: bool,
    /// The reason, on one line.
    pub text: String,
    /// The attack that it is about; `None` if it is about the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack: Option<String>,
    /// The objective that it is about; `None` if it is about the whole attack or run.
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
    /// The exit code: 0 if the run passes.
    pub exit: u8,
    /// The reasons, in the order of [`Kind`].
    pub reasons: Vec<Reason>,
    /// The comparison with the baseline; `None` without one.
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
    // An unknown result of the run itself counts only below, if it is not allowed.
    let mut exit = if own == Exit::Unknown { Exit::Held } else { own };
    for reason in &reasons {
        match reason.kind {
            Kind::Violated | Kind::Worse => exit = exit.worst(Exit::Violated),
            // Most results of a run that was refused or stopped are unknown; its own exit code stays.
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

/// Returns the reasons that the run's own results give. `own` is the run's exit code.
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
        for objective in &attack.objectives {
            if let Some(kind) = kind(objective.verdict) {
                let text = format!("{}, {}: {}", attack.name, objective.name, objective.why);
                reasons.push(Reason::new(kind, &text).on(&attack.name, Some(&objective.name)));
            }
        }
        // The attack's verdict is worse than those of its objectives: a guard ended it, or its fault did not take effect. Such a reason belongs to no
        // single objective.
        if attack.objectives.iter().all(|objective| objective.verdict < verdict)
            && let Some(kind) = kind(verdict)
        {
            let text = format!("{}: {}", attack.name, attack.why.join("; "));
            reasons.push(Reason::new(kind, &text).on(&attack.name, None));
        }
    }
    // The kind of the reasons that are about the run as a whole.
    let whole = match own {
        Exit::Held | Exit::Unknown => Kind::Unknown,
        // No objective was violated, so a guard aborted the run.
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

/// Returns the kind of reason that a verdict gives; `None` for `held`.
const fn kind(verdict: Verdict) -> Option<Kind> {
    match verdict {
        Verdict::Held => None,
        Verdict::Unknown => Some(Kind::Unknown),
        Verdict::Violated => Some(Kind::Violated),
    }
}

/// Returns the reasons that the comparison with the baseline gives.
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
                    // There are two to four baseline runs, and this run is worse than each of them. The newest is shown.
                    Some(_) => "in the newest baseline run",
                };
                Some((Kind::Worse, format!("{name}: {is}, and {usual} {was}")))
            }
            Change::Removed => {
                Some((Kind::Worse, format!("{name}: it was judged in the baseline, and not in this run")))
            }
            // An objective that is unknown in the run itself, or an attack that was not run, is already a reason of the run.
            Change::Unknown if row.after.is_none_or(|side| side.verdict == Verdict::Unknown) => None,
            // Such figures cannot be compared; only their own goals count.
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
