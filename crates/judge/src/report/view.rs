//! A scorecard for people. Every figure is formatted, so the template of HTML and the Markdown report, which share it, calculate nothing.

mod alerts;
pub(crate) mod alike;
pub(super) mod charts;
mod events;
mod exchanges;
mod few;
mod figures;
mod host_log;
mod lanes;
mod log_rates;
mod metric;
mod plan;
mod shown;
pub(super) mod sketch;
mod steps;
mod summary;
mod terms;
mod times;
mod words;
mod writes;

use std::collections::{BTreeMap, HashSet};

use firedrill_plan::plan::model::Plan;
use serde::Serialize;

use super::{found::Found, input::Input};
use crate::{
    score::{
        budget_card::BurntCard,
        card::{AttackCard, Course, DisagreementCard, FigureCard, ObjectiveCard},
        format,
    },
    verdict::Verdict,
};
use alerts::AlertView;
use alike::{HostView, InjectionView};
use charts::ChartView;
use events::{EventView, events, notes};
use exchanges::ExchangeView;
use figures::{CauseView, FigureView, longest_outage, partial};
use host_log::LogView;
pub(super) use lanes::lanes;
use log_rates::LogRun;
use metric::{MetricRun, MetricView};
use plan::PlanView;
pub(super) use shown::range;
pub use shown::{alarm, measured};
use shown::{errors, fault_measured, with_unit};
use steps::StepView;
use summary::{Answer, Promise};
use words::{NONE, took};
use writes::WritesView;

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub(crate) title: String,
    pub(crate) verdict: &'static str,
    pub(crate) glyph: &'static str,
    pub(crate) story: String,
    /// The promise of the scenario, and whether it held; `None` if the scenario makes none.
    pub(crate) promise: Option<Promise>,
    /// The most urgent message; empty if everything was undone.
    pub(crate) alarm: String,
    pub(crate) why: Vec<String>,
    /// One sentence for each error budget, with the share that the whole run burnt.
    pub(crate) budgets: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) meta: Vec<(&'static str, String)>,
    /// The answers to a reader's first questions.
    pub(crate) answers: Vec<Answer>,
    /// The terms of the page with their meanings.
    pub(crate) terms: BTreeMap<&'static str, &'static str>,
    /// The lanes of the run, as SVG.
    pub(crate) lanes: String,
    pub(crate) timelines: Vec<ChartView>,
    /// The measurements of sources over the whole run.
    pub(crate) metrics: Vec<MetricRun>,
    /// The counts of logs over the whole run.
    pub(crate) logs: Vec<LogRun>,
    /// The vantages with their indexes, for the filter of the page.
    pub(crate) vantages: Vec<(usize, String)>,
    pub(crate) attacks: Vec<AttackView>,
    /// The steps between attacks.
    pub(crate) steps: Vec<StepView>,
    pub(crate) plan: Option<PlanView>,
    pub(crate) events: Vec<EventView>,
    /// The notes that people wrote.
    pub(crate) notes: Vec<EventView>,
    pub(crate) hosts: Vec<HostView>,
    pub(crate) findings: Vec<Found>,
    /// One sentence for each earlier judgement.
    pub(crate) before: Vec<String>,
}

/// An attack.
#[derive(Debug, Serialize)]
pub(crate) struct AttackView {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) verdict: &'static str,
    pub(crate) glyph: &'static str,
    pub(crate) score: String,
    pub(crate) course: String,
    pub(crate) why: Vec<String>,
    /// Sentences about the joint effects of its faults.
    pub(crate) means: Vec<String>,
    /// Start and end; empty if it has no phases.
    pub(crate) when: String,
    /// The share of failed requests in the fault, at the worst judged vantage.
    pub(crate) errors: String,
    pub(crate) mitigated: String,
    pub(crate) recovered: String,
    /// Time to detect; empty if no alert is judged.
    pub(crate) detected: String,
    /// The longest total outage.
    pub(crate) outage: String,
    /// The worst partial failure.
    pub(crate) partial: String,
    pub(crate) charts: Vec<ChartView>,
    pub(crate) objectives: Vec<ObjectiveView>,
    pub(crate) figures: Vec<FigureView>,
    pub(crate) disagreements: Vec<String>,
    pub(crate) causes: Vec<CauseView>,
    /// A sentence if some figures are left out, otherwise empty.
    pub(crate) fewer_figures: String,
    /// A sentence if some disagreements are left out, otherwise empty.
    pub(crate) fewer_disagreements: String,
    /// A sentence if some causes are left out, otherwise empty.
    pub(crate) fewer_causes: String,
    pub(crate) injections: Vec<InjectionView>,
    pub(crate) exchanges: Vec<ExchangeView>,
    pub(crate) writes: Vec<WritesView>,
    pub(crate) alerts: Vec<AlertView>,
    pub(crate) logs: Vec<LogView>,
    /// A sentence if some rows of logs are left out, otherwise empty.
    pub(crate) fewer_logs: String,
    /// Whether it began.
    pub(crate) ran: bool,
}

/// An objective in an attack.
#[derive(Debug, Serialize)]
pub(crate) struct ObjectiveView {
    pub(crate) name: String,
    pub(crate) goal: String,
    /// The probe, the source or the log that measures it.
    pub(crate) probe: String,
    pub(crate) verdict: &'static str,
    pub(crate) glyph: &'static str,
    pub(crate) measured: String,
    pub(crate) range: String,
    pub(crate) samples: String,
    pub(crate) why: String,
    pub(crate) vantages: Vec<VantageView>,
    /// A sentence if some vantages are left out, otherwise empty.
    pub(crate) fewer: String,
    pub(crate) metric: Option<MetricView>,
    /// A sentence with the share of its error budget that was burnt; empty without a budget.
    pub(crate) budget: String,
}

/// An objective at one vantage.
#[derive(Debug, Serialize)]
pub(crate) struct VantageView {
    pub(crate) vantage: String,
    pub(crate) verdict: &'static str,
    pub(crate) measured: String,
    pub(crate) why: String,
    pub(crate) counts: bool,
}

impl View {
    /// Formats everything that a report shows.
    pub(crate) fn of(input: &Input<'_>) -> Self {
        let card = &input.card;
        let facts = &input.facts;
        let mut meta = vec![("run", card.run.clone().unwrap_or_else(|| NONE.to_owned()))];
        meta.push(("started", facts.wall.to_owned()));
        meta.push(("took", format::time(card.end_us)));
        meta.push(("by", facts.operator.to_owned()));
        meta.push(("attacks", format!("{} of {} run", card.ran, card.planned)));
        if let Some(plan) = facts.plan {
            meta.extend(drawn(plan).map(|text| ("drawn", text)));
        }
        meta.push(("score", score(card.score)));
        meta.push(("ended", card.ended.clone()));
        meta.push(("exit code", card.exit.to_string()));
        if facts.attempt > 1 {
            meta.push(("try", facts.attempt.to_string()));
        }
        if let Some(plan) = facts.plan {
            meta.push(("plan", plan.digest()));
            if let Some(ticket) = plan.meta.get("ticket") {
                meta.push(("ticket", ticket.clone()));
            }
        }
        meta.push(("firedrill", facts.version.to_owned()));
        meta.retain(|(_, value)| !value.is_empty());
        Self {
            title: if card.name.is_empty() { "a drill".to_owned() } else { card.name.clone() },
            verdict: card.verdict.word(),
            glyph: glyph(Some(card.verdict)),
            story: card.story.clone(),
            promise: summary::promise(card),
            terms: terms::all(),
            alarm: alarm(card),
            why: alike::reasons(&card.why, &card.attacks),
            budgets: card.budgets.iter().map(BurntCard::sentence).collect(),
            warnings: input.warnings(),
            meta,
            answers: summary::answers(input),
            lanes: lanes(input),
            metrics: metric::of_run(facts.plan, card, facts.last_us),
            logs: log_rates::of_run(input),
            vantages: vantages(input),
            timelines: input.drawn.timelines.clone(),
            attacks: card.attacks.iter().map(|attack| attack_view(input, attack)).collect(),
            steps: steps::all(&card.steps),
            plan: facts.plan.map(PlanView::of),
            events: events(input),
            notes: notes(input),
            hosts: alike::hosts(&card.hosts),
            findings: input.findings.clone(),
            before: input.judged_before(),
        }
    }
}

/// Returns the vantages by which the page can be filtered, each with its index among the names of the page.
fn vantages(input: &Input<'_>) -> Vec<(usize, String)> {
    let probes = input.facts.plan.iter().flat_map(|plan| &plan.probes);
    let seen: HashSet<&String> = probes.flat_map(|probe| &probe.from).collect();
    input.drawn.names.all().iter().cloned().enumerate().filter(|(_, name)| seen.contains(name)).collect()
}

/// Formats a score.
fn score(score: Option<u8>) -> String {
    score.map_or_else(|| NONE.to_owned(), |score| format!("{score} of 100"))
}

/// Describes the random draw of a plan's attacks, with the command that repeats it; `None` if the attacks were not drawn.
fn drawn(plan: &Plan) -> Option<String> {
    let drawn = plan.drawn.as_ref()?;
    let (count, of, seed) = (plan.attacks.len(), drawn.of, plan.seed);
    let again = drawn.repeat(seed);
    Some(format!("{count} of {of} attacks, and their targets, by seed {seed}; `{again}` repeats it"))
}

/// Returns the symbol of a verdict; a dash if there is none.
fn glyph(verdict: Option<Verdict>) -> &'static str {
    verdict.map_or("–", Verdict::glyph)
}

/// Formats an attack.
fn attack_view(input: &Input<'_>, attack: &AttackCard) -> AttackView {
    let ran = attack.course.not_begun().is_none();
    let course = match &attack.course {
        Course::Ran => "ran through".to_owned(),
        Course::Aborted(why) => format!("aborted: {why}"),
        Course::Cut => "the log ends before it does".to_owned(),
        Course::NotRun(why) => format!("not run: {why}"),
        Course::Spared(why) => format!("spared: {why}"),
    };
    // The figures of an attack as a whole are those of its judged probes, as in the story.
    let worst = attack.judged().max_by(|a, b| errors(a).total_cmp(&errors(b)));
    let slowest =
        |get: fn(&FigureCard) -> Option<i64>| attack.longest(get).map_or_else(|| NONE.to_owned(), took);
    let planned = input.facts.plan.and_then(|plan| plan.attacks.get(attack.index));
    let rows = few::rows(input.card.attacks.len());
    // A figure that is judged is worse than any that is not, whose share of errors is at most 1.
    let is_judged = |figure: &FigureCard| f64::from(u8::from(figure.counts && attack.judges(&figure.probe)));
    let (figures, fewer_figures) =
        few::worst(&attack.figures, rows, |figure| is_judged(figure) + errors(figure));
    let (disagreements, fewer_disagreements) = few::worst(&attack.disagreements, rows, |one| -one.chance);
    let (causes, fewer_causes) = few::worst(&attack.causes, rows, |one| (one.bad + one.slipped) as f64);
    let (logs, fewer_logs) = LogView::all(attack);
    AttackView {
        number: attack.index + 1,
        name: attack.name.clone(),
        verdict: attack.word(),
        glyph: glyph(attack.verdict),
        score: score(attack.score),
        course,
        why: alike::reasons(&attack.why, std::slice::from_ref(attack)),
        means: planned.map_or_else(Vec::new, |planned| planned.means.clone()),
        when: attack.phases.first().zip(attack.phases.last()).map_or_else(String::new, |(first, last)| {
            format!("{} – {}", format::clock(first.from_us), format::clock(last.until_us))
        }),
        errors: worst
            .filter(|_| ran)
            .filter(|figure| fault_measured(figure))
            .map_or_else(|| NONE.to_owned(), |figure| format::percent(errors(figure))),
        mitigated: slowest(|figure| figure.mitigated_us),
        recovered: slowest(|figure| figure.recovered_us),
        detected: alerts::detected(attack),
        outage: longest_outage(attack.judged().map(|figure| figure.outage)),
        partial: partial(attack.judged()),
        charts: input.drawn.zooms.get(attack.index).cloned().unwrap_or_default(),
        objectives: attack
            .objectives
            .iter()
            .map(|one| objective_view(input.facts.plan, attack, one, rows))
            .collect(),
        figures: figures::figures(attack, &figures),
        disagreements: disagreements.into_iter().map(DisagreementCard::sentence).collect(),
        causes: figures::causes(&causes),
        fewer_figures,
        fewer_disagreements,
        fewer_causes,
        injections: alike::injections(&attack.injections),
        exchanges: ExchangeView::all(attack),
        writes: WritesView::all(attack),
        alerts: AlertView::all(attack),
        logs,
        fewer_logs,
        ran,
    }
}

/// Returns the source, the log or the probe that measures an objective.
fn asked(attack: &AttackCard, card: &ObjectiveCard) -> String {
    match (&card.metric, &card.alert) {
        (Some(metric), _) => return metric.source.clone(),
        (_, Some(alert)) => return alert.source.clone(),
        _ => {}
    }
    let log = attack.logs.iter().find(|log| log.objectives.contains(&card.name));
    log.map_or_else(|| card.probe.clone(), |log| format!("log {}", log.log))
}

/// Formats an objective. `rows` is the maximum number of rows of vantages of all objectives of the attack together.
fn objective_view(
    plan: Option<&Plan>,
    attack: &AttackCard,
    card: &ObjectiveCard,
    rows: usize,
) -> ObjectiveView {
    // At least three vantages of each objective are shown.
    let most = (rows / attack.objectives.len().max(1)).max(3);
    let rank = |verdict: Verdict| match verdict {
        Verdict::Held => 0.0,
        Verdict::Unknown => 2.0,
        Verdict::Violated => 3.0,
    };
    let (vantages, fewer) =
        few::worst(&card.vantages, most, |one| rank(one.verdict) + f64::from(u8::from(one.counts)));
    ObjectiveView {
        name: card.name.clone(),
        goal: card.goal.clone(),
        probe: asked(attack, card),
        metric: MetricView::of(plan, attack, card),
        budget: card.budget.as_ref().map_or_else(String::new, |budget| budget.sentence()),
        verdict: card.verdict.word(),
        glyph: glyph(Some(card.verdict)),
        measured: with_unit(card, measured(&card.measured)),
        range: with_unit(card, range(&card.measured)),
        samples: if card.measured.samples == 0 { NONE.to_owned() } else { card.measured.samples.to_string() },
        // A reason that the attack already gives is not repeated for each objective, except for `unknown`.
        why: if card.verdict != Verdict::Unknown && attack.why.contains(&card.why) {
            String::new()
        } else {
            card.why.clone()
        },
        fewer,
        vantages: vantages
            .into_iter()
            .map(|one| VantageView {
                vantage: one.vantage.clone(),
                verdict: one.verdict.word(),
                measured: measured(&one.measured),
                why: one.why.clone(),
                counts: one.counts,
            })
            .collect(),
    }
}
