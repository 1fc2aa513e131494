//! The JSON Schemas agree with the parser: each valid scenario and fleet fits them, and typos do not.

use serde_json::Value;

/// Checks a value against a schema, for the keywords of JSON Schema that our schemas use. Panics at any other keyword.
fn fits(schema: &Value, value: &Value, root: &Value) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return if schema == &Value::Bool(false) { Err("nothing fits".to_owned()) } else { Ok(()) };
    };
    for (keyword, wanted) in schema {
        let fits_keyword = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "examples" | "format" | "pattern" => {
                true
            }
            "$ref" => {
                let pointer = wanted.as_str().and_then(|r| r.strip_prefix('#')).expect("a local reference");
                fits(root.pointer(pointer).expect("refers to something"), value, root)?;
                true
            }
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            },
            "const" => wanted == value,
            "enum" => wanted.as_array().is_some_and(|values| values.contains(value)),
            "minimum" => value.as_f64().is_none_or(|n| n >= wanted.as_f64().expect("a number")),
            "maximum" => value.as_f64().is_none_or(|n| n <= wanted.as_f64().expect("a number")),
            "required" => wanted.as_array().is_some_and(|keys| {
                keys.iter()
                    .all(|key| value.as_object().is_none_or(|o| o.contains_key(key.as_str().expect("a key"))))
            }),
            "anyOf" | "oneOf" => {
                let variants = wanted.as_array().expect("variants");
                let count = variants.iter().filter(|variant| fits(variant, value, root).is_ok()).count();
                if keyword == "anyOf" { count > 0 } else { count == 1 }
            }
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|item| fits(wanted, item, root))?;
                true
            }
            "properties" => {
                for (key, inner) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = wanted.get(key) {
                        fits(schema, inner, root).map_err(|why| format!("{key}: {why}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let others = value.as_object().into_iter().flatten();
                let others = others.filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)));
                for (key, inner) in others {
                    fits(wanted, inner, root).map_err(|why| format!("{key}: {why}"))?;
                }
                true
            }
            other => panic!("the test does not know `{other}`"),
        };
        if !fits_keyword {
            return Err(format!("{value} is not {keyword} {wanted}"));
        }
    }
    Ok(())
}

/// Whether a value is of a type of JSON Schema.
fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("the test does not know the type `{other}`"),
    }
}

/// Reads a TOML file as JSON.
fn toml(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).expect("read");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the TOML files of a directory.
fn files(directory: &str) -> Vec<std::path::PathBuf> {
    let entries =
        std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    assert!(!files.is_empty(), "{directory} has no files");
    files
}

#[test]
fn valid_files_fit() {
    let (scenario, fleet) = (firedrill::scenario::schema(), firedrill::fleet::schema());
    for path in ["scenarios", "scenarios/lib", "tests/right"].into_iter().flat_map(files) {
        let schema = if path.display().to_string().ends_with("fleet.toml") { &fleet } else { &scenario };
        fits(schema, &toml(&path), schema).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
}

#[test]
fn game_days_fit_and_typos_do_not() {
    let schema = firedrill_gameday::schema();
    for path in files("gamedays") {
        fits(&schema, &toml(&path), &schema).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
    assert!(fits(&schema, &toml("tests/wrong/gameday-typos.toml".as_ref()), &schema).is_err());
}

#[test]
fn channels_fit_and_typos_do_not() {
    let schema = firedrill_notify::schema();
    let example = "crates/notify/src/reference/channels.toml";
    fits(&schema, &toml(example.as_ref()), &schema).unwrap_or_else(|why| panic!("{example}: {why}"));
    assert!(fits(&schema, &toml("tests/wrong/channels.toml".as_ref()), &schema).is_err());
}

#[test]
fn invalid_files_do_not_fit() {
    let (scenario, fleet) = (firedrill::scenario::schema(), firedrill::fleet::schema());
    assert!(fits(&scenario, &toml("tests/wrong/version.toml".as_ref()), &scenario).is_err());
    assert!(fits(&fleet, &toml("tests/wrong/fleet.toml".as_ref()), &fleet).is_err());
}

#[test]
fn every_key_is_explained() {
    fn walk(schema: &Value, path: &str, missing: &mut Vec<String>) {
        let Some(object) = schema.as_object() else { return };
        for (key, inner) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let here = format!("{path}.{key}");
            // A variant of an enumeration of kinds is explained at the variant, or by the table that it refers to.
            if inner.get("description").is_none() && object.get("description").is_none() {
                missing.push(here.clone());
            }
            walk(inner, &here, missing);
        }
        for keyword in ["oneOf", "anyOf"] {
            for inner in object.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                walk(inner, path, missing);
            }
        }
    }
    for schema in [
        firedrill::scenario::schema(),
        firedrill::fleet::schema(),
        firedrill_gameday::schema(),
        firedrill_notify::schema(),
    ] {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let mut missing = Vec::new();
        walk(&schema, "", &mut missing);
        for (name, inner) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            walk(inner, name, &mut missing);
        }
        assert!(missing.is_empty(), "{missing:?}");
    }
}
