//! The question, and what its answer says. Functions of bytes.

use std::{collections::BTreeSet, net::Ipv4Addr};

use firedrill_wire::probe::{DnsMatch, DnsRecord, Rcode};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, ResourceRecord, TYPE, rdata::RData};

use crate::outcome::Cause;

/// The length of the head of a message, in bytes.
const HEAD: usize = 12;
/// In the first byte of the flags: the message is an answer.
const REPLY: u8 = 0x80;
/// In the first byte of the flags: the message was cut.
const CUT: u8 = 2;
/// In the second byte of the flags: the code of the answer.
const CODE: u8 = 15;

/// A question.
pub(super) struct Question {
    /// The name, in lower case and without the last dot.
    pub(super) name: String,
    pub(super) record: DnsRecord,
}

/// Conditions for a good answer.
pub(super) struct Wanted {
    pub(super) rcode: Rcode,
    pub(super) expect: BTreeSet<String>,
    pub(super) matching: DnsMatch,
}

impl Question {
    fn kind(&self) -> TYPE {
        match self.record {
            DnsRecord::A => TYPE::A,
            DnsRecord::Aaaa => TYPE::AAAA,
            DnsRecord::Cname => TYPE::CNAME,
            DnsRecord::Mx => TYPE::MX,
            DnsRecord::Txt => TYPE::TXT,
            DnsRecord::Srv => TYPE::SRV,
            DnsRecord::Ns => TYPE::NS,
        }
    }

    /// Returns the bytes of the question, as stub resolvers ask it; `None` for a name that cannot be asked for, which was refused.
    pub(super) fn query(&self, id: u16) -> Option<Vec<u8>> {
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(&self.name).ok()?;
        let question = simple_dns::Question::new(name, self.kind().into(), CLASS::IN.into(), false);
        packet.questions.push(question);
        packet.build_bytes_vec().ok()
    }

    /// Whether bytes are an answer to this question with that id: whole or not, good or bad.
    pub(super) fn is_answered_by(&self, id: u16, bytes: &[u8]) -> bool {
        let Some(&[high, low, flags, code, many_high, many_low]) = bytes.first_chunk::<6>() else {
            return false;
        };
        if u16::from_be_bytes([high, low]) != id || flags & REPLY == 0 {
            return false;
        }
        // Servers may leave the question out of an answer that is an error.
        if (many_high, many_low) == (0, 0) {
            return code & CODE != 0;
        }
        question_of(bytes).is_some_and(|(name, kind)| name == self.name && kind == u16::from(self.kind()))
    }
}

/// Returns the name and the type of the question behind the head of a message. The question is of class IN.
fn question_of(bytes: &[u8]) -> Option<(String, u16)> {
    // A head of its own with one question and nothing else, since what follows may be cut.
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let mut alone = head.to_vec();
    alone.get_mut(4..HEAD)?.copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    alone.extend_from_slice(rest);
    let packet = Packet::parse(&alone).ok()?;
    let question = packet.questions.first().filter(|one| one.qclass == QCLASS::CLASS(CLASS::IN))?;
    let kind = match question.qtype {
        QTYPE::TYPE(kind) => u16::from(kind),
        _ => return None,
    };
    Some((plain(&question.qname), kind))
}

/// Whether an answer was cut to fit into a datagram.
pub(super) fn is_cut(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & CUT != 0)
}

impl Wanted {
    /// Judges an answer. The error says why it is bad.
    pub(super) fn judge(&self, question: &Question, answer: &[u8]) -> Result<(), Cause> {
        let code = answer.get(3).ok_or(Cause::Protocol)? & CODE;
        if code != self.rcode.number() {
            return Err(Cause::Rcode(code));
        }
        if self.rcode != Rcode::NoError {
            return Ok(());
        }
        let packet = Packet::parse(answer).map_err(|_| Cause::Protocol)?;
        let records: BTreeSet<String> =
            packet.answers.iter().filter_map(|one| text(one, question.record)).collect();
        if records.is_empty() {
            return Err(Cause::NoRecords);
        }
        let mut expected = self.expect.iter();
        let good = match self.matching {
            _ if self.expect.is_empty() => true,
            DnsMatch::All => expected.all(|one| records.contains(one)),
            DnsMatch::Any => expected.any(|one| records.contains(one)),
            DnsMatch::Exact => self.expect == records,
        };
        if good { Ok(()) } else { Err(Cause::Records) }
    }
}

/// Returns a record of that type in the form by which records are compared; `None` for other types, such as the names on the way.
fn text(record: &ResourceRecord<'_>, wanted: DnsRecord) -> Option<String> {
    if record.class != CLASS::IN {
        return None;
    }
    Some(match (&record.rdata, wanted) {
        (RData::A(one), DnsRecord::A) => Ipv4Addr::from(one.address).to_string(),
        (RData::AAAA(one), DnsRecord::Aaaa) => std::net::Ipv6Addr::from(one.address).to_string(),
        (RData::CNAME(one), DnsRecord::Cname) => plain(&one.0),
        (RData::NS(one), DnsRecord::Ns) => plain(&one.0),
        (RData::MX(one), DnsRecord::Mx) => format!("{} {}", one.preference, plain(&one.exchange)),
        (RData::SRV(one), DnsRecord::Srv) => {
            format!("{} {} {} {}", one.priority, one.weight, one.port, plain(&one.target))
        }
        // A text that is not UTF-8 is a record all the same, and equals no expected one.
        (RData::TXT(one), DnsRecord::Txt) => {
            String::try_from(one.clone()).unwrap_or_else(|_| "\u{fffd}".to_owned())
        }
        _ => return None,
    })
}

/// Returns a name in lower case.
fn plain(name: &Name<'_>) -> String {
    name.to_string().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
