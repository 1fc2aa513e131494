//! A message: one event of a run or of a game day, with all that people need to understand it without following a link.
//! Never sends anything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firedrill_wire::text::{NAME_MOST, TEXT_MOST, cleaned};
use serde::{Deserialize, Serialize};

/// Maximum length of a title, in characters.
pub(crate) const TITLE_MOST: usize = NAME_MOST * 2;
/// Maximum length of an event's id where it is shown, in characters.
pub(crate) const ID_MOST: usize = NAME_MOST * 4;
/// Maximum number of hosts that a text names. The field `hosts` has all of them.
const HOSTS_NAMED: usize = 8;
/// Maximum number of attacks that a text names. The field `attacks` has all of them.
const ATTACKS_NAMED: usize = 6;

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
    /// The faults of an attack are in force, except those that failed to start.
    Landed,
    /// An attack was ended before its time.
    Aborted,
    /// A run or a game day has ended; with the verdict.
    Ended,
    /// A run or a game day was ended by a person or a signal.
    Halted,
    /// The time of a slot passed, and the game day was not started.
    Missed,
    /// A slot of a game day was not held on purpose; `why` has the reason.
    Skipped,
    /// A trial of a channel (`firedrill notify test`).
    Test,
}

impl What {
    /// Returns its name in files and messages.
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

    /// Whether it ends a run or a game day.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Ended | Self::Halted)
    }
}

/// The earlier event at which the same run or game day began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its id.
    pub id: String,
    /// Its time as RFC 3339, in UTC.
    pub at: String,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The version of this format: 1.
    pub v: u32,
    /// The event's id. Each repetition of the message has the same one.
    pub id: String,
    /// The time of the event as RFC 3339, in UTC.
    pub at: String,
    /// The kind of event.
    pub what: What,
    /// A sentence with the event, and the run or game day that it is about.
    pub title: String,
    /// The id of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The name of the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The name of the game day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gameday: Option<String>,
    /// The slot of the game day: its planned start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The environment of the scenario or the game day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The person who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The names of the hosts that faults touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The planned start in local time, as a text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// The planned end as RFC 3339, in UTC. For a run it assumes that nothing delays it; for an attack it is the end of the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The verdict or the outcome, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The reason for the event, or details of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The people who have a role, and those who have to agree, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The attacks that are planned, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attacks: Vec<String>,
    /// The way in which the effects are put back, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// The command that ends the run and puts everything back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// The event at which the run or the game day began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
}

impl Message {
    /// Makes a message about an event that happens at the time of the call.
    #[must_use]
    pub fn new(id: impl Into<String>, what: What, title: impl Into<String>) -> Self {
        Self {
            v: 1,
            id: id.into(),
            at: rfc3339(now()),
            what,
            title: cleaned(title.into(), TITLE_MOST),
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
            who: None,
            attacks: Vec::new(),
            undo: None,
            stop: None,
            begun: None,
        }
    }

    /// Returns the facts of the message without the title, each with a name and a value. Unknown facts are left out. Texts are cleaned for terminals.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("Result", self.result.clone()),
            ("Why", self.why.clone()),
            ("Starts", self.starts.clone()),
            ("Slot", self.slot.clone().filter(|_| self.starts.is_none())),
            ("Scenario", self.scenario.clone()),
            ("Environment", self.environment.clone()),
            ("Hosts", some_of(&self.hosts, HOSTS_NAMED, ", ")),
            ("Who", self.who.clone()),
            ("Attacks", some_of(&self.attacks, ATTACKS_NAMED, "; ")),
            ("Put back", self.undo.clone()),
            ("By", self.by.clone()),
            ("Until", self.until.as_ref().map(|until| format!("about {until}"))),
            ("Run", self.run.clone()),
            ("Stop it", self.stop.clone()),
        ];
        let known = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.map(|(name, value)| (name, cleaned(value, TEXT_MOST))).collect()
    }

    /// Returns title and facts as one line.
    #[must_use]
    pub fn line(&self) -> String {
        let facts =
            self.facts().into_iter().map(|(name, value)| format!("; {}: {value}", name.to_lowercase()));
        format!("{}{}", self.title, facts.collect::<String>())
    }

    /// Returns the time of the event in milliseconds since 1970; 0 if it cannot be read.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        millis(&self.at)
    }

    /// Returns the time at which its run or game day began, in milliseconds since 1970. If it is not known, returns the time of the event.
    #[must_use]
    pub fn begun_ms(&self) -> u64 {
        self.begun.as_ref().map_or_else(|| self.at_ms(), |begun| millis(&begun.at))
    }
}

/// Joins the first `most` texts, and adds the number of the others; `None` if there are no texts.
fn some_of(all: &[String], most: usize, between: &str) -> Option<String> {
    let shown = all.get(..most).unwrap_or(all);
    match all.len() - shown.len() {
        _ if all.is_empty() => None,
        0 => Some(shown.join(between)),
        more => Some(format!("{}{between}and {more} more", shown.join(between))),
    }
}

/// Parses a time of RFC 3339 into milliseconds since 1970; 0 if it cannot be read.
fn millis(text: &str) -> u64 {
    let at = humantime::parse_rfc3339(text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    at.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(0))
}

/// Returns the present time by the wall clock, since 1970.
#[must_use]
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns a time since 1970 as RFC 3339 UTC, to the millisecond.
#[must_use]
pub fn rfc3339(since_1970: Duration) -> String {
    // The last second of the year 9999; `humantime` panics for later times.
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
        assert!(!message.line().contains(['\n', '\u{1b}']), "texts from outside are cleaned");
    }

    #[test]
    fn times_are_read_back() {
        let message = Message::new("x", What::Test, "t");
        assert_eq!(rfc3339(Duration::from_millis(message.at_ms())), message.at);
    }
}
