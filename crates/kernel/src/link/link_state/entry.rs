//! One entry that the kernel keeps for an interface: the message that makes it, its identity, and the way to make it again. Never removes an
//! entry.

use std::time::Duration;

use firedrill_netlink::{Attrs, NetlinkError, Request, Socket, find, flag};
use firedrill_probe::clock::boot_us;
use serde::{Deserialize, Serialize};

use super::hex;
use crate::link::ne32;

/// The lifetime of an address whose lifetime is unknown, in seconds: two hours, as in RFC 4862, 5.5.3.
const UNKNOWN_LIFE: u32 = 7200;
const FOR_EVER: u32 = u32::MAX;

/// Maximum time after the last address within which the kernel makes link-local addresses and the routes of addresses again by itself.
pub(super) const KERNEL: Duration = Duration::from_secs(3);
/// Maximum time within which a router that answers the kernel's solicitation brings its addresses and routes back.
pub(super) const ROUTER: Duration = Duration::from_secs(5);
pub(super) const PERMANENT: u32 = 0x80;
pub(super) const DEPRECATED: u32 = 0x20;
const LINK_SCOPE: u8 = 253;
/// The protocol (`rtm_protocol`) of a route that the kernel made.
const BY_KERNEL: u8 = 2;
/// The protocol of a route from a router's advertisement.
const BY_ROUTER: u8 = 9;
const LOCAL_TABLE: u8 = 255;
pub(super) const NEXTHOP_OBJECT: u16 = 30;
pub(super) const INET6: u8 = 10;

/// A class of entries that the kernel keeps for an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// An address.
    Address,
    /// A permanent neighbour, or a proxy entry.
    Neighbour,
    /// A route.
    Route,
}

impl Class {
    /// All classes, in the order in which they are restored.
    pub(super) const ALL: [Self; 3] = [Self::Address, Self::Neighbour, Self::Route];

    /// Returns the types of the messages that make and list entries of the class.
    pub(super) const fn messages(self) -> (u16, u16) {
        match self {
            Self::Address => (20, 22),
            Self::Neighbour => (28, 30),
            Self::Route => (24, 26),
        }
    }

    /// Returns the length of the messages' header in bytes.
    pub(super) const fn header(self) -> usize {
        match self {
            Self::Address => 8,
            Self::Neighbour | Self::Route => 12,
        }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// The entry's class.
    pub class: Class,
    /// The message that makes the entry, without netlink's own header.
    #[serde(with = "hex")]
    pub(super) body: Vec<u8>,
    /// For an entry that expires by itself (a leased address, a router's advertisement), the ends of its valid and its preferred lifetime, by
    /// [`boot_us`]. They are read when the interface goes down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ends_us: Option<(u64, u64)>,
}

/// The identity of an entry.
pub(super) type Key = (Class, Vec<u8>);

impl Entry {
    /// Whether the entry is one of these addresses, or the kernel's route from one of them.
    pub(super) fn is_of(&self, addresses: &[&Self]) -> bool {
        const FROM: u16 = 7;
        let from = if self.class == Class::Route { find(&self.body[12..], FROM) } else { None };
        let is_from = |address: &Self| from.is_some() && from == find(&address.body[8..], 2);
        addresses.iter().any(|address| *address == self || is_from(address))
    }

    /// Returns the identity of the entry.
    pub(super) fn key(&self) -> Key {
        let body = &self.body;
        let key = match self.class {
            // Flags are not a part of an address's identity, because the kernel sets some by itself.
            Class::Address => {
                let ends = [1, 2].map(|kind| find(&body[8..], kind).unwrap_or_default());
                [&body[..2], &body[4..8], ends[0], ends[1]].concat()
            }
            Class::Neighbour => [&body[..1], &body[4..8], find(&body[12..], 1).unwrap_or_default()].concat(),
            Class::Route => body.clone(),
        };
        (self.class, key)
    }

    /// Whether the kernel keeps the entry when the interface is down, as it does for an IPv4 address that is not leased.
    pub(super) fn stays(&self) -> bool {
        self.class == Class::Address && self.body[0] != INET6 && self.flags() & PERMANENT != 0
    }

    /// Whether the entry refers to a nexthop object, which the kernel also deletes when the interface goes down.
    pub(super) fn uses_object(&self) -> bool {
        self.class == Class::Route && find(&self.body[12..], NEXTHOP_OBJECT).is_some()
    }

    /// Whether the entry is a route marked as made by the kernel. Network managers make such routes, too.
    pub(super) fn is_of_kernel(&self) -> bool {
        self.class == Class::Route && self.body[5] == BY_KERNEL
    }

    /// Whether the entry is a route of the local table, in which the kernel keeps a route for each usable address.
    pub(super) fn is_local(&self) -> bool {
        self.class == Class::Route && self.body[4] == LOCAL_TABLE
    }

    /// Whether the entry has expired.
    pub(super) fn is_over(&self) -> bool {
        self.ends_us.is_some_and(|(valid, _)| valid <= boot_us())
    }

    fn flags(&self) -> u32 {
        let short = self.body.get(2).map_or(0, |flags| u32::from(*flags));
        find(&self.body[8..], 8).and_then(|flags| ne32(flags, 0)).unwrap_or(short)
    }

    /// Returns the time to wait for the kernel or a router to make the entry; zero if neither does.
    pub(super) fn patience(&self) -> Duration {
        match self.class {
            Class::Address if self.flags() & PERMANENT == 0 => ROUTER,
            Class::Address if self.body[3] == LINK_SCOPE && self.body[0] == INET6 => KERNEL,
            Class::Route if self.is_of_kernel() => KERNEL,
            Class::Route if self.body[5] == BY_ROUTER => ROUTER,
            _ => Duration::ZERO,
        }
    }

    /// Makes the entry. Succeeds if it exists already.
    pub(super) fn make(&self, socket: &mut Socket) -> Result<(), NetlinkError> {
        let seconds = |until: u64| {
            u32::try_from(until.saturating_sub(boot_us()) / 1_000_000).unwrap_or(FOR_EVER - 1).max(1)
        };
        let mut extra = Attrs::new();
        match self.class {
            Class::Address => {
                let flags = self.flags();
                let (valid, preferred) = match self.ends_us {
                    _ if flags & PERMANENT != 0 => {
                        (FOR_EVER, if flags & DEPRECATED == 0 { FOR_EVER } else { 0 })
                    }
                    Some((valid, preferred)) => {
                        (seconds(valid), if preferred <= boot_us() { 0 } else { seconds(preferred) })
                    }
                    None => (UNKNOWN_LIFE, UNKNOWN_LIFE / 2),
                };
                let life = [preferred, valid, 0, 0].map(u32::to_ne_bytes).concat();
                extra = extra.bytes(6, &life);
            }
            Class::Route => {
                if let Some((until, _)) = self.ends_us {
                    extra = extra.ne32(23, seconds(until));
                }
            }
            Class::Neighbour => {}
        }
        let body = extra.after(&self.body).unwrap_or_default();
        let what = format!("put back {}", self.describe());
        let mut ask = |flags| {
            let request = Request { kind: self.class.messages().0, flags: flag(flags), body: body.clone() };
            match socket.request(&what, &request) {
                Err(error) if error.errno() == Some(libc::EEXIST) => Ok(false),
                other => other.map(|()| true),
            }
        };
        let new = ask(libc::NLM_F_CREATE | libc::NLM_F_EXCL)?;
        // There may be another route to the same destination over another interface, as before. Then this one is added after it.
        if !new && self.class == Class::Route && self.body[0] != INET6 {
            ask(libc::NLM_F_CREATE | libc::NLM_F_APPEND)?;
        }
        Ok(())
    }

    /// Describes the entry for people.
    pub(super) fn describe(&self) -> String {
        let text = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
                (Ok(four), _) => std::net::Ipv4Addr::from(four).to_string(),
                (_, Ok(sixteen)) => std::net::Ipv6Addr::from(sixteen).to_string(),
                _ => "?".to_owned(),
            },
            None => "default".to_owned(),
        };
        let attrs = &self.body[self.class.header()..];
        match self.class {
            Class::Address => format!("address {}/{}", text(find(attrs, 2).or(find(attrs, 1))), self.body[1]),
            Class::Neighbour => format!("neighbour {}", text(find(attrs, 1))),
            Class::Route => {
                let table =
                    find(attrs, 15).and_then(|table| ne32(table, 0)).unwrap_or(u32::from(self.body[4]));
                format!("route {}/{} in table {table}", text(find(attrs, 1)), self.body[1])
            }
        }
    }
}
