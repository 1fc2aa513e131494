//! Tests of the policy's decisions about probes, exchanges of packets, logs and the release of a halt.

use firedrill_wire::{
    RefusalCode,
    api::StartProbes,
    exchange::{Exchange, Way},
    logs::{LogSpec, StartLogs},
    probe::ProbeSpec,
};

use super::*;

fn probe(kind: &str) -> ProbeSpec {
    serde_json::from_str(&format!(r#"{{"name":"p","rate":1.0,"timeout":"1s","kind":{kind}}}"#)).unwrap()
}

fn http(url: &str) -> ProbeSpec {
    probe(&format!(r#"{{"http":{{"url":"{url}"}}}}"#))
}

/// Asks a policy whether alice may do an act.
fn may(policy: &Policy, act: Act<'_>) -> Result<(), Problem> {
    ask(policy, &alice(), act, Some("prod"), Some("prod"), FRIDAY_NOON)
}

fn exchange(to: &str) -> Exchange {
    let (every, within) = (Span::millis(20), Span::secs(1));
    Exchange { to: to.parse().unwrap(), way: Way::Echo, count: 5, every, within }
}

#[test]
fn a_caller_whom_no_rule_allows_may_not_measure_try_out_paths_or_release() {
    let others = policy("[[allow]]\nname = \"bob\"\nwho = [\"bob\"]\n");
    let (probe, exchange) = (http("http://192.0.2.1/"), exchange("192.0.2.1"));
    for act in [Act::Probe(&probe), Act::Exchange(&exchange), Act::Release] {
        let problem = may(&others, act).unwrap_err();
        assert_eq!(problem.code, RefusalCode::NotAllowed);
        assert!(problem.hint.contains("policy.allow \"bob\""), "{problem:?}");
        assert_eq!(may(&Policy::default(), act), Ok(()), "a free policy allows {}", act.kind());
        let viewer = Caller { may_harm: false, ..alice() };
        let ask = |caller| ask(&Policy::default(), caller, act, None, None, FRIDAY_NOON);
        assert!(ask(&viewer).is_err());
        assert!(ask(&Caller { environments: vec!["staging".into()], ..alice() }).is_err());
    }
}

#[test]
fn probes_reach_only_peers_and_read_only_files_that_a_rule_names() {
    let narrow = policy(
        r#"
        [[allow]]
        name = "measure the shop"
        kinds = ["probe-http"]
        peers = ["10.9.0.0/16", "shop.example"]
        files = ["/etc/firedrill/secrets/shop-*"]
        variables = ["TOKEN"]
        "#,
    );
    let with = |secret: &str| probe(&format!(r#"{{"http":{{"url":"http://10.9.0.1/","bearer":{secret}}}}}"#));
    for good in [
        http("http://10.9.3.4:8080/x"),
        http("https://shop.example/"),
        with(r#"{"secret_file":"/etc/firedrill/secrets/shop-1"}"#),
        with(r#"{"secret_env":"TOKEN"}"#),
    ] {
        assert_eq!(may(&narrow, Act::Probe(&good)), Ok(()), "{good:?}");
    }
    let mut disguised = http("http://shop.example/");
    disguised.names.insert("shop.example".into(), vec!["192.0.2.1".parse().unwrap()]);
    for bad in [
        http("http://192.0.2.1/"),
        http("http://evil.example/"),
        disguised,
        with(r#"{"secret_file":"/etc/firedrill/secrets/other"}"#),
        with(r#"{"secret_file":"/etc/firedrill/secrets/shop-/../other"}"#),
        with(r#"{"secret_env":"PATH"}"#),
        probe(r#"{"tcp":{"address":"10.9.0.1:5432"}}"#),
        probe(r#"{"http":{"url":"https://10.9.0.1/","ca_file":"/etc/shadow"}}"#),
    ] {
        assert!(may(&narrow, Act::Probe(&bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn a_rule_for_faults_on_traffic_also_allows_exchanges() {
    let net = policy("[[allow]]\nname = \"n\"\nkinds = [\"net-slow\"]\npeers = [\"10.9.0.0/16\"]\n");
    assert_eq!(may(&net, Act::Exchange(&exchange("10.9.1.1"))), Ok(()));
    assert!(may(&net, Act::Exchange(&exchange("192.0.2.1"))).is_err());
    assert!(may(&net, Act::Probe(&http("http://10.9.1.1/"))).is_err());
    let services = policy("[[allow]]\nname = \"n\"\nkinds = [\"service-*\"]\n");
    assert!(may(&services, Act::Exchange(&exchange("10.9.1.1"))).is_err());
    let only = policy("[[allow]]\nname = \"n\"\nkinds = [\"exchange\"]\n");
    assert_eq!(may(&only, Act::Exchange(&exchange("10.9.1.1"))), Ok(()));
}

#[test]
fn a_halt_is_released_by_rules_that_name_no_targets() {
    let narrow = policy("[[allow]]\nname = \"n\"\nservices = [\"checkout\"]\n");
    assert!(may(&narrow, Act::Release).is_err());
    let sre = policy("[[allow]]\nname = \"n\"\nteams = [\"ops\"]\nkinds = [\"release\"]\n");
    assert_eq!(may(&sre, Act::Release), Ok(()));
    assert!(check(&sre, &alice(), &stop("checkout")).is_err());
    let always = policy("[[blackout]]\nname = \"always\"\n");
    assert!(check(&always, &alice(), &stop("checkout")).is_err());
    assert_eq!(may(&always, Act::Release), Ok(()), "a blackout refuses only injections");
}

#[test]
fn the_number_of_probes_and_their_time_are_bounded() {
    let file = Path::new("/etc/firedrill/agent.toml");
    let start = |count: usize, at_most| StartProbes {
        probes: vec![http("http://edge/"); count],
        at_most,
        environment: None,
        vantage: None,
    };
    let free = Policy::default();
    assert_eq!(free.check_probing(&start(StartProbes::MOST, StartProbes::LONGEST), file), Ok(()));
    // A thousand years.
    let problem = free.check_probing(&start(1, Span::secs(31_557_600_000)), file).unwrap_err();
    assert!(problem.title.contains("7d"), "{problem:?}");
    assert!(problem.hint.contains("policy.max_probe_time in /etc/firedrill/agent.toml"), "{problem:?}");
    let problem = free.check_probing(&start(StartProbes::MOST + 1, Span::secs(1)), file).unwrap_err();
    assert!(problem.title.contains("at most 256"), "{problem:?}");
    let hour = policy("max_probe_time = \"1h\"");
    assert!(hour.check_probing(&start(1, Span::secs(3601)), file).is_err());
    assert_eq!(hour.check_probing(&start(1, Span::secs(3600)), file), Ok(()));
}

fn log(file: &str) -> LogSpec {
    LogSpec { name: "app".into(), file: file.into(), matches: "ERROR".into(), lines: 5 }
}

#[test]
fn only_logs_that_are_listed_are_read() {
    let app = log("/var/log/app/error.log");
    let problem = may(&Policy::default(), Act::Log(&app)).unwrap_err();
    assert_eq!(problem.code, RefusalCode::NotAllowed);
    assert!(problem.title.contains("lets nobody read a log"), "{problem:?}");
    assert!(problem.hint.contains("logs = [\"/var/log/app/error.log\"] under [policy]"), "{problem:?}");
    let listed = policy("logs = [\"/var/log/app/*\"]");
    assert_eq!(may(&listed, Act::Log(&app)), Ok(()));
    for other in ["/var/log/application", "/var/log/app/../auth.log", "/var/log/auth.log", "var/log/app/x"] {
        let problem = may(&listed, Act::Log(&log(other))).unwrap_err();
        assert!(
            problem.title.contains("is not listed; this host lets /var/log/app/* be read"),
            "{problem:?}"
        );
    }
    let viewer = Caller { may_harm: false, ..alice() };
    assert!(ask(&listed, &viewer, Act::Log(&app), None, None, FRIDAY_NOON).is_err());
    let ruled = policy(
        "logs = [\"/var/log/app/*\"]\n[[allow]]\nname = \"app\"\nkinds = [\"logs\"]\nfiles = [\"/var/log/app/error*\"]",
    );
    assert_eq!(may(&ruled, Act::Log(&app)), Ok(()));
    assert!(may(&ruled, Act::Log(&log("/var/log/app/access.log"))).is_err(), "the rule is narrower");
    let others = policy("logs = [\"/var/log/app/*\"]\n[[allow]]\nname = \"measure\"\nkinds = [\"probe-*\"]");
    let refused = |file: &str| may(&others, Act::Log(&log(file))).unwrap_err();
    assert_eq!(
        refused("/var/log/app/error.log"),
        refused("/etc/shadow"),
        "a caller whom no rule allows does not learn which logs are listed"
    );
}

#[test]
fn units_are_listed_beside_files_and_rules_name_them_as_services() {
    let listed = policy("logs = [\"/var/log/*\", \"unit:app-*.service\", \"unit:worker@*\"]");
    for unit in ["unit:app-eu.service", "unit:worker@1.service"] {
        assert_eq!(may(&listed, Act::Log(&log(unit))), Ok(()), "{unit}");
    }
    for other in [
        "unit:nginx.service",
        "unit:app-*.service",
        "unit:app-x.socket",
        "unit:worker@.service",
        "unit:app-/x.service",
    ] {
        let problem = may(&listed, Act::Log(&log(other))).unwrap_err();
        assert!(
            problem.title.contains("is not listed; this host lets /var/log/*, unit:app-*.service"),
            "{problem:?}"
        );
    }
    let rule = |names: &str| {
        let text =
            format!("logs = [\"unit:app.service\"]\n[[allow]]\nname = \"app\"\nkinds = [\"logs\"]\n{names}");
        may(&policy(&text), Act::Log(&log("unit:app.service")))
    };
    assert_eq!((rule(""), rule("services = [\"app\"]")), (Ok(()), Ok(())));
    assert!(rule("services = [\"db\"]").is_err() && rule("files = [\"/var/log/*\"]").is_err());
}

#[test]
fn lists_and_numbers_of_logs_are_checked() {
    for (entry, why) in [
        ("unit:*", "lists units of the whole host"),
        ("unit:checkout", "does not end with .service"),
        ("unit:checkout@.service", "is a template"),
        ("unit:check out.service", "are made of letters"),
        ("error.log", "not a whole path"),
        ("/var/log/../*", "not a whole path"),
        ("/*", "files of the whole host"),
        ("/var/log/", "not a whole path"),
    ] {
        let wrong = Policy { logs: vec![entry.to_owned()], ..Policy::default() };
        assert!(wrong.validate().is_err_and(|found| found.contains(why)), "{entry}");
    }
    let many = |count, at_most| {
        let named = |number| LogSpec { name: format!("app{number}"), ..log("/x/y") };
        let start = StartLogs { logs: (0..count).map(named).collect(), at_most, environment: None };
        Policy::default().check_logs(&start, Path::new("agent.toml"))
    };
    assert_eq!(many(1, Span::secs(5)), Ok(()));
    assert!(many(0, Span::secs(5)).is_err() && many(17, Span::secs(5)).is_err());
    assert!(many(1, Span::secs(8 * 24 * 3600)).is_err_and(|problem| problem.hint.contains("max_probe_time")));
    let twice = StartLogs { logs: vec![log("/x"), log("/y")], at_most: Span::secs(5), environment: None };
    let refused = Policy::default().check_logs(&twice, Path::new("agent.toml")).unwrap_err();
    assert!(refused.title.contains("another log of the run has that name"), "{refused:?}");
}
