//! `net-dns`: DNS answers are dropped, delayed or falsified, in some zones only.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    About, Direction, Effect, End, Engine, HostMeanwhile, Invalid, Kind, Late, On, OnTraffic, PeerSet,
    PortRange, Scope, Traffic, Trial, invalid::wrong, is_service,
};
use crate::{RefusalCode, Span, Touches};

/// The change of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsHow {
    /// The answer never comes: the program that asked waits for its time-out.
    Drop,
    /// The answer comes late, by `delay`.
    Delay,
    /// The answer says that there is no such name.
    Nxdomain,
    /// The answer says that the server failed.
    Servfail,
    /// The answer has other addresses: those of `address`.
    WrongAddress,
}

/// `net-dns`: drop, delay or falsify the DNS answers that the host (or what it forwards for) gets, over UDP and TCP, in some
/// zones only. Answers of a local resolver on loopback are included; those from its cache and from caches of programs are not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetDns {
    /// The zones: each name, and all names below it; `"."` means all names.
    #[serde(deserialize_with = "super::net::one_or_many")]
    #[schemars(with = "super::net::OneOrMany<String>")]
    pub zones: Vec<String>,
    /// The change of answers about names in the zones.
    pub how: DnsHow,
    /// Delay of the answers; only with `how = "delay"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// The addresses in place of the right ones; only with `how = "wrong-address"`. By default 192.0.2.1 and 2001:db8::1, which no host has.
    #[serde(default, deserialize_with = "super::net::one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "super::net::OneOrMany<IpAddr>")]
    pub address: Vec<IpAddr>,
    /// The servers whose answers are changed, as in `net-block`; all servers if it is left out.
    #[serde(default, skip_serializing_if = "PeerSet::is_empty")]
    #[schemars(with = "super::net::OneOrMany<String>")]
    pub to: PeerSet,
    /// A service of the host, as in `service-stop`: only answers to its processes are changed. They are found by the service's cgroup (v2),
    /// also after a restart. If a local resolver asks for the service, the answers are those of the resolver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl NetDns {
    /// The port from which servers answer.
    const PORTS: [PortRange; 1] = [PortRange { first: 53, last: 53 }];

    /// Returns the change as a participle, for people.
    const fn done(&self) -> &'static str {
        match self.how {
            DnsHow::Drop => "dropped",
            DnsHow::Delay => "delayed",
            DnsHow::Nxdomain | DnsHow::Servfail | DnsHow::WrongAddress => "falsified",
        }
    }
}

impl Kind for NetDns {
    fn about(&self) -> About<'_> {
        About {
            end: End::PutBack,
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Answers, done: self.done() },
            late: (self.how == DnsHow::Delay)
                .then(|| Late { delay: self.delay.unwrap_or_default(), jitter: Span::ZERO }),
            trial: Trial::Impossible("only answers of name servers are meant"),
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        if self.zones.is_empty() {
            return wrong(
                RefusalCode::NoZones,
                "names no zone",
                "such as zones = [\"db.example\"]; \".\" is everything",
            );
        }
        if self.zones.iter().any(|zone| !is_zone(zone)) {
            return wrong(
                RefusalCode::BadZone,
                "a zone that cannot be one",
                "names such as \"db.example\", without `*`: all below a zone is in it; \".\" is everything",
            );
        }
        if self.service.as_deref().is_some_and(|name| !is_service(name)) {
            return Some(Invalid::BAD_SERVICE);
        }
        match (self.how, self.delay) {
            (DnsHow::Delay, None) => {
                wrong(RefusalCode::NoDelay, "does not say how late answers come", "delay = \"2s\"")
            }
            (DnsHow::Delay, Some(delay)) if delay.is_zero() => {
                wrong(RefusalCode::NoDelay, "a delay of no time slows nothing", "for example \"2s\"")
            }
            (how, Some(_)) if how != DnsHow::Delay => wrong(
                RefusalCode::NotLate,
                "gives a `delay`, and delays nothing",
                "how = \"delay\", or leave it out",
            ),
            (how, _) if how != DnsHow::WrongAddress && !self.address.is_empty() => wrong(
                RefusalCode::NotWrong,
                "gives an `address`, and does not falsify any",
                "how = \"wrong-address\", or leave it out",
            ),
            _ => None,
        }
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}

/// Whether a text may be the name of a zone.
fn is_zone(zone: &str) -> bool {
    if zone == "." {
        return true;
    }
    let zone = zone.strip_suffix('.').unwrap_or(zone);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    zone.len() <= 253 && zone.split('.').all(label)
}

impl OnTraffic for NetDns {
    fn traffic(&self) -> Traffic<'_> {
        let (to, service) = (&self.to, self.service.as_deref());
        Traffic { to, remote_ports: &Self::PORTS, service, ..Traffic::all(Direction::In) }
    }
    fn engine(&self) -> Engine {
        // The kernel does not read names in packets.
        Engine::UserSpace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_parameters_are_refused_with_a_code() {
        let code = |json: &str| {
            serde_json::from_str::<NetDns>(json).expect(json).invalid().map(|invalid| invalid.code)
        };
        assert_eq!(code(r#"{"zones":"db.example.","how":"drop"}"#), None);
        assert_eq!(code(r#"{"zones":".","how":"delay","delay":"2s"}"#), None);
        assert_eq!(code(r#"{"zones":"a.b","how":"wrong-address","address":["10.0.0.1"]}"#), None);
        assert_eq!(code(r#"{"zones":"a.b","how":"drop","service":"checkout"}"#), None);
        assert_eq!(code(r#"{"zones":"a.b","how":"drop","service":"a/b"}"#), Some(RefusalCode::BadService));
        assert_eq!(code(r#"{"zones":[],"how":"drop"}"#), Some(RefusalCode::NoZones));
        assert_eq!(code(r#"{"zones":["*.example"],"how":"drop"}"#), Some(RefusalCode::BadZone));
        assert_eq!(code(r#"{"zones":[""],"how":"drop"}"#), Some(RefusalCode::BadZone));
        assert_eq!(code(r#"{"zones":"a.b","how":"delay"}"#), Some(RefusalCode::NoDelay));
        assert_eq!(code(r#"{"zones":"a.b","how":"drop","delay":"1s"}"#), Some(RefusalCode::NotLate));
        assert_eq!(code(r#"{"zones":"a.b","how":"drop","address":"10.0.0.1"}"#), Some(RefusalCode::NotWrong));
    }
}
