//! The addresses of the API: each with its method, its description, and the types of its request and answer. Routes and the OpenAPI document are made from
//! this list alone.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    files::{self, FilesKeys},
    findings::{self, FindingAnswer, FindingBody, FindingChange, FindingKeys, FindingsAnswer},
    follow,
    gamedays::{self, GamedaysAnswer, StartAnswer},
    history::{self, HistoryKeys},
    query::Nothing,
    runs::{self, DoneAnswer, ListKeys, NoteBody, RunAnswer, RunsAnswer},
    token::{TokenAnswer, token},
};
use crate::{app::App, role::Role};

/// A function that makes the JSON schema of a type.
pub(crate) type Type = fn(&mut SchemaGenerator) -> Schema;

/// The content of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// JSON of a type.
    Json(Type),
    /// Any JSON.
    AnyJson,
    /// Server-sent events; the data of each is JSON of a type.
    Events(Type),
}

/// A header that a request has to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its description for people.
    pub(crate) about: &'static str,
    /// The regular expression that its value matches.
    pub(crate) pattern: &'static str,
}

/// One method of one address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// The method, in lower case.
    pub(crate) method: &'static str,
    /// The address, with the names of its parts in braces.
    pub(crate) path: &'static str,
    /// The operation's name in clients that are generated from the document.
    pub(crate) id: &'static str,
    /// Its description for people.
    pub(crate) about: &'static str,
    /// The role that it takes; `None` if it takes no token at all.
    pub(crate) role: Option<Role>,
    /// Makes the route to the function that answers.
    pub(crate) route: fn() -> MethodRouter<Arc<App>>,
    /// The keys behind `?`.
    pub(crate) keys: Type,
    /// The header that a request has to have; `None` if it needs no other header than that of the token.
    pub(crate) header: Option<Header>,
    /// The body of a request; `None` if it has none.
    pub(crate) body: Option<Type>,
    /// The content of a good answer.
    pub(crate) answer: Content,
}

/// Returns a reference to the schema of a type, which the document lists under `components`.
fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

/// Returns the schema of a type itself, not a reference, because the document lists no keys behind `?` under `components`.
fn keys<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    T::json_schema(schemas)
}

impl Operation {
    /// Makes a GET that takes the role viewer, which is the lowest. The first argument is the address, the operation's id, and its description.
    pub(super) const fn get(
        (path, id, about): (&'static str, &'static str, &'static str),
        answer: Content,
        route: fn() -> MethodRouter<Arc<App>>,
    ) -> Self {
        let (role, keys) = (Some(Role::Viewer), keys::<Nothing> as Type);
        Self { method: "get", path, id, about, role, route, keys, header: None, body: None, answer }
    }

    /// Makes a POST that takes the role operator. `named` is as the first argument of [`Self::get`].
    const fn post(
        named: (&'static str, &'static str, &'static str),
        answer: Content,
        route: fn() -> MethodRouter<Arc<App>>,
    ) -> Self {
        Self { method: "post", role: Some(Role::Operator), ..Self::get(named, answer, route) }
    }

    /// Returns the operation with keys behind `?`.
    const fn asks<T: JsonSchema>(self) -> Self {
        Self { keys: keys::<T>, ..self }
    }

    /// Returns the operation with a header that a request has to have.
    const fn sends(self, header: Header) -> Self {
        Self { header: Some(header), ..self }
    }

    /// Returns the operation with a body.
    const fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(of::<T>), ..self }
    }

    /// Returns the operation for everybody: it takes no token.
    pub(super) const fn for_all(self) -> Self {
        Self { role: None, ..self }
    }
}

/// All methods of all addresses, except the address of the OpenAPI document itself.
pub(crate) const TABLE: &[Operation] = &[
    Operation::get(
        ("/api/v1/token", "token", "The token that asks: its name, role, maker and end"),
        Content::Json(of::<TokenAnswer>),
        || get(token),
    ),
    Operation::get(
        ("/api/v1/runs", "listRuns", "Runs, the newest first"),
        Content::Json(of::<RunsAnswer>),
        || get(runs::list),
    )
    .asks::<ListKeys>(),
    Operation::get(
        ("/api/v1/runs/{id}", "run", "A run: where it is, or how it ended"),
        Content::Json(of::<RunAnswer>),
        || get(runs::one),
    ),
    Operation::get(
        (
            "/api/v1/runs/{id}/events",
            "followRun",
            "A run as server-sent events: an event `run` with the whole run at once and after each change, the last one with its end; a stream that ends before has an event `gone` with the reason",
        ),
        Content::Events(of::<RunAnswer>),
        || get(follow::events),
    ),
    Operation::get(
        ("/api/v1/runs/{id}/report", "report", "`report.json` of a run that has ended"),
        Content::AnyJson,
        || get(runs::report),
    ),
    Operation::get(
        (
            "/api/v1/history",
            "history",
            "Runs as `firedrill history --json` prints them: `folders`, `damaged`, `runs` and `open_findings`",
        ),
        Content::AnyJson,
        || get(history::history),
    )
    .asks::<HistoryKeys>(),
    Operation::post(
        (
            "/api/v1/runs/{id}/halt",
            "halt",
            "Ends a run of the server's machine and user, which puts everything back. Halting it again changes nothing",
        ),
        Content::Json(of::<DoneAnswer>),
        || post(runs::halt),
    ),
    Operation::post(
        ("/api/v1/runs/{id}/notes", "note", "Writes a note about a run"),
        Content::Json(of::<DoneAnswer>),
        || post(runs::note),
    )
    .takes::<NoteBody>(),
    Operation::get(
        ("/api/v1/gamedays", "listGamedays", "The next slots of game days, and the last starts"),
        Content::Json(of::<GamedaysAnswer>),
        || get(gamedays::list),
    ),
    Operation::get(
        (
            "/api/v1/gamedays/{gameday}/{slot}",
            "start",
            "A start of a game day: how it goes, its runs, its result",
        ),
        Content::Json(of::<StartAnswer>),
        || get(gamedays::start),
    ),
    Operation::get(
        (
            "/api/v1/gameday-files",
            "listGamedayFiles",
            "The files of game days as `firedrill gameday list --json` prints them (`gamedays`), and their problems for people (`errors`)",
        ),
        Content::AnyJson,
        || get(files::list),
    )
    .asks::<FilesKeys>(),
    Operation::get(
        (
            "/api/v1/gameday-files/{gameday}",
            "showGamedayFile",
            "A game day as `firedrill gameday show` prints it: `text`, its problems (`errors`), and whether all is right (`ok`)",
        ),
        Content::AnyJson,
        || get(files::one),
    )
    .asks::<FilesKeys>(),
    Operation::post(
        (
            "/api/v1/gamedays/{gameday}/starts",
            "startGameday",
            "Starts a game day outside of its schedule, once for each key: a start with the same key is told as it is. Takes a token that names the game day",
        ),
        Content::Json(of::<StartAnswer>),
        || post(gamedays::begin),
    )
    .sends(Header {
        name: "Idempotency-Key",
        about: "The key of the start: 1 to 40 letters, digits, `-`, `:` and `.`; each start that is meant has its own",
        pattern: "^[A-Za-z0-9:.-]{1,40}$",
    }),
    Operation::get(
        (
            "/api/v1/findings",
            "listFindings",
            "Findings: objectives that drills have violated, until a later drill shows that they hold",
        ),
        Content::Json(of::<FindingsAnswer>),
        || get(findings::list),
    )
    .asks::<FindingKeys>(),
    Operation::post(
        (
            "/api/v1/runs/{id}/findings",
            "addFinding",
            "Writes down what somebody found in a run. The same words of the same token are one finding",
        ),
        Content::Json(of::<FindingAnswer>),
        || post(findings::write),
    )
    .takes::<FindingBody>(),
    Operation::post(
        (
            "/api/v1/findings/{finding}",
            "setFinding",
            "Writes who sees to a finding, how bad it is, and what else people say; closes what somebody found",
        ),
        Content::Json(of::<FindingAnswer>),
        || post(findings::set),
    )
    .takes::<FindingChange>(),
];

#[cfg(test)]
mod tests {
    use axum::{body::Body, response::Response};
    use http::{Request, StatusCode, header};
    use tower_service::Service as _;

    use super::*;
    use crate::{
        clock::now_s,
        routes::router,
        store::Wanted,
        testing::{Willing, app},
    };

    #[tokio::test]
    async fn each_address_takes_the_role_that_its_row_says() {
        let home = tempfile::tempdir().unwrap();
        let app = app(home.path(), Arc::new(Willing)).await;
        // The paths of the test are those of the table without braces, so the game day's name is `gameday`.
        let token = |name, role| {
            let times = (now_s(), now_s() + 600);
            app.store
                .make_token(Wanted { name, role, starts: &["gameday".to_owned()] }, "alice", times)
                .unwrap()
                .unwrap()
        };
        let tokens =
            [(Role::Viewer, token("ci", Role::Viewer)), (Role::Operator, token("bot", Role::Operator))];
        let ask = async |one: &Operation, token: Option<&str>| -> Response {
            let path = one.path.replace(['{', '}'], "");
            let mut request = Request::builder().method(one.method.to_ascii_uppercase().as_str()).uri(path);
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            router(Arc::clone(&app)).call(request.body(Body::empty()).unwrap()).await.unwrap()
        };
        for one in TABLE {
            let wanted = one.role.expect("only the document takes no token");
            assert_eq!(ask(one, None).await.status(), StatusCode::UNAUTHORIZED, "{}", one.path);
            for (role, token) in &tokens {
                let status = ask(one, Some(token)).await.status();
                assert!(
                    status != StatusCode::UNAUTHORIZED && status != StatusCode::METHOD_NOT_ALLOWED,
                    "{} as {role:?}: {status}",
                    one.path
                );
                assert_eq!(
                    status == StatusCode::FORBIDDEN,
                    *role < wanted,
                    "{} as {role:?}: {status}",
                    one.path
                );
            }
        }
        assert_eq!(
            ask(&Operation { path: "/api/v1/openapi.json", ..TABLE[0] }, None).await.status(),
            StatusCode::OK
        );
    }
}
