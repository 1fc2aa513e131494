//! The addresses of the pages and of the API, with the functions that answer them.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{get, post},
};

use crate::{
    api,
    app::App,
    chat,
    pages::{
        approve, assets, audit, begin, calendar, decide, finding, findings, fleet, fleets, gameday, halt,
        history, home, login, messages, note, passkeys, people, report, run, runs, scenario, scenarios,
        steer, stream, tokens,
    },
    web::guard::guard,
};

/// Maximum size of a request's body, in bytes. A form with the longest note fits, although it encodes each byte of the note as three characters (`%C3`).
const BODY: usize = 64 << 10;

/// Returns all routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(home::home))
        .route("/runs", get(runs::runs))
        .route("/runs/{id}", get(run::run))
        .route("/runs/{id}/live", get(stream::live))
        .route("/runs/{id}/report", get(report::report))
        .route("/runs/{id}/halt", post(halt::halt))
        .route("/runs/{id}/pause", post(steer::pause))
        .route("/runs/{id}/resume", post(steer::resume))
        .route("/runs/{id}/skip", post(steer::skip))
        .route("/runs/{id}/step", post(steer::step))
        .route("/runs/{id}/notes", post(note::note))
        .route("/runs/{id}/approve", get(approve::ask).post(approve::approve))
        .route("/calendar", get(calendar::calendar))
        .route("/calendar.ics", get(calendar::ics))
        .route("/calendar/{gameday}", get(gameday::gameday))
        .route("/calendar/{gameday}/start", post(begin::begin))
        .route("/calendar/{gameday}/{slot}/{word}", post(decide::decide))
        .route("/scenarios", get(scenarios::scenarios))
        .route("/scenarios/{id}", get(scenario::scenario))
        .route("/fleets", get(fleets::fleets))
        .route("/fleets/{id}", get(fleet::fleet))
        .route("/fleets/{id}/ask", post(fleet::ask))
        .route("/runs/{id}/findings", post(finding::write))
        .route("/findings", get(findings::findings))
        .route("/findings/{id}", get(finding::finding).post(finding::set))
        .route("/history", get(history::history))
        .route("/messages", get(messages::messages))
        .route("/people", get(people::people))
        .route("/people/links", post(people::link))
        .route("/people/sessions/{id}/end", post(people::end))
        .route("/audit", get(audit::audit))
        .route("/login", get(login::ask).post(login::login))
        .route("/login/challenge", post(login::challenge))
        .route("/login/passkey", post(login::by_passkey))
        .route("/passkeys", get(passkeys::passkeys).post(passkeys::add))
        .route("/passkeys/challenge", post(passkeys::challenge))
        .route("/passkeys/{id}/remove", post(passkeys::remove))
        .route("/passkeys/{id}/certificate", post(passkeys::certify))
        .route("/passkeys/{id}/passkey.json", get(passkeys::file))
        .route("/logout", post(login::logout))
        .route("/people/tokens", post(tokens::make))
        .route("/people/tokens/revoke", post(tokens::revoke))
        .route(chat::SLACK, post(chat::slack))
        .route(chat::MATTERMOST, post(chat::mattermost))
        .merge(api::router())
        .route("/{file}", get(assets::asset))
        .fallback(assets::not_found)
        .method_not_allowed_fallback(assets::wrong_method)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}
