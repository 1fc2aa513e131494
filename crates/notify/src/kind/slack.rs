//! `slack`: an incoming webhook of Slack, or of Mattermost, which accepts the same format.

use firedrill_wire::probe::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kind, Parcel, post};
use crate::{
    chat::{Action, plain},
    message::{Message, What},
    secrets::Opened,
};

/// Maximum length of the text of a block in Slack, in characters.
const SECTION_MOST: usize = 3000;

/// An incoming webhook of Slack or Mattermost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// The webhook's address. Anybody who knows it can write to the channel, so it is a secret.
    pub url: Secret,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Whether messages have the buttons Halt and Refuse. They work only if the webhook belongs to a Slack app that sends presses to the control room (docs/chat.md). Mattermost shows no buttons.
    #[serde(default)]
    pub buttons: bool,
}

impl Kind for Slack {
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        vec![("url", &self.url)]
    }

    fn parcel(&self, message: &Message, secrets: &Opened, _: Option<&str>) -> Result<Parcel, String> {
        let text = text(message);
        let button = action(message).filter(|_| self.buttons).and_then(|action| action.button());
        let body = match button {
            Some(button) => json!({ "text": &text, "blocks": blocks(&text, &button) }),
            None => json!({ "text": text }),
        };
        Ok(Parcel::Http(Box::new(post(secrets.text("url")?, &body, self.ca_file.as_ref()))))
    }
}

/// Returns the text: the title, and a line for each fact. A command is formatted as code, so that it can be copied.
fn text(message: &Message) -> String {
    let lines = message.facts().into_iter().map(|(name, value)| {
        let value = plain(&value);
        let value = if name == "Stop it" { format!("`{value}`") } else { value };
        format!("\n{name}: {value}")
    });
    format!("{}{}", plain(&message.title), lines.collect::<String>())
}

/// Returns the action for the button of a message; `None` if it gets no button.
fn action(message: &Message) -> Option<Action> {
    match message.what {
        What::Started | What::Landed => Some(Action::Halt { run: message.run.clone()? }),
        What::Announced => {
            Some(Action::Refuse { gameday: message.gameday.clone()?, slot: message.slot.clone()? })
        }
        _ => None,
    }
}

/// Returns the blocks of a message with a button. Slack shows them in place of the text, and the text only in notifications.
fn blocks(text: &str, button: &Value) -> Value {
    let shown: String = text.chars().take(SECTION_MOST).collect();
    json!([
        { "type": "section", "text": { "type": "mrkdwn", "text": shown } },
        { "type": "actions", "elements": [button] },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `text` with `&`, `<` and `>` as entities, as in "Formatting text for app surfaces" of Slack's documentation,
    /// <https://api.slack.com/reference/surfaces/formatting>, read in November 2026. Mattermost takes `text` too:
    /// <https://developers.mattermost.com/integrate/webhooks/incoming/>. Statuses of refusals, from
    /// <https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>: 400 `invalid_payload`, 403 `action_prohibited`,
    /// 404 `channel_not_found`, 410 `channel_is_archived`, 500 `rollup_error`.
    #[test]
    fn a_text_from_outside_mentions_nobody_and_the_command_is_code() {
        let slack: Slack = serde_json::from_str(r#"{"url":{"secret_env":"URL"}}"#).expect("its parameters");
        let mut message =
            Message::new("r/started", What::Started, "Firedrill: drill \"<!channel> @all `x`\" has started");
        message.stop = Some("firedrill undo --run r".to_owned());
        let secrets = Opened::of(&[("url", "https://hooks.example/T/B/X")]);
        let Ok(Parcel::Http(request)) = slack.parcel(&message, &secrets, None) else { panic!("a request") };
        let body: serde_json::Value =
            serde_json::from_str(request.body.as_deref().expect("a body")).expect("JSON");
        assert_eq!(
            body,
            json!({ "text": "Firedrill: drill \"&lt;!channel&gt; @\u{200b}all 'x'\" has started\nStop it: `firedrill undo --run r`" })
        );
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://hooks.example/T/B/X"));
    }

    /// `blocks` beside `text`, as in "Sending messages using incoming webhooks" of Slack's documentation,
    /// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>, read in November 2026.
    #[test]
    fn a_message_has_a_button_only_if_the_channel_wants_it_and_there_is_an_action() {
        let body = |buttons: bool, message: &Message| -> Value {
            let text = format!(r#"{{"url":{{"secret_env":"URL"}},"buttons":{buttons}}}"#);
            let slack: Slack = serde_json::from_str(&text).expect("its parameters");
            let secrets = Opened::of(&[("url", "https://hooks.example/T/B/X")]);
            let Ok(Parcel::Http(request)) = slack.parcel(message, &secrets, None) else {
                panic!("a request")
            };
            serde_json::from_str(request.body.as_deref().expect("a body")).expect("JSON")
        };
        let about = |what: What| {
            let mut message = Message::new("x", what, "Firedrill: something");
            message.run = Some("r".to_owned());
            message.why = Some("x".repeat(2000));
            message.stop = Some("y".repeat(2000));
            message
        };
        let started = body(true, &about(What::Started));
        assert_eq!(started["blocks"][1]["elements"][0]["value"], "r");
        assert_eq!(started["blocks"][0]["text"]["text"].as_str().map(str::len), Some(SECTION_MOST));
        assert_eq!(
            started["text"],
            body(false, &about(What::Started))["text"],
            "the text does not depend on buttons"
        );
        assert_eq!(body(false, &about(What::Started))["blocks"], Value::Null);
        for what in [What::Ended, What::Halted, What::Announced, What::Test] {
            assert_eq!(body(true, &about(what))["blocks"], Value::Null, "{what:?}");
        }
        let mut announced = about(What::Announced);
        (announced.gameday, announced.slot) =
            (Some("friday".to_owned()), Some("2026-12-04T14:00".to_owned()));
        let button = &body(true, &announced)["blocks"][1]["elements"][0];
        assert_eq!(
            (&button["action_id"], &button["value"]),
            (&json!("refuse"), &json!("friday 2026-12-04T14:00"))
        );
    }
}
