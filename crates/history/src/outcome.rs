//! What one run says about each objective of each attack, as far as findings follow from it.

use firedrill_judge::{
    report,
    score::{
        Scorecard,
        card::{AttackCard, ObjectiveCard},
    },
    verdict::Verdict,
};
use serde::{Deserialize, Serialize};

/// The verdict on one objective in one attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) attack: String,
    /// Empty for the attack as a whole, where a guard ended it and no objective was violated.
    pub(crate) objective: String,
    pub(crate) goal: String,
    pub(crate) verdict: Verdict,
    /// The figure, where it was violated.
    pub(crate) measured: String,
}

/// All that findings need of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) run: Option<String>,
    pub(crate) environment: Option<String>,
    /// What is unknown is left out: it neither opens nor closes a finding.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Told {
    /// Takes from a card what findings need. A run without an end shows violations only.
    pub(crate) fn of(card: &Scorecard, environment: Option<String>, ended: bool) -> Self {
        let mut outcomes: Vec<Outcome> = card.attacks.iter().flat_map(of_attack).collect();
        outcomes.retain(|one| match one.verdict {
            Verdict::Violated => true,
            Verdict::Held => ended,
            Verdict::Unknown => false,
        });
        Self { run: card.run.clone(), environment, outcomes }
    }
}

fn of_attack(attack: &AttackCard) -> Vec<Outcome> {
    let Some(verdict) = attack.verdict else { return Vec::new() };
    // A guard, or a doubt about the whole attack, belongs to no single objective; what held then, held in a part of it only.
    let whole = verdict != Verdict::Held && attack.objectives.iter().all(|one| one.verdict < verdict);
    let of = |one: &ObjectiveCard| Outcome {
        attack: attack.name.clone(),
        objective: one.name.clone(),
        goal: match &one.metric {
            Some(metric) => format!("{}, by {}", one.goal, metric.source),
            None => format!("{} of {}", one.goal, one.probe),
        },
        verdict: if whole && one.verdict == Verdict::Held { Verdict::Unknown } else { one.verdict },
        measured: match one.verdict {
            Verdict::Violated => report::measured(&one.measured),
            Verdict::Held | Verdict::Unknown => String::new(),
        },
    };
    let mut all: Vec<Outcome> = attack.objectives.iter().map(of).collect();
    let guard = Outcome {
        attack: attack.name.clone(),
        objective: String::new(),
        goal: "no guard ends it".to_owned(),
        verdict,
        measured: if verdict == Verdict::Violated { attack.why.join("; ") } else { String::new() },
    };
    match verdict {
        Verdict::Violated if whole => all.push(guard),
        Verdict::Held => all.push(guard),
        Verdict::Violated | Verdict::Unknown => {}
    }
    all
}
