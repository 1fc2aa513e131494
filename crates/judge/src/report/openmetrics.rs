//! `metrics.prom`: the result of a run in the OpenMetrics text format.
//!
//! All metrics are gauges, because readers of the older text format (the node exporter, a Pushgateway) accept only these. A figure that was not
//! measured has no sample, so an alert on it never mistakes `unknown` for a good value. A figure without an upper bound is `+Inf`.

use firedrill_wire::api::HostState;

use super::input::Input;
use crate::{
    gauges::{Exposition, Gauges, Unit},
    score::card::{self, AttackCard, Measured, state_word},
    verdict::Verdict,
};

/// Renders the file.
pub(super) fn render(input: &Input<'_>) -> Vec<u8> {
    let mut metrics = Exposition::default();
    let card = &input.card;
    let labels = [("scenario", card.name.as_str()), ("environment", input.environment().unwrap_or_default())];
    run(&mut metrics, input, &labels);
    attacks(&mut metrics, &card.attacks, &labels);
    metrics.text().into_bytes()
}

/// Adds a sample for each possible verdict: 1 for `verdict`, 0 for the others.
fn verdict(gauges: &Gauges, labels: &[(&'static str, &str)], verdict: Verdict) {
    for possible in [Verdict::Held, Verdict::Violated, Verdict::Unknown] {
        let mut labels = labels.to_vec();
        labels.push(("verdict", possible.word()));
        gauges.set(&labels, f64::from(u8::from(possible == verdict)));
    }
}

/// Adds the metrics of the run; all have the labels `labels`.
fn run(metrics: &mut Exposition, input: &Input<'_>, labels: &[(&'static str, &str); 2]) {
    let (card, facts) = (&input.card, &input.facts);
    let verdicts = metrics.add("run_verdict", "1 for the verdict of the run, 0 for the others", None);
    verdict(&verdicts, labels, card.verdict);
    let exit = metrics.add("run_exit_code", "Exit code of the run", None);
    exit.set(labels, f64::from(card.exit));
    let score = metrics.add("run_score", "Score of the run, 0 to 100; for trends, decides nothing", None);
    score.set_known(labels, card.score.map(f64::from));
    let started = metrics.add("run_start_timestamp", "Start of the run", Some(Unit::Seconds));
    let at = humantime::parse_rfc3339_weak(facts.wall).ok();
    let at = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    started.set_known(labels, at.map(|at| at.as_secs_f64()));
    let took = metrics.add("run_duration", "Length of the run", Some(Unit::Seconds));
    took.set(labels, seconds(card.end_us));
    let attacks = metrics.add("run_attacks", "Attacks of the run, by whether they were run", None);
    for (state, number) in [("run", card.ran), ("not_run", card.planned.saturating_sub(card.ran))] {
        attacks.set(&[labels[0], labels[1], ("state", state)], number as f64);
    }
    let hosts = metrics.add("run_hosts", "Hosts that were touched, by how they ended", None);
    for state in [HostState::Clean, HostState::Dirty, HostState::Stuck, HostState::Gone, HostState::Unproven]
    {
        let number = card.hosts.iter().filter(|host| host.state == state).count();
        hosts.set(&[labels[0], labels[1], ("state", state_word(state))], number as f64);
    }
    let help =
        "Share of the error budget of an objective that the run burnt: measured, and the ends of its range";
    let burnt = metrics.add("run_budget_burnt", help, Some(Unit::Other("ratio".to_owned())));
    for sum in &card.budgets {
        let budget = &sum.budget;
        for (bound, value) in [("measured", budget.burnt), ("low", budget.low), ("high", budget.high)] {
            burnt.set_known(&[labels[0], labels[1], ("objective", &sum.objective), ("bound", bound)], value);
        }
    }
    let info = metrics.add("run_info", "1; the labels name the run", None);
    let plan = facts.plan.map(|plan| plan.digest()).unwrap_or_default();
    let run = card.run.as_deref().unwrap_or_default();
    info.set(&[labels[0], labels[1], ("run", run), ("plan", &plan), ("version", facts.version)], 1.0);
}

/// Adds the metrics of the attacks that were judged, and of their objectives; all have the labels `labels`.
fn attacks(metrics: &mut Exposition, attacks: &[AttackCard], labels: &[(&'static str, &str); 2]) {
    let verdicts =
        metrics.add("attack_verdict", "1 for the verdict of an attack that was run, 0 for the others", None);
    let score = metrics.add("attack_score", "Score of the attack, 0 to 100", None);
    let help = "Longest time from the start of the fault until users were served again while it held";
    let mitigated = metrics.add("attack_mitigated", help, Some(Unit::Seconds));
    let help = "Longest time from the end of the fault until users were served again";
    let recovered = metrics.add("attack_recovered", help, Some(Unit::Seconds));
    let help = "Longest time from the start of the fault until an alert told of it";
    let detected = metrics.add("attack_detected", help, Some(Unit::Seconds));
    let judged =
        metrics.add("objective_verdict", "1 for the verdict on an objective, 0 for the others", None);
    let requests = metrics.add(
        "objective_requests",
        "Requests, or samples of a source, that the figure of an objective rests on",
        None,
    );
    let help =
        "Share that an objective is about: measured, and the ends of the range that its verdict rests on";
    let share = metrics.add("objective", help, Some(Unit::Other("ratio".to_owned())));
    let help =
        "Time that an objective is about: measured, and the ends of the range that its verdict rests on";
    let time = metrics.add("objective", help, Some(Unit::Seconds));
    let help = "Number of a source that an objective is about, in the unit of its query";
    let number = metrics.add("objective_value", help, None);
    let help =
        "Share of the error budget of an objective that an attack burnt: measured, and the ends of its range";
    let burnt = metrics.add("objective_budget_burnt", help, Some(Unit::Other("ratio".to_owned())));
    for attack in attacks {
        let Some(word) = attack.verdict else { continue };
        let at = [labels[0], labels[1], ("attack", attack.name.as_str())];
        verdict(&verdicts, &at, word);
        score.set_known(&at, attack.score.map(f64::from));
        mitigated.set_known(&at, attack.longest(|figure| figure.mitigated_us).map(seconds));
        recovered.set_known(&at, attack.longest(|figure| figure.recovered_us).map(seconds));
        detected.set_known(&at, attack.detected_us().map(seconds));
        for objective in &attack.objectives {
            let at = [at[0], at[1], at[2], ("objective", objective.name.as_str())];
            verdict(&judged, &at, objective.verdict);
            requests.set(&at, objective.measured.samples as f64);
            let (gauges, scale) = match objective.measured.unit {
                card::Unit::Share => (&share, 1.0),
                card::Unit::Number => (&number, 1.0),
                card::Unit::Latency | card::Unit::Time => (&time, 1e-6),
            };
            for (bound, value) in bounds(&objective.measured) {
                gauges.set_known(
                    &[at[0], at[1], at[2], at[3], ("bound", bound)],
                    value.map(|value| value * scale),
                );
            }
            let Some(budget) = &objective.budget else { continue };
            for (bound, value) in [("measured", budget.burnt), ("low", budget.low), ("high", budget.high)] {
                burnt.set_known(&[at[0], at[1], at[2], at[3], ("bound", bound)], value);
            }
        }
    }
}

/// Returns the values of the label `bound` with their figures, in the unit of `measured`.
fn bounds(measured: &Measured) -> [(&'static str, Option<f64>); 3] {
    let endless = measured.endless.then_some(f64::INFINITY);
    [("measured", measured.value.or(endless)), ("low", measured.low), ("high", measured.high.or(endless))]
}

/// Converts microseconds to seconds.
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Input};
    use crate::{log::Log, testing::Drill};

    fn text(drill: &Drill) -> String {
        let log = Log::of(&drill.records());
        String::from_utf8(Format::OpenMetrics.render(&Input::new(&log)).unwrap()).unwrap()
    }

    #[test]
    fn the_file_has_verdicts_figures_and_ranges() {
        let mut drill = Drill::one();
        drill.acts[0].name = "stop \"checkout\"\n";
        let (text, again) = (text(&drill), text(&drill));
        let labels = "scenario=\"friday\",environment=\"ci\"";
        for line in [
            format!("firedrill_run_verdict{{{labels},verdict=\"held\"}} 1.0"),
            format!("firedrill_run_verdict{{{labels},verdict=\"unknown\"}} 0.0"),
            "# TYPE firedrill_objective_ratio gauge".to_owned(),
            "bound=\"low\"} 0.9".to_owned(),
            "attack=\"stop \\\"checkout\\\"\\n\"".to_owned(),
        ] {
            assert!(text.contains(&line), "no {line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert_eq!(again, text, "the same log gives the same bytes");
    }

    /// Latencies are in microseconds in the card, and in seconds in the file.
    #[test]
    fn latencies_and_budgets_have_the_units_of_their_names() {
        let mut records = Drill::one().records();
        for record in &mut records {
            if let crate::log::Event::RunStarted { plan, .. } = &mut record.event {
                let budget = firedrill_plan::plan::model::Budget {
                    target: firedrill_wire::Share::per_cent(99),
                    window: firedrill_wire::Span::secs(30 * 86_400),
                    affected: firedrill_wire::Share::ALL,
                    burn_below: None,
                };
                plan.budgets.insert("users".to_owned(), budget);
            }
        }
        let log = Log::of(&records);
        let input = Input::new(&log);
        let card = &input.card;
        let latency = card.attacks[0].objectives.iter().find(|one| one.name == "fast").unwrap();
        let seconds = latency.measured.value.unwrap() / 1e6;
        assert!((0.001..1.0).contains(&seconds), "{seconds}");
        let text = String::from_utf8(Format::OpenMetrics.render(&input).unwrap()).unwrap();
        let value = |start: &str, labels: &[&str]| {
            let fits =
                |line: &&str| line.starts_with(start) && labels.iter().all(|label| line.contains(label));
            let line = text.lines().find(fits).unwrap_or_else(|| panic!("no {start} {labels:?} in {text}"));
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        let found = value("firedrill_objective_seconds{", &["objective=\"fast\"", "bound=\"measured\""]);
        assert!((found - seconds).abs() < 1e-9, "{found} and {seconds}");
        let burnt = card.budgets[0].budget.burnt.unwrap();
        for name in ["firedrill_objective_budget_burnt_ratio{", "firedrill_run_budget_burnt_ratio{"] {
            let found = value(name, &["objective=\"users\"", "bound=\"measured\""]);
            assert!((found - burnt).abs() < 1e-12 && burnt > 0.0 && burnt < 0.001, "{name}: {found}");
        }
    }

    #[test]
    fn a_figure_that_was_not_measured_has_no_sample() {
        let mut drill = Drill::one();
        drill.bins = Box::new(|_, _, _| None);
        let text = text(&drill);
        assert!(text.contains("verdict=\"unknown\"} 1.0"), "{text}");
        assert!(!text.contains("bound=") && !text.contains("firedrill_attack_recovered_seconds{"), "{text}");
    }
}
