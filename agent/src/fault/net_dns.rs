//! `net-dns`: answers about names in some zones are dropped, delayed or falsified.
//!
//! A queue looks into DNS answers and lets all other packets pass at once. The fault also reaches a local resolver that
//! answers over loopback. It does not reach answers that a program has cached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use firedrill_wire::fault::{DnsHow, NetDns};

use super::net::{
    dns::{Falsify, Zones, look},
    shape::Shape,
};
use crate::host::{
    impair::{Chance, Impair, Loss},
    queue::Look,
};

/// The false addresses if the scenario gives none. They are in networks that are reserved for documentation (RFC 5737,
/// RFC 3849), so no host has them.
const UNUSED: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// The response code of an answer that a server failed (RFC 1035).
const SERVFAIL: u8 = 2;
/// The response code of an answer that a name does not exist (RFC 1035).
const NXDOMAIN: u8 = 3;

/// Returns the false addresses that answers get.
fn addresses(dns: &NetDns) -> &[IpAddr] {
    if dns.address.is_empty() { &UNUSED } else { &dns.address }
}

impl Shape for NetDns {
    fn impair(&self) -> Impair {
        match self.how {
            DnsHow::Drop => {
                let always = Chance { share: 1.0, correlation: 0.0 };
                Impair { loss: Loss::Random(always), ..Impair::default() }
            }
            DnsHow::Delay => {
                Impair { delay: self.delay.map(Into::into).unwrap_or_default(), ..Impair::default() }
            }
            DnsHow::Nxdomain | DnsHow::Servfail | DnsHow::WrongAddress => Impair::default(),
        }
    }

    fn loopback(&self) -> bool {
        true
    }

    fn look(&self) -> Option<Look> {
        let falsify = match self.how {
            DnsHow::Drop | DnsHow::Delay => None,
            DnsHow::Nxdomain => Some(Falsify::Code(NXDOMAIN)),
            DnsHow::Servfail => Some(Falsify::Code(SERVFAIL)),
            DnsHow::WrongAddress => Some(Falsify::Addresses(addresses(self).to_vec())),
        };
        Some(look(Zones::new(&self.zones), falsify))
    }

    fn words(&self) -> (String, String) {
        let zones = self.zones.join(", ");
        let before = match self.how {
            DnsHow::Drop => format!("drop DNS answers about {zones} among"),
            DnsHow::Delay => {
                format!("delay DNS answers about {zones} by {} among", self.delay.unwrap_or_default())
            }
            DnsHow::Nxdomain => format!("say that names in {zones} do not exist (NXDOMAIN) in"),
            DnsHow::Servfail => format!("say that the server failed (SERVFAIL) about {zones} in"),
            DnsHow::WrongAddress => {
                let addresses: Vec<_> = addresses(self).iter().map(ToString::to_string).collect();
                format!("give {} as the address of names in {zones} in", addresses.join(", "))
            }
        };
        (before, String::new())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "answers in the caches of programs and local resolvers stay right until they expire".to_owned(),
            "DNS over TLS or HTTPS is not looked into; a resolver that validates DNSSEC sees through falsified answers"
                .to_owned(),
        ];
        if self.how == DnsHow::Drop {
            notes.push(
                "over TCP a dropped answer is sent again and dropped again, until the client gives up"
                    .to_owned(),
            );
        }
        if self.how == DnsHow::WrongAddress {
            notes.push(
                "a wrong address may be cached for one second; caches that keep all answers longer keep it longer, too"
                    .to_owned(),
            );
        }
        notes
    }
}
