//! `/api/v1/token`: describes the token of the request, so that a program can see what it may do and for how long.

use axum::Json;
use firedrill_history::moment;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    bearer::Bearer,
    query::{Asked, Nothing},
};

/// The description of the request's token.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenAnswer {
    /// Its name.
    name: String,
    /// Its role: `viewer` or `operator`.
    role: &'static str,
    /// The game days that it may start.
    starts: Vec<String>,
    /// The person who made it.
    made_by: String,
    /// Its end, RFC 3339 UTC.
    until: String,
}

/// `GET /api/v1/token`
pub(crate) async fn token(Bearer(token): Bearer, Asked(Nothing {}): Asked<Nothing>) -> Json<TokenAnswer> {
    Json(TokenAnswer {
        role: token.role.word(),
        until: moment(token.until_s),
        name: token.name,
        made_by: token.made_by,
        starts: token.starts,
    })
}
