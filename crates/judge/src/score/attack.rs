//! Judges one attack: its objectives, its figures, and the doubts that make it `unknown`.

use firedrill_plan::plan::{Plan, model::Phase};

use super::{
    alert, attack_score, baseline,
    bench::Bench,
    budget,
    card::{AttackCard, Course, PhaseCard},
    causes, disagree,
    efficacy::{self, Doubt},
    facts::{AttackFacts, Facts},
    figures, format, host_log, judge, metric,
    phases::Phases,
    samples::Samples,
    writes,
};
use crate::{log::Outcome, verdict::Verdict};

/// Returns the judgement of one attack. `more` are doubts that come from the log itself.
pub(super) fn judged(
    facts: &Facts<'_>,
    plan: &Plan,
    (index, phases): (usize, &Phases),
    samples: &Samples<'_>,
    more: Vec<Doubt>,
) -> AttackCard {
    let attack = &plan.attacks[index];
    let logged = &facts.attacks[index];
    let begun = !logged.phases.is_empty() || logged.injections.iter().any(|one| !one.changes.is_empty());
    let course = match (&logged.ended, begun) {
        (Some((_, Outcome::NotRun(why))), _) => Course::NotRun(why.clone()),
        (Some((_, Outcome::Spared(why))), _) => Course::Spared(why.clone()),
        (Some((_, Outcome::Aborted(why))), _) => Course::Aborted(why.clone()),
        (Some((_, Outcome::Ran)), _) => Course::Ran,
        (None, true) => Course::Cut,
        (None, false) if spared(facts, plan, index) => Course::Spared("only one of them runs".to_owned()),
        (None, false) => Course::NotRun("the run ended before it".to_owned()),
    };
    let mut card = AttackCard {
        index,
        name: attack.name.clone(),
        course,
        verdict: None,
        why: Vec::new(),
        doubts: Vec::new(),
        score: None,
        phases: Vec::new(),
        fault_from_us: phases.fault_us,
        healed_us: phases.healed_us,
        objectives: Vec::new(),
        figures: Vec::new(),
        disagreements: Vec::new(),
        causes: causes::all(samples, plan, attack, logged, phases),
        injections: efficacy::cards(facts, index, logged),
        logs: Vec::new(),
        writes: Vec::new(),
    };
    if let Some(why) = card.course.not_begun() {
        card.why.push(why.to_owned());
        return card;
    }
    card.phases = phases
        .all
        .iter()
        .map(|span| PhaseCard { phase: span.phase, from_us: span.from_us, until_us: span.until_us })
        .collect();
    let mut doubts = efficacy::doubts(facts, index, logged, phases);
    doubts.extend(more);
    let mut bench = Bench { facts, plan, attack, attack_index: index, phases, samples, doubts };
    // The baseline comes first, because it explains the other doubts.
    if let Some(doubt) = baseline::doubt(&bench) {
        bench.doubts.insert(0, doubt);
    }
    let cut = card.course == Course::Cut;
    let probed = |objective| {
        let mut card = judge::objective(&bench, objective);
        budget::of_probe(&bench, objective, cut, &mut card);
        card
    };
    let measured = |objective| {
        let mut card = metric::objective(&bench, objective);
        budget::of_metric(&bench, objective, cut, &mut card);
        card
    };
    card.objectives = bench.objectives().map(probed).collect();
    card.objectives.extend(bench.metrics().map(measured));
    card.objectives.extend(bench.alerts().map(|one| alert::objective(&bench, one)));
    card.objectives.extend(bench.log_objectives().map(|one| host_log::objective(&bench, one)));
    card.logs = host_log::cards(&bench);
    card.writes = writes::cards(&bench);
    card.figures = figures::all(&bench);
    card.disagreements = disagree::all(&bench);
    let tripped = if bench.void().is_some() { None } else { guard(facts, index, phases) };
    let judged = card.objectives.iter().map(|objective| objective.verdict).max().unwrap_or(Verdict::Unknown);
    let doubted = if bench.doubts.is_empty() { judged } else { judged.max(Verdict::Unknown) };
    let verdict = if tripped.is_some() { Verdict::Violated } else { doubted };
    card.verdict = Some(verdict);
    card.why.extend(tripped);
    card.doubts = bench.doubts.iter().map(|doubt| doubt.text.clone()).collect();
    card.why.extend(card.doubts.iter().cloned());
    if card.objectives.is_empty() {
        card.why.push("no objective is judged in it".to_owned());
    }
    // Objectives with the same reason are listed together.
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    let guilty = card.objectives.iter().filter(|one| one.verdict != Verdict::Held && one.verdict == verdict);
    for objective in guilty.filter(|one| !card.why.contains(&one.why)) {
        match reasons.iter_mut().find(|(why, _)| *why == objective.why) {
            Some((_, names)) => names.push(&objective.name),
            None => reasons.push((&objective.why, vec![&objective.name])),
        }
    }
    let more: Vec<String> =
        reasons.iter().map(|(why, names)| format!("{}: {why}", format::list(names))).collect();
    card.why.extend(more);
    if verdict != Verdict::Unknown {
        card.score = attack_score::score(&bench, &card.figures);
    }
    card
}

/// Whether an attack of which a cut log has no record does not count. Of the attacks on a moving target one counts: the one that began or
/// ended by the log, otherwise the first one that was not spared.
fn spared(facts: &Facts<'_>, plan: &Plan, index: usize) -> bool {
    let alternatives = plan.alternatives(index);
    let has_records = |at: &usize| {
        let counts = |one: &AttackFacts<'_>| match &one.ended {
            Some((_, outcome)) => !matches!(outcome, Outcome::Spared(_)),
            None => !one.phases.is_empty() || !one.injections.iter().all(|one| one.changes.is_empty()),
        };
        facts.attacks.get(*at).is_some_and(counts)
    };
    // The log may have been cut when others were spared already, and before the one that counts began.
    let is_open = |at: &usize| facts.attacks.get(*at).is_some_and(|one| one.ended.is_none());
    let counting = alternatives.clone().find(has_records).or_else(|| alternatives.clone().find(is_open));
    counting.unwrap_or(alternatives.start) != index
}

/// Returns the reason why a guard violates the attack: its condition was met from the fault's start on. `None` if no guard did.
fn guard(facts: &Facts<'_>, index: usize, phases: &Phases) -> Option<String> {
    let from = phases.get(Phase::Fault)?.from_us;
    let until = facts.attack_end_us(index);
    let mut tripped = facts.guards.iter().filter(|(at, _, blind)| !*blind && (from..=until).contains(at));
    tripped.next().map(|(_, why, _)| format!("a guard aborted: {why}"))
}
