//! One rule: the callers, kinds of harm and targets that it allows.

use firedrill_wire::{Span, Touches};
use serde::Deserialize;

use super::{Act, Question, named};

/// A rule that allows. Every given clause must hold; a list means any of its entries, and `*` matches any text.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Its name, for refusals.
    pub name: String,
    /// Certificate names.
    pub who: Vec<String>,
    /// Teams.
    pub teams: Vec<String>,
    /// Environments of the host, by its own `environment`.
    pub environments: Vec<String>,
    /// Kinds: of faults, `probe-http`, `probe-tcp`, `exchange`, `release`.
    pub kinds: Vec<String>,
    /// Services that may be touched. If one of the following lists is given, nothing outside the lists may be touched.
    pub services: Vec<String>,
    /// Processes that may be touched, by program name.
    pub processes: Vec<String>,
    /// Peers that may be cut off or measured: addresses, CIDRs, names.
    pub peers: Vec<String>,
    /// Interfaces that may be set down, by name.
    pub interfaces: Vec<String>,
    /// Paths of files that may be read (of those that `[secrets]` lists) or changed. Without this no file is changed.
    pub files: Vec<String>,
    /// Environment variables that may be read, of those that `[secrets]` lists.
    pub variables: Vec<String>,
    /// Programs that may be run, each an argument vector. Without this none is run.
    pub commands: Vec<Vec<String>>,
    /// Maximum length of a hold.
    pub max_hold: Option<Span>,
}

impl Rule {
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("policy.allow: a rule has no name; give it one, refusals say it".to_owned());
        }
        match self.kinds.iter().find(|kind| !Act::kinds().any(|known| like(kind, known))) {
            Some(kind) => Err(format!(
                "policy.allow \"{}\": there is no kind `{kind}`; there are {}",
                self.name,
                Act::kinds().collect::<Vec<_>>().join(", ")
            )),
            None => named::validate(self),
        }
    }

    /// Whether it allows an ask; if not, how far it matched (to find the nearest rule) and the reason.
    pub(super) fn allows(&self, ask: &Question<'_>, touches: &Touches) -> Result<(), (usize, String)> {
        let team = ask.caller.team.as_deref().unwrap_or_default();
        let kinds = ask.act.names();
        let clauses: [(&[String], &[&str], &str); 4] = [
            (&self.who, &[&ask.caller.name], "who"),
            (&self.teams, &[team], "teams"),
            (&self.environments, &[ask.host_environment.unwrap_or_default()], "environments"),
            (&self.kinds, &kinds, "kinds"),
        ];
        for (depth, (list, values, key)) in clauses.into_iter().enumerate() {
            let fits = |pattern: &String| values.iter().any(|value| like(pattern, value));
            if !list.is_empty() && !list.iter().any(fits) {
                let value = values.first().filter(|value| !value.is_empty()).unwrap_or(&"none");
                return Err((depth, format!("has {key} = {list:?}, here it is {value}")));
            }
        }
        if let (Some(most), Act::Fault { hold, .. }) = (self.max_hold, ask.act)
            && hold > most
        {
            return Err((4, format!("has max_hold = \"{most}\", here it is {hold}")));
        }
        named::allows(self, touches).map_err(|why| (5, why))
    }
}

/// Whether a text matches a pattern in which `*` matches any text.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
