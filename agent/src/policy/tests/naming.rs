//! Tests of rules that name programs and files: a rule must name the programs that an act runs and the files that it changes. No kind of
//! fault does either yet; probes of the kind `exec` run programs.

use firedrill_wire::Touches;

use super::{super::named, *};

fn rule(text: &str) -> Rule {
    let rule: Rule = toml::from_str(&format!("name = \"n\"\n{text}")).unwrap();
    rule.validate().unwrap();
    rule
}

fn runs(words: &[&str]) -> Touches {
    Touches { runs: vec![words.iter().map(ToString::to_string).collect()], ..Touches::default() }
}

fn changes(path: &str) -> Touches {
    Touches { changes: vec![path.into()], ..Touches::default() }
}

#[test]
fn a_rule_without_targets_allows_no_program_and_no_file() {
    for touches in [runs(&["/bin/true"]), changes("/etc/hosts")] {
        assert!(named::needs_naming(&touches));
        for text in ["", "kinds = [\"net-*\"]", "services = [\"*\"]", "peers = [\"*\"]"] {
            assert!(named::allows(&rule(text), &touches).is_err(), "{text} {touches:?}");
        }
    }
}

#[test]
fn programs_are_named_word_by_word() {
    let reload = rule("commands = [[\"/usr/bin/systemctl\", \"reload\", \"app-*\"]]");
    assert_eq!(named::allows(&reload, &runs(&["/usr/bin/systemctl", "reload", "app-1"])), Ok(()));
    for words in [
        &["/usr/bin/systemctl", "reload", "db"][..],
        &["/usr/bin/systemctl", "reload"],
        &["/usr/bin/systemctl", "reload", "app-1", "--force"],
        &["systemctl", "reload", "app-1"],
        &["/usr/bin/systemctl", "stop", "app-1"],
        &[],
    ] {
        assert!(named::allows(&reload, &runs(words)).is_err(), "{words:?}");
    }
    let below = rule("commands = [[\"/bin/sh\", \"/opt/checks/*\"]]");
    assert_eq!(named::allows(&below, &runs(&["/bin/sh", "/opt/checks/lag..sh"])), Ok(()));
    assert!(named::allows(&below, &runs(&["/bin/sh", "/opt/checks/../../tmp/x.sh"])).is_err(), "it leads up");
    assert!(named::allows(&reload, &changes("/usr/bin/systemctl")).is_err());
    let clause = named::clause(&runs(&["/bin/true"]), false);
    assert_eq!(clause, r#"commands = [["/bin/true"]]"#);
    assert!(rule(&clause).validate().is_ok(), "the clause that a refusal proposes is valid");
}

#[test]
fn files_are_named_by_their_plain_path() {
    let logs = rule("files = [\"/var/log/shop/*\"]");
    assert_eq!(named::allows(&logs, &changes("/var/log/shop/a.log")), Ok(()));
    for path in
        ["/var/log/shop/../../../etc/shadow", "/var/log/other", "var/log/shop/a", "/var/log/shop/./../x"]
    {
        assert!(named::allows(&logs, &changes(path)).is_err(), "{path}");
        let reads = Touches { reads: vec![path.into()], ..Touches::default() };
        assert!(named::allows(&logs, &reads).is_err(), "{path}");
    }
    assert!(named::allows(&logs, &runs(&["/var/log/shop/a"])).is_err());
}
