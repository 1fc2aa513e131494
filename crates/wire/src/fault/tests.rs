//! Checks of the list of kinds, and that no other code depends on single kinds.

use std::{collections::BTreeSet, fs};

use super::*;
use crate::testing::{root, sources};

/// A fault of each kind, in the order of the list.
const SAMPLES: [&str; Fault::KINDS.len()] = [
    r#"{"service-stop":{"service":"checkout"}}"#,
    r#"{"service-kill":{"service":"checkout"}}"#,
    r#"{"service-restart":{"service":"checkout"}}"#,
    r#"{"process-kill":{"match":{"name":"java"}}}"#,
    r#"{"process-pause":{"match":{"name":"java"}}}"#,
    r#"{"net-block":{"to":"10.0.0.1","except":"10.0.0.2"}}"#,
    r#"{"net-partition":{"shape":"halves"}}"#,
    r#"{"net-slow":{"to":"10.0.0.1","except":"10.0.0.2","delay":"1s"}}"#,
    r#"{"net-lose":{"to":"10.0.0.1","except":"10.0.0.2","share":"5%"}}"#,
    r#"{"net-duplicate":{"to":"10.0.0.1","except":"10.0.0.2","share":"5%"}}"#,
    r#"{"net-corrupt":{"to":"10.0.0.1","except":"10.0.0.2","share":"5%"}}"#,
    r#"{"net-reorder":{"to":"10.0.0.1","except":"10.0.0.2","share":"5%","delay":"1s"}}"#,
    r#"{"net-throttle":{"to":"10.0.0.1","except":"10.0.0.2","rate":"1mbit"}}"#,
    r#"{"net-reset":{"to":"10.0.0.1"}}"#,
    r#"{"net-dns":{"to":"10.0.0.1","zones":".","how":"drop"}}"#,
    r#"{"net-down":{"to":"10.0.0.1"}}"#,
    r#"{"net-flap":{"interface":"eth1","down":"1s","up":"2s"}}"#,
    r#"{"host-isolate":{"except":"10.0.0.2"}}"#,
    r#"{"host-reboot":{"back_within":"60s"}}"#,
    r#"{"host-poweroff":{}}"#,
    r#"{"region-kill":{"how":"isolate"}}"#,
];

fn samples() -> Vec<Fault> {
    let faults: Vec<Fault> = SAMPLES.iter().map(|json| serde_json::from_str(json).expect(json)).collect();
    assert_eq!(faults.iter().map(Fault::kind).collect::<Vec<_>>(), Fault::KINDS);
    faults
}

#[test]
fn kinds_are_named_as_in_files() {
    for fault in samples() {
        let json = serde_json::to_value(&fault).expect("prints");
        assert_eq!(json.as_object().expect("a table").keys().collect::<Vec<_>>(), [fault.kind()]);
        assert_eq!(fault.invalid(), None, "{json}");
    }
}

#[test]
fn the_list_names_every_list_of_peers() {
    let value = serde_json::to_value(schemars::schema_for!(Fault)).expect("prints");
    for (json, mut fault) in SAMPLES.iter().zip(samples()) {
        // The samples give each list one address.
        let wanted = json.matches("\"10.0.0.").count();
        assert_eq!(fault.selectors().len(), wanted, "{json}");
        assert!(fault.selectors().iter().all(|peers| !peers.is_empty()), "{json}");
        assert_eq!(fault.selectors_mut().len(), wanted, "{json}");
        let name = value["oneOf"]
            .as_array()
            .expect("kinds")
            .iter()
            .find_map(|kind| kind["properties"][fault.kind()]["$ref"].as_str())
            .and_then(|reference| reference.strip_prefix("#/$defs/"))
            .expect("parameters");
        let keys = value["$defs"][name]["properties"].as_object().cloned().unwrap_or_default();
        let peers = keys.keys().filter(|key| ["to", "except"].contains(&key.as_str())).count();
        assert_eq!(peers, wanted, "{name} has lists of peers that its sample or its entry in the list lacks");
    }
}

#[test]
fn every_kind_has_a_page_and_every_page_a_kind() {
    let folder = root().join("docs/faults");
    let pages: BTreeSet<String> = Fault::KINDS.iter().map(|kind| format!("{kind}.md")).collect();
    let index = fs::read_to_string(folder.join("README.md")).expect("the index of pages");
    let names = fs::read_dir(folder).expect("pages").map(|entry| entry.expect("a page").file_name());
    let there: BTreeSet<String> = names.filter_map(|name| name.into_string().ok()).collect();
    for page in &pages {
        assert!(there.contains(page), "docs/faults/{page} is missing");
        assert!(index.contains(&format!("({page})")), "docs/faults/README.md has no link to {page}");
    }
    let others: Vec<_> = there.difference(&pages).filter(|name| *name != "README.md").collect();
    assert!(others.is_empty(), "pages without a kind: {others:?}");
}

/// Files outside of `crates/wire/src/fault/` and `agent/src/fault/` that name a kind, because they are only about that kind.
const ABOUT_ONE_KIND: [(&str, &str); 4] = [
    ("crates/plan/src/plan/partition.rs", "NetBlock"),
    ("crates/plan/src/plan/partition.rs", "NetPartition"),
    ("crates/plan/src/plan/resolve.rs", "NetPartition"),
    // The blocks of a partition are described as a partition.
    ("crates/judge/src/score/story/during.rs", "NetPartition"),
];

/// Returns the two lists of all kinds, each with the entry of a kind.
fn lists(variant: &str) -> [(&'static str, String); 2] {
    [
        ("crates/wire/src/fault.rs", format!("    {variant}: \"")),
        ("agent/src/fault.rs", format!("Fault::{variant}(")),
    ]
}

#[test]
fn a_kind_is_in_each_list_once_and_nowhere_else() {
    let sources = sources(&["crates/wire/src/fault", "agent/src/fault"]);
    let mut used: BTreeSet<&(&str, &str)> = BTreeSet::new();
    for kind in Fault::KINDS {
        let variant: String = kind.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        for (list, entry) in lists(&variant) {
            let text = &sources.iter().find(|(file, _)| file == list).expect(list).1;
            assert_eq!(text.matches(&entry).count(), 1, "{variant} in {list}");
        }
        for (file, text) in sources.iter().filter(|(file, _)| lists("").iter().all(|(list, _)| list != file))
        {
            let named = text.match_indices(&variant).any(|(at, _)| {
                let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
                !text[..at].ends_with(is_of_word) && !text[at + variant.len()..].starts_with(is_of_word)
            });
            let quoted = text.contains(&format!("\"{kind}\""));
            let allowed = ABOUT_ONE_KIND.iter().find(|(at, kind)| at == file && *kind == variant);
            used.extend(allowed);
            assert!(
                !quoted && (!named || allowed.is_some()),
                "{file} goes by the kind {kind}: have the kind say what is wanted in `About`, and ask that"
            );
        }
    }
    assert_eq!(used.len(), ABOUT_ONE_KIND.len(), "exceptions that nothing needs any more; needed: {used:?}");
}

#[test]
fn a_manager_is_named_only_in_its_file_and_in_the_list() {
    let mut sources = sources(&[]);
    sources.retain(|(file, _)| file.starts_with("agent/src/"));
    assert!(sources.len() > 50, "found only {} files", sources.len());
    for manager in ServiceManager::ALL {
        let variant = format!("ServiceManager::{manager:?}");
        let own = format!("agent/src/service/{manager}");
        for (file, text) in &sources {
            let named = text.matches(&variant).count() + text.matches(&format!("{manager}::DRIVER")).count();
            let wanted = if file == "agent/src/service.rs" { 2 } else { 0 };
            assert!(file.starts_with(&own) || named == wanted, "{file} names {variant} {named} times");
        }
        let made = format!("impl Manager for {manager:?} ");
        let files = sources.iter().filter(|(_, text)| text.contains(&made));
        assert_eq!(files.map(|(file, _)| file.as_str()).collect::<Vec<_>>(), [format!("{own}.rs")]);
    }
}

#[test]
fn the_state_of_the_host_depends_on_the_kind() {
    let fault = |json: &str| serde_json::from_str::<Fault>(json).expect(json);
    let reboot = fault(r#"{"host-reboot":{"back_within":"60s"}}"#);
    assert!(reboot.takes_host_down() && !reboot.powers_off() && !reboot.reversible());
    assert_eq!(reboot.own_hold(), Some(Span::secs(60)));
    let region = fault(r#"{"region-kill":{"how":"poweroff"}}"#);
    assert!(region.takes_host_down() && region.powers_off() && !region.reversible());
    assert_eq!((region.own_hold(), region.on_host().kind()), (None, "host-poweroff"));
    let region = fault(r#"{"region-kill":{"how":"isolate"}}"#);
    assert!(region.reversible() && !region.takes_host_down());
    assert_eq!(region.on_host().kind(), "host-isolate");
    let stop = fault(SAMPLES[0]);
    assert!(stop.reversible() && !stop.takes_host_down());
    let ramp = |fault: &Fault| [1, 60, 600].map(|hold| fault.ramp(Span::secs(hold)));
    assert_eq!(ramp(&stop), [5, 60, 120].map(Span::secs));
    assert_eq!(ramp(&reboot), [5, 30, 30].map(Span::secs));
}

#[test]
fn unknown_keys_are_refused() {
    let error = serde_json::from_str::<Fault>(r#"{"net-block":{"too":["db"]}}"#).expect_err("typo");
    assert!(error.to_string().contains("too"), "{error}");
}
