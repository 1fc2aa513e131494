//! Values that cannot be: rates, URLs, goals, conditions of guards.

use firedrill_wire::{Span, probe::HttpProbe};

use crate::{
    plan::resolve::{address_host, url_host},
    scenario::{
        Item, Scenario,
        diagnose::{Problem, Sink},
        objective::Objective,
        probe::Probe,
    },
};

/// More than a vantage can send on time.
pub(super) const MAX_RATE: f64 = 10_000.0;

pub(super) fn refuse(scenario: &Scenario, sink: &mut Sink) {
    scenario.probes.iter().for_each(|item| probe(item, sink));
    scenario.objectives.iter().for_each(|item| objective(item, sink));
    guard(scenario, sink);
    for target in &scenario.targets {
        for (key, values) in target.value.clauses.iter().filter(|(_, values)| values.0.is_empty()) {
            let message = format!("`{key}` of target `{}` lists no value, so no host fits", target.name);
            sink.push(Problem::error(message).at(target.place_of(&values.at), "empty"));
        }
    }
    if let Some(lease) = &scenario.lease {
        if lease.value < Span::secs(2) {
            let message = format!("a lease of {} would end between two renewals", lease.value);
            sink.push(
                Problem::error(message).at(lease.place(), "too short").help("at least 2s; 10s is usual"),
            );
        } else if lease.value > Span::secs(60) {
            let message =
                format!("with a lease of {}, a fault outlives a dead coordinator for so long", lease.value);
            sink.push(Problem::warning(message).at(lease.place(), "unusually long"));
        }
    }
}

fn probe(item: &Item<Probe>, sink: &mut Sink) {
    let probe = &item.value;
    match (&probe.http, &probe.tcp) {
        (None, None) if !item.broken => sink.push(
            Problem::error(format!("probe `{}` says not what it asks", item.name))
                .at(item.place(), "neither `http` nor `tcp`")
                .help("http = { url = \"http://edge/\" }, or tcp = { address = \"edge:80\" }"),
        ),
        (Some(_), Some(tcp)) => sink.push(
            Problem::error(format!("probe `{}` asks two things", item.name))
                .at(item.place_of(&tcp.at), "besides `http`")
                .help("give each a probe of its own"),
        ),
        _ => {}
    }
    if let Some(http) = &probe.http {
        self::http(item, http, sink);
    }
    if let Some(tcp) = &probe.tcp
        && address_host(&tcp.address).is_none()
    {
        let message = format!("`{}` is not host:port", tcp.address);
        sink.push(Problem::error(message).at(item.place_of_value(&tcp.address), "for example \"edge:80\""));
    }
    let rate = probe.rate.value;
    if !(rate > 0.0 && rate <= MAX_RATE) {
        let problem = Problem::error(format!("a rate of {rate} a second cannot be"));
        let help = format!("more than 0, at most {MAX_RATE}");
        sink.push(problem.at(item.place_of(&probe.rate.at), "requests a second").help(help));
    }
    if probe.timeout.is_zero() || probe.timeout.value > Span::secs(60) {
        let problem = Problem::error(format!("a time-out of {} cannot be", probe.timeout.value));
        sink.push(problem.at(item.place_of(&probe.timeout.at), "more than 0s, at most 1m"));
    }
    if probe.from.is_empty() {
        let problem = Problem::error(format!("probe `{}` runs nowhere", item.name));
        sink.push(problem.at(item.place_of_key("from"), "no vantage").help("from = [\"coordinator\"]"));
    }
}

fn http(item: &Item<Probe>, http: &HttpProbe, sink: &mut Sink) {
    if url_host(&http.url).is_none() {
        sink.push(
            Problem::error(format!("`{}` is not an http:// or https:// URL", http.url))
                .at(item.place_of_value(&http.url), "not a URL")
                .help("for example \"http://edge/checkout\""),
        );
    }
    if http.status.is_some_and(|status| !(100..=599).contains(&status)) {
        let problem = Problem::error("an HTTP status is between 100 and 599");
        sink.push(problem.at(item.place_of_key("status"), "not a status"));
    }
    if http::Method::from_bytes(http.method.as_bytes()).is_err() {
        let problem = Problem::error(format!("`{}` is not an HTTP method", http.method));
        sink.push(problem.at(item.place_of_value(&http.method), "not a method"));
    }
    for (name, value) in &http.headers {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err()
            || http::HeaderValue::from_str(value).is_err()
        {
            let problem = Problem::error(format!("the header `{name}` cannot be sent"));
            sink.push(problem.at(item.place_of_key(name), "not a header"));
        }
    }
}

fn objective(item: &Item<Objective>, sink: &mut Sink) {
    let objective = &item.value;
    if objective.goal().is_none() && !item.broken {
        let (message, label) = match (&objective.quantile, &objective.below) {
            (Some(_), None) => ("a quantile wants `below`", "of what time?"),
            (None, Some(_)) => ("`below` wants a quantile", "of which quantile?"),
            _ => ("an objective has exactly one goal", "none, or several"),
        };
        sink.push(
            Problem::error(format!("{message} (objective `{}`)", item.name))
                .at(item.place(), label)
                .help("one of: good; quantile with below; mitigate_within; recover_within"),
        );
    }
    if let Some(quantile) = &objective.quantile
        && !(quantile.value > 0.0 && quantile.value < 1.0)
    {
        let problem = Problem::error(format!("a quantile is between 0 and 1, not {}", quantile.value));
        sink.push(
            problem.at(item.place_of(&quantile.at), "not a quantile").help("0.99 is the 99th percentile"),
        );
    }
    if let Some(during) = &objective.during
        && during.is_empty()
    {
        let problem = Problem::error(format!("objective `{}` is judged in no phase", item.name));
        sink.push(problem.at(item.place_of(&during.at), "empty").help("baseline, fault, recovery, settle"));
    }
    for span in
        [&objective.below, &objective.mitigate_within, &objective.recover_within].into_iter().flatten()
    {
        if span.is_zero() {
            sink.push(Problem::error("no time at all cannot be met").at(item.place_of(&span.at), "zero"));
        }
    }
}

fn guard(scenario: &Scenario, sink: &mut Sink) {
    let Some(item) = &scenario.guard else { return };
    for abort in &item.value.abort {
        if abort.over.value < Span::secs(1) {
            let problem = Problem::error("a guard looks over at least 1s: probes are counted by the second");
            sink.push(problem.at(item.place_of(&abort.over.at), "too short"));
        }
        if abort.good_below.fraction() <= 0.0 {
            let problem = Problem::error("less than 0 % can never be good, so this guard never aborts");
            sink.push(problem.at(item.place_of(&abort.good_below.at), "never"));
        }
    }
    if let Some(blind) = &item.value.blind_for {
        if blind.value < Span::secs(2) {
            let message = "a guard that may be blind for less than 2s aborts by chance";
            sink.push(Problem::error(message).at(item.place_of(&blind.at), "too short"));
        } else if item.value.abort.is_empty() {
            let message = "`blind_for` is about conditions of `abort`, and there are none";
            sink.push(Problem::warning(message).at(item.place_of(&blind.at), "has no effect"));
        }
    }
}
