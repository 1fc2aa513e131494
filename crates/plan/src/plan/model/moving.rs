//! Targets that move: when an attack begins, the coordinator asks which of some candidates is the leader. Pure data; sends no request.

use std::net::IpAddr;

use firedrill_wire::{Span, hide, probe::ProbeKind};
use serde::{Deserialize, Serialize};

use super::{Attack, Plan, hidden, step::shown};

/// The text in a request that stands for the candidate.
pub const HOST: &str = "{host}";

/// A target whose host is known only when its attack begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moving {
    /// The target.
    pub target: String,
    /// The question about the leader.
    pub ask: Ask,
    /// Time for each answer.
    pub timeout: Span,
    /// The hosts of which one is the leader.
    pub candidates: Vec<Candidate>,
}

/// A host that may be the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The host.
    pub host: String,
    /// All of its addresses. The first one replaces [`HOST`] in the request.
    pub addresses: Vec<IpAddr>,
}

/// A question whose answer names the leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "a plan has one for each moving target")]
pub enum Ask {
    /// A request, sent to each candidate; the leader is the one with a good answer. It is serialized and parsed without secrets.
    Request(#[serde(serialize_with = "hidden::write", deserialize_with = "hidden::read")] ProbeKind),
    /// A program of the coordinator, which prints the leader.
    Command(#[serde(serialize_with = "shown")] Vec<String>),
}

/// The candidate that an attack is on. Of the attacks on the candidates of a target one runs: the attack on the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// The target.
    pub target: String,
    /// The host that the attack is on.
    pub host: String,
}

impl Ask {
    /// Returns the question in a few words, without secrets.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Request(kind) => {
                let shown = kind.without_secrets();
                let to = shown.about().reach.to.map(|(host, port)| format!(" to {host}:{port}"));
                format!("a request by {}{}", kind.name(), to.unwrap_or_default())
            }
            Self::Command(argv) => format!("`{}`", hide::argv(argv).join(" ")),
        }
    }
}

impl Candidate {
    /// Returns the request to this candidate: its first address replaces each [`HOST`], in brackets where an IPv6 address needs
    /// them. `None` if the host has no address.
    #[must_use]
    pub fn request(&self, kind: &ProbeKind) -> Option<ProbeKind> {
        let address = self.addresses.first()?;
        let mut json = serde_json::to_value(kind).ok()?;
        fill(&mut json, *address);
        serde_json::from_value(json).ok()
    }

    /// Whether a text names this host: by its name or by one of its addresses.
    #[must_use]
    pub fn is_named(&self, text: &str) -> bool {
        text == self.host || text.parse().is_ok_and(|address: IpAddr| self.addresses.contains(&address))
    }
}

/// Whether a request names the candidate anywhere.
#[must_use]
pub fn names_candidate(kind: &ProbeKind) -> bool {
    serde_json::to_string(kind).is_ok_and(|text| text.contains(HOST))
}

/// Fills the address into all texts of a value.
fn fill(json: &mut serde_json::Value, address: IpAddr) {
    match json {
        serde_json::Value::String(text) => *text = filled(text, address),
        serde_json::Value::Array(list) => list.iter_mut().for_each(|value| fill(value, address)),
        serde_json::Value::Object(table) => table.values_mut().for_each(|value| fill(value, address)),
        _ => {}
    }
}

/// Returns a text with the address in place of each [`HOST`]. An IPv6 address gets brackets in a URL or before a port.
fn filled(text: &str, address: IpAddr) -> String {
    let mut parts = text.split(HOST);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let needs_brackets = out.ends_with("://") || (part.starts_with(':') && !out.ends_with('['));
        match address {
            IpAddr::V6(address) if needs_brackets => out += &format!("[{address}]"),
            address => out += &address.to_string(),
        }
        out += part;
    }
    out
}

impl Attack {
    /// Whether at most one of this attack and another one runs, because both are on candidates of the same moving target.
    #[must_use]
    pub fn is_alternative_of(&self, other: &Self) -> bool {
        self.leader.is_some() && other.leader.is_some() && self.base == other.base
    }
}

impl Plan {
    /// Returns the target that moves, by its name.
    #[must_use]
    pub fn moving_target(&self, name: &str) -> Option<&Moving> {
        self.moving.iter().find(|moving| moving.target == name)
    }

    /// Returns the indexes of the attack at `index` and of the attacks on the other candidates of its target, of which only one runs.
    /// These attacks follow each other in the plan. For an attack that is not on a moving target, it is `index` alone.
    #[must_use]
    pub fn alternatives(&self, index: usize) -> std::ops::Range<usize> {
        let Some(attack) = self.attacks.get(index).filter(|attack| attack.leader.is_some()) else {
            return index..index.saturating_add(1);
        };
        let same = |other: &&Attack| other.is_alternative_of(attack);
        let before = self.attacks.iter().take(index).rev().take_while(same).count();
        let after = self.attacks.iter().skip(index).take_while(same).count();
        index - before..index + after
    }

    /// Whether the attack at `index` is the first of its [`Self::alternatives`].
    #[must_use]
    pub fn is_first_alternative(&self, index: usize) -> bool {
        let before = index.checked_sub(1).and_then(|before| self.attacks.get(before));
        before.zip(self.attacks.get(index)).is_none_or(|(before, attack)| !attack.is_alternative_of(before))
    }

    /// Returns the attacks that have a turn, with their indexes. Of the attacks on a moving target only the first has a turn, on
    /// behalf of all.
    pub fn turns(&self) -> impl Iterator<Item = (usize, &Attack)> {
        self.attacks.iter().enumerate().filter(|(index, _)| self.is_first_alternative(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(address: &str) -> Candidate {
        Candidate { host: "d1".to_owned(), addresses: vec![address.parse().unwrap()] }
    }

    fn request(json: serde_json::Value) -> ProbeKind {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_first_address_of_the_candidate_is_put_into_the_request() {
        let tcp =
            request(serde_json::json!({ "tcp": { "address": "{host}:6379", "expect": "master {host}" } }));
        assert!(names_candidate(&tcp));
        let asked = |address| serde_json::to_value(candidate(address).request(&tcp).unwrap()).unwrap();
        assert_eq!(asked("10.9.0.1")["tcp"]["address"], "10.9.0.1:6379");
        assert_eq!(asked("fd77::1")["tcp"]["address"], "[fd77::1]:6379");
        assert_eq!(asked("fd77::1")["tcp"]["expect"], "master fd77::1");
        let url = filled("http://{host}/a?of={host}", "fd77::1".parse().unwrap());
        assert_eq!(url, "http://[fd77::1]/a?of=fd77::1");
        assert_eq!(filled("[{host}]:1", "fd77::1".parse().unwrap()), "[fd77::1]:1");
        let fixed = request(serde_json::json!({ "tcp": { "address": "10.9.0.1:6379" } }));
        assert!(!names_candidate(&fixed));
        assert_eq!(Candidate { addresses: vec![], ..candidate("::1") }.request(&fixed), None);
    }

    #[test]
    fn a_host_is_named_by_its_name_or_an_address() {
        let one = candidate("fd77::1");
        assert!(one.is_named("d1") && one.is_named("fd77:0::1"));
        assert!(!one.is_named("d2") && !one.is_named("") && !one.is_named("fd77::2"));
    }
}
