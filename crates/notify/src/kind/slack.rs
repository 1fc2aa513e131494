//! `slack`: an incoming webhook of Slack, or of Mattermost, which takes the same.

use firedrill_wire::probe::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Kind, Parcel, post};
use crate::{message::Message, secrets::Opened};

/// An incoming webhook of Slack or Mattermost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// The webhook's address. Whoever knows it can write to the channel, so it is a secret.
    pub url: Secret,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

impl Kind for Slack {
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        vec![("url", &self.url)]
    }

    fn parcel(&self, message: &Message, secrets: &Opened, _: Option<&str>) -> Result<Parcel, String> {
        let body = json!({ "text": text(message) });
        Ok(Parcel::Http(Box::new(post(secrets.text("url")?, &body, self.ca_file.as_ref()))))
    }
}

/// Returns the text: the title, and a line for each fact. Commands are set as code.
fn text(message: &Message) -> String {
    let lines = message.facts().into_iter().map(|(name, value)| {
        let value = plain(&value);
        let value = if name == "Stop it" { format!("`{value}`") } else { value };
        format!("\n{name}: {value}")
    });
    format!("{}{}", plain(&message.title), lines.collect::<String>())
}

/// Returns a text in which nothing is a link, a mention or code. An address of a person or a group needs its `@` before a letter.
fn plain(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('@', "@\u{200b}").replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::What;

    /// `text` with `&`, `<` and `>` as entities, as in "Formatting text for app surfaces" of Slack's documentation,
    /// <https://api.slack.com/reference/surfaces/formatting>, read in November 2026. Mattermost takes `text` too:
    /// <https://developers.mattermost.com/integrate/webhooks/incoming/>. Statuses of refusals, from
    /// <https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>: 400 `invalid_payload`, 403 `action_prohibited`,
    /// 404 `channel_not_found`, 410 `channel_is_archived`, 500 `rollup_error`.
    #[test]
    fn a_text_of_others_mentions_nobody_and_the_command_can_be_copied() {
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
}
