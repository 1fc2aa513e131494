//! Probes and their measurements.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::Span;

/// A measurement repeated at a fixed rate, as a vantage gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// Its name in the scenario.
    pub name: String,
    /// The request.
    pub kind: ProbeKind,
    /// Requests a second on the mean, open loop.
    pub rate: f64,
    /// How the moments are chosen at which requests are due. Without it, as coordinators of before meant it: evenly.
    #[serde(default = "Arrivals::even")]
    pub arrivals: Arrivals,
    /// The key of the random moments: another one for each run, probe and vantage.
    #[serde(default)]
    pub key: u64,
    /// A request that takes longer, from when it was sent, is bad.
    pub timeout: Span,
    /// Connections.
    #[serde(default)]
    pub connection: Connection,
    /// Addresses of names that the fleet knows; other names are looked up by the vantage's resolver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

/// The request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// An HTTP or HTTPS request.
    Http(HttpProbe),
    /// A TCP connection that opens.
    Tcp(TcpProbe),
}

/// An HTTP or HTTPS request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// `http://…` or `https://…`.
    pub url: String,
    /// The request's method.
    #[serde(default = "HttpProbe::get")]
    pub method: String,
    /// The status that is good; none means any of 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A text that the body must contain, within its first 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// The request's headers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A bearer token, resolved where the probe runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Secrets by name. `{name}` in the URL behind its host, in the value of a header or in the body becomes the secret, where
    /// the probe runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
}

impl HttpProbe {
    fn get() -> String {
        "GET".to_owned()
    }
}

/// A secret, by where it lies; its text is never sent, journaled or printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// A file on the vantage, its last line break ignored.
    SecretFile(String),
    /// An environment variable of the vantage's process.
    SecretEnv(String),
}

/// A TCP connection that opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// `host:port`.
    pub address: String,
}

/// How the moments are chosen at which requests are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// At random and independently of each other, as users come: a Poisson process, whose gaps are exponential.
    #[default]
    Poisson,
    /// At equal distances. Keeps in step with whatever is periodic in the system, such as a balancer that takes turns, and
    /// then measures one part of it only.
    Even,
}

impl Arrivals {
    /// Of before there were others.
    #[must_use]
    pub const fn even() -> Self {
        Self::Even
    }
}

/// Whether every request opens a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// Every request opens one; sees an outage as new users do.
    #[default]
    New,
    /// Connections are kept and used again; can hide an outage.
    Reuse,
}

/// The single requests of a [`Bin`]. Their due times follow from the first and the probe's schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// The number of the first request that was due in the bin, counted from 0 since the probe started.
    pub first: u64,
    /// When it was due, in microseconds after the bin's start.
    pub first_us: u64,
    /// Two bits for each request in the order in which they were due, the first in the lowest bits: 1 good, 2 bad, 3
    /// slipped; base64. Empty where all were good.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcomes: String,
}

/// The measurements of a probe in one second at one vantage. Every request counts in the bin in which it was *due*.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Rises by one with each bin of this vantage and run; starts at 1.
    pub seq: u64,
    /// The probe's name.
    pub probe: String,
    /// The bin's start by the vantage's CLOCK_BOOTTIME, in microseconds.
    pub start_boot_us: u64,
    /// Which boot that clock belongs to.
    pub boot_id: String,
    /// Its length in microseconds.
    pub length_us: u64,
    /// Requests that were due.
    pub due: u64,
    /// Requests with a good answer in time.
    pub good: u64,
    /// Requests with a bad answer, or none, by cause (`timeout`, `refused`, `status 503`, `reset`, `dns`, `tls`, …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bad: BTreeMap<String, u64>,
    /// Requests that the vantage itself could not send in time (more than its slip limit late) or at all, or could not
    /// time because it stood still meanwhile: neither good nor bad.
    #[serde(default)]
    pub slipped: u64,
    /// The latest start against the schedule, in microseconds.
    #[serde(default)]
    pub worst_slip_us: u64,
    /// How late requests started against the schedule: an HdrHistogram (V2, base64) in microseconds. Empty where none was
    /// later than a millisecond.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lateness: String,
    /// The requests by themselves; absent where none was due, and in bins of probers that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
    /// When the first bad request was due, in microseconds after the bin's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad_us: Option<u64>,
    /// When the last bad request was due, in microseconds after the bin's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_bad_us: Option<u64>,
    /// Latencies of all good requests from when they were sent, in microseconds: an HDR histogram (V2 + DEFLATE is not
    /// used: V2, base64), 3 significant digits. Empty where there were none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub latency: String,
    /// Sum over good requests, in microseconds, of each phase of the request (`resolve`, `connect`, `tls`, `first_byte`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<String, u64>,
}

impl Bin {
    /// Requests with a bad answer or none.
    #[must_use]
    pub fn bad_total(&self) -> u64 {
        self.bad.values().sum()
    }
}
