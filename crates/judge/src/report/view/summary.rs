//! The four answers at the top of the page, for a reader who did not see the run: what was tried, what users saw, whether it held, and what
//! to do.

use firedrill_plan::alike::{names, together};
use serde::Serialize;

use super::{
    figures::{longest_outage, partial},
    shown::{alarm, errors, fault_measured, measured, with_unit},
    words::{NONE, took},
};
use crate::{
    report::input::Input,
    score::{
        card::{AttackCard, Course, FigureCard, ObjectiveCard, Scorecard},
        format,
    },
    verdict::Verdict,
};

/// Maximum number of lines of an answer.
const MOST: usize = 4;

/// An answer with its question.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    question: &'static str,
    lines: Vec<Line>,
}

/// A line of an answer.
#[derive(Clone, Debug, Default, Serialize)]
struct Line {
    text: String,
    /// The number of the attack to which the line links; 0 for none.
    attack: usize,
}

impl Line {
    /// Returns a line that links to an attack.
    fn about(attack: &AttackCard, text: String) -> Self {
        Self { text, attack: attack.index + 1 }
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), attack: 0 }
    }
}

/// The promise of the scenario, and whether it held.
#[derive(Debug, Serialize)]
pub(crate) struct Promise {
    pub(crate) text: String,
    /// `It held`, `It did not hold` or `It is not decided`.
    pub(crate) said: &'static str,
    /// The reason, to be read after the word “because”.
    pub(crate) because: String,
}

/// Answers the promise of the scenario; `None` if it makes none.
pub(super) fn promise(card: &Scorecard) -> Option<Promise> {
    if card.hypothesis.is_empty() {
        return None;
    }
    let first = |verdict: Verdict| card.attacks.iter().find(|one| one.verdict == Some(verdict));
    let why = || card.why.first().cloned().unwrap_or_else(|| "the log does not say why".to_owned());
    let (said, because) = match card.verdict {
        Verdict::Held if card.attacks.len() == 1 => ("It held", "every objective held".to_owned()),
        Verdict::Held => ("It held", format!("every objective held in all {} attacks", card.attacks.len())),
        Verdict::Violated => ("It did not hold", first(Verdict::Violated).map_or_else(why, missed)),
        Verdict::Unknown => (
            "It is not decided",
            first(Verdict::Unknown).map_or_else(why, |attack| {
                format!("in “{}” {}", attack.name, reason(attack, Verdict::Unknown))
            }),
        ),
    };
    Some(Promise { text: card.hypothesis.clone(), said, because: because.trim_end_matches('.').to_owned() })
}

/// Names the objectives that an attack violated, with the figure of the first.
fn missed(attack: &AttackCard) -> String {
    let violated: Vec<&ObjectiveCard> =
        attack.objectives.iter().filter(|one| one.verdict == Verdict::Violated).collect();
    let Some((first, others)) = violated.split_first() else {
        return format!("in “{}” {}", attack.name, reason(attack, Verdict::Violated));
    };
    let figure = figure(first);
    let names: Vec<String> = others.iter().map(|one| format!("“{}”", one.name)).collect();
    let more = if names.is_empty() { String::new() } else { format!("; so did {}", format::list(&names)) };
    format!("under “{}” the objective “{}” missed its goal ({figure}){more}", attack.name, first.name)
}

/// Returns the figure of a violated objective, and its goal.
fn figure(one: &ObjectiveCard) -> String {
    match one.measured.endless {
        // An infinite quantile is no figure. The reason says instead how many requests were fast enough.
        true => one.why.clone(),
        false => format!("{}, wanted {}", with_unit(one, measured(&one.measured)), one.goal),
    }
}

/// Gives the reason of an attack's verdict, which is not `held`: the figures of violated objectives if there are several, otherwise the
/// attack's first reason, otherwise the names of the objectives with this verdict.
fn reason(attack: &AttackCard, verdict: Verdict) -> String {
    let missed: Vec<String> = attack
        .objectives
        .iter()
        .filter(|one| one.verdict == verdict)
        .map(|one| match verdict {
            Verdict::Violated => format!("{}: {}", one.name, figure(one)),
            _ => one.name.clone(),
        })
        .collect();
    match (missed.as_slice(), attack.why.first()) {
        (missed @ [_, ..], _) if verdict == Verdict::Violated => missed.join("; "),
        (_, Some(why)) => why.clone(),
        (missed, None) => format::list(missed),
    }
}

/// Returns the answers; none if the log has no plan.
pub(super) fn answers(input: &Input<'_>) -> Vec<Answer> {
    if input.facts.plan.is_none() {
        return Vec::new();
    }
    let card = &input.card;
    let answer = |question, lines| Answer { question, lines: few(lines) };
    vec![
        answer("What was tried", tried(input)),
        answer("What users saw", [seen(card), burnt(card)].concat()),
        answer("Did it hold?", held(card)),
        answer("What to do", next(card)),
    ]
}

/// Shortens an answer to at most [`MOST`] lines. The last line then says how many are left out.
fn few(mut lines: Vec<Line>) -> Vec<Line> {
    if lines.len() > MOST {
        let more = lines.len() - (MOST - 1);
        lines.truncate(MOST - 1);
        lines.push(Line { text: format!("and {more} more, below"), attack: 0 });
    }
    lines
}

/// Describes each attack that was not spared: its faults, hosts, duration and course.
fn tried(input: &Input<'_>) -> Vec<Line> {
    let plan = input.facts.plan;
    let line = |attack: &AttackCard| {
        let planned = plan?.attacks.get(attack.index)?;
        let kinds = together(&planned.injections, |one| one.fault.kind());
        let faults = kinds.into_iter().filter_map(|group| {
            let hosts: Vec<&str> = group.iter().map(|one| one.host.as_str()).collect();
            Some(format!("{} on {}", group.first()?.fault.kind(), names(&hosts)))
        });
        let faults: Vec<String> = faults.collect();
        let faults = if faults.is_empty() { "no fault".to_owned() } else { format::list(&faults) };
        let means = planned.means.first().map_or_else(String::new, |means| format!(": {means}"));
        let course = match &attack.course {
            Course::Ran => String::new(),
            Course::Aborted(_) => ", aborted".to_owned(),
            Course::Cut => ", not told to its end".to_owned(),
            Course::Spared(_) => return None,
            Course::NotRun(why) => format!(", not run: {why}"),
        };
        Some(Line::about(attack, format!("“{}”: {faults}, for {}{course}{means}", attack.name, planned.hold)))
    };
    input.card.attacks.iter().filter_map(line).collect()
}

/// Returns a line for each error budget, with the share that the run burnt.
fn burnt(card: &Scorecard) -> Vec<Line> {
    card.budgets.iter().map(|sum| Line { text: sum.sentence(), attack: 0 }).collect()
}

/// Returns a line for each attack during which requests failed, the worst first.
fn seen(card: &Scorecard) -> Vec<Line> {
    let mut harmed: Vec<(f64, Line)> = card.attacks.iter().filter_map(harm).collect();
    harmed.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    if !harmed.is_empty() {
        return harmed.into_iter().map(|(_, line)| line).collect();
    }
    let measured = |attack: &AttackCard| attack.verdict.is_some() && attack.judged().any(fault_measured);
    if card.attacks.iter().any(measured) {
        return vec!["No judged request failed while a fault was in force.".into()];
    }
    vec!["No judged request was measured while a fault was in force.".into()]
}

/// Describes the failures of an attack at its worst judged vantage, and returns the share of requests that failed. `None` if it has no verdict
/// or no request failed.
fn harm(attack: &AttackCard) -> Option<(f64, Line)> {
    attack.verdict?;
    let worst = attack.judged().max_by(|one, other| errors(one).total_cmp(&errors(other)))?;
    let share = errors(worst);
    if share <= 0.0 && worst.bad == 0 {
        return None;
    }
    let back = match worst.recovered_us {
        None => "nothing shows that all was well again after the heal".to_owned(),
        Some(0) => "all was well from the heal on".to_owned(),
        Some(us) => format!("all was well again {} after the heal", took(us)),
    };
    let vantages: Vec<&FigureCard> = attack.judged().filter(|figure| figure.probe == worst.probe).collect();
    let affected = vantages.iter().filter(|figure| figure.bad > 0).count();
    let vantages = match vantages.len() {
        0 | 1 => String::new(),
        all => format!(" ({affected} of {all} vantages saw failures)"),
    };
    let outage = match longest_outage(std::iter::once(worst.outage)).as_str() {
        "none" | NONE => String::new(),
        "one request" => ", never two in a row".to_owned(),
        longest => format!(", longest total outage {longest}"),
    };
    let part = match partial(std::iter::once(worst)).as_str() {
        "none" | NONE => String::new(),
        part => format!(", partial failure of {part}"),
    };
    let failed = if fault_measured(worst) { format::percent(share) } else { "an unknown share".to_owned() };
    let text = format!(
        "“{}”: {failed} of the requests to “{}” from {} failed while the fault was in force{vantages}{outage}{part}; {back}",
        attack.name, worst.probe, worst.vantage
    );
    Some((share, Line::about(attack, text)))
}

/// Answers whether the attacks held: those that did not come first, then the number of those that held and of those that did not run.
fn held(card: &Scorecard) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for verdict in [Verdict::Violated, Verdict::Unknown] {
        for attack in card.attacks.iter().filter(|attack| attack.verdict == Some(verdict)) {
            let why = reason(attack, verdict);
            let open = undecided(attack);
            lines.push(Line::about(attack, format!("“{}” is {}: {why}{open}", attack.name, verdict.word())));
        }
    }
    if lines.is_empty() && card.verdict != Verdict::Held {
        let why = card.why.first().map_or("the log does not say why", String::as_str);
        lines.push(Line { text: format!("{}: {why}", format::capital(card.verdict.word())), attack: 0 });
    }
    let held: Vec<&AttackCard> =
        card.attacks.iter().filter(|one| one.verdict == Some(Verdict::Held)).collect();
    let not_run = card.counted().filter(|one| one.verdict.is_none()).count();
    if !held.is_empty() {
        let name = match held.as_slice() {
            [one] if card.planned > 1 => format!(" (“{}”)", one.name),
            _ => String::new(),
        };
        let text = format!("In {} of {} attacks{name} every objective held.", held.len(), card.planned);
        // Among the first lines, so that [`few`] does not cut it off.
        lines.insert(lines.len().min(MOST - 1), text.as_str().into());
    }
    if not_run > 0 {
        lines.push(format!("{not_run} of {} attacks did not run.", card.planned).as_str().into());
    }
    lines
}

/// Names the undecided objectives of a violated attack; empty if there are none or the attack is not violated.
fn undecided(attack: &AttackCard) -> String {
    let unknown = attack.objectives.iter().filter(|one| one.verdict == Verdict::Unknown);
    let open: Vec<String> = unknown.map(|one| format!("“{}”", one.name)).collect();
    if open.is_empty() || attack.verdict != Some(Verdict::Violated) {
        return String::new();
    }
    format!("; not decided: {}", format::list(&open))
}

/// Says what to do next. Effects that may not have been put back come first.
fn next(card: &Scorecard) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let left = alarm(card);
    if !left.is_empty() {
        lines.push(Line { text: left, attack: 0 });
    }
    let is = |verdict| move |attack: &&AttackCard| attack.verdict == Some(verdict);
    for attack in card.attacks.iter().filter(is(Verdict::Violated)) {
        let names: Vec<String> = attack
            .objectives
            .iter()
            .filter(|one| one.verdict == Verdict::Violated)
            .map(|one| format!("“{}”", one.name))
            .collect();
        let causes = cause(attack).map_or_else(String::new, |cause| format!(" {cause}."));
        let what = if names.is_empty() { "it".to_owned() } else { format::list(&names) };
        lines.push(Line::about(
            attack,
            format!(
                "Find out why {what} did not hold under “{}”, mend that, and run it again.{causes}",
                attack.name
            ),
        ));
    }
    for attack in card.attacks.iter().filter(is(Verdict::Unknown)) {
        let why = attack.why.first().map_or("the report does not say why", String::as_str);
        lines.push(Line::about(
            attack,
            format!("Do not count “{}” as passed. Remove the cause ({why}), then run it again.", attack.name),
        ));
    }
    if card.verdict != Verdict::Held && lines.is_empty() {
        lines.push("Remove the cause, then run the scenario again.".into());
    }
    if lines.is_empty() {
        lines
            .push("Nothing to mend. Keep the scenario, and run it again when the system has changed.".into());
    }
    lines
}

/// Describes the most frequent cause of failed requests of an attack; `None` if no request failed.
fn cause(attack: &AttackCard) -> Option<String> {
    let mut counts: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for figure in attack.judged() {
        for (cause, count) in &figure.causes {
            let sum = counts.entry(cause.as_str()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
    let all = counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let (cause, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some(if count == all {
        format!("All failed requests failed by {cause}")
    } else {
        format!("Of {all} failed requests, {count} failed by {cause}")
    })
}
