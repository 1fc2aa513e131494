//! The reference pages agree with the source, and their examples are valid and use every key.

use std::{collections::BTreeSet, fs, path::Path};

use firedrill::{
    fleet::{self, FleetSource},
    plan::inspect,
    reference, scenario,
};
use serde_json::Value;

/// For reports: without colours.
const PLAIN: bool = false;
/// The width of reports, in columns.
const WIDTH: usize = 110;

/// Compares a page with the one made from the source. `INSTA_UPDATE=always` writes it, like other golden files.
fn same(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        fs::write(&path, page).expect("written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(page.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or_else(|| committed.lines().count().min(page.lines().count()));
    assert!(
        committed == page,
        "{file} is stale from line {}: INSTA_UPDATE=always cargo test --test reference writes it anew\n  it has:  {}\n  \
         should be: {}",
        line + 1,
        committed.lines().nth(line).unwrap_or_default(),
        page.lines().nth(line).unwrap_or_default(),
    );
}

#[test]
fn the_page_on_scenarios_agrees_with_the_source() {
    same("docs/scenario.md", &reference::scenario());
}

#[test]
fn the_page_on_fleets_agrees_with_the_source() {
    same("docs/fleet.md", &reference::fleet());
}

#[test]
fn the_page_on_game_days_agrees_with_the_source() {
    same("docs/gamedays.md", &firedrill_gameday::page());
}

#[test]
fn the_page_on_channels_agrees_with_the_source() {
    same("docs/channels.md", &firedrill_notify::page());
}

#[test]
fn the_example_of_channels_is_valid_and_uses_every_key() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/notify/src/reference/channels.toml");
    let mut sink = firedrill::diagnostic::Sink::default();
    assert!(
        firedrill_notify::read(&file, &mut sink).is_some(),
        "{}",
        sink.into_report().render(PLAIN, WIDTH)
    );
    let (schema, mut found) = (firedrill_notify::schema(), BTreeSet::new());
    let example: Value = toml::from_str(firedrill_notify::EXAMPLE).expect("TOML");
    used(&schema, &example, &schema, "", &mut found);
    let shown = |key: &String| found.iter().any(|used| shows(used, key));
    let missing: Vec<String> = all_keys(&schema).into_iter().filter(|key| !shown(key)).collect();
    assert!(missing.is_empty(), "no example has {missing:?}");
}

#[test]
fn the_page_on_refusals_agrees_with_the_source() {
    same("docs/refusals.md", &reference::refusals());
}

#[test]
fn the_examples_pass_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/plan/src/reference");
    let fleet = FleetSource::File(folder.join("fleet.toml"));
    let found = inspect(&folder.join("scenario.toml"), Some(&fleet), &[], Some(1));
    assert!(!found.report.failed(), "{}", found.report.render(PLAIN, WIDTH));
}

#[test]
fn every_part_of_the_example_files_is_in_a_page() {
    for (file, page) in
        [(reference::SCENARIO_EXAMPLE, reference::scenario()), (reference::FLEET_EXAMPLE, reference::fleet())]
    {
        for part in reference::Example::all(file) {
            assert!(page.contains(part.text.trim()), "`#: {}` is the heading of no section", part.heading);
        }
    }
}

/// Adds to `found` the keys that a value uses, each with its table. `name` is the table's name in the schema `root`.
fn used(schema: &Value, value: &Value, root: &Value, name: &str, found: &mut BTreeSet<String>) {
    if let Some(path) = schema["$ref"].as_str() {
        let inner = root.pointer(path.trim_start_matches('#')).expect("refers to something");
        used(inner, value, root, path.trim_start_matches("#/$defs/"), found);
    }
    for keyword in ["anyOf", "oneOf"] {
        for variant in schema[keyword].as_array().into_iter().flatten() {
            used(variant, value, root, name, found);
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        if let Some(schema) = schema["properties"].get(key) {
            found.insert(format!("{name}.{key}"));
            used(schema, inner, root, "", found);
        } else if schema["additionalProperties"].is_object() {
            used(&schema["additionalProperties"], inner, root, name, found);
        }
    }
    for inner in value.as_array().into_iter().flatten() {
        used(&schema["items"], inner, root, name, found);
    }
}

/// Returns all keys of a schema, each with its table.
fn all_keys(schema: &Value) -> BTreeSet<String> {
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    let tables = definitions.map(|(name, table)| (name.as_str(), table)).chain([("", schema)]);
    let mut names = BTreeSet::new();
    for (name, table) in tables.filter(|(name, _)| *name != "ParamRef") {
        let variants = table["oneOf"].as_array().into_iter().flatten();
        for table in variants.chain([table]) {
            let keys = table["properties"].as_object().into_iter().flatten();
            names.extend(keys.map(|(key, _)| format!("{name}.{key}")));
        }
    }
    names
}

/// Whether an example of `used` is enough for `key`: a kind of `fault` is one of `faults`, a kind of probe is one of `pick_by`, and faults
/// of the network share keys.
fn shows(used: &str, key: &str) -> bool {
    let (Some((in_table, used)), Some((table, key))) = (used.split_once('.'), key.split_once('.')) else {
        return false;
    };
    let net = |table: &str| table.starts_with("Net");
    used == key
        && (in_table == table
            || [("Fault", "FaultAt"), ("Probe", "PickBy")].contains(&(in_table, table))
            || net(in_table) && net(table))
}

#[test]
fn the_examples_use_every_key() {
    for (schema, file) in
        [(scenario::schema(), reference::SCENARIO_EXAMPLE), (fleet::schema(), reference::FLEET_EXAMPLE)]
    {
        let example: Value = toml::from_str(file).expect("TOML");
        let mut found = BTreeSet::new();
        used(&schema, &example, &schema, "", &mut found);
        let shown = |key: &String| found.iter().any(|used| shows(used, key));
        let missing: Vec<String> = all_keys(&schema).into_iter().filter(|key| !shown(key)).collect();
        assert!(missing.is_empty(), "no example has {missing:?}");
    }
}
