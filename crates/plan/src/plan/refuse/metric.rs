//! Refuses objectives that their source cannot answer, or that too few samples would decide.

use firedrill_sources::{SourceKind, selectors};
use firedrill_wire::Span;

use super::{time, values::phases};
use crate::{
    diagnostic::{Item, Place, Problem, Sink},
    plan::{
        model::{Asks, MetricGoal, Phase, window},
        timing,
    },
    scenario::{Scenario, attack::Attack, metric::MetricObjective},
};

/// Fewer samples in a judged phase are worth a warning.
const FEW: u64 = 3;
/// Maximum length of a unit in characters.
const UNIT_MOST: usize = 16;

/// Checks every objective that a source measures.
pub(super) fn refuse(scenario: &Scenario, sink: &mut Sink) {
    for item in &scenario.metrics {
        goal(item, sink);
        asks(item, scenario, sink);
        times(item, sink);
        unit(item, sink);
    }
}

const GOALS: &str = "one of: below; above; good with a metric of good and total; increase_below";

/// Checks the goal and the phases of an objective.
fn goal(item: &Item<MetricObjective>, sink: &mut Sink) {
    let own = &item.value;
    let Some(goal) = own.goal() else {
        if !item.broken {
            let problem = Problem::error(format!(
                "a metric objective has exactly one goal (objective `{}`)",
                item.name
            ));
            sink.push(problem.at(item.place(), "none, or several").help(GOALS));
        }
        return;
    };
    let ratio = matches!(own.metric.value.asks(), Some(Asks::Ratio { .. }));
    if ratio != matches!(goal, MetricGoal::Good(_)) && own.metric.value.asks().is_some() {
        let (what, help) = if ratio {
            ("a metric of `good` and `total` is a share, whose goal is `good`", "good = \"99%\"")
        } else {
            (
                "the goal `good` is a share of two queries",
                "metric = { source = \"…\", good = \"…\", total = \"…\" }",
            )
        };
        let place = item.place_of(&own.metric.at);
        sink.push(
            Problem::error(format!("{what} (objective `{}`)", item.name))
                .at(place, "does not fit")
                .help(help),
        );
    }
    for bound in [&own.below, &own.above, &own.increase_below].into_iter().flatten() {
        if !bound.value.is_finite() {
            let problem = Problem::error(format!("`{}` is no bound", bound.value));
            sink.push(problem.at(item.place_of(&bound.at), "not a number").help("for example 0.5"));
        }
    }
    if let Some(increase) = own.increase_below.as_ref().filter(|bound| bound.value <= 0.0) {
        let problem = Problem::error("no counter increases by less than nothing");
        sink.push(problem.at(item.place_of(&increase.at), "never met").help("1 means: not at all"));
    }
    if let Some(during) = &own.during {
        phases(item, during, sink);
    }
}

/// Checks the question of an objective, by the kind of its source.
fn asks(item: &Item<MetricObjective>, scenario: &Scenario, sink: &mut Sink) {
    let metric = &item.value.metric;
    if metric.value.asks().is_none() {
        let problem = Problem::error(format!(
            "the metric of objective `{}` is not complete, or there are two",
            item.name
        ));
        let help = "one of: promql (statsd or query, for other sources); good with total";
        return sink.push(problem.at(item.place_of(&metric.at), "what is asked?").help(help));
    }
    let Some(kind) = scenario.source(&metric.source).and_then(|source| source.value.kind()) else { return };
    let Some(metrics) = kind.metrics() else {
        let message = format!(
            "source `{}` of kind `{}` knows alerts, and no metrics",
            metric.source.value,
            kind.name()
        );
        let problem = Problem::error(message).at(item.place_of(&metric.source.at), "has alerts only");
        return sink.push(
            problem.help("alert = { source = \"…\", name = \"…\" } with detect_within or resolve_within"),
        );
    };
    let own = &metric.value;
    let keys = [("promql", &own.promql), ("query", &own.query), ("statsd", &own.statsd)];
    let wanted = metrics.key();
    if let Some((has, Some(at))) = keys.into_iter().find(|(key, text)| *key != wanted && text.is_some()) {
        let message = format!("source `{}` of kind `{}` has no `{has}`", metric.source.value, kind.name());
        let problem = Problem::error(message).at(item.place_of(&at.at), "of another kind");
        return sink.push(problem.help(format!("{wanted} = \"…\"")));
    }
    let keys = [
        ("tags", own.tags.as_ref().map(|spot| &spot.at)),
        ("value", own.value.as_ref().map(|spot| &spot.at)),
        ("alive_by", own.alive_by.as_ref().map(|spot| &spot.at)),
    ];
    let place = |key: &str, text: &std::ops::Range<usize>| {
        let at = keys.iter().find(|(name, _)| *name == key).and_then(|(_, at)| *at).unwrap_or(text);
        item.place_of(at)
    };
    for (key, at) in keys {
        if let Some(at) = at.filter(|_| !metrics.takes().contains(&key)) {
            let message =
                format!("source `{}` of kind `{}` has no `{key}`", metric.source.value, kind.name());
            let help = "leave it out: its query says what is asked";
            return sink.push(Problem::error(message).at(item.place_of(at), "of another kind").help(help));
        }
    }
    let mut is_valid = true;
    item.value.written(|text, written| {
        for (key, what, help) in metrics.wrong(&text.value, written) {
            is_valid = false;
            let problem = Problem::error(format!("objective `{}`: {what}", item.name));
            sink.push(problem.at(place(key, &text.at), "cannot be judged").help(help));
        }
    });
    let Some(asks) = item.value.asks(metrics).filter(|_| is_valid) else { return };
    let least = asks.queries().into_iter().map(|query| metrics.least_lag(query)).max().unwrap_or_default();
    if own.lag.value < least {
        let at = if own.lag.at.is_empty() { &metric.at } else { &own.lag.at };
        let message = format!(
            "objective `{}` is known only {least} later, and its `lag` is {}",
            item.name, own.lag.value
        );
        let help = format!(
            "lag = \"{least}\", or a shorter `alive_within` in [sources.{}.{}]",
            metric.source.value,
            kind.name()
        );
        sink.push(Problem::error(message).at(item.place_of(at), "too short").help(help));
    }
    if let (SourceKind::Json(_), Some(window)) = (&kind, &metric.value.window) {
        let message = format!(
            "objective `{}` has a `window`, and source `{}` of kind `json` has its own",
            item.name, metric.source.value
        );
        let problem = Problem::error(message).at(item.place_of(&window.at), "of another kind");
        sink.push(
            problem.help(format!("window = \"{}\" in [sources.{}.json]", window.value, metric.source.value)),
        );
    }
    for query in asks.queries() {
        let place = query_place(item, query);
        for (what, help) in metrics.invalid_query(query) {
            let problem = Problem::error(format!("objective `{}`: {what}", item.name));
            sink.push(problem.at(place.clone(), "cannot be judged").help(help));
        }
        let of_rule = |selector: &String| selector.split('{').next().is_some_and(|name| name.contains(':'));
        if matches!(kind, SourceKind::Prometheus(_))
            && metric.value.window.is_none()
            && let Some(rule) = selectors(query).into_iter().find(of_rule)
        {
            let message = format!(
                "objective `{}`: `{rule}` has the name of a recording rule, and nothing tells what time its values are about",
                item.name
            );
            let help = "window = \"1m\" in the metric, for a rule that records rate(x[1m]); \"0s\" if its values are about one moment";
            sink.push(Problem::warning(message).at(place.clone(), "about what time?").help(help));
        }
        let blank: String = query.chars().filter(|c| !c.is_whitespace()).collect();
        if matches!(kind, SourceKind::Prometheus(_)) && blank.contains("orvector(") {
            let message = format!(
                "objective `{}`: `or vector(…)` gives a number also when nothing is scraped",
                item.name
            );
            let help = "samples without any series behind them count as missing; `or 0 * (min(up{job=\"…\"}) == 1)` gives 0 only while \
                        all targets are scraped";
            sink.push(Problem::warning(message).at(place, "a number from nothing").help(help));
        }
    }
}

/// Returns the place of a query, or of the whole metric if it is not written as such.
fn query_place(item: &Item<MetricObjective>, query: &str) -> Place {
    let metric = &item.value.metric.value;
    let all = [&metric.promql, &metric.query, &metric.good, &metric.total];
    let found = all.into_iter().flatten().find(|one| one.value == query);
    item.place_of(found.map_or(&item.value.metric.at, |one| &one.at))
}

/// Refuses a long unit, because reports show it beside each value, and a unit of a share.
fn unit(item: &Item<MetricObjective>, sink: &mut Sink) {
    let metric = &item.value.metric.value;
    let Some(unit) = &metric.unit else { return };
    let (message, label, help) = if metric.total.is_some() {
        let message = format!("objective `{}` has a unit, and its values are shares", item.name);
        (message, "shares have none", "remove it: reports show shares in per cent")
    } else if unit.value.trim().is_empty() || unit.value.chars().count() > UNIT_MOST {
        let message =
            format!("objective `{}` has a unit of {} characters", item.name, unit.value.chars().count());
        (message, "1 to 16 characters", "reports show it beside each value: \"ms\", \"errors/s\", \"items\"")
    } else {
        return;
    };
    sink.push(Problem::error(message).at(item.place_of(&unit.at), label).help(help));
}

/// Checks the interval, the lag and the age of an objective.
fn times(item: &Item<MetricObjective>, sink: &mut Sink) {
    let metric = &item.value.metric.value;
    let mut wrong = |at: &std::ops::Range<usize>, message: String, label: &str, help: &str| {
        let place = item.place_of(if at.is_empty() { &item.at } else { at });
        sink.push(Problem::error(message).at(place, label).help(help));
    };
    let every = &metric.every;
    if every.value < Span::secs(1) || every.value > Span::secs(300) {
        let message = format!("objective `{}` has a sample each {}", item.name, every.value);
        wrong(
            &every.at,
            message,
            "from 1s to 5m",
            "\"5s\" is usual; more often than the source measures shows nothing more",
        );
    }
    if metric.lag.value > Span::secs(600) {
        let message = format!("objective `{}` is known only {} later", item.name, metric.lag.value);
        wrong(&metric.lag.at, message, "10m at most", "each attack waits that long for its verdict");
    }
    if metric.stale_after.value < Span::secs(1) {
        let message =
            format!("objective `{}` takes data for stale after {}", item.name, metric.stale_after.value);
        wrong(
            &metric.stale_after.at,
            message,
            "too short",
            "at least the interval between two scrapes and a second; \"30s\" is usual",
        );
    }
}

/// Checks that an attack has some samples in each judged phase.
pub(super) fn refuse_attack(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let timing = timing::timing(attack, scenario);
    for item in timing::judged(attack, scenario).into_iter().filter_map(|name| scenario.metric(name)) {
        let metric = &item.value.metric.value;
        let Some(kind) = scenario.source(&metric.source).and_then(|source| source.value.kind()) else {
            continue;
        };
        let Some(metrics) = kind.metrics() else { continue };
        let Some(asks) = item.value.asks(metrics) else { continue };
        let own = metric.window.as_ref().map_or(Span::ZERO, |window| window.value);
        let window = window(&asks, own, metrics);
        let during = item.value.during();
        let (key, length) = match timing.hold {
            Some(hold) if during.contains(&Phase::Fault) => ("hold", hold),
            _ if during.contains(&Phase::Recovery) => ("recovery", timing.recovery),
            _ => ("baseline", timing.baseline),
        };
        if metric.every.is_zero() || (timing.hold.is_none() && key == "hold") {
            continue;
        }
        let left = length.0.saturating_sub(window.0);
        let samples = u64::try_from(left.as_micros() / metric.every.0.as_micros().max(1)).unwrap_or(u64::MAX);
        if samples >= FEW {
            continue;
        }
        let of_window =
            if window.is_zero() { String::new() } else { format!(", each about the {window} before it") };
        let message = format!(
            "attack `{}` has {samples} sample{} of `{}` that {} completely about its {key} of {length}: one each {}{of_window}",
            attack.name,
            if samples == 1 { "" } else { "s" },
            item.name,
            if samples == 1 { "is" } else { "are" },
            metric.every.value,
        );
        let enough = Span(window.0 + metric.every.0 * 3);
        let help = format!("{key} = \"{enough}\", a shorter `every`, or a shorter range in the query");
        let problem = if samples == 0 { Problem::error(message) } else { Problem::warning(message) };
        let at = time::place_of(attack, scenario, key);
        sink.push(problem.at(at, "too few samples").also(item.place(), "the objective").help(help));
    }
}
