//! Parses DNS answers (RFC 1035) and falsifies them. Handles answers over UDP, and over TCP if one segment has the
//! whole answer.
//!
//! A packet that cannot be parsed is left alone and passes unchanged. A falsified packet has the right lengths and
//! checksums.

use std::net::IpAddr;

use crate::host::queue::{
    Look, Looked,
    ip::{self, TCP, UDP},
};

/// The TTL of falsified addresses, in seconds.
const BELIEVED: u32 = 1;
/// The size of a DNS message's header, in bytes.
const HEADER: usize = 12;
const A: u16 = 1;
const AAAA: u16 = 28;

/// DNS zones in lower case, without the last dot. The empty zone contains every name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones(Vec<String>);

impl Zones {
    /// Takes zones as they are written in a scenario.
    #[must_use]
    pub fn new(zones: &[String]) -> Self {
        Self(zones.iter().map(|zone| zone.strip_suffix('.').unwrap_or(zone).to_ascii_lowercase()).collect())
    }

    /// Whether a name, in lower case and without the last dot, is in one of the zones.
    fn have(&self, name: &str) -> bool {
        self.0.iter().any(|zone| {
            zone.is_empty()
                || name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

/// The content that falsified answers get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Falsify {
    /// A response code, and no records.
    Code(u8),
    /// These addresses in place of all others of their family. If none of these is of that family, the answer gets no
    /// records at all.
    Addresses(Vec<IpAddr>),
}

/// Returns the function that looks into packets for answers about names in these zones.
#[must_use]
pub fn look(zones: Zones, falsify: Option<Falsify>) -> Look {
    Box::new(move |packet| looked(packet, &zones, falsify.as_ref()).unwrap_or(Looked::Other))
}

fn looked(packet: &[u8], zones: &Zones, falsify: Option<&Falsify>) -> Option<Looked> {
    let (at, protocol) = ip::transport(packet)?;
    let start = match protocol {
        UDP => at + 8,
        // Over TCP two bytes with its length precede each message.
        TCP => at + usize::from(*packet.get(at + 12)? >> 4) * 4 + 2,
        _ => return None,
    };
    let mut message = packet.get(start..)?;
    if protocol == TCP {
        let length = u16::from_be_bytes(packet.get(start - 2..start)?.try_into().ok()?);
        message = message.get(..usize::from(length))?;
    }
    let (name, end) = question(message)?;
    if !zones.have(&name) {
        return Some(Looked::Other);
    }
    let Some(falsify) = falsify else { return Some(Looked::Meant) };
    let mut said = message.to_vec();
    match falsify {
        Falsify::Code(code) => empty(&mut said, end, *code)?,
        Falsify::Addresses(addresses) => readdress(&mut said, end, addresses)?,
    }
    if protocol == TCP {
        // The sequence numbers of the stream demand the same number of bytes as before. Nobody reads the bytes after
        // the records.
        said.resize(message.len(), 0);
    }
    if said == message {
        // The answer says the same by itself, so it is not changed.
        return Some(Looked::Other);
    }
    Some(Looked::Falsified(packed(packet, at, start, protocol, &said)?))
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?))
}

/// Returns the name that an answer is about, and the offset at which its question ends. `None` for anything but an
/// answer to exactly one question.
fn question(message: &[u8]) -> Option<(String, usize)> {
    const ANSWER: u8 = 0x80;
    if message.get(2)? & ANSWER == 0 || word(message, 4)? != 1 {
        return None;
    }
    let (mut name, mut at) = (String::new(), HEADER);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => break,
            1..=63 => {
                if !name.is_empty() {
                    name.push('.');
                }
                let label = message.get(at + 1..at + 1 + length)?;
                name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
                at += 1 + length;
            }
            // Nothing precedes the question, so a compression pointer in it is invalid.
            _ => return None,
        }
    }
    let end = at + 5;
    (end <= message.len()).then_some((name, end))
}

/// Removes all records and sets a response code. The id, the recursion flags and the question stay as they were.
fn empty(message: &mut Vec<u8>, end: usize, code: u8) -> Option<()> {
    const TRUNCATED: u8 = 0x02;
    *message.get_mut(2)? &= !TRUNCATED;
    let low = message.get_mut(3)?;
    *low = *low & 0xf0 | code;
    message.get_mut(6..HEADER)?.fill(0);
    message.truncate(end);
    Some(())
}

/// Replaces the addresses in the answer's records. Their TTL becomes [`BELIEVED`], so that no cache keeps them much
/// longer than the fault.
fn readdress(message: &mut Vec<u8>, end: usize, addresses: &[IpAddr]) -> Option<()> {
    let octets = |wanted: fn(&IpAddr) -> bool| -> Vec<Vec<u8>> {
        let octets = |one: &IpAddr| match one {
            IpAddr::V4(one) => one.octets().to_vec(),
            IpAddr::V6(one) => one.octets().to_vec(),
        };
        addresses.iter().filter(|one| wanted(one)).map(octets).collect()
    };
    let (v4, v6) = (octets(IpAddr::is_ipv4), octets(IpAddr::is_ipv6));
    let records = word(message, 6)?;
    let mut at = end;
    for number in 0..usize::from(records) {
        at = behind_name(message, at)?;
        let (kind, length) = (word(message, at)?, usize::from(word(message, at + 8)?));
        let place = message.get_mut(at + 10..at + 10 + length)?;
        let given = match (kind, length) {
            (A, 4) => Some(&v4),
            (AAAA, 16) => Some(&v6),
            _ => None,
        };
        if let Some(given) = given {
            match given.get(number % given.len().max(1)) {
                Some(new) if place != new => {
                    place.copy_from_slice(new);
                    message.get_mut(at + 4..at + 8)?.copy_from_slice(&BELIEVED.to_be_bytes());
                }
                Some(_) => {}
                // There is no false address of this family: the answer says that the name has no address of it.
                None => return empty(message, end, 0),
            }
        }
        at += 10 + length;
    }
    Some(())
}

/// Returns the offset at which a record's name ends.
fn behind_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// Returns the packet with another message in it.
fn packed(packet: &[u8], at: usize, start: usize, protocol: u8, message: &[u8]) -> Option<Vec<u8>> {
    let mut new = [packet.get(..start)?, message].concat();
    if protocol == UDP {
        let length = u16::try_from(new.len() - at).ok()?;
        new.get_mut(at + 4..at + 6)?.copy_from_slice(&length.to_be_bytes());
    }
    ip::fit(&mut new)?;
    ip::sum(&mut new).then_some(new)
}

#[cfg(test)]
mod tests;
