//! The environment is set by the host alone.

use super::*;

fn of(environments: &[&str]) -> Caller {
    Caller { environments: environments.iter().map(ToString::to_string).collect(), ..alice() }
}

/// Whether a policy without rules allows somebody to stop a service.
fn may(caller: &Caller, scenario: Option<&str>, host: Option<&str>) -> Result<(), Problem> {
    let fault = stop("checkout");
    let act = Act::Fault { fault: &fault, hold: Span::secs(20) };
    ask(&Policy::default(), caller, act, scenario, host, FRIDAY_NOON)
}

#[test]
fn a_certificate_is_good_on_hosts_of_its_environments_whatever_the_scenario_claims() {
    let staging = of(&["staging"]);
    // The claim: the scenario says staging, the host belongs to prod.
    for claimed in [Some("staging"), Some("prod"), None] {
        assert!(may(&staging, claimed, Some("prod")).is_err(), "{claimed:?}");
    }
    assert_eq!(may(&staging, Some("staging"), Some("staging")), Ok(()));
    assert_eq!(may(&staging, None, Some("staging")), Ok(()));
    assert_eq!(may(&of(&["ci", "prod"]), Some("prod"), Some("prod")), Ok(()));
}

#[test]
fn a_host_without_one_takes_harm_only_from_certificates_that_name_none() {
    for claimed in [Some("staging"), None] {
        let problem = may(&of(&["staging"]), claimed, None).unwrap_err();
        let text = format!("{} {}", problem.title, problem.hint);
        assert!(
            text.contains("names no environment") && text.contains("/etc/firedrill/agent.toml"),
            "{text}"
        );
        assert_eq!(may(&of(&[]), claimed, None), Ok(()));
    }
}

#[test]
fn a_scenario_for_another_environment_is_refused_whoever_asks() {
    let problem = may(&of(&[]), Some("staging"), Some("prod")).unwrap_err();
    assert!(problem.title.contains("staging") && problem.title.contains("prod"), "{problem:?}");
    assert!(may(&of(&["staging", "prod"]), Some("staging"), Some("prod")).is_err());
    assert_eq!(may(&of(&[]), Some("prod"), Some("prod")), Ok(()));
    assert_eq!(may(&of(&[]), None, Some("prod")), Ok(()));
}

#[test]
fn rules_go_by_the_environment_of_the_host() {
    let rule = policy("[[allow]]\nname = \"n\"\nenvironments = [\"staging\"]\n");
    let fault = stop("checkout");
    let act = Act::Fault { fault: &fault, hold: Span::secs(20) };
    let may = |claimed, host| ask(&rule, &alice(), act, claimed, host, FRIDAY_NOON);
    assert_eq!(may(None, Some("staging")), Ok(()));
    assert!(may(Some("staging"), None).is_err(), "only the scenario says so");
    assert!(may(None, Some("prod")).is_err());
}

proptest! {
    /// The environment that a scenario names never allows anything: it can only be one more reason to refuse.
    #[test]
    fn claims_never_help(
        own in prop::collection::vec("[a-c]", 0..3),
        host in prop::option::of("[a-c]"),
        claimed in "[a-c]",
    ) {
        let caller = Caller { environments: own, ..alice() };
        let with = may(&caller, Some(&claimed), host.as_deref()).is_ok();
        let without = may(&caller, None, host.as_deref()).is_ok();
        prop_assert!(!with || without);
    }
}
