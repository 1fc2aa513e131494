//! Reads the content of a request from a chat: the person, the wish, and the address for a late answer. Carries out no wish.

use axum::{
    Form,
    body::{Body, Bytes},
    extract::{FromRequest as _, Request},
};
use firedrill_notify::chat::Action;
use http::{Method, header};
use serde::Deserialize;

/// The wish of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To see the runs that go on, and the words that the command takes.
    Look,
    /// To end a run.
    Halt { run: String },
    /// To write a note about a run.
    Note { run: String, text: String },
    /// To write a finding of a run.
    Finding { run: String, text: String },
    /// To skip the next attack of a run, also while that attack waits for approvals.
    Skip {
        run: String,
        /// The attack's number, from 1.
        attack: usize,
    },
    /// To decide that a slot is not held.
    Refuse { gameday: String, slot: String, why: String },
    /// To approve an attack or to agree to a start. Both are impossible in a chat.
    Approve,
    /// A wish that was not understood.
    Unknown,
}

/// The content of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The person's id in the chat.
    pub(super) user: String,
    pub(super) wish: Wish,
    /// The address to which a late answer is posted; may be empty.
    pub(super) answers: String,
    /// True if a button was pressed. The chat then shows only an answer that is posted to `answers`.
    pub(super) is_press: bool,
}

/// The fields of a form that a chat sends: `payload` for a button, the others for a command.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sent {
    user_id: String,
    text: String,
    response_url: String,
    payload: Option<String>,
}

/// The JSON in `payload`: a person pressed a button.
#[derive(Debug, Deserialize)]
struct Press {
    r#type: String,
    user: User,
    #[serde(default)]
    response_url: String,
    #[serde(default)]
    actions: Vec<Pressed>,
}

/// The person who pressed the button.
#[derive(Debug, Deserialize)]
struct User {
    id: String,
}

/// The button that was pressed.
#[derive(Debug, Deserialize)]
struct Pressed {
    #[serde(default)]
    action_id: String,
    #[serde(default)]
    value: String,
}

impl Asked {
    /// Reads the body of a request. `None` if it comes neither from a command nor from a button.
    pub(super) async fn read(body: Bytes) -> Option<Self> {
        // axum reads a form only from a whole request, so the body becomes one.
        let form = Request::builder()
            .method(Method::POST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body));
        let Form(sent) = Form::<Sent>::from_request(form.ok()?, &()).await.ok()?;
        let Some(payload) = sent.payload else {
            let Sent { user_id, text, response_url, .. } = sent;
            let is_command = !user_id.is_empty();
            return is_command.then(|| Self {
                user: user_id,
                wish: wish(&text),
                answers: response_url,
                is_press: false,
            });
        };
        let press: Press = serde_json::from_str(&payload).ok()?;
        if press.r#type != "block_actions" {
            return None;
        }
        let action =
            press.actions.first().and_then(|pressed| Action::read(&pressed.action_id, &pressed.value));
        let wish = match action {
            Some(Action::Halt { run }) => Wish::Halt { run },
            Some(Action::Skip { run, attack }) => Wish::Skip { run, attack },
            Some(Action::Refuse { gameday, slot }) => Wish::Refuse { gameday, slot, why: String::new() },
            None => Wish::Unknown,
        };
        Some(Self { user: press.user.id, wish, answers: press.response_url, is_press: true })
    }
}

/// Reads the words behind a slash command.
fn wish(text: &str) -> Wish {
    // Splits a text into its first word and the rest, both without blanks at their ends.
    let next = |text: &str| -> (String, String) {
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        (word.to_owned(), rest.trim().to_owned())
    };
    let (verb, rest) = next(text);
    let (first, more) = next(&rest);
    match verb.as_str() {
        "" | "help" if rest.is_empty() => Wish::Look,
        // `halt` takes exactly one word. With more words the wish is unclear, and nothing is guessed.
        "halt" if !first.is_empty() && more.is_empty() => Wish::Halt { run: first },
        "note" if !more.is_empty() => Wish::Note { run: first, text: more },
        "finding" if !more.is_empty() => Wish::Finding { run: first, text: more },
        "refuse" => {
            let (slot, why) = next(&more);
            // A number means an attack. A slot is a civil time, which is never a plain number.
            match slot.parse() {
                Ok(attack) if why.is_empty() => Wish::Skip { run: first, attack },
                Ok(_) => Wish::Unknown,
                Err(_) if slot.is_empty() => Wish::Unknown,
                Err(_) => Wish::Refuse { gameday: first, slot, why },
            }
        }
        "approve" | "agree" => Wish::Approve,
        _ => Wish::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_command_are_read() {
        let own = str::to_owned;
        for (text, wanted) in [
            ("", Wish::Look),
            (" help ", Wish::Look),
            ("halt 20261204-1400-friday-7f3a", Wish::Halt { run: own("20261204-1400-friday-7f3a") }),
            ("halt", Wish::Unknown),
            ("halt a b", Wish::Unknown),
            ("note a  the  shop was slow ", Wish::Note { run: own("a"), text: own("the  shop was slow") }),
            ("note a", Wish::Unknown),
            (
                "finding a the runbook is old",
                Wish::Finding { run: own("a"), text: own("the runbook is old") },
            ),
            ("finding a", Wish::Unknown),
            (
                "refuse friday 2026-12-04T14:00",
                Wish::Refuse { gameday: own("friday"), slot: own("2026-12-04T14:00"), why: String::new() },
            ),
            (
                "refuse friday 2026-12-04T14:00 release freeze",
                Wish::Refuse {
                    gameday: own("friday"),
                    slot: own("2026-12-04T14:00"),
                    why: own("release freeze"),
                },
            ),
            ("refuse friday-7f3a 3", Wish::Skip { run: own("friday-7f3a"), attack: 3 }),
            ("refuse friday-7f3a 3 too late", Wish::Unknown),
            ("refuse friday", Wish::Unknown),
            ("approve a", Wish::Approve),
            ("agree friday 2026-12-04T14:00", Wish::Approve),
            ("Halt a", Wish::Unknown),
            ("start friday", Wish::Unknown),
        ] {
            assert_eq!(wish(text), wanted, "{text}");
        }
    }

    /// The fields of "Implementing slash commands" and of "block_actions payload" in Slack's documentation,
    /// <https://docs.slack.dev/interactivity/implementing-slash-commands>, <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>,
    /// read in November 2026.
    #[tokio::test]
    async fn commands_and_presses_are_read() {
        let command = "token=x&team_id=T1&command=%2Ffiredrill&text=halt+friday-7f3a&user_id=U1&response_url=https%3A%2F%2Fh.example%2F1&trigger_id=1.2";
        let halt = Asked {
            user: "U1".to_owned(),
            wish: Wish::Halt { run: "friday-7f3a".to_owned() },
            answers: "https://h.example/1".to_owned(),
            is_press: false,
        };
        assert_eq!(Asked::read(Bytes::from(command)).await, Some(halt.clone()));
        // {"type":"block_actions","user":{"id":"U1"},"response_url":"https://h.example/1","actions":[{"action_id":"halt","value":"friday-7f3a"}]}
        let press = "payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%7D%2C%22response_url%22%3A%22https%3A%2F%2Fh.example%2F1%22%2C%22actions%22%3A%5B%7B%22action_id%22%3A%22halt%22%2C%22value%22%3A%22friday-7f3a%22%7D%5D%7D";
        assert_eq!(Asked::read(Bytes::from(press)).await, Some(Asked { is_press: true, ..halt }));
        for other in ["", "text=halt+a", "payload=%7B%7D", "payload=x", "%ff"] {
            assert_eq!(Asked::read(Bytes::from(other)).await, None, "{other}");
        }
        let other_kind = press.replace("block_actions", "view_submission");
        assert_eq!(Asked::read(Bytes::from(other_kind)).await, None);
    }
}
