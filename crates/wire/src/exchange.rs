//! A small exchange of packets between two hosts, over a path that a fault is about: whether the other host answers, and how quickly.
//!
//! The measurement does not depend on the fault: it uses answers that every host gives (an ICMP echo, a TCP handshake). So it reveals a fault
//! that is in force without any effect.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Span;

/// The kind of packets that the other host gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// An ICMP echo request (RFC 792, RFC 4443).
    Echo,
    /// A TCP handshake with this port; a refusal is an answer too.
    Connect(u16),
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Echo => f.write_str("ICMP echo"),
            Self::Connect(port) => write!(f, "TCP port {port}"),
        }
    }
}

/// The request: `POST /v1/runs/{run}/exchange`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The address of the peer.
    pub to: IpAddr,
    /// The kind of packets.
    pub way: Way,
    /// Number of packets, at most [`Exchange::MOST`].
    pub count: u32,
    /// Interval between packets; at most a second.
    pub every: Span,
    /// Maximum time to wait for an answer; at most [`Exchange::LONGEST`].
    pub within: Span,
}

impl Exchange {
    /// The most packets of one exchange.
    pub const MOST: u32 = 50;
    /// The longest wait for an answer.
    pub const LONGEST: Span = Span::secs(10);

    /// Returns the maximum time that the exchange takes.
    #[must_use]
    pub fn takes(&self) -> Span {
        Span::micros(self.every.as_micros().saturating_mul(u64::from(self.count))) + self.within
    }
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchanged {
    /// Number of packets that were sent, or whose sending was tried.
    pub sent: u32,
    /// Number of packets that were answered.
    pub answered: u32,
    /// Number of packets that were refused by a TCP reset. Something answered, but it may be a firewall on the way.
    pub refused: u32,
    /// Number of packets that could not be sent, or whose destination was reported unreachable.
    pub failed: u32,
    /// The reason why the first packet in `failed` failed; `None` if none failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Round-trip times of the packets that were answered or refused, in microseconds, in rising order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times_us: Vec<u64>,
}

impl Exchanged {
    /// Returns the median round-trip time in microseconds; `None` if no packet had an answer.
    #[must_use]
    pub fn median_us(&self) -> Option<u64> {
        self.times_us.get(self.times_us.len().checked_sub(1)? / 2).copied()
    }

    /// Returns the number of packets that were answered or refused.
    #[must_use]
    pub const fn back(&self) -> u32 {
        self.answered.saturating_add(self.refused)
    }
}
