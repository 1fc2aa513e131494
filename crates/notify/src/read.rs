//! Reads a file of channels and reports all errors in it. Reads no secret.

use std::{collections::BTreeMap, path::Path};

use firedrill_plan::{
    diagnostic::{FileId, Item, Place, Problem, Sink},
    fleet, scenario, typed,
};
use firedrill_wire::probe::{Field, Refusal, Secret};
use toml::de::DeTable;

use crate::file::{Channel, ChannelsFile};

/// Maximum length of a channel's name, in bytes.
const NAME_MOST: usize = 40;
/// The keys of all kinds whose values are secrets. Addresses, some of which are secrets, are not in this list.
const SECRETS: [&str; 5] = ["key", "password", "routing_key", "token", "user"];
/// The key that only files of channels have.
const OWN_KEY: &str = "channel";
/// For [`Item::place_at`]: the place of a key.
const OF_KEY: bool = true;
/// For [`Item::place_at`]: the place of a value.
const OF_VALUE: bool = false;

/// Channels, by their names.
pub type Channels = BTreeMap<String, Channel>;

/// Whether a file is a file of channels: it has the table `channel`, and no key of a scenario or a fleet except `schema`.
#[must_use]
pub fn is_channels(file: &Path) -> bool {
    let keys = typed::keys(file, typed::MAX_BYTES);
    let is_foreign = |key: &String| {
        key != "schema" && (scenario::KEYS.contains(&key.as_str()) || fleet::KEYS.contains(&key.as_str()))
    };
    keys.iter().any(|key| key == OWN_KEY) && !keys.iter().any(is_foreign)
}

/// Reads a file of channels. All errors go to `sink`; returns `None` if there are any.
#[must_use]
pub fn read(path: &Path, sink: &mut Sink) -> Option<Channels> {
    let errors_before = sink.errors();
    let read = typed::read::<ChannelsFile>(path, "file of channels", sink)?;
    hide(&read.text, read.id, sink);
    let item = read.item?;
    if item.value.channel.is_empty() && !item.broken {
        let problem = Problem::error("a file without channels tells nobody")
            .at(item.place_of_key(OWN_KEY), "no channel");
        sink.push(
            problem
                .help("[channel.ops]\nslack = { url = { secret_file = \"/etc/firedrill/secrets/slack\" } }"),
        );
    }
    for (name, channel) in &item.value.channel {
        check(&item, name, channel, sink);
    }
    (!item.broken && sink.errors() == errors_before).then_some(item.value.channel)
}

/// Hides texts that are or may be secrets from excerpts and messages: a person may have written a secret into the file itself. The file may have
/// errors, so the raw table is searched.
fn hide(text: &str, file: FileId, sink: &mut Sink) {
    let (table, _) = DeTable::parse_recoverable(text);
    let channels = table.get_ref().get(OWN_KEY).and_then(|channels| channels.get_ref().as_table());
    let kinds =
        channels.into_iter().flatten().filter_map(|(_, channel)| channel.get_ref().as_table()).flatten();
    for (kind, params) in
        kinds.filter_map(|(kind, params)| Some((kind.get_ref(), params.get_ref().as_table()?)))
    {
        for (key, value) in params {
            let Some(clear) = value.get_ref().as_str() else { continue };
            let secret = match key.get_ref().as_ref() {
                "url" => ["webhook", "slack"].contains(&kind.as_ref()) || clear.contains(['@', '?']),
                "server" => clear.contains('@'),
                key => SECRETS.contains(&key),
            };
            if secret {
                sink.hide(Place { file, at: value.span() });
                sink.hide_text(clear);
            }
        }
    }
}

/// Checks a channel: its name, its kind with the parameters, and its events.
fn check(item: &Item<ChannelsFile>, name: &str, channel: &Channel, sink: &mut Sink) {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins_well = name.starts_with(|c| is_allowed(c) && c != '-');
    if !name.chars().all(is_allowed) || !begins_well || name.len() > NAME_MOST {
        let problem = Problem::error(format!("`{name}` cannot be the name of a channel"));
        let help = format!("lower-case letters, digits and `-`, at most {NAME_MOST}, such as \"ops\"");
        sink.push(problem.at(item.place_at(&[OWN_KEY, name], OF_KEY), "not a name").help(help));
    }
    match channel.kinds().as_slice() {
        [] if item.broken => {}
        [] => {
            let problem = Problem::error(format!("the channel `{name}` has no kind"));
            let help =
                format!("exactly one of {}", Channel::KINDS.map(|kind| format!("`{kind}`")).join(", "));
            sink.push(problem.at(item.place_at(&[OWN_KEY, name], OF_KEY), "no kind").help(help));
        }
        [(kind, params)] => {
            let invalid = params.secrets().into_iter().filter_map(|(key, secret)| no_place(key, secret));
            for refusal in invalid.chain(params.invalid()) {
                tell(item, (name, kind), refusal, Problem::error, sink);
            }
            for refusal in params.warnings() {
                tell(item, (name, kind), refusal, Problem::warning, sink);
            }
            for (index, what) in channel.events.iter().flatten().enumerate() {
                if !params.takes(*what) {
                    let place = item.place_at(&[OWN_KEY, name, "events", &index.to_string()], OF_VALUE);
                    let message = format!(
                        "the channel `{name}`: `{kind}` does not support the event `{}`",
                        what.word()
                    );
                    sink.push(Problem::error(message).at(place, "never told").help("leave it out"));
                }
            }
        }
        [(first, _), (second, _), ..] => {
            let problem = Problem::error(format!("the channel `{name}` has `{first}` and `{second}`"))
                .at(item.place_at(&[OWN_KEY, name, second], OF_KEY), "one of them")
                .also(item.place_at(&[OWN_KEY, name, first], OF_KEY), "or the other");
            sink.push(problem.help("several kinds are several channels"));
        }
    }
    if channel.events.as_ref().is_some_and(Vec::is_empty) {
        let problem = Problem::error(format!("the channel `{name}` tells no events"));
        sink.push(
            problem
                .at(item.place_at(&[OWN_KEY, name, "events"], OF_KEY), "an empty list")
                .help("leave `events` out for all"),
        );
    }
}

/// Reports a problem with a parameter of a channel. It points at the parameter, or at the nearest table if the parameter is absent.
fn tell(
    item: &Item<ChannelsFile>,
    (name, kind): (&str, &str),
    refusal: Refusal,
    problem: fn(String) -> Problem,
    sink: &mut Sink,
) {
    let path = [&[OWN_KEY, name], refusal.field.path(kind).as_slice()].concat();
    // Tries the whole path first, then shorter ones, until a place is found. The first two steps are the channel itself.
    let place = (0..path.len() - 2)
        .map(|cut| item.place_at(&path[..path.len() - cut], refusal.field.is_key() || cut > 0))
        .find(|place| !place.at.is_empty());
    let place = place.unwrap_or_else(|| item.place_at(&[OWN_KEY, name], OF_KEY));
    let message = format!("the channel `{name}`: {}", refusal.what);
    sink.push(problem(message).at(place, refusal.label).help(refusal.help));
}

/// Returns the refusal of a secret whose place is not valid; `None` if the place is valid.
fn no_place(key: &'static str, secret: &Secret) -> Option<Refusal> {
    secret.flaw().map(|flaw| {
        let what = format!("`{key}` names no place of a secret: {flaw}");
        let help = format!(
            "{key} = {{ secret_env = \"NAME\" }} or {{ secret_file = \"/etc/firedrill/secrets/name\" }}"
        );
        Refusal::new(Field::request(&[key]), what, "no place", help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the problems of a file with these channels.
    fn problems(text: &str) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("channels.toml");
        std::fs::write(&path, format!("schema = 1\n{text}")).expect("written");
        let mut sink = Sink::default();
        assert!(read(&path, &mut sink).is_none() && is_channels(&path), "{text}");
        sink.into_report().render(false, 200)
    }

    #[test]
    fn secrets_that_were_written_in_clear_are_not_shown() {
        for text in [
            "[channel.a]\nslack.url = \"https://h.example/s3cret\"\n",
            "[channel.a]\nslack = { url = \"https://h.example/s3cret\" }\n",
            "[channel.a]\nwebhook = { url = { secret_env = \"U\" }, key = \"s3cret\" }\n",
            "[channel.a]\nemail = { server = \"smtp.example\", user = \"s3cret\", password = \"s3cret\" }\n",
            "[channel.a]\nemail = { server = \"u:s3cret@smtp.example\" }\n",
            "[channel.a]\npagerduty = { routing_key = \"s3cret\", url = 7 }\n",
            "[channel.a]\ngrafana = { token = \"s3cret\" }\n",
            "[channel.a]\ngrafana = { url = \"https://u:s3cret@g.example\", token = { secret_env = \"T\" } }\n",
            "[channel.a]\ngrafana = { url = \"https://g.example/?t=s3cret\", token = { secret_env = \"T\" } }\n",
        ] {
            let told = problems(text);
            assert!(!told.contains("s3cret") && told.contains("error"), "{told}");
        }
    }

    #[test]
    fn a_warning_is_shown_and_the_file_is_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("channels.toml");
        let text = "schema = 1\n[channel.a.email]\nserver = \"relay.example:25\"\ntls = \"none\"\nfrom = \"a@b.example\"\nto = [\"a@b.example\"]\n";
        std::fs::write(&path, text).expect("written");
        let mut sink = Sink::default();
        assert!(read(&path, &mut sink).is_some());
        let told = sink.into_report().render(false, 200);
        assert!(told.contains("warning: the channel `a`: messages cross the network in clear"), "{told}");
        assert!(told.contains("4 | tls = \"none\""), "{told}");
    }

    /// A new kind whose secrets have another key has to be hidden, too.
    #[test]
    fn the_secrets_of_all_kinds_are_known() {
        let file: crate::ChannelsFile = toml::from_str(crate::EXAMPLE).expect("the example");
        for (kind, params) in file.channel.values().flat_map(Channel::kinds) {
            for (key, _) in params.secrets() {
                assert!(
                    SECRETS.contains(&key) || key == "url" && ["webhook", "slack"].contains(&kind),
                    "{kind}: {key}"
                );
            }
        }
        let kinds: std::collections::BTreeSet<&str> =
            file.channel.values().flat_map(Channel::kinds).map(|(kind, _)| kind).collect();
        assert_eq!(kinds, Channel::KINDS.into_iter().collect(), "the example has each kind");
    }
}
