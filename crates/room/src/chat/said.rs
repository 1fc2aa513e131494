//! An answer in a chat: a text, and things that somebody may do about it by a button. Only the person who asked sees it.

use firedrill_notify::chat::{Action, plain};
use firedrill_wire::text::cleaned;
use serde_json::{Value, json};

/// The longest text of a block of Slack, in characters.
const SECTION_MOST: usize = 3000;
/// The longest part of an answer whose text comes from somebody else, in characters.
const PART_MOST: usize = 600;

/// An answer. Its texts are marked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    /// Things, each with what the person may do about it.
    pub(super) offers: Vec<(String, Option<Action>)>,
}

impl Said {
    /// An answer of marked-up text.
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), offers: Vec::new() }
    }

    /// Returns it as both chats read it. `has_buttons` adds the buttons, which only Slack has.
    pub(super) fn json(&self, has_buttons: bool) -> Value {
        let lines: Vec<&str> = std::iter::once(self.text.as_str())
            .chain(self.offers.iter().map(|(text, _)| text.as_str()))
            .collect();
        let mut all =
            json!({ "response_type": "ephemeral", "replace_original": false, "text": lines.join("\n") });
        if has_buttons && !self.offers.is_empty() {
            let section = |text: &str| {
                let shown: String = text.chars().take(SECTION_MOST).collect();
                json!({ "type": "section", "text": { "type": "mrkdwn", "text": shown } })
            };
            let offers = self.offers.iter().map(|(text, action)| {
                let mut block = section(text);
                if let Some(button) = action.as_ref().and_then(Action::button) {
                    block["accessory"] = button;
                }
                block
            });
            all["blocks"] = std::iter::once(section(&self.text)).chain(offers).collect();
        }
        all
    }
}

/// Returns a text of others as a part of an answer.
pub(super) fn part(text: &str) -> String {
    plain(&cleaned(text.to_owned(), PART_MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_are_beside_their_lines_and_the_text_has_all_of_it() {
        let said = Said {
            text: "goes on:".to_owned(),
            offers: vec![(part("<!channel> friday\u{1b}"), Some(Action::Halt { run: "friday".to_owned() }))],
        };
        let slack = said.json(true);
        assert_eq!(slack["text"], "goes on:\n&lt;!channel&gt; friday␛");
        assert_eq!(slack["blocks"][1]["accessory"]["value"], "friday");
        assert_eq!(slack["response_type"], "ephemeral");
        assert_eq!(said.json(false)["blocks"], Value::Null, "Mattermost has none");
        assert_eq!(Said::of("x").json(true)["blocks"], Value::Null);
    }
}
