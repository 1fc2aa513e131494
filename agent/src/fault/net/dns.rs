//! Finds DNS answers (RFC 1035) about some zones in packets, and falsifies them. Handles answers over UDP, and over TCP if one segment
//! has the whole answer.
//!
//! Never changes a packet that it cannot parse: such a packet passes. A falsified packet has the right lengths and checksums. Ports are not
//! checked here; the rules of the fault choose the packets.

use std::net::IpAddr;

use crate::host::queue::{
    Look, Looked,
    ip::{self, TCP, UDP},
};

/// The TTL of falsified addresses, in seconds. It is short, so that no cache keeps them much longer than the fault.
const FALSE_TTL: u32 = 1;
/// The size of a DNS message's header, in bytes.
const HEADER: usize = 12;
/// The type of records with an IPv4 address.
const A: u16 = 1;
/// The type of records with an IPv6 address.
const AAAA: u16 = 28;

/// DNS zones in lower case, without the last dot. The empty zone contains every name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones(Vec<String>);

impl Zones {
    /// Makes zones of names as a scenario has them, in any case and with or without the last dot.
    #[must_use]
    pub fn new(zones: &[String]) -> Self {
        Self(zones.iter().map(|zone| zone.strip_suffix('.').unwrap_or(zone).to_ascii_lowercase()).collect())
    }

    /// Whether a name is one of the zones or below one of them. The name is in lower case and without the last dot.
    fn contain(&self, name: &str) -> bool {
        self.0.iter().any(|zone| {
            zone.is_empty()
                || name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

/// The content that takes the place of the right one in falsified answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Falsify {
    /// This response code, and no records.
    Code(u8),
    /// These addresses, by turn, in place of all addresses of the same family. An answer with addresses of a family of which none is given
    /// gets no records at all.
    Addresses(Vec<IpAddr>),
}

/// Returns the function that inspects packets: it chooses answers about names in these zones, and falsifies them if `falsify` is given.
#[must_use]
pub fn look(zones: Zones, falsify: Option<Falsify>) -> Look {
    Box::new(move |packet| inspect(packet, &zones, falsify.as_ref()).unwrap_or(Looked::Other))
}

/// Inspects a packet; `None` if it is no answer that can be parsed.
fn inspect(packet: &[u8], zones: &Zones, falsify: Option<&Falsify>) -> Option<Looked> {
    let (transport, protocol) = ip::transport(packet)?;
    let start = match protocol {
        UDP => transport + 8,
        // Byte 12 of a TCP header has the header's length in its upper half, in words of 4 bytes. Two bytes with its length precede
        // each message.
        TCP => transport + usize::from(*packet.get(transport + 12)? >> 4) * 4 + 2,
        _ => return None,
    };
    let mut message = packet.get(start..)?;
    if protocol == TCP {
        let length = u16::from_be_bytes(packet.get(start - 2..start)?.try_into().ok()?);
        message = message.get(..usize::from(length))?;
    }
    let (name, question_end) = question(message)?;
    if !zones.contain(&name) {
        return Some(Looked::Other);
    }
    let Some(falsify) = falsify else { return Some(Looked::Meant) };
    let mut falsified = message.to_vec();
    match falsify {
        Falsify::Code(code) => remove_records(&mut falsified, question_end, *code)?,
        Falsify::Addresses(addresses) => replace_addresses(&mut falsified, question_end, addresses)?,
    }
    if protocol == TCP {
        // The message keeps its length, so that the sequence numbers of the stream stay right. Resolvers ignore bytes behind the records.
        falsified.resize(message.len(), 0);
    }
    if falsified == message {
        // The right answer is equal to the falsified one.
        return Some(Looked::Other);
    }
    Some(Looked::Falsified(with_message(packet, transport, start, protocol, &falsified)?))
}

/// Returns the 16-bit number at an offset.
fn number(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?))
}

/// Returns the name that an answer is about, in lower case and without the last dot, and the offset at which its question ends. `None` if
/// the message is not an answer with exactly one question.
fn question(message: &[u8]) -> Option<(String, usize)> {
    /// The flag of answers, in byte 2 of the header. Bytes 4 and 5 have the number of questions.
    const ANSWER: u8 = 0x80;
    if message.get(2)? & ANSWER == 0 || number(message, 4)? != 1 {
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
    // The end of the name, the type and the class.
    let end = at + 5;
    (end <= message.len()).then_some((name, end))
}

/// Removes all records and sets a response code. The id, the recursion flags and the question stay as they were.
fn remove_records(message: &mut Vec<u8>, question_end: usize, code: u8) -> Option<()> {
    /// The flag that says that the answer was truncated.
    const TRUNCATED: u8 = 0x02;
    *message.get_mut(2)? &= !TRUNCATED;
    let code_byte = message.get_mut(3)?;
    *code_byte = *code_byte & 0xf0 | code;
    // The numbers of records in the three sections.
    message.get_mut(6..HEADER)?.fill(0);
    message.truncate(question_end);
    Some(())
}

/// Replaces the addresses in the records of the answer section by these, by turn, and sets the TTL of replaced ones to [`FALSE_TTL`]. Removes all
/// records if there is an address of a family of which none is given.
fn replace_addresses(message: &mut Vec<u8>, question_end: usize, addresses: &[IpAddr]) -> Option<()> {
    let of_family = |wanted: fn(&IpAddr) -> bool| -> Vec<Vec<u8>> {
        let octets = |address: &IpAddr| match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        addresses.iter().filter(|address| wanted(address)).map(octets).collect()
    };
    let (v4, v6) = (of_family(IpAddr::is_ipv4), of_family(IpAddr::is_ipv6));
    let records = number(message, 6)?;
    let mut at = question_end;
    for index in 0..usize::from(records) {
        at = end_of_name(message, at)?;
        // After its name, a record has its type (2 bytes), class (2), TTL (4), the length of its data (2), and the data.
        let (kind, length) = (number(message, at)?, usize::from(number(message, at + 8)?));
        let data = message.get_mut(at + 10..at + 10 + length)?;
        let false_addresses = match (kind, length) {
            (A, 4) => Some(&v4),
            (AAAA, 16) => Some(&v6),
            _ => None,
        };
        if let Some(false_addresses) = false_addresses {
            match false_addresses.get(index % false_addresses.len().max(1)) {
                Some(new) if data != new => {
                    data.copy_from_slice(new);
                    message.get_mut(at + 4..at + 8)?.copy_from_slice(&FALSE_TTL.to_be_bytes());
                }
                Some(_) => {}
                // There is no false address of this family: the answer says that the name has no address of it.
                None => return remove_records(message, question_end, 0),
            }
        }
        at += 10 + length;
    }
    Some(())
}

/// Returns the offset at which a record's name ends. A compression pointer is its last part.
fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
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

/// Returns the packet with this message from the offset `start` to its end. `transport` is the offset of its UDP or TCP header. `None` if the new
/// packet would be too long, or the packet is a fragment of IPv4.
fn with_message(
    packet: &[u8],
    transport: usize,
    start: usize,
    protocol: u8,
    message: &[u8],
) -> Option<Vec<u8>> {
    let mut new = [packet.get(..start)?, message].concat();
    if protocol == UDP {
        let length = u16::try_from(new.len() - transport).ok()?;
        new.get_mut(transport + 4..transport + 6)?.copy_from_slice(&length.to_be_bytes());
    }
    ip::fit(&mut new)?;
    ip::sum(&mut new).then_some(new)
}

#[cfg(test)]
mod tests;
