//! The addresses of the API: each with its way, its words, and the types of what goes in and comes out. Routes and the OpenAPI document are made of
//! this list alone.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    query::Nothing,
    runs::{self, DoneAnswer, ListKeys, NoteBody, RunAnswer, RunsAnswer},
    token::{TokenAnswer, token},
};
use crate::{app::App, role::Role};

/// A method of an address.
pub(crate) struct Operation {
    /// The method, in lower case.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Its name for programs that are made of the document.
    pub(crate) id: &'static str,
    pub(crate) about: &'static str,
    /// The role that it takes; `None` if it takes no token at all.
    pub(crate) role: Option<Role>,
    pub(crate) route: fn() -> MethodRouter<Arc<App>>,
    /// The keys behind `?`.
    pub(crate) keys: fn(&mut SchemaGenerator) -> Schema,
    /// The body of a request, if it has one.
    pub(crate) body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// The answer; `None` is any JSON.
    pub(crate) answer: Option<fn(&mut SchemaGenerator) -> Schema>,
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

/// The keys of a type as they are: they are no type of their own in the document.
pub(super) fn keys<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    T::json_schema(schemas)
}

/// All methods of all addresses but that of the document about them.
pub(crate) const TABLE: &[Operation] = &[
    Operation {
        method: "get",
        path: "/api/v1/token",
        id: "token",
        about: "The token that asks: its name, role, maker and end",
        role: Some(Role::Viewer),
        route: || get(token),
        keys: keys::<Nothing>,
        body: None,
        answer: Some(of::<TokenAnswer>),
    },
    Operation {
        method: "get",
        path: "/api/v1/runs",
        id: "listRuns",
        about: "Runs, the newest first",
        role: Some(Role::Viewer),
        route: || get(runs::list),
        keys: keys::<ListKeys>,
        body: None,
        answer: Some(of::<RunsAnswer>),
    },
    Operation {
        method: "get",
        path: "/api/v1/runs/{id}",
        id: "run",
        about: "A run: where it is, or how it ended",
        role: Some(Role::Viewer),
        route: || get(runs::one),
        keys: keys::<Nothing>,
        body: None,
        answer: Some(of::<RunAnswer>),
    },
    Operation {
        method: "get",
        path: "/api/v1/runs/{id}/report",
        id: "report",
        about: "`report.json` of a run that has ended",
        role: Some(Role::Viewer),
        route: || get(runs::report),
        keys: keys::<Nothing>,
        body: None,
        answer: None,
    },
    Operation {
        method: "post",
        path: "/api/v1/runs/{id}/halt",
        id: "halt",
        about: "Ends a run of the server's machine and user, which puts everything back. Halting it again changes nothing",
        role: Some(Role::Operator),
        route: || post(runs::halt),
        keys: keys::<Nothing>,
        body: None,
        answer: Some(of::<DoneAnswer>),
    },
    Operation {
        method: "post",
        path: "/api/v1/runs/{id}/notes",
        id: "note",
        about: "Writes a note about a run",
        role: Some(Role::Operator),
        route: || post(runs::note),
        keys: keys::<Nothing>,
        body: Some(of::<NoteBody>),
        answer: Some(of::<DoneAnswer>),
    },
];
