//! The API for programs, `/api/v1`: it offers as JSON what the pages show and do. A request proves itself by a token, never by a session.

mod bearer;
mod files;
mod findings;
mod follow;
mod gamedays;
mod history;
mod openapi;
mod query;
mod runs;
mod table;
mod token;

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// Returns the routes of the API, one for each operation.
pub(crate) fn router() -> Router<Arc<App>> {
    openapi::all().fold(Router::new(), |router, operation| router.route(operation.path, (operation.route)()))
}
