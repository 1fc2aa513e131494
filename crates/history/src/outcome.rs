//! The outcomes of one run, for each objective of each attack, as far as findings need them.

use std::collections::HashSet;

use firedrill_judge::{
    report,
    score::{
        Scorecard,
        card::{AttackCard, Course, ObjectiveCard},
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
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) measured: String,
}

/// All that findings need of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) run: Option<String>,
    pub(crate) environment: Option<String>,
    /// Unknown outcomes are left out: they neither open nor close a finding.
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

    /// Forgets all outcomes but those of these names (attack, objective).
    pub(crate) fn keep(&mut self, names: &HashSet<(String, String)>) {
        self.outcomes.retain(|one| names.contains(&(one.attack.clone(), one.objective.clone())));
        self.outcomes.shrink_to_fit();
    }
}

fn of_attack(attack: &AttackCard) -> Vec<Outcome> {
    let Some(verdict) = attack.verdict else { return Vec::new() };
    // A guard or a doubt about the whole attack belongs to no single objective. An objective that held then, held in a part of the attack
    // only. The same is true of an attack that ended early.
    let part = !matches!(attack.course, Course::Ran) || !attack.doubts.is_empty();
    let whole = verdict != Verdict::Held && attack.objectives.iter().all(|one| one.verdict < verdict);
    let of = |one: &ObjectiveCard| Outcome {
        attack: attack.name.clone(),
        objective: one.name.clone(),
        goal: match asked(one) {
            Some(asked) => format!("{}, by {asked}", one.goal),
            None => format!("{} of {}", one.goal, one.probe),
        },
        verdict: if (whole || part) && one.verdict == Verdict::Held { Verdict::Unknown } else { one.verdict },
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

/// Returns what is asked of which source, for an objective that a source measures: another question is another objective.
pub(crate) fn asked(objective: &ObjectiveCard) -> Option<String> {
    let metric = objective.metric.as_ref().map(|metric| format!("{}: {}", metric.source, metric.asks));
    metric.or_else(|| objective.alert.as_ref().map(|alert| format!("{}: {}", alert.source, alert.alert)))
}

#[cfg(test)]
mod tests {
    use firedrill_judge::{score, testing::Drill};

    use super::*;

    /// A run that held.
    fn card() -> Scorecard {
        let mut drill = Drill::one();
        drill.goals.truncate(1);
        score::fold(&drill.records())
    }

    fn told(card: &Scorecard, ended: bool) -> Vec<(String, Verdict)> {
        let outcomes = Told::of(card, None, ended).outcomes;
        outcomes.into_iter().map(|one| (one.objective, one.verdict)).collect()
    }

    #[test]
    fn what_held_is_told_of_whole_runs_only() {
        let whole = [("users".to_owned(), Verdict::Held), (String::new(), Verdict::Held)];
        assert_eq!(told(&card(), true), whole);
        assert_eq!(told(&card(), false), []);
    }

    #[test]
    fn an_attack_that_a_guard_ended_is_an_outcome_of_its_own_and_nothing_held_in_it() {
        let mut card = card();
        card.attacks[0].verdict = Some(Verdict::Violated);
        card.attacks[0].why = vec!["a guard ended it".to_owned()];
        assert_eq!(told(&card, true), [(String::new(), Verdict::Violated)]);
        assert_eq!(Told::of(&card, None, true).outcomes[0].measured, "a guard ended it");
        // Nor did what is not violated hold where another objective's guard ended the attack.
        let mut early = self::card();
        let other = ObjectiveCard {
            name: "fast".to_owned(),
            verdict: Verdict::Violated,
            ..early.attacks[0].objectives[0].clone()
        };
        early.attacks[0].objectives.push(other);
        early.attacks[0].verdict = Some(Verdict::Violated);
        early.attacks[0].course = Course::Aborted("a guard".to_owned());
        assert_eq!(told(&early, true), [("fast".to_owned(), Verdict::Violated)]);
        // A run without an end shows it all the same.
        assert_eq!(told(&card, false), [(String::new(), Verdict::Violated)]);
    }

    #[test]
    fn a_doubt_about_the_attack_closes_nothing_and_one_about_another_objective_does_not_matter() {
        let mut card = card();
        card.attacks[0].verdict = Some(Verdict::Unknown);
        assert_eq!(told(&card, true), []);
        let other = ObjectiveCard {
            name: "fast".to_owned(),
            verdict: Verdict::Unknown,
            ..card.attacks[0].objectives[0].clone()
        };
        card.attacks[0].objectives.push(other);
        assert_eq!(told(&card, true), [("users".to_owned(), Verdict::Held)]);
        // A doubt about the attack is one about each of its objectives, whatever else is unknown.
        card.attacks[0].doubts = vec!["the coordinator stood still for 4 s".to_owned()];
        assert_eq!(told(&card, true), []);
        card.attacks[0].objectives[1].verdict = Verdict::Violated;
        card.attacks[0].verdict = Some(Verdict::Violated);
        assert_eq!(told(&card, true), [("fast".to_owned(), Verdict::Violated)], "a violation stands");
        card.attacks[0].verdict = None;
        assert_eq!(told(&card, true), [], "an attack that was not run says nothing");
    }
}
