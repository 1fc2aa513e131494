//! The rules for all requests: a POST must come from a page of this server, a request has a maximum time, and pages may load only files of this server.

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

/// Maximum time until the response to a request begins. A stream may go on for longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The content security policy of pages: they load only files of this server. Scripts and styles inside a page's text do nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Answers a request by the rules: checks its origin, limits its time, and sets the security headers of the response.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // These methods change nothing.
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // The API ignores cookies, and a page of another origin cannot make a browser send a token. So the origin does not matter there.
    let is_api = path.starts_with(API);
    // Requests of chats prove their sender by a secret.
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
    // With `no-referrer` browsers would send the origin `null` for the forms of our own pages.
    default(header::REFERRER_POLICY, "same-origin");
    default(header::CACHE_CONTROL, "no-store");
    default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    default(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    response
}

/// Returns true if a request comes from our own pages. Browsers say so in the header `Sec-Fetch-Site`. An older browser does not send it; its header
/// `Origin` has the page's origin.
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
    fn only_requests_of_our_own_pages_are_ours() {
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
