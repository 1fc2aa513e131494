//! Rules for all requests: where a POST comes from, how long a request takes, what pages may load.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::time::timeout;

use super::{
    answer::Answer,
    problem::{API, for_program},
};
use crate::{
    app::App,
    chat::{MATTERMOST, SLACK},
};

/// Time until a request is answered; streams begin within it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The policy of pages: they load only files of this server, and run no script or style of their own text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Answers a request by these rules.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // The API knows no cookie: no page of somebody else can make a browser send a token.
    let is_api = path.starts_with(API);
    // Chats prove by a secret who sends.
    let is_chat = path == SLACK || path == MATTERMOST;
    let mut response = if is_safe || is_api || is_chat || is_ours(request.headers(), &app.origin) {
        match timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_late) => Answer::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The server did not finish this in time; it may still be done.",
                "Look whether it was done, and try again.",
            )
            .into_response(),
        }
    } else {
        Answer::new(
            StatusCode::FORBIDDEN,
            "This request does not come from a page of this control room; nothing was done.",
            format!("Open {} and do it there. Behind a proxy, --behind-tls must name the address that people type.", app.origin),
        )
        .into_response()
    };
    if is_api {
        response = for_program(response, &method, &path);
    }
    let headers = response.headers_mut();
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::CONTENT_SECURITY_POLICY, POLICY);
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // A stricter policy would take the origin from our own forms.
    default(header::REFERRER_POLICY, "same-origin");
    default(header::CACHE_CONTROL, "no-store");
    default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    default(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    response
}

/// Whether a request that changes something comes from our own pages: the browser says so, or an older browser names our origin.
fn is_ours(headers: &HeaderMap, origin: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers.get(header::ORIGIN).is_some_and(|from| from == origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_change_something() {
        let ours = "http://127.0.0.1:7788";
        for (site, origin, wanted) in [
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some(ours), true),
            (Some("same-site"), Some(ours), false),
            (Some("cross-site"), Some(ours), false),
            (Some("none"), None, false),
            (None, Some(ours), true),
            (None, Some("http://127.0.0.1:7789"), false),
            (None, Some("null"), false),
            (None, None, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                value.map(|value| headers.insert(name, HeaderValue::from_static(value)));
            }
            assert_eq!(is_ours(&headers, ours), wanted, "{site:?} {origin:?}");
        }
    }
}
