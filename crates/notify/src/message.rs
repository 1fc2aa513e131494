//! A message: an event of a run or of a game day, with all that people need to understand it without a link.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firedrill_wire::text::{NAME_MOST, TEXT_MOST, cleaned};
use serde::{Deserialize, Serialize};

/// Number of hosts that a text names. The data have all.
const HOSTS_NAMED: usize = 8;

/// The kind of an event.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A game day is due soon (`announce`).
    Announced,
    /// A run or a game day has begun.
    Started,
    /// All faults of an attack are in force, or as many as will be.
    Landed,
    /// An attack was ended before its time.
    Aborted,
    /// A run or a game day has ended; with the verdict.
    Ended,
    /// A run or a game day was ended by a person or a signal.
    Halted,
    /// A slot of a game day passed, and nobody started it.
    Missed,
    /// A slot of a game day is not held, for a reason.
    Skipped,
    /// Somebody tries a channel (`firedrill notify test`).
    Test,
}

impl What {
    /// Returns the name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Started => "started",
            Self::Landed => "landed",
            Self::Aborted => "aborted",
            Self::Ended => "ended",
            Self::Halted => "halted",
            Self::Missed => "missed",
            Self::Skipped => "skipped",
            Self::Test => "test",
        }
    }

    /// Whether it is the end of a run or a game day.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Ended | Self::Halted)
    }
}

/// The event that told the beginning of the same run or game day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its id.
    pub id: String,
    /// Its time, RFC 3339 UTC.
    pub at: String,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The version of the format: 1.
    pub v: u32,
    /// The event's id. It is the same each time the message is sent.
    pub id: String,
    /// The time of the event, RFC 3339 UTC.
    pub at: String,
    /// The kind of event.
    pub what: What,
    /// One sentence: the event and its object.
    pub title: String,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The name of the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The game day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gameday: Option<String>,
    /// The game day's slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The person who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The hosts that are touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The start, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// The planned end, RFC 3339 UTC: of a run if all settles at once and nobody is waited for, of an attack that of its faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The result in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The reason, or details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The command that ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// The event that told its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
}

impl Message {
    /// A message about an event of now.
    #[must_use]
    pub fn new(id: impl Into<String>, what: What, title: impl Into<String>) -> Self {
        Self {
            v: 1,
            id: id.into(),
            at: rfc3339(now()),
            what,
            title: cleaned(title.into(), NAME_MOST * 2),
            run: None,
            scenario: None,
            gameday: None,
            slot: None,
            environment: None,
            by: None,
            hosts: Vec::new(),
            starts: None,
            until: None,
            result: None,
            why: None,
            stop: None,
            begun: None,
        }
    }

    /// Returns what is known beside the title: a name and a value for each line.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let hosts = match self.hosts.len().checked_sub(HOSTS_NAMED) {
            Some(more @ 1..) => Some(format!("{}, and {more} more", self.hosts[..HOSTS_NAMED].join(", "))),
            _ if self.hosts.is_empty() => None,
            _ => Some(self.hosts.join(", ")),
        };
        let all = [
            ("Result", self.result.clone()),
            ("Why", self.why.clone()),
            ("Starts", self.starts.clone()),
            ("Scenario", self.scenario.clone()),
            ("Environment", self.environment.clone()),
            ("Hosts", hosts),
            ("By", self.by.clone()),
            ("Until", self.until.as_ref().map(|until| format!("about {until}"))),
            ("Run", self.run.clone()),
            ("Stop it", self.stop.clone()),
        ];
        let known = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.map(|(name, value)| (name, cleaned(value, TEXT_MOST))).collect()
    }

    /// Returns it as one line.
    #[must_use]
    pub fn line(&self) -> String {
        let facts =
            self.facts().into_iter().map(|(name, value)| format!("; {}: {value}", name.to_lowercase()));
        format!("{}{}", self.title, facts.collect::<String>())
    }

    /// Returns the time of the event in milliseconds since 1970.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        millis(&self.at)
    }

    /// Returns the time of the beginning in milliseconds since 1970, if it is known; otherwise that of the event.
    #[must_use]
    pub fn begun_ms(&self) -> u64 {
        self.begun.as_ref().map_or_else(|| self.at_ms(), |begun| millis(&begun.at))
    }
}

fn millis(text: &str) -> u64 {
    let at = humantime::parse_rfc3339(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    at.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(0))
}

/// Returns the time by the wall clock since 1970.
#[must_use]
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns a time since 1970 as RFC 3339 UTC, to the millisecond.
#[must_use]
pub fn rfc3339(since_1970: Duration) -> String {
    // The last time that the format has is in the year 9999.
    let at = UNIX_EPOCH + since_1970.min(Duration::from_secs(253_402_300_799));
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_understood_without_a_link() {
        let mut message =
            Message::new("r/started", What::Started, "Firedrill: run r of \"friday\" has started");
        message.hosts = (0..10).map(|number| format!("app{number}")).collect();
        message.environment = Some("production".to_owned());
        message.until = Some("2026-12-04T14:30:00Z".to_owned());
        message.stop = Some("firedrill undo --run r --fleet fleet.toml".to_owned());
        assert_eq!(
            message.line(),
            "Firedrill: run r of \"friday\" has started; environment: production; hosts: app0, app1, app2, app3, app4, \
             app5, app6, app7, and 2 more; until: about 2026-12-04T14:30:00Z; stop it: firedrill undo --run r \
             --fleet fleet.toml"
        );
        message.why = Some("a\n\u{1b}[2Jb".to_owned());
        assert!(!message.line().contains(['\n', '\u{1b}']), "texts of others are cleaned");
    }

    #[test]
    fn times_are_read_back() {
        let message = Message::new("x", What::Test, "t");
        assert_eq!(rfc3339(Duration::from_millis(message.at_ms())), message.at);
    }
}
