//! What the kernel forgets when an interface goes down: routes, IPv6 addresses, permanent neighbours. Kept as messages that
//! put them back, without what changes by itself; and put back, whoever does it.
//!
//! Never adds what is there, gives the kernel time for what it makes again by itself, and leaves away what somebody else
//! removed.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use firedrill_probe::clock::boot_us;
use serde::{Deserialize, Serialize};

use super::{Link, ne32};
use crate::host::netlink::{Attrs, Message, NetlinkError, Request, Socket, attributes, find, flag};

/// So many things of one interface are put back at most.
pub const MOST: usize = 4096;
/// The kernel makes link-local addresses and the routes of addresses again by itself, within this time after the last
/// address.
const KERNEL: Duration = Duration::from_secs(3);
/// A router that answers the kernel's question brings its addresses and routes back within this time.
const ROUTER: Duration = Duration::from_secs(5);
/// What is not back then is an error; it is tried again, but then nothing is waited for that had its time.
const PATIENCE: Duration = Duration::from_secs(7);
const PATIENCE_AGAIN: Duration = Duration::from_millis(3500);
const PAUSE: Duration = Duration::from_millis(10);
/// What is left to an address of which that is not known, in seconds, as in RFC 4862, 5.5.3: two hours.
const UNKNOWN_LIFE: u32 = 7200;
const FOR_EVER: u32 = u32::MAX;

const PERMANENT: u32 = 0x80;
const TEMPORARY: u32 = 1;
/// A check for duplicates that goes on or has failed, and old age: the kernel sets these.
const OWN_FLAGS: u32 = 0x4c;
const DEPRECATED: u32 = 0x20;
const LINK_SCOPE: u8 = 253;
/// Who made a route: the kernel, a router's advertisement.
const BY_KERNEL: u8 = 2;
const BY_ROUTER: u8 = 9;
const LOCAL_TABLE: u8 = 255;
const CLONED: u32 = 0x200;
/// Of a next hop's flags those that somebody asked for: pervasive, on-link.
const ASKED: u32 = 6;
const NEXTHOP_OBJECT: u16 = 30;
const INET6: u8 = 10;

/// A class of things that the kernel keeps for an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// An address.
    Address,
    /// A permanent neighbour, or one that is answered for.
    Neighbour,
    /// A route.
    Route,
}

impl Class {
    /// In the order in which they are put back.
    const ALL: [Self; 3] = [Self::Address, Self::Neighbour, Self::Route];

    /// The message that makes one, and the one that lists them.
    const fn messages(self) -> (u16, u16) {
        match self {
            Self::Address => (20, 22),
            Self::Neighbour => (28, 30),
            Self::Route => (24, 26),
        }
    }

    const fn header(self) -> usize {
        match self {
            Self::Address => 8,
            Self::Neighbour | Self::Route => 12,
        }
    }
}

/// One thing that was there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Thing {
    /// What it is.
    pub class: Class,
    /// The message that makes it, without netlink's own header.
    #[serde(with = "hex")]
    body: Vec<u8>,
    /// It ends by itself (an address of a lease, what a router advertised): when, by the clock of [`boot_us`], for use and
    /// for new use. Known only from the moment at which the interface goes down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_us: Option<(u64, u64)>,
}

/// An interface before it went down, with what was made on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Was {
    /// Number, name, and whether it was up; the interface itself first.
    pub links: Vec<(u32, String, bool)>,
    /// What the kernel may forget.
    pub things: Vec<Thing>,
}

/// An interface cannot be put back.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// The kernel did not say what is there.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// There is something that cannot be made again from here.
    #[error("{0}")]
    Cannot(String),
}

impl Was {
    /// What is there now. `ends` also notes how long things live that end by themselves, which differs at every look.
    ///
    /// # Errors
    /// The kernel could not list it, or some of it could not be put back.
    pub fn now(links: &[Link], ends: bool) -> Result<Self, Unkept> {
        let mut things = Vec::new();
        for thing in listed(links)? {
            if thing.class == Class::Route && find(&thing.body[12..], NEXTHOP_OBJECT).is_some() {
                return Err(Unkept::Cannot(format!(
                    "{} uses a nexthop object, which the kernel deletes with the interface and which is not put back",
                    thing.describe()
                )));
            }
            things.push(if ends { thing } else { Thing { ends_us: None, ..thing } });
        }
        if things.len() > MOST {
            let message = format!(
                "it has {} addresses, routes and neighbours; {MOST} at most are put back",
                things.len()
            );
            return Err(Unkept::Cannot(message));
        }
        let links = links.iter().map(|link| (link.index, link.name.clone(), link.is_up())).collect();
        Ok(Self { links, things })
    }

    /// How many there are of a class.
    #[must_use]
    pub fn count(&self, class: Class) -> usize {
        self.things.iter().filter(|thing| thing.class == class).count()
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.links.first().map_or("", |(_, name, _)| name)
    }

    /// IPv4 addresses that are not there. They stay on an interface that is down, so somebody else removed them; those of a
    /// lease are a network manager's, which also brings them back.
    fn removed(&self, links: &[Link]) -> Result<Vec<&Thing>, NetlinkError> {
        let there: BTreeSet<Key> = listed(links)?.iter().map(Thing::key).collect();
        let stays = |thing: &&Thing| {
            thing.class == Class::Address && thing.body[0] != INET6 && thing.flags() & PERMANENT != 0
        };
        Ok(self.things.iter().filter(stays).filter(|thing| !there.contains(&thing.key())).collect())
    }

    /// Waits until all is there again, and makes what the kernel does not make; how many it were, and what somebody else
    /// removed meanwhile. `first`: they have been set up just now, so that the kernel has had no time yet.
    ///
    /// # Errors
    /// What is missing after some time, and why.
    pub fn put_back(&self, links: &[Link], first: bool) -> Result<(usize, Vec<String>), String> {
        let most = if first { PATIENCE } else { PATIENCE_AGAIN };
        let patience = |thing: &Thing| thing.patience().min(if first { ROUTER } else { KERNEL });
        // Since then all addresses have been there, from which the kernel makes its routes.
        let mut began = Instant::now();
        let mut made = BTreeSet::new();
        let gone = self.removed(links).map_err(|error| error.to_string())?;
        let mut why = String::new();
        loop {
            let there: BTreeSet<Key> =
                listed(links).map_err(|error| error.to_string())?.iter().map(Thing::key).collect();
            let missing: Vec<&Thing> = self
                .things
                .iter()
                .filter(|thing| !thing.is_over() && !thing.is_of(&gone) && !there.contains(&thing.key()))
                .collect();
            if missing.is_empty() {
                return Ok((made.len(), gone.iter().map(|thing| thing.describe()).collect()));
            }
            if began.elapsed() >= most {
                let names: Vec<String> = missing.iter().take(4).map(|thing| thing.describe()).collect();
                let more = if missing.len() > 4 {
                    format!(" and {} more", missing.len() - 4)
                } else {
                    String::new()
                };
                return Err(format!("missing after {most:?}: {}{more}{why}", names.join(", ")));
            }
            let mut socket = super::route_socket().map_err(|error| error.to_string())?;
            let incomplete = missing.iter().any(|thing| thing.class == Class::Address);
            let due = |thing: &&Thing| {
                began.elapsed() >= patience(thing)
                    && !(thing.is_of_kernel() && (incomplete || thing.is_local()))
            };
            let due: Vec<&Thing> = missing.into_iter().filter(due).collect();
            for thing in due {
                match thing.make(&mut socket) {
                    Ok(()) if made.insert(thing) && thing.class == Class::Address => began = Instant::now(),
                    Ok(()) => {}
                    // It came meanwhile, or it needs another one that comes later.
                    Err(error) => why = format!("; last error: {error}"),
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

/// What makes two things the same.
type Key = (Class, Vec<u8>);

impl Thing {
    /// Whether it is one of those addresses, or the kernel's route from one.
    fn is_of(&self, addresses: &[&Self]) -> bool {
        const FROM: u16 = 7;
        let from = if self.class == Class::Route { find(&self.body[12..], FROM) } else { None };
        let is_from = |one: &Self| from.is_some() && from == find(&one.body[8..], 2);
        addresses.iter().any(|one| *one == self || is_from(one))
    }

    fn key(&self) -> Key {
        let body = &self.body;
        let key = match self.class {
            // Flags are partly the kernel's own: an address is the same by what it is, and where.
            Class::Address => {
                let ends = [1, 2].map(|kind| find(&body[8..], kind).unwrap_or_default());
                [&body[..2], &body[4..8], ends[0], ends[1]].concat()
            }
            Class::Neighbour => [&body[..1], &body[4..8], find(&body[12..], 1).unwrap_or_default()].concat(),
            Class::Route => body.clone(),
        };
        (self.class, key)
    }

    /// Whether the kernel made it; programs that manage networks do so in its name too.
    fn is_of_kernel(&self) -> bool {
        self.class == Class::Route && self.body[5] == BY_KERNEL
    }

    /// Whether it is a route of the table that is the kernel's alone: one for each address, as soon as that is usable.
    fn is_local(&self) -> bool {
        self.class == Class::Route && self.body[4] == LOCAL_TABLE
    }

    fn is_over(&self) -> bool {
        self.ends_us.is_some_and(|(valid, _)| valid <= boot_us())
    }

    fn flags(&self) -> u32 {
        let short = self.body.get(2).map_or(0, |flags| u32::from(*flags));
        find(&self.body[8..], 8).and_then(|flags| ne32(flags, 0)).unwrap_or(short)
    }

    /// How long the kernel, or a router, is waited for.
    fn patience(&self) -> Duration {
        match self.class {
            Class::Address if self.flags() & PERMANENT == 0 => ROUTER,
            Class::Address if self.body[3] == LINK_SCOPE && self.body[0] == INET6 => KERNEL,
            Class::Route if self.is_of_kernel() => KERNEL,
            Class::Route if self.body[5] == BY_ROUTER => ROUTER,
            _ => Duration::ZERO,
        }
    }

    fn make(&self, socket: &mut Socket) -> Result<(), NetlinkError> {
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
        // There may be another one to the same destination, over another interface, as there was before.
        if !new && self.class == Class::Route && self.body[0] != INET6 {
            ask(libc::NLM_F_CREATE | libc::NLM_F_APPEND)?;
        }
        Ok(())
    }

    /// For people.
    fn describe(&self) -> String {
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

/// All things of some interfaces, as they can be made again.
fn listed(links: &[Link]) -> Result<Vec<Thing>, NetlinkError> {
    let indices: BTreeSet<u32> = links.iter().map(|link| link.index).collect();
    let mut socket = super::route_socket()?;
    let mut all = Vec::new();
    for class in Class::ALL {
        let request = Request { kind: class.messages().1, flags: 0, body: vec![0; class.header()] };
        let listed = socket.dump("list what an interface has", &request)?;
        all.extend(listed.iter().filter_map(|message| thing(class, message, &indices)));
    }
    Ok(all)
}

fn thing(class: Class, message: &Message, indices: &BTreeSet<u32>) -> Option<Thing> {
    let (header, attrs) = message.body.split_at_checked(class.header())?;
    match class {
        Class::Address => address(header, attrs, indices),
        Class::Neighbour => neighbour(header, attrs, indices),
        Class::Route => route(header, attrs, indices),
    }
}

/// The attributes of those kinds, as they are.
fn kept(attrs: &[u8], kinds: &[u16]) -> Attrs {
    attributes(attrs)
        .filter(|(kind, _)| kinds.contains(kind))
        .fold(Attrs::new(), |all, (kind, value)| all.bytes(kind, value))
}

fn ends(valid: u32, preferred: u32) -> (u64, u64) {
    let at = |seconds: u32| boot_us().saturating_add(u64::from(seconds) * 1_000_000);
    (at(valid), at(preferred))
}

fn address(header: &[u8], attrs: &[u8], indices: &BTreeSet<u32>) -> Option<Thing> {
    let flags = find(attrs, 8).and_then(|flags| ne32(flags, 0)).unwrap_or(u32::from(header[2]));
    // The kernel makes temporary addresses anew, and with another number.
    if !indices.contains(&ne32(header, 4)?) || (header[0] == INET6 && flags & TEMPORARY != 0) {
        return None;
    }
    let permanent = flags & PERMANENT != 0;
    let flags = flags & !OWN_FLAGS & if permanent { u32::MAX } else { !DEPRECATED };
    let mut header = header.to_vec();
    header[2] = flags.to_le_bytes()[0];
    let ends_us =
        find(attrs, 6).filter(|_| !permanent).and_then(|life| Some(ends(ne32(life, 4)?, ne32(life, 0)?)));
    let body = kept(attrs, &[1, 2, 3, 4, 9, 11]).ne32(8, flags).after(&header)?;
    Some(Thing { class: Class::Address, body, ends_us })
}

fn neighbour(header: &[u8], attrs: &[u8], indices: &BTreeSet<u32>) -> Option<Thing> {
    const ALWAYS: u16 = 0x80;
    const PROXY: u8 = 8;
    let state = u16::from_ne_bytes(*header.get(8..)?.first_chunk()?);
    let ours = indices.contains(&ne32(header, 4)?) && matches!(header[0], 2 | INET6);
    let stays = state & ALWAYS != 0 || header[10] & PROXY != 0;
    let body = kept(attrs, &[1, 2, 12]).after(header)?;
    (ours && stays).then_some(Thing { class: Class::Neighbour, body, ends_us: None })
}

fn route(header: &[u8], attrs: &[u8], indices: &BTreeSet<u32>) -> Option<Thing> {
    const KEPT: [u16; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 18, 19, 20, 21, 22, NEXTHOP_OBJECT];
    let over = |value: &[u8]| ne32(value, 0).is_some_and(|index| indices.contains(&index));
    let hops = find(attrs, 9).map(next_hops).unwrap_or_default();
    let ours = find(attrs, 4).is_some_and(over) || hops.iter().any(|hop| hop.get(4..).is_some_and(over));
    let flags = ne32(header, 8)?;
    // Routes of other families (MPLS, multicast) are told by their numbers.
    if !ours || flags & CLONED != 0 || !matches!(header[0], 2 | INET6) {
        return None;
    }
    let header = [&header[..8], &(flags & ASKED).to_ne_bytes()].concat();
    let mut body = kept(attrs, &KEPT);
    if !hops.is_empty() {
        body = body.bytes(9, &hops.concat());
    }
    // How long it lives stands among the kernel's own figures, in hundredths of a second.
    let expires = find(attrs, 12).and_then(|figures| ne32(figures, 8)).filter(|left| *left != 0);
    let left =
        expires.and_then(|left| i32::try_from(left).ok()).and_then(|left| u32::try_from(left / 100).ok());
    Some(Thing {
        class: Class::Route,
        body: body.after(&header)?,
        ends_us: left.map(|left| ends(left, left)),
    })
}

/// The next hops of a route with several, each without the flags that the kernel sets.
fn next_hops(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(length) = bytes.first_chunk().map(|length| usize::from(u16::from_ne_bytes(*length))) {
        let Some(hop) = bytes.get(..length).filter(|_| length >= 8) else { break };
        let mut hop = hop.to_vec();
        hop[2] &= ASKED.to_le_bytes()[0];
        hop.resize(length.next_multiple_of(4), 0);
        all.push(hop);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// Bytes as text, two digits each.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = pairs
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        // As long as the longest header, so that looking into it cannot fail.
        bytes.filter(|bytes| bytes.len() >= 12).ok_or_else(|| D::Error::custom("not a message in hex"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_changes_by_itself_is_no_part_of_a_thing() {
        let indices = BTreeSet::from([7]);
        let header = |flags: u8| [INET6, 64, flags, 0, 7, 0, 0, 0];
        let life = |valid: u32| [valid, valid, 1, 2].map(u32::to_ne_bytes).concat();
        let make = |flags: u32, valid: u32| {
            let attrs =
                Attrs::new().bytes(1, &[0xfd; 16]).bytes(6, &life(valid)).ne32(8, flags).after(&[]).unwrap();
            address(&header(0), &attrs, &indices).unwrap()
        };
        let (tentative, settled) = (make(0xc0, u32::MAX), make(0x80, u32::MAX));
        assert_eq!(tentative, settled);
        assert_eq!(settled.ends_us, None, "it does not end");
        let leased = make(0, 100);
        assert!(leased.ends_us.is_some_and(|(valid, _)| valid > boot_us()) && leased.patience() == ROUTER);
        assert_eq!(leased.key(), settled.key());
        let attrs = Attrs::new().bytes(1, &[0xfd; 16]).ne32(8, 1).after(&[]).unwrap();
        assert_eq!(address(&header(0), &attrs, &indices), None, "a temporary one");
        assert_eq!(address(&header(0), &attrs, &BTreeSet::from([8])), None, "of another interface");
    }

    #[test]
    fn hops_lose_what_the_kernel_says_of_them_and_the_rest_stays() {
        let hop = |flags: u8, index: u8| [8, 0, flags, 1, index, 0, 0, 0];
        let dead = [hop(0x15, 7), hop(0, 8)].concat();
        assert_eq!(next_hops(&dead), [hop(4, 7).to_vec(), hop(0, 8).to_vec()]);
        assert_eq!(next_hops(&[1, 0, 0]), Vec::<Vec<u8>>::new());
    }

    proptest! {
        #[test]
        fn a_journal_gives_back_what_it_was_given(body in proptest::collection::vec(any::<u8>(), 12..90), ends_us: Option<(u64, u64)>) {
            let thing = Thing { class: Class::Route, body, ends_us };
            let text = serde_json::to_string(&thing).unwrap();
            prop_assert_eq!(serde_json::from_str::<Thing>(&text).unwrap(), thing);
        }

        #[test]
        fn garbage_never_panics(body in proptest::collection::vec(any::<u8>(), 0..120)) {
            let indices: BTreeSet<u32> = (0..=u32::from(u8::MAX)).collect();
            for class in Class::ALL {
                if let Some(thing) = thing(class, &Message { kind: 0, body: body.clone() }, &indices) {
                    let _ = (thing.key(), thing.describe(), thing.patience(), thing.flags());
                }
            }
            let _ = next_hops(&body);
        }
    }
}
