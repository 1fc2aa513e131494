//! Tests of environments: only the host's own configuration decides which environment it belongs to.

use super::*;

/// A caller whose certificate is for these environments only, or for all if there are none.
fn of(environments: &[&str]) -> Caller {
    Caller { environments: environments.iter().map(ToString::to_string).collect(), ..alice() }
}

/// Asks a policy without rules whether a caller may stop a service.
fn may(caller: &Caller, scenario: Option<&str>, host: Option<&str>) -> Result<(), Problem> {
    let fault = stop("checkout");
    let act = Act::Fault { fault: &fault, hold: Span::secs(20) };
    ask(&Policy::default(), caller, act, scenario, host, FRIDAY_NOON)
}

#[test]
fn a_certificate_is_valid_on_hosts_of_its_environments_for_any_scenario() {
    let staging = of(&["staging"]);
    // The host belongs to prod, whatever the scenario says.
    for claimed in [Some("staging"), Some("prod"), None] {
        assert!(may(&staging, claimed, Some("prod")).is_err(), "{claimed:?}");
    }
    assert_eq!(may(&staging, Some("staging"), Some("staging")), Ok(()));
    assert_eq!(may(&staging, None, Some("staging")), Ok(()));
    assert_eq!(may(&of(&["ci", "prod"]), Some("prod"), Some("prod")), Ok(()));
}

#[test]
fn a_host_without_an_environment_accepts_only_certificates_without_environments() {
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
fn a_scenario_for_another_environment_is_refused_for_every_caller() {
    let problem = may(&of(&[]), Some("staging"), Some("prod")).unwrap_err();
    assert!(problem.title.contains("staging") && problem.title.contains("prod"), "{problem:?}");
    assert!(may(&of(&["staging", "prod"]), Some("staging"), Some("prod")).is_err());
    assert_eq!(may(&of(&[]), Some("prod"), Some("prod")), Ok(()));
    assert_eq!(may(&of(&[]), None, Some("prod")), Ok(()));
}

#[test]
fn rules_compare_the_environment_of_the_host() {
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
    fn a_scenarios_environment_never_allows_an_act(
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
