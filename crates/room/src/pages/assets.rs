//! Serves styles, scripts and the icon, and answers unknown addresses. The name of a file changes with its content, so browsers may keep it for ever.

use axum::{
    extract::Path,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, Uri, header};

use crate::{
    template::{ICON, PASSKEYS, SCRIPT, STYLES},
    web::{
        answer::{Answer, typed},
        problem::API,
    },
};

/// The next step after a wrong request to the API.
const API_HELP: &str = "docs/api.md describes all addresses.";
/// The next step after a wrong request for a page.
const PAGE_HELP: &str = "The start page leads to all pages.";

/// `GET /{file}`
pub(crate) async fn asset(Path(file): Path<String>) -> Response {
    let known = [&*STYLES, &*SCRIPT, &*PASSKEYS, &*ICON]
        .into_iter()
        .find(|asset| asset.path.strip_prefix('/') == Some(&*file));
    let Some(asset) = known else { return not_found(Uri::default()).await.into_response() };
    let mut response = typed(asset.kind, asset.text.as_str());
    // A year.
    let keep = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, keep);
    response
}

/// Answers a request for an address that does not exist.
pub(crate) async fn not_found(uri: Uri) -> Answer {
    if uri.path().starts_with(API) {
        return Answer::new(StatusCode::NOT_FOUND, "There is no such address in the API.", API_HELP);
    }
    Answer::new(StatusCode::NOT_FOUND, "There is no such page.", PAGE_HELP)
}

/// Answers a request for an address that exists, but not with this method.
pub(crate) async fn wrong_method(uri: Uri) -> Answer {
    let help = if uri.path().starts_with(API) { API_HELP } else { PAGE_HELP };
    Answer::new(StatusCode::METHOD_NOT_ALLOWED, "This cannot be asked in that way.", help)
}
