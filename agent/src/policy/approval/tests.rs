//! Tests of the rule about approvals: which approvals of a fault count.

use firedrill_approval::{Statement, Tree};
use firedrill_wire::{
    Span,
    fault::NetBlock,
    identity::{Person, Role},
};

use super::*;

const HOLD: Span = Span::secs(30);

fn alice() -> Caller {
    Caller { name: "alice".into(), team: None, environments: Vec::new(), may_harm: true, certificate: None }
}

fn run() -> RunId {
    "friday".parse().unwrap()
}

fn block() -> Fault {
    Fault::NetBlock(NetBlock { to: vec!["db1".to_owned()].into(), ..NetBlock::default() })
}

/// Returns an approval of a net-block on app1 and on app2, and the question about the net-block on app1.
fn opened(by: &str, environments: &[&str]) -> (Result<Opened, String>, PrepareOne) {
    let tree = Tree::of(vec![leaf("app1", "1-1", &block(), HOLD), leaf("app2", "1-2", &block(), HOLD)]);
    let statement = Statement {
        plan: "d".into(),
        name: "friday".into(),
        run: None,
        given: "2026-12-04T14:00:00Z".into(),
        until: "2026-12-05T14:00:00Z".into(),
        requests: None,
        faults: Some(tree.root()),
        standing: None,
    };
    let by = Person {
        name: by.into(),
        team: None,
        role: Role::Viewer,
        environments: environments.iter().map(|name| (*name).to_owned()).collect(),
        flaws: Vec::new(),
    };
    let asked =
        PrepareOne { id: "friday-1-1".parse().unwrap(), fault: block(), hold: HOLD, proof: tree.proof(0) };
    let opened = Opened { by, serial: "01".into(), means: Means::Certificate, origin: None, statement };
    (Ok(opened), asked)
}

fn rule(kind: &str) -> Approval {
    Approval {
        people: 1,
        kinds: vec![kind.into()],
        means: by_certificate(),
        origins: Vec::new(),
        standing: None,
    }
}

/// Returns the sentence on missing approvals, if the rule wants this number of people.
fn lacks(people: u32, one: &PrepareOne, opened: &[Result<Opened, String>]) -> Option<String> {
    let approved = Approved::of(("app1", Some("prod")), (&alice(), &run()), one, opened);
    Approval { people, ..rule("net-*") }.lacks(one.fault.kind(), &approved)
}

#[test]
fn approvals_count_if_they_are_for_this_fault_on_this_host_by_other_people() {
    let (bob, one) = opened("bob", &[]);
    let (carol, _) = opened("carol", &["prod"]);
    let of = |opened: &[&Result<Opened, String>]| -> Vec<Result<Opened, String>> {
        opened.iter().map(|&opened| opened.clone()).collect()
    };
    assert_eq!(lacks(1, &one, &of(&[&bob])), None);
    assert_eq!(lacks(2, &one, &of(&[&bob, &carol])), None);
    let lacks_because = |people, one: &PrepareOne, opened: &[Result<Opened, String>], why: &str| {
        let lacks = lacks(people, one, opened).expect(why);
        assert!(lacks.contains(why), "no `{why}` in {lacks}");
    };
    lacks_because(1, &one, &[], "approved by 1 person other than the one who runs it, and nobody has");
    lacks_because(2, &one, &of(&[&bob, &bob]), "only bob did");
    lacks_because(1, &one, &[opened("alice", &[]).0], "alice runs this drill");
    lacks_because(1, &one, &[opened("dave", &["staging"]).0], "dave approves only for staging");
    lacks_because(1, &one, &[Err("it expired".to_owned())], "nobody has; it expired");
    let is_another_fault =
        |one: PrepareOne| lacks_because(1, &one, &of(&[&bob]), "bob approved other faults than this one");
    is_another_fault(PrepareOne { hold: Span::secs(31), ..one.clone() });
    is_another_fault(PrepareOne { fault: Fault::NetBlock(NetBlock::default()), ..one.clone() });
    is_another_fault(PrepareOne { proof: Vec::new(), ..one.clone() });
    for id in ["friday-1-2", "other-1-1", "friday1-1"] {
        is_another_fault(PrepareOne { id: id.parse().unwrap(), ..one.clone() });
    }
    let elsewhere = Approved::of(("app3", Some("prod")), (&alice(), &run()), &one, &of(&[&bob]));
    assert!(elsewhere.by.is_empty(), "it is for another host: {elsewhere:?}");
    let mut earlier = bob;
    if let Ok(opened) = &mut earlier {
        opened.statement.faults = None;
    }
    lacks_because(1, &one, &[earlier], "names no faults");
}

#[test]
fn only_the_named_kinds_need_approvals() {
    let rule = rule("service-*");
    assert_eq!(rule.lacks("net-block", &Approved::default()), None);
    assert!(rule.lacks("service-stop", &Approved::default()).is_some());
    let every_kind = Approval { kinds: Vec::new(), ..rule.clone() };
    assert!(every_kind.lacks("net-block", &Approved::default()).is_some());
    assert_eq!(rule.validate(), Ok(()));
    assert!(Approval { people: 0, ..rule.clone() }.validate().unwrap_err().contains("1 to 16"));
    let unknown = Approval { kinds: vec!["net-blok".into()], ..rule };
    assert!(unknown.validate().unwrap_err().contains("no kind of fault `net-blok`"));
}

#[test]
fn a_standing_approval_counts_within_its_bounds_if_the_host_accepts_such_approvals() {
    let standing = |kinds: &str, days: u64| {
        let (opened, one) = opened("bob", &[]);
        let mut opened = opened.unwrap();
        opened.statement = Statement {
            faults: None,
            until: format!("2026-12-{:02}T14:00:00Z", 4 + days),
            standing: Some(Standing {
                gameday: "friday".into(),
                digest: "d".into(),
                environments: vec!["prod".into()],
                hosts: vec!["app*".into()],
                kinds: vec![kinds.into()],
                longest: HOLD,
            }),
            ..opened.statement
        };
        (Ok(opened), one)
    };
    let lacks = |rule: &Approval, (opened, one): &(Result<Opened, String>, PrepareOne)| {
        let approved =
            Approved::of(("app1", Some("prod")), (&alice(), &run()), one, std::slice::from_ref(opened));
        rule.lacks(one.fault.kind(), &approved).unwrap_or_default()
    };
    let each_drill = rule("net-*");
    let takes = Approval { standing: Some(Span::secs(7 * 86_400)), ..each_drill.clone() };
    assert_eq!(lacks(&takes, &standing("net-*", 7)), "");
    for (rule, approval, why) in [
        (
            &each_drill,
            standing("net-*", 7),
            "bob approved by a standing approval, and this host wants each drill",
        ),
        (&takes, standing("net-*", 8), "by a standing approval of more than"),
        (&takes, standing("service-*", 7), "does not cover this: net-block is none of service-*"),
    ] {
        let lacks = lacks(rule, &approval);
        assert!(lacks.contains(why), "no `{why}` in {lacks}");
    }
    let longer = |standing| Approval { standing: Some(standing), ..each_drill.clone() }.validate();
    assert!(longer(Span::secs(31 * 86_400)).unwrap_err().contains("at most 30d"));
    assert!(longer(Span::ZERO).is_err() && longer(Span::secs(30 * 86_400)).is_ok());
}

const ORIGIN: &str = "https://drills.example";

#[test]
fn only_approvals_by_named_means_and_pages_count() {
    let of = |means, origin: Option<&str>| {
        let (opened, one) = opened("bob", &[]);
        let opened = Opened { means, origin: origin.map(str::to_owned), ..opened.unwrap() };
        Approved::of(("app1", Some("prod")), (&alice(), &run()), &one, &[Ok(opened)])
    };
    let (signed, touched) = (of(Means::Certificate, None), of(Means::Passkey, Some(ORIGIN)));
    let elsewhere = of(Means::Passkey, Some("https://evil.example"));
    let by_default = rule("net-*");
    let passkeys =
        Approval { means: vec![Means::Passkey], origins: vec![ORIGIN.to_owned()], ..by_default.clone() };
    let both = Approval { means: vec![Means::Passkey, Means::Certificate], ..passkeys.clone() };
    let counts = |rule: &Approval, approved: &Approved| rule.lacks("net-block", approved).is_none();
    assert!(counts(&by_default, &signed) && counts(&both, &signed) && !counts(&passkeys, &signed));
    assert!(!counts(&by_default, &touched) && counts(&both, &touched) && counts(&passkeys, &touched));
    let why = |rule: &Approval, approved: &Approved| rule.lacks("net-block", approved).unwrap();
    assert!(why(&by_default, &touched).contains("bob approved by passkey, and only by certificate counts"));
    let refused = why(&both, &elsewhere);
    assert!(
        refused.contains("nobody has; bob approved by passkey on https://evil.example, which"),
        "{refused}"
    );
    let (without_page, similar_page) =
        (of(Means::Passkey, None), of(Means::Passkey, Some("https://drills.example.evil")));
    assert!(!counts(&both, &without_page) && !counts(&both, &similar_page));
}

#[test]
fn a_rule_with_passkeys_names_the_pages_that_may_ask_for_them() {
    let read = |text: &str| -> Result<(), String> {
        let rule: Approval = toml::from_str(text).map_err(|error| error.to_string())?;
        rule.validate()
    };
    assert_eq!(read("people = 1"), Ok(()));
    let passkeys = "people = 2\nmeans = [\"passkey\", \"certificate\"]\norigins = ";
    assert_eq!(read(&format!("{passkeys}[\"https://drills.example\"]")), Ok(()));
    for (text, why) in [
        ("people = 1\nmeans = []", "lets nobody approve"),
        ("people = 1\nmeans = [\"passkey\"]", "origins is missing"),
        ("people = 1\norigins = [\"https://drills.example\"]", "means has none"),
        (&format!("{passkeys}[\"https://drills.example/\"]"), "no path"),
        (&format!("{passkeys}[\"http://127.0.0.1:7788\"]"), "for addresses"),
        ("people = 1\nmeans = [\"slack\"]", "unknown variant `slack`"),
    ] {
        let error = read(text).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
}
