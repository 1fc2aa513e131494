//! Style, script and icon. Their names change with their contents, so browsers keep them.

use axum::{
    extract::Path,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    template::{ICON, SCRIPT, STYLES},
    web::answer::{Answer, typed},
};

/// `GET /{file}`
pub(crate) async fn asset(Path(file): Path<String>) -> Response {
    let known =
        [&*STYLES, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.path.strip_prefix('/') == Some(&*file));
    let Some(asset) = known else { return nothing().await.into_response() };
    let mut response = typed(asset.kind, asset.text.as_str());
    let keep = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, keep);
    response
}

/// Any other address.
pub(crate) async fn nothing() -> Answer {
    Answer::new(StatusCode::NOT_FOUND, "There is no such page.", "The start page leads to all pages.")
}

/// A page that cannot be asked in that way.
pub(crate) async fn otherwise() -> Answer {
    Answer::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This cannot be asked in that way.",
        "The start page leads to all pages.",
    )
}
