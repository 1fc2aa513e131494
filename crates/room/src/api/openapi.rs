//! `/api/v1/openapi.json`: the API as an OpenAPI 3.1 document, generated from the table of addresses and from the types of requests and answers.
//! OpenAPI 3.1 takes JSON Schema (draft 2020-12) as schemars makes it.

use std::sync::LazyLock;

use axum::{response::Response, routing::get};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    query::{Asked, Nothing},
    table::{Content, Header, Operation, TABLE},
};
use crate::web::{
    answer::typed,
    problem::{PROBLEM, Problem},
};

/// For [`SchemaGenerator::take_definitions`]: applies the transforms of the settings to the schemas.
const WITH_TRANSFORMS: bool = true;

/// The document, made once.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
});

/// The operation that returns the document.
const OWN: Operation = Operation::get(
    ("/api/v1/openapi.json", "openapi", "This document. It takes no token"),
    Content::AnyJson,
    || get(openapi),
)
.for_all();

/// Returns all operations: each is one method of one address.
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    TABLE.iter().chain(std::iter::once(&OWN))
}

/// `GET /api/v1/openapi.json`
pub(crate) async fn openapi(Asked(Nothing {}): Asked<Nothing>) -> Response {
    typed("application/json", TEXT.as_str())
}

/// Makes the document.
fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = SchemaGenerator::new(settings);
    let problem = json!({
        "description": "It was not done",
        "content": { PROBLEM: { "schema": schemas.subschema_for::<Problem>() } },
    });
    let mut paths: Map<String, Value> = Map::new();
    for one in all() {
        let described = operation(one, &mut schemas, &problem);
        let of_path = paths.entry(one.path).or_insert_with(|| json!({}));
        of_path[one.method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Firedrill control room",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Programs read runs and act on them. New keys may come in answers; those that there are keep their meaning under /api/v1.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(WITH_TRANSFORMS),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// Describes an operation. Adds its types to `schemas`. `problem` is the description of an error.
fn operation(one: &Operation, schemas: &mut SchemaGenerator, problem: &Value) -> Value {
    let mut parameters: Vec<Value> = one
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let keys = (one.keys)(schemas).to_value();
    for (name, schema) in keys["properties"].as_object().into_iter().flatten() {
        parameters.push(json!({ "name": name, "in": "query", "required": false, "schema": schema }));
    }
    if let Some(Header { name, about, pattern }) = one.header {
        let text = json!({ "type": "string", "pattern": pattern });
        parameters.push(
            json!({ "name": name, "in": "header", "required": true, "description": about, "schema": text }),
        );
    }
    let (kind, answer) = match one.answer {
        Content::Json(of) => ("application/json", of(schemas).to_value()),
        Content::AnyJson => ("application/json", json!({})),
        // The schema is that of one event.
        Content::Events(of) => {
            let data = json!({
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": of(schemas).to_value(),
            });
            let event = json!({ "event": { "type": "string" }, "data": data });
            ("text/event-stream", json!({ "type": "object", "properties": event, "required": ["data"] }))
        }
    };
    let mut described = json!({
        "operationId": one.id,
        "summary": one.about,
        "parameters": parameters,
        "responses": {
            "200": { "description": "It was done", "content": { kind: { "schema": answer } } },
            "default": problem,
        },
        "security": [],
    });
    if let Some(role) = one.role {
        described["security"] = json!([{ "token": [] }]);
        described["description"] = json!(format!("Takes a token with the role {} or more.", role.word()));
    }
    if let Some(body) = one.body {
        let schema = body(schemas).to_value();
        described["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    described
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `INSTA_UPDATE=always` writes the document into `docs/`, as it does with other golden files.
    #[test]
    fn the_document_in_docs_is_that_of_the_server() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
            std::fs::write(&path, TEXT.as_str()).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == *TEXT,
            "docs/openapi.json is stale: INSTA_UPDATE=always cargo test -p firedrill-room openapi"
        );
    }

    #[test]
    fn each_address_is_described_and_its_words_are_on_the_page() {
        let page = include_str!("../../../../docs/api.md");
        let document = document();
        for one in all() {
            assert!(document["paths"][one.path][one.method]["summary"].is_string(), "{}", one.path);
            let row = format!("| `{} {}` |", one.method.to_ascii_uppercase(), one.path);
            assert!(page.contains(&row), "docs/api.md has no row {row}");
        }
        // All references lead somewhere.
        let text = document.to_string();
        for part in text.split("\"$ref\":\"").skip(1) {
            let pointer = part.split('"').next().unwrap().strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
