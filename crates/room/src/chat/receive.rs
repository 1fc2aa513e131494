//! `POST /slack` and `POST /mattermost`: requests of chats. A chat waits 3 seconds for an answer. An answer that takes longer is
//! posted to the address that the request names.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
};
use firedrill_probe::{Anything, secret_text};
use firedrill_wire::probe::Secret;
use http::{HeaderMap, StatusCode};
use tokio::{sync::oneshot, time::timeout};

use super::{
    act::act,
    asked::Asked,
    file::ChatPerson,
    genuine::{Genuine, of_mattermost, of_slack},
    said::{Said, part},
};
use crate::{
    actor::Actor,
    app::App,
    clock::now_s,
    web::{
        accept::From,
        answer::{Answer, typed},
        who::blocking,
    },
};

/// The path to which Slack sends requests.
pub(crate) const SLACK: &str = "/slack";
/// The path to which Mattermost sends requests.
pub(crate) const MATTERMOST: &str = "/mattermost";
/// Time after which the answer comes later by a post. It is shorter than the 3 s that a chat waits.
const SOON: Duration = Duration::from_secs(2);

/// A chat that the file of chats names.
#[derive(Clone)]
struct Chat {
    /// Its name.
    name: &'static str,
    /// The key of its secret in the file, and the place of the secret.
    secret: (&'static str, Secret),
    /// The people who may act, by their ids in the chat.
    people: BTreeMap<String, ChatPerson>,
    /// Checks that a request comes from this chat. Takes the secret, the headers, the body, and the time in seconds since 1970.
    check: fn(&str, &HeaderMap, &[u8], i64) -> Result<Genuine, &'static str>,
    /// True if the chat shows buttons of answers.
    has_buttons: bool,
}

/// A request that came in.
struct Received {
    from: IpAddr,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn of(from: Option<Extension<From>>, headers: HeaderMap, body: Bytes) -> Self {
        Self { from: From::ip(from.map(|Extension(from)| from)), headers, body }
    }
}

/// `POST /slack`
pub(crate) async fn slack(
    State(app): State<Arc<App>>,
    from: Option<Extension<From>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Answer> {
    let chat = app.options.chat.as_ref().and_then(|chat| chat.slack.clone()).map(|slack| Chat {
        name: "Slack",
        secret: ("signing_secret", slack.signing_secret),
        people: slack.people,
        check: of_slack,
        has_buttons: true,
    });
    receive(&app, chat, Received::of(from, headers, body), SOON).await
}

/// `POST /mattermost`
pub(crate) async fn mattermost(
    State(app): State<Arc<App>>,
    from: Option<Extension<From>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Answer> {
    let chat = app.options.chat.as_ref().and_then(|chat| chat.mattermost.clone()).map(|mattermost| Chat {
        name: "Mattermost",
        secret: ("token", mattermost.token),
        people: mattermost.people,
        check: of_mattermost,
        has_buttons: false,
    });
    receive(&app, chat, Received::of(from, headers, body), SOON).await
}

/// Answers a request of a chat: within the time `soon`, or else by a post.
async fn receive(
    app: &Arc<App>,
    chat: Option<Chat>,
    received: Received,
    soon: Duration,
) -> Result<Response, Answer> {
    let Some(chat) = chat else {
        let help = "`firedrill serve --chat FILE` names the chats (docs/chat.md).";
        return Err(Answer::new(
            StatusCode::NOT_FOUND,
            "This control room takes nothing from this chat.",
            help,
        ));
    };
    let (sender, body) = (chat.clone(), received.body.clone());
    let genuine = blocking(app, move |app| prove(app, &sender, &received)).await?;
    let Some(asked) = Asked::read(body).await else {
        let help = "docs/chat.md says what the app has to send here.";
        return Err(Answer::new(
            StatusCode::BAD_REQUEST,
            "This is neither a command nor a button of ours.",
            help,
        ));
    };
    let is_first =
        blocking(app, move |app| Ok(app.store.is_first(&genuine.digest, genuine.until_s, now_s())?)).await?;
    let Asked { user, wish, answers, is_press } = asked;
    let (answer_sender, answer_receiver) = oneshot::channel();
    // A chat ignores the direct answer to a button. The receiver is dropped here, so the task below posts the answer.
    let direct = (!is_press).then_some(answer_receiver);
    let (shared, has_buttons) = (Arc::clone(app), chat.has_buttons);
    // A separate task: it goes on if the chat closes the connection early.
    tokio::spawn(async move {
        let said = match chat.people.get(&user) {
            _ if !is_first => Said::of("Nothing was done: this very request was taken before."),
            Some(person) => act(&shared, &actor(&chat, &user, person), wish).await,
            None => unknown(&shared, &chat, user).await,
        };
        // `send` fails if the request was already answered without this text.
        if let Err(said) = answer_sender.send(said)
            && !answers.is_empty()
            && let Err(why) = shared.outside.post(&answers, said.json(has_buttons).to_string()).await
        {
            eprintln!("firedrill: {} did not take an answer: {why}", chat.name);
        }
    });
    let Some(mut direct) = direct else { return Ok(StatusCode::OK.into_response()) };
    let in_time = match timeout(soon, &mut direct).await {
        Ok(said) => said.ok(),
        Err(_late) => {
            // After `close` the task posts the answer. It may have sent the answer just before; then the answer is taken here.
            direct.close();
            direct.try_recv().ok()
        }
    };
    let said = in_time.unwrap_or_else(|| Said::of("This takes a moment; the answer follows here."));
    Ok(typed("application/json", said.json(has_buttons).to_string()))
}

/// Checks that a request comes from the chat. Failed attempts from an address are limited and recorded, as failed logins are.
fn prove(app: &App, chat: &Chat, received: &Received) -> Result<Genuine, Answer> {
    let (key, secret) = &chat.secret;
    let secret = secret_text(&format!("`{key}`"), secret, &Anything).map_err(|refusal| {
        // The reason contains the path of the secret, and anybody may send requests. So the answer does not have it.
        eprintln!("firedrill: requests of {} cannot be checked: {}", chat.name, refusal.what);
        Answer::outside(format!("requests of {} cannot be checked", chat.name))
    })?;
    let checked = (chat.check)(&secret, &received.headers, &received.body, now_s());
    checked.or_else(|why| {
        app.turned_away(received.from, chat.name, why)?;
        let text = format!("This request does not come from {}: {why}. Nothing was done.", chat.name);
        Err(Answer::new(
            StatusCode::UNAUTHORIZED,
            text,
            "Compare the secret in the app's settings with that of the control room, and the clocks.",
        ))
    })
}

/// Returns the person as an actor. Notes name the chat, too: `alice by Slack`.
fn actor(chat: &Chat, user: &str, person: &ChatPerson) -> Actor {
    Actor {
        name: format!("{} by {}", person.name, chat.name),
        by: person.name.clone(),
        via: format!("{}, user {}", chat.name, part(user)),
        role: person.role,
    }
}

/// Records a request of a person whom the file of chats does not name. Returns the answer, which says that nothing was done.
async fn unknown(app: &Arc<App>, chat: &Chat, user: String) -> Said {
    let user = part(&user);
    let deed = crate::audit::Deed {
        via: format!("{}, user {user}", chat.name),
        what: "login",
        outcome: "refused: the file of chats does not name this user".to_owned(),
        ..Default::default()
    };
    // The answer is the same, even if the request cannot be recorded. `record` prints the error.
    let _recorded = blocking(app, move |app| Ok(app.record(&deed)?)).await;
    Said::of(format!(
        "Nothing was done: this control room does not know you. Your id here is {user}; whoever runs the control room adds it to its file of chats, with your name and role."
    ))
}

#[cfg(test)]
mod tests;
