//! Types of records and codes of answers, and how a record stands in a scenario.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use crate::probe::address::host_name;

/// A type of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DnsRecord {
    /// An IPv4 address.
    #[default]
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name for the name.
    Cname,
    /// A mail server, with its preference.
    Mx,
    /// A text.
    Txt,
    /// A server of a service: priority, weight, port, host.
    Srv,
    /// A name server of the zone.
    Ns,
}

impl fmt::Display for DnsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Srv => "SRV",
            Self::Ns => "NS",
        })
    }
}

impl DnsRecord {
    /// Returns a record in the one form by which records are compared.
    ///
    /// # Errors
    /// The text is no record of this type. The error is an example of one.
    pub fn canonical(self, text: &str) -> Result<String, &'static str> {
        match self {
            Self::A => text.parse().map(|one: Ipv4Addr| one.to_string()).map_err(|_| "192.0.2.7"),
            Self::Aaaa => text.parse().map(|one: Ipv6Addr| one.to_string()).map_err(|_| "2001:db8::7"),
            Self::Cname | Self::Ns => name(text).ok_or("ns1.example.com"),
            Self::Mx => numbered::<1>(text).ok_or("10 mail.example.com"),
            Self::Srv => numbered::<3>(text).ok_or("10 5 5060 sip.example.com"),
            Self::Txt => Ok(text.to_owned()),
        }
    }
}

/// Returns a name in lower case, without the last dot.
pub(super) fn name(text: &str) -> Option<String> {
    let name = host_name(text).ok()?;
    Some(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

/// Returns a name behind so many numbers of 16 bits. The name may be the root.
fn numbered<const NUMBERS: usize>(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (last, numbers) = words.split_last().filter(|(_, numbers)| numbers.len() == NUMBERS)?;
    let mut all = Vec::new();
    for number in numbers {
        all.push(number.parse::<u16>().ok()?.to_string());
    }
    all.push(if *last == "." { String::new() } else { name(last)? });
    Some(all.join(" "))
}

/// A code of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Rcode {
    /// The name exists, with or without records of the type.
    #[default]
    NoError,
    /// The server does not understand the question.
    FormErr,
    /// The server failed, for instance because it reached no other.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The server does not do this.
    NotImp,
    /// The server does not do this for this vantage.
    Refused,
}

impl Rcode {
    /// Returns its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
        }
    }

    /// Returns the code of a number, if it has a name here.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        [Self::NoError, Self::FormErr, Self::ServFail, Self::NxDomain, Self::NotImp, Self::Refused]
            .into_iter()
            .find(|code| code.number() == number)
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
        })
    }
}
