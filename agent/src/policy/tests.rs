//! Tests of the policy's decisions about faults.

use super::*;
use crate::control::Caller;
use firedrill_wire::{
    Fault,
    fault::{HostReboot, NetBlock, ProcessMatch, ProcessPause, ServiceManager, ServiceStop},
};
use proptest::prelude::*;

mod acts;
mod environments;
mod naming;
mod programs;

/// Friday, 2026-11-20 12:00 UTC.
const FRIDAY_NOON: u64 = 1_795_176_000_000_000;
const HOUR_US: u64 = 3_600_000_000;

fn policy(text: &str) -> Policy {
    let policy: Policy = toml::from_str(text).unwrap();
    policy.validate().unwrap();
    policy
}

fn alice() -> Caller {
    Caller {
        name: "alice".into(),
        team: Some("ops".into()),
        environments: vec![],
        may_harm: true,
        certificate: None,
    }
}

fn stop(service: &str) -> Fault {
    Fault::ServiceStop(ServiceStop { service: service.into(), manager: ServiceManager::Auto })
}

fn block(to: &str) -> Fault {
    Fault::NetBlock(NetBlock { to: vec![to.to_owned()].into(), ..NetBlock::default() })
}

fn check_at(
    policy: &Policy,
    caller: &Caller,
    fault: &Fault,
    hold: Span,
    wall_us: u64,
) -> Result<(), Problem> {
    ask(policy, caller, Act::Fault { fault, hold }, Some("prod"), Some("prod"), wall_us)
}

fn ask(
    policy: &Policy,
    caller: &Caller,
    act: Act<'_>,
    environment: Option<&str>,
    host_environment: Option<&str>,
    wall_us: u64,
) -> Result<(), Problem> {
    let ask = Question { caller, environment, host_environment, act, wall_us };
    policy.check(&ask, Path::new("/etc/firedrill/agent.toml"))
}

fn check(policy: &Policy, caller: &Caller, fault: &Fault) -> Result<(), Problem> {
    check_at(policy, caller, fault, Span::secs(20), FRIDAY_NOON)
}

#[test]
fn without_a_policy_an_operator_may_inject_any_fault_for_an_hour() {
    let free = Policy::default();
    assert_eq!(check(&free, &alice(), &stop("checkout")), Ok(()));
    assert!(check_at(&free, &alice(), &stop("checkout"), Span::secs(3601), FRIDAY_NOON).is_err());
    let viewer = Caller { may_harm: false, ..alice() };
    assert!(check(&free, &viewer, &stop("checkout")).is_err());
}

#[test]
fn a_refusal_names_the_rule_and_the_file() {
    let strict = policy(
        r#"
        protected_services = ["postgres*"]
        [[allow]]
        name = "ops on the shop"
        teams = ["ops"]
        kinds = ["service-*", "net-block"]
        services = ["checkout", "cart-*"]
        peers = ["10.9.0.0/16", "*.example.com"]
        max_hold = "1m"
        "#,
    );
    for good in
        [stop("checkout"), stop("cart-eu"), block("10.9.3.4"), block("10.9.8.0/24"), block("db.example.com")]
    {
        assert_eq!(check(&strict, &alice(), &good), Ok(()), "{good:?}");
    }
    let reboot = Fault::HostReboot(HostReboot { back_within: Span::secs(20) });
    for (bad, why) in [
        (stop("postgresql"), "protected_services"),
        (stop("postgresql.service"), "protected_services"),
        (stop("search"), "ops on the shop"),
        (block("10.0.0.0/8"), "peers"),
        (block("192.0.2.1"), "peers"),
        (reboot, "kinds"),
    ] {
        let problem = check(&strict, &alice(), &bad).unwrap_err();
        let text = format!("{} {}", problem.title, problem.hint);
        assert!(text.contains(why) && text.contains("/etc/firedrill/agent.toml"), "{bad:?}: {text}");
    }
    let bob = Caller { team: None, ..alice() };
    assert!(check(&strict, &bob, &stop("checkout")).is_err());
    assert!(check_at(&strict, &alice(), &stop("checkout"), Span::secs(61), FRIDAY_NOON).is_err());
}

#[test]
fn a_rule_with_targets_allows_no_fault_without_named_targets() {
    let narrow = policy("[[allow]]\nname = \"n\"\nservices = [\"checkout\"]\n");
    let of_all_peers = Fault::NetBlock(NetBlock::default());
    assert!(check(&narrow, &alice(), &of_all_peers).is_err());
    let by_command = Fault::ProcessPause(ProcessPause {
        which: ProcessMatch { command: Some("java".into()), ..ProcessMatch::default() },
    });
    assert!(check(&narrow, &alice(), &by_command).is_err());
    let of_service = Fault::ProcessPause(ProcessPause {
        which: ProcessMatch {
            service: Some("checkout".into()),
            name: Some("java".into()),
            ..ProcessMatch::default()
        },
    });
    assert_eq!(check(&narrow, &alice(), &of_service), Ok(()));
}

#[test]
fn interfaces_are_allowed_by_name() {
    let narrow = policy("[[allow]]\nname = \"n\"\ninterfaces = [\"storage*\", \"eth1\"]\n");
    let down = |json: &str| serde_json::from_str::<Fault>(&format!(r#"{{"net-down":{json}}}"#)).unwrap();
    for good in [r#"{"interface":"eth1"}"#, r#"{"interface":"storage0","cut_off":true}"#] {
        assert_eq!(check(&narrow, &alice(), &down(good)), Ok(()), "{good}");
    }
    for bad in
        [down(r#"{"interface":"eth0"}"#), down(r#"{"to":"10.9.0.2"}"#), stop("checkout"), block("10.9.0.2")]
    {
        assert!(check(&narrow, &alice(), &bad).is_err(), "{bad:?}");
    }
    let others = policy("[[allow]]\nname = \"n\"\npeers = [\"10.9.0.0/16\"]\n");
    assert!(check(&others, &alice(), &down(r#"{"interface":"eth1"}"#)).is_err());
    assert!(
        check(&others, &alice(), &down(r#"{"to":"10.9.0.2"}"#)).is_err(),
        "it cuts off more than its peers"
    );
}

/// Asks the policy about the claims of a fault.
fn claims(policy: &Policy, fault: &Fault, claims: &[&str]) -> Result<(), Problem> {
    let claims: Vec<Claim> =
        claims.iter().map(|what| Claim { what: (*what).to_owned(), shared: false }).collect();
    let (caller, act) = (&alice(), Act::Fault { fault, hold: Span::secs(20) });
    let ask = Question { caller, environment: None, host_environment: None, act, wall_us: FRIDAY_NOON };
    policy.check_claims(&ask, &claims, Path::new("f"))
}

#[test]
fn services_that_go_down_with_the_named_service_need_a_rule_too() {
    let narrow = policy("[[allow]]\nname = \"n\"\nservices = [\"checkout\", \"cart-*\"]\n");
    let own = "unit:systemd/checkout.service";
    assert_eq!(claims(&narrow, &stop("checkout"), &[own]), Ok(()));
    assert_eq!(claims(&narrow, &stop("checkout"), &[own, "unit:systemd/cart-eu.service"]), Ok(()));
    assert_eq!(claims(&narrow, &stop("checkout.service"), &["unit:runit/checkout"]), Ok(()));
    let problem = claims(&narrow, &stop("checkout"), &[own, "unit:systemd/db.service"]).unwrap_err();
    assert!(problem.hint.contains("services") && problem.hint.contains("db.service"), "{problem:?}");
    assert_eq!(check(&narrow, &alice(), &stop("checkout.service")), Ok(()), "the same service");
    assert!(check(&narrow, &alice(), &stop("checkout.socket")).is_err());
    let free = policy("[[allow]]\nname = \"n\"\n");
    assert_eq!(claims(&free, &stop("checkout"), &[own, "unit:systemd/db.service"]), Ok(()));
    assert_eq!(claims(&Policy::default(), &stop("checkout"), &[own, "unit:systemd/db.service"]), Ok(()));
}

#[test]
fn claims_on_protected_services_are_refused() {
    let strict = policy("protected_services = [\"sshd\"]");
    let file = Path::new("f");
    assert!(claims(&strict, &stop("checkout"), &["unit:sshd.service"]).is_err());
    assert!(claims(&strict, &stop("checkout"), &["service:/etc/service/sshd"]).is_err());
    assert_eq!(claims(&strict, &stop("checkout"), &["unit:checkout"]), Ok(()));
    assert!(strict.check_count(16, file).is_ok() && strict.check_count(17, file).is_err());
}

#[test]
fn blackouts_refuse_on_their_days_over_midnight_and_holds_that_reach_into_them() {
    let night =
        policy("[[blackout]]\nname = \"night\"\ndays = [\"fri\"]\nfrom = \"22:00\"\nto = \"06:00\"\n");
    let at = |hours: u64, hold| {
        check_at(&night, &alice(), &stop("a"), Span::secs(hold), FRIDAY_NOON + hours * HOUR_US).is_ok()
    };
    assert!(at(9, 60), "Friday 21:00");
    assert!(!at(9, 3600), "reaches 22:00");
    assert!(!at(10, 60), "Friday 22:00");
    assert!(!at(17, 60), "Saturday 05:00");
    assert!(at(18, 60), "Saturday 06:00");
    assert!(at(34, 60), "Saturday 22:00");
    let problem =
        check_at(&night, &alice(), &stop("a"), Span::secs(1), FRIDAY_NOON + 11 * HOUR_US).unwrap_err();
    assert!(problem.hint.contains("night"), "{problem:?}");
}

#[test]
fn invalid_rules_are_refused() {
    for wrong in [
        "[[blackout]]\nname = \"n\"\nfrom = \"25:00\"",
        "[[blackout]]\nname = \"n\"\nto = \"7:00\"",
        "[[allow]]\nname = \"n\"\nkinds = [\"net-blok\"]",
        "[[allow]]\nkinds = [\"net-block\"]",
        "[[allow]]\nname = \"n\"\nfiles = [\"etc/x\"]",
        "[[allow]]\nname = \"n\"\nfiles = [\"/etc/x/../y\"]",
        "[[allow]]\nname = \"n\"\ncommands = [[]]",
        "[[allow]]\nname = \"n\"\ncommands = [[\"sh\", \"-c\"]]",
        "[[allow]]\nname = \"n\"\ncommands = [[\"/usr/bin/*\"]]",
        "max_probe_time = \"8d\"",
    ] {
        assert!(toml::from_str::<Policy>(wrong).unwrap().validate().is_err(), "{wrong}");
    }
    assert!(toml::from_str::<Policy>("[[allow]]\nname = \"n\"\nwhoo = [\"a\"]").is_err());
}

proptest! {
    #[test]
    fn a_pattern_matches_its_parts_with_any_text_between(parts in prop::collection::vec("[a-c]{0,3}", 1..5), fill in "[a-z]{0,4}") {
        let pattern = parts.join("*");
        let text = parts.join(&fill);
        prop_assert!(like(&pattern, &text));
        prop_assert_eq!(like(&text, &pattern.replace('*', "é")), pattern.replace('*', "é") == text);
    }

    #[test]
    fn a_blackout_without_days_and_hours_covers_always(wall in 0_u64..4_000_000_000_000_000) {
        let always = Blackout { name: "x".into(), days: vec![], from: "00:00".into(), to: "00:00".into() };
        prop_assert!(always.meets(wall, Span::ZERO));
    }
}
