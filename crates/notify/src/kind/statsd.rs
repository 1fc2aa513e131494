//! `statsd`: a counter of StatsD for each message. DogStatsD gets a counter with tags, and an event.

use firedrill_wire::probe::{Refusal, Secret};
use serde::{Deserialize, Serialize};

use super::{Kind, Parcel, place};
use crate::{message::Message, secrets::Opened};

/// Maximum length of an event's text, in bytes, so that the event fits into a datagram.
const TEXT_MOST: usize = 4000;

/// A receiver of StatsD's packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statsd {
    /// Its host and port, such as `"127.0.0.1:8125"`.
    pub to: String,
    /// Whether it is DogStatsD, which knows tags and events.
    #[serde(default)]
    pub dogstatsd: bool,
    /// The beginning of the metric's name.
    #[serde(default = "Statsd::usual_prefix")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.]+$"))]
    pub prefix: String,
}

impl Statsd {
    fn usual_prefix() -> String {
        "firedrill".to_owned()
    }
}

impl Kind for Statsd {
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        Vec::new()
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> = place("to", &self.to, "127.0.0.1:8125").into_iter().collect();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if self.prefix.is_empty() || !self.prefix.chars().all(is_allowed) {
            let field = firedrill_wire::probe::Field::request(&["prefix"]);
            let what = "`prefix` cannot be the beginning of a metric's name";
            refusals.push(Refusal::new(
                field,
                what,
                "not a name",
                "letters, digits, `_` and `.`, such as \"firedrill\"",
            ));
        }
        refusals
    }

    fn parcel(&self, message: &Message, _: &Opened, _: Option<&str>) -> Result<Parcel, String> {
        let (prefix, what) = (&self.prefix, message.what.word());
        let packets = if self.dogstatsd {
            vec![format!("{prefix}.events:1|c|#{}", tags(message)), event(message)]
        } else {
            vec![format!("{prefix}.events.{what}:1|c")]
        };
        let datagrams = packets.into_iter().map(String::into_bytes).collect();
        Ok(Parcel::Udp { to: self.to.clone(), datagrams })
    }
}

/// Returns the tags of DogStatsD. Characters that a tag cannot have become `_`.
fn tags(message: &Message) -> String {
    let is_allowed = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    let tag = |(name, value): (&str, &str)| {
        let value: String = value.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
        format!("{name}:{value}")
    };
    let known = [
        ("what", Some(message.what.word())),
        ("scenario", message.scenario.as_deref().filter(|_| message.run.is_some())),
        ("gameday", message.gameday.as_deref()),
        ("environment", message.environment.as_deref()),
        ("result", message.result.as_deref()),
    ];
    known.into_iter().filter_map(|(name, value)| Some(tag((name, value?)))).collect::<Vec<_>>().join(",")
}

/// Returns an event of DogStatsD. The lengths in it are in bytes; a line break in the text is written as the two characters `\n`.
fn event(message: &Message) -> String {
    let facts = message.facts().into_iter().map(|(name, value)| format!("{name}: {value}"));
    let mut text = facts.collect::<Vec<_>>().join("\\n");
    if text.is_empty() {
        text.clone_from(&message.title);
    }
    text.truncate(text.floor_char_boundary(TEXT_MOST.min(text.len())));
    let title = &message.title;
    let key = message.run.as_deref().or(message.gameday.as_deref()).unwrap_or("firedrill");
    format!(
        "_e{{{},{}}}:{title}|{text}|d:{}|k:{key}|#{}",
        title.len(),
        text.len(),
        message.at_ms() / 1000,
        tags(message)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::What;

    fn sent(rest: &str, message: &Message) -> Vec<String> {
        let statsd: Statsd =
            serde_json::from_str(&format!(r#"{{"to":"127.0.0.1:8125"{rest}}}"#)).expect("its parameters");
        assert!(statsd.invalid().is_empty());
        let Ok(Parcel::Udp { datagrams, .. }) = statsd.parcel(message, &Opened::of(&[]), None) else {
            panic!("datagrams")
        };
        datagrams.into_iter().map(|datagram| String::from_utf8(datagram).expect("text")).collect()
    }

    /// The form of events and tags is that of <https://docs.datadoghq.com/extend/dogstatsd/datagram_shell>, read in November 2026.
    #[test]
    fn plain_statsd_gets_a_counter_and_dogstatsd_an_event_too() {
        let mut message = Message::new("r/started", What::Started, "Firedrill: ä has started");
        message.at = "2026-12-04T14:00:00.000Z".to_owned();
        message.run = Some("r".to_owned());
        message.scenario = Some("fri|day".to_owned());
        assert_eq!(sent("", &message), ["firedrill.events.started:1|c"]);
        assert_eq!(
            sent(r#","dogstatsd":true,"prefix":"drills""#, &message),
            [
                "drills.events:1|c|#what:started,scenario:fri_day",
                "_e{25,25}:Firedrill: ä has started|Scenario: fri|day\\nRun: r|d:1796392800|k:r|#what:started,scenario:fri_day"
            ]
        );
    }

    #[test]
    fn a_prefix_that_no_metric_can_have_is_refused() {
        let statsd = Statsd { to: "h:1".to_owned(), dogstatsd: false, prefix: "a b".to_owned() };
        assert_eq!(statsd.invalid().len(), 1);
    }
}
