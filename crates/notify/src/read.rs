//! Reads a file of channels and reports all errors in it. Reads no secret.

use std::{collections::BTreeMap, path::Path};

use firedrill_plan::{
    diagnostic::{Item, Problem, Sink},
    fleet, scenario, typed,
};
use firedrill_wire::probe::{Field, Refusal, Secret};

use crate::file::{Channel, ChannelsFile};

/// The longest name of a channel.
const NAME_MOST: usize = 40;
/// The key that only files of channels have.
const OWN_KEY: &str = "channel";

/// Channels, by their names.
pub type Channels = BTreeMap<String, Channel>;

/// Whether a file is one of channels: it has the table that only those have.
#[must_use]
pub fn is_channels(file: &Path) -> bool {
    let keys = typed::keys(file, typed::MAX_BYTES);
    let others: Vec<&str> = scenario::KEYS.iter().chain(&fleet::KEYS).copied().collect();
    let is_other = |key: &String| key != "schema" && others.contains(&key.as_str());
    keys.iter().any(|key| key == OWN_KEY) && !keys.iter().any(is_other)
}

/// Reads a file of channels. All errors go to `sink`; returns `None` if there are any.
#[must_use]
pub fn read(path: &Path, sink: &mut Sink) -> Option<Channels> {
    let before = sink.errors();
    let item = typed::read::<ChannelsFile>(path, "file of channels", sink)?.item?;
    if item.value.channel.is_empty() && !item.broken {
        let problem = Problem::error("a file without channels tells nobody").at(item.place_of_key(OWN_KEY), "no channel");
        sink.push(problem.help("[channel.ops]\nslack = { url = { secret_file = \"/etc/firedrill/secrets/slack\" } }"));
    }
    for (name, channel) in &item.value.channel {
        check(&item, name, channel, sink);
    }
    (!item.broken && sink.errors() == before).then_some(item.value.channel)
}

fn check(item: &Item<ChannelsFile>, name: &str, channel: &Channel, sink: &mut Sink) {
    let well = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.chars().all(well) || !name.starts_with(|c| well(c) && c != '-') || name.len() > NAME_MOST {
        let problem = Problem::error(format!("`{name}` cannot be the name of a channel"));
        let help = format!("lower-case letters, digits and `-`, at most {NAME_MOST}, such as \"ops\"");
        sink.push(problem.at(item.place_at(&[OWN_KEY, name], true), "not a name").help(help));
    }
    match channel.kinds().as_slice() {
        [] if item.broken => {}
        [] => {
            let problem = Problem::error(format!("the channel `{name}` has no kind"));
            let help = format!("exactly one of {}", Channel::KINDS.map(|kind| format!("`{kind}`")).join(", "));
            sink.push(problem.at(item.place_at(&[OWN_KEY, name], true), "no kind").help(help));
        }
        [(kind, one)] => {
            let invalid = one.secrets().into_iter().filter_map(|(key, secret)| no_place(key, secret));
            for refusal in invalid.chain(one.invalid()) {
                let path = [&[OWN_KEY, name], refusal.field.path(kind).as_slice()].concat();
                let place = (0..path.len() - 2)
                    .map(|cut| item.place_at(&path[..path.len() - cut], refusal.field.is_key() || cut > 0))
                    .find(|place| !place.at.is_empty());
                let place = place.unwrap_or_else(|| item.place_at(&[OWN_KEY, name], true));
                sink.push(Problem::error(format!("the channel `{name}`: {}", refusal.what)).at(place, refusal.label).help(refusal.help));
            }
            for (index, what) in channel.events.iter().flatten().enumerate() {
                if !one.takes(*what) {
                    let place = item.place_at(&[OWN_KEY, name, "events", &index.to_string()], false);
                    let message = format!("the channel `{name}`: `{kind}` has no form for `{}`", what.word());
                    sink.push(Problem::error(message).at(place, "never told").help("leave it out"));
                }
            }
        }
        [(first, _), (second, _), ..] => {
            let problem = Problem::error(format!("the channel `{name}` has `{first}` and `{second}`"))
                .at(item.place_at(&[OWN_KEY, name, second], true), "one of them")
                .also(item.place_at(&[OWN_KEY, name, first], true), "or the other");
            sink.push(problem.help("several kinds are several channels"));
        }
    }
    if channel.events.as_ref().is_some_and(Vec::is_empty) {
        let problem = Problem::error(format!("the channel `{name}` tells no events"));
        sink.push(problem.at(item.place_at(&[OWN_KEY, name, "events"], true), "an empty list").help("leave `events` out for all"));
    }
}

/// Refuses a place that cannot hold a secret.
fn no_place(key: &'static str, secret: &Secret) -> Option<Refusal> {
    secret.flaw().map(|flaw| {
        let what = format!("`{key}` names no place of a secret: {flaw}");
        let help = format!("{key} = {{ secret_env = \"NAME\" }} or {{ secret_file = \"/etc/firedrill/secrets/name\" }}");
        Refusal::new(Field::request(&[key]), what, "no place", help)
    })
}
