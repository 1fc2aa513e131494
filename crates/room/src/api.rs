//! The API for programs, `/api/v1`: what pages show and do, as JSON, by tokens.

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

/// Returns the routes.
pub(crate) fn router() -> Router<Arc<App>> {
    openapi::all().fold(Router::new(), |router, one| router.route(one.path, (one.route)()))
}
