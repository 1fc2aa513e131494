//! StatsD sources: their parameters, and the questions that objectives become.

use super::*;

fn statsd(text: &str) -> Statsd {
    serde_json::from_str(text).expect("its parameters")
}

fn written<'w>(tags: &'w BTreeMap<String, String>) -> Written<'w> {
    Written {
        value: None,
        tags,
        alive_by: None,
        every: Span::secs(1),
        part: false,
        total: None,
        increase: false,
    }
}

#[test]
fn addresses_are_checked() {
    let wrong = |text: &str| {
        let refusals = statsd(text).invalid();
        refusals.iter().map(|refusal| refusal.what.clone()).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(wrong(r#"{"listen":"127.0.0.1:8126","forward":"127.0.0.1:8125"}"#), "");
    assert_eq!(wrong(r#"{"listen":"[::1]:8126"}"#), "");
    for (text, wanted) in [
        (r#"{"listen":"localhost:8126"}"#, "not an address with a port"),
        (r#"{"listen":"127.0.0.1"}"#, "not an address with a port"),
        (r#"{"listen":"127.0.0.1:0"}"#, "port 0"),
        (r#"{"listen":"127.0.0.1:8126","forward":"statsd:8125"}"#, "not an address with a port"),
        (r#"{"listen":"127.0.0.1:8126","forward":"127.0.0.1:8126"}"#, "would never end"),
        (r#"{"listen":"0.0.0.0:8126","forward":"127.0.0.1:8126"}"#, "would never end"),
        (r#"{"listen":"127.0.0.1:8126","alive_within":"100ms"}"#, "alive for 100ms"),
        (r#"{"listen":"127.0.0.1:8126","alive_within":"10m"}"#, "alive for 10m"),
    ] {
        let what = wrong(text);
        assert!(what.contains(wanted), "{text}: {what}");
    }
}

#[test]
fn an_address_that_other_machines_reach_is_a_doubt() {
    let doubts = |listen: &str| statsd(&format!(r#"{{"listen":"{listen}"}}"#)).doubts().len();
    assert_eq!(["127.0.0.1:8126", "[::1]:8126", "0.0.0.0:8126", "10.1.0.2:8126"].map(doubts), [0, 0, 1, 1]);
}

#[test]
fn an_objective_becomes_a_question() {
    let source = statsd(r#"{"listen":"127.0.0.1:8126"}"#);
    let (none, prod) = (BTreeMap::new(), BTreeMap::from([("env".to_owned(), "prod".to_owned())]));
    let rate = Written { value: Some("rate"), alive_by: Some("shop.requests"), ..written(&prod) };
    assert_eq!(
        source.written("shop.errors", &rate),
        "rate(shop.errors{env=\"prod\"}[1s]) alive by shop.requests"
    );
    let good = Written { part: true, total: Some("shop.requests"), ..written(&prod) };
    assert_eq!(
        source.written("shop.requests{code=\"ok\"}", &good),
        "count(shop.requests{code=\"ok\", env=\"prod\"}[1s]) alive by shop.requests{env=\"prod\"}"
    );
    let total = Written { part: true, ..written(&prod) };
    assert_eq!(source.written("shop.requests", &total), "count(shop.requests{env=\"prod\"}[1s])");
    let increase = Written { increase: true, ..written(&none) };
    assert_eq!(source.written("shop.lost", &increase), "total(shop.lost[1s])");
}

#[test]
fn errors_of_an_objective_are_reported_at_their_keys() {
    let source = statsd(r#"{"listen":"127.0.0.1:8126"}"#);
    let none = BTreeMap::new();
    let plain = written(&none);
    for (text, objective, key, wanted) in [
        ("a b", Written { value: Some("rate"), ..plain }, "statsd", "not a name"),
        ("x", plain, "statsd", "which value"),
        ("x", Written { value: Some("p101"), ..plain }, "value", "no value of StatsD"),
        ("x", Written { value: Some("total"), ..plain }, "value", "has no bound"),
        ("x", Written { value: Some("rate"), increase: true, ..plain }, "value", "all that was counted"),
        ("x", Written { value: Some("rate"), part: true, ..plain }, "value", "are counted"),
        ("x", Written { value: Some("rate"), alive_by: Some(""), ..plain }, "alive_by", "not a name"),
        ("x", Written { value: Some("last"), alive_by: Some("y"), ..plain }, "alive_by", "by its own age"),
    ] {
        let wrong = source.wrong(text, &objective);
        assert!(wrong.iter().any(|(at, what, _)| *at == key && what.contains(wanted)), "{text}: {wrong:?}");
    }
    assert_eq!(source.wrong("x", &Written { value: Some("p99.9"), ..plain }), []);
    assert_eq!(source.wrong("x", &Written { increase: true, value: Some("total"), ..plain }), []);
}

#[test]
fn a_moment_is_known_once_a_silence_would_be_too_long() {
    let source = statsd(r#"{"listen":"127.0.0.1:8126","alive_within":"8s"}"#);
    assert_eq!(
        (source.least_lag("rate(x[1s])"), source.least_lag("last(x[1s])")),
        (Span::secs(8), Span::ZERO)
    );
    assert_eq!((source.window_us("rate(x[2s])"), source.window_us("last(x[2s])")), (2_000_000, 0));
}

#[test]
fn a_value_without_some_senders_is_the_least_or_the_most_of_all() {
    let source = statsd(r#"{"listen":"127.0.0.1:8126"}"#);
    let tags = BTreeMap::new();
    for (value, wanted) in [
        ("rate", Missing::AtLeast),
        ("max", Missing::AtLeast),
        ("min", Missing::AtMost),
        ("last", Missing::Each),
        ("p99", Missing::Open),
    ] {
        let query = source.written("shop.errors", &Written { value: Some(value), ..written(&tags) });
        assert_eq!(source.missing(&query), wanted, "{query}");
    }
}
