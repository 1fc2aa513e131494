//! The trait [`Alerts`] for kinds of sources that know alerts, its types, and functions that several kinds use to read answers. Asks no source.

use std::collections::BTreeMap;

use firedrill_wire::probe::HttpProbe;
use serde::{Deserialize, Serialize};

/// The alert that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlertQuery {
    /// Its name in the source.
    pub name: String,
    /// Labels that it must have, each with its value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// An alert that a source says is firing. Times are microseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSeen {
    /// Its identity in the source.
    pub id: String,
    /// Its name, for people.
    pub what: String,
    /// Time at which it began to fire, according to the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_us: Option<i64>,
    /// The precision of that time. It is set only if the time is that of the source's own clock when the alert became active there. Without it, the
    /// time is only shown and not used for verdicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precise_to_us: Option<i64>,
    /// Time at which the source regards it as over, unless it gets news that the alert still fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten_us: Option<i64>,
    /// The reason why the source notifies nobody of it, as a clause: a silence, or another alert that inhibits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hushed: Option<String>,
}

/// A kind of source that knows alerts.
pub trait Alerts: Send + Sync {
    /// Returns the request that asks for an alert.
    fn ask(&self, query: &AlertQuery) -> HttpProbe;

    /// Reads an answer, and returns the alerts of the query that fire now.
    ///
    /// # Errors
    /// It is not an answer to the request. The error is a clause for people.
    fn firing(&self, query: &AlertQuery, status: u16, body: &[u8]) -> Result<Vec<AlertSeen>, String>;

    /// Returns the labels that alerts of this kind can have; `None` if they may have any.
    fn labels(&self) -> Option<&'static [&'static str]>;

    /// Returns a clause for messages that says with what the name of a query is compared, such as `the label alertname`.
    fn name_is(&self) -> &'static str;
}

impl AlertQuery {
    /// Returns the alert for people, such as `ZoneDown {severity="page"}`.
    #[must_use]
    pub fn words(&self) -> String {
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        match labels.as_slice() {
            [] => self.name.clone(),
            labels => format!("{} {{{}}}", self.name, labels.join(", ")),
        }
    }
}

/// Parses a time of RFC 3339 with any offset into microseconds since 1970; `None` if the text is no such time.
pub(crate) fn rfc3339_us(text: &str) -> Option<i64> {
    // The offset is behind the last of these characters, if that is behind the `T`: a date contains `-`, too.
    let zone = text.rfind(['Z', 'z', '+', '-']).filter(|at| *at > text.find(['T', 't']).unwrap_or(0))?;
    let (local, zone) = text.split_at(zone);
    let ahead_s = match zone {
        "Z" | "z" => 0,
        _ => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let two = |text: &str, most: i64| {
                let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse::<i64>().ok().filter(|number| digits && *number <= most)
            };
            let ahead_s = two(hours, 23)? * 3600 + two(minutes, 59)? * 60;
            if zone.starts_with('-') { -ahead_s } else { ahead_s }
        }
    };
    let at = humantime::parse_rfc3339(&format!("{}Z", local.replace('t', "T"))).ok()?;
    let us = i64::try_from(at.duration_since(std::time::UNIX_EPOCH).ok()?.as_micros()).ok()?;
    us.checked_sub(ahead_s * 1_000_000)
}

/// Parses a JSON answer.
///
/// # Errors
/// The status is that of an error, or the body is not an answer of `source` (the name of the system, for messages).
pub(crate) fn json<'a, T: Deserialize<'a>>(source: &str, status: u16, body: &'a [u8]) -> Result<T, String> {
    let excerpt = || crate::excerpt::excerpt(&String::from_utf8_lossy(body));
    match status {
        200..=299 => serde_json::from_slice(body)
            .map_err(|_| format!("the answer is not that of {source}: {}", excerpt())),
        401 | 403 => {
            Err(format!("status {status}: the token is missing or may not read this: {}", excerpt()))
        }
        429 => Err(format!(
            "status 429: it was asked more often than it allows; a longer `every` asks less: {}",
            excerpt()
        )),
        _ => Err(format!("status {status}: {}", excerpt())),
    }
}

/// Quotes a value for PromQL and for matchers of Alertmanager.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Returns a name for people, cleaned and shortened.
pub(crate) fn shown(text: &str) -> String {
    crate::excerpt::excerpt(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_any_zone() {
        let utc = rfc3339_us("2026-11-26T18:00:00.5Z");
        assert_eq!(utc, Some(1_795_716_000_500_000));
        for same in [
            "2026-11-26T20:00:00.5+02:00",
            "2026-11-26T18:00:00.5+00:00",
            "2026-11-26T12:30:00.500000000-05:30",
            "2026-11-26t18:00:00.5z",
        ] {
            assert_eq!(rfc3339_us(same), utc, "{same}");
        }
        for wrong in [
            "",
            "soon",
            "2026-11-26",
            "2026-11-26T18:00:00",
            "2026-11-26T18:00:00+2:00",
            "2026-11-26T18:00:00+0200",
        ] {
            assert_eq!(rfc3339_us(wrong), None, "{wrong}");
        }
    }
}
