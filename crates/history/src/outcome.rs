//! The outcomes of a run for findings: a verdict for each objective of each attack.

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

/// The verdict on an objective in an attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) attack: String,
    /// The objective's name. Empty for the attack as a whole, which is about whether a guard ended it.
    pub(crate) objective: String,
    pub(crate) goal: String,
    pub(crate) verdict: Verdict,
    /// The figure, if the objective was violated; otherwise empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) measured: String,
}

/// The facts about a run that findings need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) run: Option<String>,
    pub(crate) environment: Option<String>,
    /// Unknown outcomes are left out: they neither open nor close a finding.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Told {
    /// Takes the outcomes from a scorecard. Of a run without an end, only violations count.
    pub(crate) fn of(card: &Scorecard, environment: Option<String>, ended: bool) -> Self {
        let mut outcomes: Vec<Outcome> = card.attacks.iter().flat_map(of_attack).collect();
        outcomes.retain(|outcome| match outcome.verdict {
            Verdict::Violated => true,
            Verdict::Held => ended,
            Verdict::Unknown => false,
        });
        Self { run: card.run.clone(), environment, outcomes }
    }

    /// Keeps only the outcomes with these names (attack, objective).
    pub(crate) fn keep(&mut self, names: &HashSet<(String, String)>) {
        self.outcomes.retain(|outcome| names.contains(&(outcome.attack.clone(), outcome.objective.clone())));
        self.outcomes.shrink_to_fit();
    }
}

/// Returns the outcomes of an attack; none if it was not run.
fn of_attack(attack: &AttackCard) -> Vec<Outcome> {
    let Some(verdict) = attack.verdict else { return Vec::new() };
    // An objective that held is unknown here if the attack ended early, or if a guard ended it: then it held only in a part of the attack. It is
    // unknown, too, if there is a doubt about the whole attack.
    let ended_early_or_doubtful = !matches!(attack.course, Course::Ran) || !attack.doubts.is_empty();
    // The attack's verdict is worse than those of its objectives, so the reason is a guard or a doubt.
    let is_about_whole =
        verdict != Verdict::Held && attack.objectives.iter().all(|objective| objective.verdict < verdict);
    let outcome = |objective: &ObjectiveCard| Outcome {
        attack: attack.name.clone(),
        objective: objective.name.clone(),
        goal: match asked(objective) {
            Some(asked) => format!("{}, by {asked}", objective.goal),
            None => format!("{} of {}", objective.goal, objective.probe),
        },
        verdict: match objective.verdict {
            Verdict::Held if is_about_whole || ended_early_or_doubtful => Verdict::Unknown,
            verdict => verdict,
        },
        measured: match objective.verdict {
            Verdict::Violated => report::measured(&objective.measured),
            Verdict::Held | Verdict::Unknown => String::new(),
        },
    };
    let mut outcomes: Vec<Outcome> = attack.objectives.iter().map(outcome).collect();
    let guard = Outcome {
        attack: attack.name.clone(),
        objective: String::new(),
        goal: "no guard ends it".to_owned(),
        verdict,
        measured: if verdict == Verdict::Violated { attack.why.join("; ") } else { String::new() },
    };
    match verdict {
        Verdict::Violated if is_about_whole => outcomes.push(guard),
        Verdict::Held => outcomes.push(guard),
        Verdict::Violated | Verdict::Unknown => {}
    }
    outcomes
}

/// Returns the source and the question of an objective that a source measures; `None` for others. Objectives with different questions are different
/// objectives, even if they have the same name.
pub(crate) fn asked(objective: &ObjectiveCard) -> Option<String> {
    let metric = objective.metric.as_ref().map(|metric| format!("{}: {}", metric.source, metric.asks));
    metric.or_else(|| objective.alert.as_ref().map(|alert| format!("{}: {}", alert.source, alert.alert)))
}

#[cfg(test)]
mod tests {
    use firedrill_judge::{score, testing::Drill};

    use super::*;

    /// Returns the scorecard of a run that held.
    fn card() -> Scorecard {
        let mut drill = Drill::one();
        drill.goals.truncate(1);
        score::fold(&drill.records())
    }

    /// For [`told`]: the run has an end.
    const ENDED: bool = true;
    /// For [`told`]: the run has no end.
    const CUT: bool = false;

    /// Returns the objectives and verdicts that findings get.
    fn told(card: &Scorecard, ended: bool) -> Vec<(String, Verdict)> {
        let outcomes = Told::of(card, None, ended).outcomes;
        outcomes.into_iter().map(|outcome| (outcome.objective, outcome.verdict)).collect()
    }

    #[test]
    fn held_objectives_count_only_in_runs_with_an_end() {
        let whole = [("users".to_owned(), Verdict::Held), (String::new(), Verdict::Held)];
        assert_eq!(told(&card(), ENDED), whole);
        assert_eq!(told(&card(), CUT), []);
    }

    #[test]
    fn an_attack_that_a_guard_ended_is_a_separate_outcome_and_no_objective_of_it_held() {
        let mut card = card();
        card.attacks[0].verdict = Some(Verdict::Violated);
        card.attacks[0].why = vec!["a guard ended it".to_owned()];
        assert_eq!(told(&card, ENDED), [(String::new(), Verdict::Violated)]);
        assert_eq!(Told::of(&card, None, ENDED).outcomes[0].measured, "a guard ended it");
        // If the attack ended early, an objective that was not violated did not hold either.
        let mut early = self::card();
        let other = ObjectiveCard {
            name: "fast".to_owned(),
            verdict: Verdict::Violated,
            ..early.attacks[0].objectives[0].clone()
        };
        early.attacks[0].objectives.push(other);
        early.attacks[0].verdict = Some(Verdict::Violated);
        early.attacks[0].course = Course::Aborted("a guard".to_owned());
        assert_eq!(told(&early, ENDED), [("fast".to_owned(), Verdict::Violated)]);
        // A violation counts in a run without an end, too.
        assert_eq!(told(&card, CUT), [(String::new(), Verdict::Violated)]);
    }

    #[test]
    fn a_doubt_about_the_attack_makes_held_objectives_unknown_and_another_unknown_objective_does_not() {
        let mut card = card();
        card.attacks[0].verdict = Some(Verdict::Unknown);
        assert_eq!(told(&card, ENDED), []);
        let other = ObjectiveCard {
            name: "fast".to_owned(),
            verdict: Verdict::Unknown,
            ..card.attacks[0].objectives[0].clone()
        };
        card.attacks[0].objectives.push(other);
        assert_eq!(told(&card, ENDED), [("users".to_owned(), Verdict::Held)]);
        // A doubt about the attack applies to each of its objectives.
        card.attacks[0].doubts = vec!["the coordinator stood still for 4 s".to_owned()];
        assert_eq!(told(&card, ENDED), []);
        card.attacks[0].objectives[1].verdict = Verdict::Violated;
        card.attacks[0].verdict = Some(Verdict::Violated);
        assert_eq!(told(&card, ENDED), [("fast".to_owned(), Verdict::Violated)], "a violation stands");
        card.attacks[0].verdict = None;
        assert_eq!(told(&card, ENDED), [], "an attack that was not run says nothing");
    }
}
