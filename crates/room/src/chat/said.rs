//! An answer to a command in a chat: a text, and lines with a button each. Only the person who asked sees it.
//!
//! Only makes the JSON; sends nothing, and decides about no action.

use firedrill_notify::chat::{Action, plain};
use firedrill_wire::text::cleaned;
use serde_json::{Value, json};

/// Maximum length of the text of a section block in Slack, in characters. Slack refuses a message with a longer one.
const SECTION_MOST: usize = 3000;
/// Maximum length of a text that comes from outside and becomes part of an answer, in characters. A longer one is cut.
const PART_MOST: usize = 600;

/// An answer. Its texts are in the chat's markup, so texts from outside must have gone through [`part`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The first lines.
    pub(super) text: String,
    /// Further lines, each with the action of its button; `None` if the person may do nothing about it.
    pub(super) offers: Vec<(String, Option<Action>)>,
}

impl Said {
    /// Makes an answer without buttons of a text in the chat's markup.
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), offers: Vec::new() }
    }

    /// Returns the JSON that Slack and Mattermost read. Its key `text` has all lines. With `has_buttons` each line is also a block with its button; only
    /// Slack shows blocks.
    pub(super) fn json(&self, has_buttons: bool) -> Value {
        let lines: Vec<&str> = std::iter::once(self.text.as_str())
            .chain(self.offers.iter().map(|(text, _)| text.as_str()))
            .collect();
        let mut message =
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
            message["blocks"] = std::iter::once(section(&self.text)).chain(offers).collect();
        }
        message
    }
}

/// Returns a text from outside as a part of an answer: cut, without control characters, and with nothing that a chat takes for a link or a mention.
pub(super) fn part(text: &str) -> String {
    plain(&cleaned(text.to_owned(), PART_MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For [`Said::json`]: Slack has buttons.
    const SLACK: bool = true;
    /// For [`Said::json`]: Mattermost has none.
    const MATTERMOST: bool = false;

    #[test]
    fn each_button_stands_beside_its_line_and_the_text_has_all_lines() {
        let said = Said {
            text: "goes on:".to_owned(),
            offers: vec![(part("<!channel> friday\u{1b}"), Some(Action::Halt { run: "friday".to_owned() }))],
        };
        let slack = said.json(SLACK);
        assert_eq!(slack["text"], "goes on:\n&lt;!channel&gt; friday␛");
        assert_eq!(slack["blocks"][1]["accessory"]["value"], "friday");
        assert_eq!(slack["response_type"], "ephemeral");
        assert_eq!(said.json(MATTERMOST)["blocks"], Value::Null, "Mattermost has no blocks");
        assert_eq!(Said::of("x").json(SLACK)["blocks"], Value::Null, "there is no line with a button");
    }
}
