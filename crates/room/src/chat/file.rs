//! The file of chats. It names the people who may act, and the places of the secrets by which requests of chats are checked. This module reads no
//! secret.

use std::{collections::BTreeMap, path::Path};

use firedrill_plan::{
    diagnostic::{Item, Problem, Sink},
    scenario, typed,
};
use firedrill_wire::{
    probe::Secret,
    text::{NAME_MOST, clean},
};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::role::{Role, person};

/// For [`Item::place_at`]: the place of a key.
const OF_KEY: bool = true;
/// For [`Item::place_at`]: the place of a value.
const OF_VALUE: bool = false;

/// The keys of the tables of chats.
const CHATS: [&str; 2] = ["slack", "mattermost"];

/// A file of chats.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatFile {
    /// The version of the format: 1.
    #[serde(rename = "schema")]
    _schema: u32,
    /// Slack.
    #[serde(default)]
    pub(crate) slack: Option<SlackApp>,
    /// Mattermost.
    #[serde(default)]
    pub(crate) mattermost: Option<MattermostCommand>,
}

/// An app of Slack.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlackApp {
    /// The app's signing secret.
    pub(crate) signing_secret: Secret,
    /// The people, by their ids in Slack.
    pub(crate) people: BTreeMap<String, ChatPerson>,
}

/// A slash command of Mattermost.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MattermostCommand {
    /// The command's token.
    pub(crate) token: Secret,
    /// The people, by their ids in Mattermost.
    pub(crate) people: BTreeMap<String, ChatPerson>,
}

/// A person who may act from a chat.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatPerson {
    /// The person's name.
    #[serde(deserialize_with = "name")]
    pub(crate) name: String,
    /// The person's role.
    #[serde(deserialize_with = "role")]
    pub(crate) role: Role,
}

/// Reads the name of a person, and checks it.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    person(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads a role. `admin` is an error: nobody is an admin in a chat.
fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let role: Role = String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
    match role {
        Role::Admin => {
            Err(D::Error::custom("nobody is an admin in a chat: `viewer` or `operator` is wanted"))
        }
        role => Ok(role),
    }
}

/// Returns true if a file is a file of chats: it has the table of a chat, and no other key of a scenario than `schema`.
#[must_use]
pub fn is_chat(file: &Path) -> bool {
    let keys = typed::keys(file, typed::MAX_BYTES);
    let is_other = |key: &String| key != "schema" && scenario::KEYS.contains(&key.as_str());
    keys.iter().any(|key| CHATS.contains(&key.as_str())) && !keys.iter().any(is_other)
}

/// Reads a file of chats. All errors go to `sink`; returns `None` if there are any.
#[must_use]
pub fn read(path: &Path, sink: &mut Sink) -> Option<ChatFile> {
    let before = sink.errors();
    let item = typed::read::<ChatFile>(path, "file of chats", sink)?.item?;
    let file = &item.value;
    if file.slack.is_none() && file.mattermost.is_none() && !item.broken {
        let problem =
            Problem::error("a file without chats lets nobody in").at(item.place_at(&[], OF_VALUE), "no chat");
        sink.push(
            problem
                .help("[slack]\nsigning_secret = { secret_file = \"/etc/firedrill/secrets/slack-signing\" }"),
        );
    }
    if let Some(slack) = &file.slack {
        check(&item, ("slack", "signing_secret"), &slack.signing_secret, &slack.people, sink);
    }
    if let Some(mattermost) = &file.mattermost {
        check(&item, ("mattermost", "token"), &mattermost.token, &mattermost.people, sink);
    }
    (!item.broken && sink.errors() == before).then_some(item.value)
}

/// Checks the table of one chat: the place of the secret (`key` is its name in the file), and the ids of the people.
fn check(
    item: &Item<ChatFile>,
    (chat, key): (&str, &str),
    secret: &Secret,
    people: &BTreeMap<String, ChatPerson>,
    sink: &mut Sink,
) {
    if let Some(flaw) = secret.flaw() {
        let problem = Problem::error(format!("`{key}` names no place of a secret: {flaw}"));
        let help = format!(
            "{key} = {{ secret_env = \"NAME\" }} or {{ secret_file = \"/etc/firedrill/secrets/name\" }}"
        );
        sink.push(problem.at(item.place_at(&[chat, key], OF_VALUE), "no place").help(help));
    }
    if people.is_empty() {
        let problem = Problem::error(format!("`{chat}` has no people, so nobody can do anything"));
        let help = "people.U2CERLKJA = { name = \"alice\", role = \"operator\" }";
        sink.push(problem.at(item.place_at(&[chat], OF_KEY), "nobody").help(help));
    }
    for id in people.keys().filter(|id| id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric())) {
        let problem = Problem::error(format!("`{}` is no id of a person in a chat", clean(id, NAME_MOST)));
        let help = "an id is letters and digits, such as U2CERLKJA; the answer to a person whom nobody knows says it";
        sink.push(problem.at(item.place_at(&[chat, "people", id], OF_KEY), "no id").help(help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file with this text. The error has its problems, as people see them.
    fn read_text(text: &str) -> Result<ChatFile, String> {
        const COLOUR: bool = false;
        const WIDTH: usize = 200;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.toml");
        std::fs::write(&path, text).unwrap();
        let mut sink = Sink::default();
        read(&path, &mut sink).ok_or_else(|| sink.into_report().render(COLOUR, WIDTH))
    }

    #[test]
    fn each_error_of_a_file_is_told_at_its_place() {
        let slack = "[slack]\nsigning_secret = { secret_env = \"S\" }\n";
        let right = format!("schema = 1\n{slack}people.U1 = {{ name = \"alice\", role = \"operator\" }}\n");
        let file = read_text(&right).unwrap();
        let alice = ChatPerson { name: "alice".to_owned(), role: Role::Operator };
        assert_eq!(file.slack.unwrap().people["U1"], alice);
        for (wrong, told) in [
            ("schema = 1\n".to_owned(), "without chats"),
            (format!("schema = 1\n{slack}people = {{}}\n"), "has no people"),
            (right.replace("operator", "admin"), "nobody is an admin in a chat"),
            (right.replace("operator", "root"), "is no role"),
            (right.replace("alice", "<b>"), "is no name"),
            (right.replace("U1", "\"@alice\""), "is no id of a person"),
            (right.replace("secret_env = \"S\"", "secret_file = \"\""), "names no place of a secret"),
            (right.replace("signing_secret", "token"), "token"),
            (right.replace("schema = 1", "schema = 2"), "in another"),
        ] {
            let problems = read_text(&wrong).expect_err(&wrong);
            assert!(problems.contains(told) && problems.contains("error"), "{wrong}: {problems}");
        }
    }

    #[test]
    fn the_file_on_the_page_is_right() {
        let page = include_str!("../../../../docs/chat.md");
        let text = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let file = read_text(text).unwrap();
        assert!(file.slack.unwrap().people.len() == 2 && file.mattermost.unwrap().people.len() == 1);
    }

    #[test]
    fn a_secret_in_clear_is_refused_and_not_shown() {
        let text = "schema = 1\n[slack]\nsigning_secret = \"8f742231b10e8888\"\npeople.U1 = { name = \"alice\", role = \"viewer\" }\n";
        let told = read_text(text).unwrap_err();
        assert!(!told.contains("8f742231b10e8888"), "{told}");
    }
}
