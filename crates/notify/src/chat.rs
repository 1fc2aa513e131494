//! Actions that people take in a chat by a button. A run makes the button for its message, and the control room reads the action when the button is
//! pressed; both use this module, so they agree. This module carries out no action.

use serde_json::{Value, json};

/// Maximum length of a button's value in Slack, in characters.
const VALUE_MOST: usize = 2000;

/// An action. None of them starts or prolongs a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To end a run, which then puts everything back.
    Halt {
        /// The run.
        run: String,
    },
    /// To skip the next attack of a run, also while it waits for approvals.
    Skip {
        /// The run.
        run: String,
        /// The number of the attack, from 1. If another attack is next by then, nothing is skipped.
        attack: usize,
    },
    /// To decide that a slot of a game day is not held.
    Refuse {
        /// The game day's name.
        gameday: String,
        /// The slot.
        slot: String,
    },
}

impl Action {
    /// Reads the action of a pressed button from the button's id and value. `None` if it is not one of these actions.
    #[must_use]
    pub fn read(id: &str, value: &str) -> Option<Self> {
        match id {
            "halt" if !value.is_empty() => Some(Self::Halt { run: value.to_owned() }),
            "skip" => {
                let (run, attack) = value.rsplit_once(' ')?;
                Some(Self::Skip { run: run.to_owned(), attack: attack.parse().ok()? })
            }
            "refuse" => {
                let (gameday, slot) = value.split_once(' ')?;
                Some(Self::Refuse { gameday: gameday.to_owned(), slot: slot.to_owned() })
            }
            _ => None,
        }
    }

    /// Returns the button in the format of Slack's Block Kit, with a dialog that asks for confirmation. `None` if the value is too long for a button.
    #[must_use]
    pub fn button(&self) -> Option<Value> {
        let (id, value, word, title, text) = match self {
            Self::Halt { run } => (
                "halt",
                run.clone(),
                "Halt",
                "Halt this run?",
                "The run ends, and everything is put back. It cannot go on afterwards.",
            ),
            Self::Skip { run, attack } => (
                "skip",
                format!("{run} {attack}"),
                "Refuse",
                "Refuse this attack?",
                "The run skips the attack, and goes on with the next one. No approval counts for it any more.",
            ),
            Self::Refuse { gameday, slot } => (
                "refuse",
                format!("{gameday} {slot}"),
                "Refuse",
                "Refuse this start?",
                "The game day is not held at this time, and nobody can start this slot afterwards.",
            ),
        };
        let plain = |text: &str| json!({ "type": "plain_text", "text": text });
        (value.chars().count() <= VALUE_MOST).then(|| {
            json!({
                "type": "button",
                "action_id": id,
                "value": value,
                "style": "danger",
                "text": plain(word),
                "confirm": { "title": plain(title), "text": plain(text), "confirm": plain(word), "deny": plain("Go back"), "style": "danger" },
            })
        })
    }
}

/// Returns the text in a form in which a chat finds no link, mention or code. An invisible character after each `@` breaks mentions.
#[must_use]
pub fn plain(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('@', "@\u{200b}").replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limits of a button (text 75, value 2000) and of its dialog (title 100, text 300, words 30) are those of "Block elements" and
    /// "Confirmation dialog object" in Slack's documentation, <https://docs.slack.dev/reference/block-kit>, read in November 2026.
    #[test]
    fn a_press_is_read_as_the_action_of_the_button() {
        let halt = Action::Halt { run: "20261204-1400-friday-7f3a".to_owned() };
        let refuse = Action::Refuse { gameday: "friday".to_owned(), slot: "2026-12-04T14:00".to_owned() };
        let skip = Action::Skip { run: "a run".to_owned(), attack: 3 };
        for action in [halt, skip, refuse] {
            let button = action.button().expect("a button");
            let text = |pointer: &str| button.pointer(pointer).and_then(Value::as_str).expect("a text");
            assert_eq!(Action::read(text("/action_id"), text("/value")), Some(action.clone()));
            for (pointer, most) in [
                ("/text/text", 75),
                ("/confirm/title/text", 100),
                ("/confirm/text/text", 300),
                ("/confirm/confirm/text", 30),
                ("/confirm/deny/text", 30),
            ] {
                assert!((1..=most).contains(&text(pointer).chars().count()), "{pointer}");
            }
        }
        for (id, value) in [
            ("halt", ""),
            ("refuse", "friday"),
            ("skip", "friday"),
            ("skip", "friday x"),
            ("approve", "friday 1"),
            ("", ""),
        ] {
            assert_eq!(Action::read(id, value), None, "{id} {value}");
        }
        assert_eq!(Action::Halt { run: "x".repeat(VALUE_MOST + 1) }.button(), None);
    }
}
