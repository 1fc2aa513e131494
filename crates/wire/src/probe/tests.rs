use std::fs;

use super::*;
use crate::testing::{root, sources};

fn of(json: &str) -> Touches {
    serde_json::from_str::<ProbeSpec>(json).expect(json).touches()
}

#[test]
fn files_variables_and_whom_it_reaches_are_told() {
    let probe = of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"http":{"url":"https://shop.example/",
        "bearer":{"secret_file":"/s/token"},"ca_file":"/s/ca.pem"}}}"#);
    assert_eq!(probe.peers, ["shop.example"]);
    assert_eq!(probe.reads, ["/s/token", "/s/ca.pem"]);
    let probe = of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"http":{"url":"http://[::1]/",
        "bearer":{"secret_env":"TOKEN"},
        "secrets":{"k":{"secret_env":"KEY"},"l":{"secret_file":"/s/l"}}}}}"#);
    assert_eq!(probe.peers, ["::1"]);
    assert_eq!(probe.variables, ["TOKEN", "KEY"]);
    assert_eq!(probe.reads, ["/s/l"]);
    assert!(!probe.everything);
}

#[test]
fn a_name_that_comes_with_addresses_is_its_addresses() {
    let probe = of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"tcp":{"address":"Good.example:80"}},
        "names":{"good.example":["192.0.2.1","::1"]}}"#);
    assert_eq!(probe.peers, ["192.0.2.1", "::1"]);
}

#[test]
fn what_cannot_be_read_is_everything() {
    assert!(of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"tcp":{"address":"nonsense"}}}"#).everything);
}

#[test]
fn a_program_is_told_and_is_all_that_it_touches() {
    let probe = of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"exec":{"command":["/bin/check","x"]}}}"#);
    let runs = vec![vec!["/bin/check".to_owned(), "x".to_owned()]];
    assert_eq!(probe, Touches { runs, ..Touches::default() });
}

/// Returns a probe of each kind, made of its example, in the order of the list.
fn one_of_each() -> Vec<ProbeKind> {
    let names = ProbeKind::KINDS.into_iter().zip(ProbeKind::EXAMPLES);
    let all: Vec<ProbeKind> = names
        .map(|(name, example)| {
            let json = example
                .replace(" = ", ": ")
                .replace("{ ", "{ \"")
                .replace(", ", ", \"")
                .replace(": ", "\": ");
            serde_json::from_str(&format!("{{\"{name}\": {json}}}")).expect(example)
        })
        .collect();
    assert_eq!(all.iter().map(ProbeKind::name).collect::<Vec<_>>(), ProbeKind::KINDS);
    all
}

#[test]
fn an_example_is_valid_and_says_whom_it_reaches() {
    for kind in one_of_each() {
        assert_eq!(kind.invalid(), [], "{kind:?}");
        assert_eq!(kind.as_kind().vain(), [], "{kind:?}");
        assert_eq!(kind.policy_name(), format!("probe-{}", kind.name()));
        let json = serde_json::to_value(&kind).expect("prints");
        let about = kind.about();
        // The descriptor names values by keys that the parameters have.
        let table = &json[kind.name()];
        for field in [&about.reach.field].into_iter().chain(about.reads.iter().map(|read| &read.field)) {
            let path = field.path(kind.name());
            assert!(path[0] == kind.name() && table.get(path[1]).is_some(), "{path:?} in {json}");
        }
        assert!(about.reach.to.is_some() != kind.runs().is_some(), "{json}");
    }
}

/// The examples have no secrets and no files.
#[test]
fn each_value_that_an_http_probe_names_is_there() {
    let json = serde_json::json!({"http": {
        "url": "https://me:hunter2@edge/buy?token=abc",
        "headers": {"x-api-key": "k3y"},
        "body": "pin=1234",
        "bearer": {"secret_env": "TOKEN"},
        "ca_file": "/s/ca.pem",
        "secrets": {"pin": {"secret_file": "/s/pin"}},
    }});
    let kind: ProbeKind = serde_json::from_value(json.clone()).expect("reads");
    let about = kind.about();
    assert_eq!((about.reads.len(), about.fills.len()), (3, 2));
    let fields = about.reads.iter().map(|read| &read.field).chain(about.fills.iter().map(|(field, _)| field));
    for field in fields.chain(about.clear.iter().map(|clear| &clear.field)) {
        let path = field.path("http");
        let value = path.iter().try_fold(&json, |table, key| table.get(key));
        assert!(value.is_some(), "{path:?}");
    }
    let clear: Vec<&str> = about.clear.iter().map(|clear| clear.field.path("http")[1]).collect();
    assert_eq!(clear, ["url", "url", "headers", "body"]);
    for key in clear {
        assert!(ProbeKind::hides("http").iter().any(|(hidden, _)| *hidden == key), "{key}");
    }
}

#[test]
fn keys_that_hide_something_or_count_byte_by_byte_are_keys_of_the_kind() {
    let schema = serde_json::to_value(schemars::schema_for!(ProbeKind)).expect("prints");
    for name in ProbeKind::KINDS {
        let one =
            schema["oneOf"].as_array().expect("kinds").iter().find(|one| one["properties"][name].is_object());
        let reference = one.expect(name)["properties"][name]["$ref"].as_str().expect("parameters");
        let table = &schema["$defs"][reference.trim_start_matches("#/$defs/")]["properties"];
        let hidden = ProbeKind::hides(name).iter().map(|(key, _)| key);
        for key in hidden.chain(ProbeKind::as_it_is(name)) {
            assert!(table[key].is_object(), "{name} has no key `{key}`");
        }
    }
    assert_eq!(ProbeKind::hides("nothing"), []);
    assert!(ProbeKind::as_it_is("nothing").is_empty());
}

#[test]
fn every_kind_has_its_section_and_its_name_in_policies_is_told() {
    let docs = root().join("docs");
    let page = fs::read_to_string(docs.join("scenario.md")).expect("the page on scenarios");
    let guide = fs::read_to_string(docs.join("guide.md")).expect("the guide");
    for (name, policy) in ProbeKind::KINDS.iter().zip(ProbeKind::POLICY_NAMES) {
        let heading = format!("### `[probes.NAME.{name}]`\n");
        assert!(page.contains(&heading), "docs/scenario.md has no section on {name}");
        assert!(guide.contains(&format!("`{policy}`")), "docs/guide.md does not name {policy}");
    }
}

/// The two lists of all kinds, and how a kind stands in each.
fn lists(variant: &str) -> [(&'static str, String); 2] {
    [
        ("crates/wire/src/probe.rs", format!("            {variant}({variant}Probe): ")),
        ("crates/probe/src/kind.rs", format!("ProbeKind::{variant}(")),
    ]
}

/// Reads what the compiler cannot tell: a `_` arm, a list of its own.
#[test]
fn a_kind_stands_in_each_list_once_and_nowhere_else() {
    // Sources of metrics and alerts, and channels of messages, use HTTP by themselves. They use the request's type, but do not depend on
    // the kind of a probe.
    let apart = [
        "crates/wire/src/probe",
        "crates/probe/src/kind",
        "crates/stores/src",
        "crates/sources/src",
        "crates/notify/src",
    ];
    let sources = sources(&apart);
    for (kind, policy) in ProbeKind::KINDS.iter().zip(ProbeKind::POLICY_NAMES) {
        let variant: String = kind.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        for (list, entry) in lists(&variant) {
            let text = &sources.iter().find(|(file, _)| file == list).expect(list).1;
            assert_eq!(text.matches(&entry).count(), 1, "{variant} in {list}");
        }
        for (file, text) in sources.iter().filter(|(file, _)| lists("").iter().all(|(list, _)| list != file))
        {
            let named = [format!("ProbeKind::{variant}"), format!("{variant}Probe"), format!("\"{policy}\"")];
            for name in named {
                assert!(
                    !text.contains(&name),
                    "{file} goes by the kind {kind} (`{name}`): have the kind say what is wanted in `About`, and ask that"
                );
            }
            let key = format!("value.{kind}");
            let goes_by = text.match_indices(&key).any(|(at, _)| {
                !text[at + key.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
            });
            assert!(!goes_by, "{file} goes by the key `{kind}` of a probe: ask `Probe::requests`");
        }
    }
}
