//! `firedrill trend`: draws how a scenario's score and its times to detect, to mitigate and to recover changed over its runs. Needs no host.

use std::collections::HashMap;

use firedrill_history::{Entry, Filter, Scenario, minute, once_each, scenarios};

use super::{
    failure::{Failure, Result},
    output::print_json,
    runs::{ReportsArgs, history_of},
};
use crate::{
    score::format,
    verdict::{Exit, Verdict},
};

/// Options of `trend`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill trend friday
  firedrill trend friday --limit 20 --json

One column is one run, the oldest at the left: `+` held, `!` violated, `?` unknown; `·` stands for a
figure that is not known. Equal letters stand for equal plans (the seed aside). Exit code 0, whatever
the verdicts are.")]
pub(super) struct Args {
    /// The scenario's name
    scenario: String,
    /// The newest so many runs; 0 for all
    #[arg(long, value_name = "N", default_value_t = 60)]
    limit: usize,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Prints the trend. The error says that there is no run of the scenario.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let mut history = history_of(&args.reports.reports)?;
    let limit = (args.limit > 0).then_some(args.limit);
    let wanted = Filter { scenario: Some(args.scenario.clone()), limit, ..Filter::default() };
    let entries = history.runs(&wanted)?;
    let Some(sum) = scenarios(&entries).pop() else {
        let names: Vec<String> =
            scenarios(&history.runs(&Filter::default())?).into_iter().map(|sum| sum.scenario).collect();
        let help = if names.is_empty() {
            "there are no runs yet".to_owned()
        } else {
            format!("there are runs of {}", format::list(&names))
        };
        let place = history.reports().display();
        return Err(Failure::new(format!("no run of `{}` in {place}", args.scenario)).help(help));
    };
    let runs = once_each(&entries);
    if args.json {
        print_json(&serde_json::json!({ "schema": 1, "summary": sum, "runs": runs }))?;
    } else {
        outln!("{}", text(&sum, &runs));
    }
    Ok(Exit::Held)
}

/// Formats the trend; `runs` are in the order of time.
fn text(sum: &Scenario, runs: &[&Entry]) -> String {
    let ends = runs.first().zip(runs.last());
    let (from, to) =
        ends.map_or_else(Default::default, |(first, last)| (minute(first.at_s), minute(last.at_s)));
    let verdicts: String = runs.iter().map(|entry| sign(entry.verdict)).collect();
    let scores: Vec<Option<f64>> = runs.iter().map(|entry| entry.score.map(f64::from)).collect();
    let lowest = runs.iter().filter_map(|entry| entry.score).min();
    let last = runs.last();
    let now = or_not(last.and_then(|entry| entry.score).map(|score| score.to_string()));
    // The line `detection` is shown only if a run has a time of detection, which needs alerts.
    let alerts = runs.iter().any(|entry| entry.times.detected_us.is_some());
    let detection = alerts.then(|| times("detection", runs, |entry| entry.times.detected_us));
    let mut lines = vec![
        match sum.runs {
            1 => format!("{}: 1 run, {to} (UTC)", sum.scenario),
            runs => format!("{}: {runs} runs from {from} to {to} (UTC)", sum.scenario),
        },
        String::new(),
        format!("  verdict     {verdicts}"),
        format!(
            "  score       {}  last {now}, lowest {}",
            line(&scores, 100.0),
            or_not(lowest.map(|low| low.to_string()))
        ),
    ];
    lines.extend(detection);
    lines.push(times("mitigation", runs, |entry| entry.times.mitigated_us));
    lines.push(times("recovery", runs, |entry| entry.times.recovered_us));
    lines.push(format!("  plan        {}", plans(runs.iter().map(|entry| entry.same.as_deref()))));
    lines.push(String::new());
    lines.push(match sum.held_range {
        Some((low, high)) => format!(
            "held in {} of {} that could tell; that shows {} to {} of runs like these",
            sum.held,
            sum.held + sum.violated,
            format::percent(low),
            format::percent(high)
        ),
        None => "no run could tell".to_owned(),
    });
    lines.push(format!("verdicts that changed although the plan did not: {}", sum.flaky));
    lines.join("\n")
}

/// Returns the text, or `not known`.
fn or_not(text: Option<String>) -> String {
    text.unwrap_or_else(|| "not known".to_owned())
}

/// Returns the line of a time: its name, the drawing, the last time and the longest.
fn times(name: &str, runs: &[&Entry], time_us: impl Fn(&Entry) -> Option<i64>) -> String {
    let times: Vec<Option<i64>> = runs.iter().map(|entry| time_us(entry)).collect();
    let drawn: Vec<Option<f64>> = times.iter().map(|time| time.map(|us| us as f64)).collect();
    let longest = times.iter().flatten().max().copied();
    format!(
        "  {name:<10}  {}  last {}, longest {}",
        line(&drawn, longest.unwrap_or(0) as f64),
        or_not(times.last().copied().flatten().map(format::time)),
        or_not(longest.map(format::time))
    )
}

/// Returns the character of a verdict.
const fn sign(verdict: Option<Verdict>) -> char {
    match verdict {
        Some(Verdict::Held) => '+',
        Some(Verdict::Violated) => '!',
        Some(Verdict::Unknown) | None => '?',
    }
}

/// Draws figures between 0 and `most`, one character each; `·` is a figure that is not known.
fn line(figures: &[Option<f64>], most: f64) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let step = |figure: f64| {
        // The highest step whose lower edge, an eighth of `most` each, the figure reaches.
        let reached = (1..STEPS.len()).rev().find(|step| figure * 8.0 >= *step as f64 * most);
        STEPS[reached.filter(|_| most > 0.0).unwrap_or(0)]
    };
    figures.iter().map(|figure| figure.map_or('·', step)).collect()
}

/// Returns a letter for each run; equal letters mean equal plans. An unknown plan is a point, and so is each plan after the first 52.
fn plans<'e>(runs: impl Iterator<Item = Option<&'e str>>) -> String {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut known: HashMap<&'e str, usize> = HashMap::new();
    let number_of = |same: Option<&'e str>| {
        let next = known.len();
        Some(*known.entry(same?).or_insert(next))
    };
    let letter_of = |number: Option<usize>| {
        number.and_then(|number| LETTERS.get(number)).map_or('·', |letter| char::from(*letter))
    };
    runs.map(number_of).map(letter_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_step_for_each_figure_and_a_point_for_what_is_not_known() {
        let figures = [Some(0.0), Some(12.5), Some(50.0), None, Some(99.0), Some(100.0)];
        assert_eq!(line(&figures, 100.0), "▁▂▅·██");
        assert_eq!(line(&[Some(0.0), None], 0.0), "▁·");
    }

    #[test]
    fn equal_plans_have_equal_letters_and_different_plans_do_not() {
        assert_eq!(plans([Some("x"), None, Some("y"), Some("x")].into_iter()), "a·ba");
        let many: Vec<String> = (0..54).map(|number| number.to_string()).collect();
        let letters = plans(many.iter().map(|plan| Some(plan.as_str())));
        assert!(letters.ends_with("YZ··"), "{letters}");
    }
}
