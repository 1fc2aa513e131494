//! One rule: the callers, kinds of harm and targets that it allows. Data only.

use firedrill_wire::Span;
use serde::Deserialize;

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
    /// Kinds: of faults, `probe-http`, `probe-tcp`, `probe-writes`, `exchange`, `logs`, `release`.
    pub kinds: Vec<String>,
    /// Services that may be touched. If one of the following lists is given, nothing outside the lists may be touched.
    pub services: Vec<String>,
    /// Processes that may be touched, by program name.
    pub processes: Vec<String>,
    /// Peers that may be cut off or measured: addresses, CIDRs, names.
    pub peers: Vec<String>,
    /// Interfaces that may be set down, by name.
    pub interfaces: Vec<String>,
    /// Paths of files that may be read (of those that `[secrets]` or `policy.logs` lists) or changed. Without this no file is changed.
    pub files: Vec<String>,
    /// Environment variables that may be read, of those that `[secrets]` lists.
    pub variables: Vec<String>,
    /// Programs that may be run, each an argument vector. Without this none is run.
    pub commands: Vec<Vec<String>>,
    /// Maximum length of a hold.
    pub max_hold: Option<Span>,
}
