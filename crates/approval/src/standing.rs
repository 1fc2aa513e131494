//! Standing approvals: a person agrees beforehand to the drills that a game day starts by its schedule, within bounds.

use std::time::Duration;

use firedrill_wire::{
    Span,
    pattern::like,
    text::{NAME_MOST, short},
};
use serde::{Deserialize, Serialize};

/// The bounds of a standing approval. A coordinator compares the game day's files with the digest. An agent has only its own faults, and
/// compares their host, kind and hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The game day's name.
    #[serde(deserialize_with = "short")]
    pub gameday: String,
    /// The digest of the files of the game day: its own, its scenarios with what they include, and its fleet.
    pub digest: String,
    /// The environments of its plans; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Patterns of the names of hosts; `*` matches any text.
    pub hosts: Vec<String>,
    /// Patterns of the kinds of faults; `*` matches any text.
    pub kinds: Vec<String>,
    /// The longest hold of a fault.
    pub longest: Span,
}

impl Standing {
    /// The longest validity of a standing approval.
    pub const MOST: Duration = Duration::from_secs(30 * 86_400);

    /// Maximum number of patterns of hosts, of patterns of kinds, and of environments.
    const PATTERNS_MOST: usize = 64;
    /// The refusal of a standing approval that is not small.
    pub const TOO_LARGE: &str =
        "a standing approval has at most 64 patterns of hosts and 64 of kinds, each a name of usual length";

    /// Returns true if it has so few and so short patterns that refusals may name them.
    #[must_use]
    pub fn is_small(&self) -> bool {
        let is_small = |patterns: &[String]| {
            patterns.len() <= Self::PATTERNS_MOST && patterns.iter().all(|text| text.len() <= NAME_MOST)
        };
        is_small(&self.environments) && is_small(&self.hosts) && is_small(&self.kinds)
    }

    /// Checks that a fault is within the bounds. The host's environment is `None` if it is not known.
    ///
    /// # Errors
    /// The fault is not within a bound; the text says which.
    pub fn covers(
        &self,
        (host, environment): (&str, Option<&str>),
        kind: &str,
        hold: Span,
    ) -> Result<(), String> {
        let Self { gameday: _, digest: _, environments, hosts, kinds, longest } = self;
        let is_listed = |environment: &str| environments.iter().any(|listed| listed == environment);
        if !environments.is_empty() && !environment.is_some_and(is_listed) {
            return Err(format!("it is for {} only", environments.join(", ")));
        }
        let within = |patterns: &[String], text: &str| patterns.iter().any(|pattern| like(pattern, text));
        if !within(hosts, host) {
            return Err(format!("host {host} is none of {}", hosts.join(", ")));
        }
        if !within(kinds, kind) {
            return Err(format!("{kind} is none of {}", kinds.join(", ")));
        }
        if hold > *longest {
            return Err(format!("a hold of {hold} is longer than {longest}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_covered_if_host_kind_and_hold_are_within_the_bounds() {
        let standing = Standing {
            gameday: "friday".into(),
            digest: String::new(),
            environments: vec!["staging".into()],
            hosts: vec!["app*".into(), "edge1".into()],
            kinds: vec!["net-*".into()],
            longest: Span::secs(60),
        };
        let covers =
            |host: &str, kind: &str, hold| standing.covers((host, Some("staging")), kind, Span::secs(hold));
        assert_eq!(covers("app7", "net-slow", 60), Ok(()));
        assert_eq!(covers("edge1", "net-block", 1), Ok(()));
        for (host, kind, hold, why) in [
            ("db1", "net-slow", 60, "host db1 is none of app*, edge1"),
            ("app7", "host-kill", 60, "host-kill is none of net-*"),
            ("app7", "net-slow", 61, "a hold of 1m 1s is longer than 1m"),
        ] {
            assert_eq!(covers(host, kind, hold).unwrap_err(), why);
        }
        let elsewhere = |environment| standing.covers(("app7", environment), "net-slow", Span::secs(1));
        assert_eq!(elsewhere(Some("prod")).unwrap_err(), "it is for staging only");
        assert!(elsewhere(None).is_err(), "a host of an unknown environment is not covered");
        let everywhere = Standing { environments: Vec::new(), ..standing.clone() };
        assert_eq!(everywhere.covers(("app7", None), "net-slow", Span::secs(1)), Ok(()));
        let many = Standing { hosts: vec!["a".into(); 65], ..standing.clone() };
        assert!(standing.is_small() && !many.is_small());
        let no_hosts = Standing { hosts: Vec::new(), ..standing.clone() };
        assert!(
            no_hosts.covers(("app7", Some("staging")), "net-slow", Span::secs(1)).is_err(),
            "an empty list covers no host"
        );
    }
}
