//! The messages of nfnetlink_queue: configuration, packets, and verdicts. Encodes and parses only.

use firedrill_netlink::{Attrs, Request, attributes, flag};

// Numbers of linux/netfilter/nfnetlink_queue.h. First the subsystem of queues, and the messages in it.
const SUBSYSTEM: u8 = 3;
const PACKET: u8 = 0;
const VERDICT: u8 = 1;
const CONFIG: u8 = 2;
const VERDICT_BATCH: u8 = 3;

// Attributes of a configuration (`NFQA_CFG_…`).
const COMMAND: u16 = 1;
const COPYING: u16 = 2;
const MAX_LENGTH: u16 = 3;
const FLAG_MASK: u16 = 4;
const FLAGS: u16 = 5;

// Commands of a configuration.
const BIND: u8 = 1;
const UNBIND: u8 = 2;
/// Maximum length of a packet. Packets are copied completely, and their attribute cannot be longer.
const WHOLE: u32 = 65_531;
/// The mode in which the bytes of packets are copied (`NFQNL_COPY_PACKET`).
const COPY_PACKET: u8 = 2;
/// The flag with which packets pass if the queue is full (`NFQA_CFG_F_FAIL_OPEN`).
const PASS_WHEN_FULL: u32 = 1;
/// The flag with which frames arrive whole that would otherwise be segmented first (`NFQA_CFG_F_GSO`).
const UNSEGMENTED: u32 = 4;

// Attributes of packets and verdicts (`NFQA_…`).
const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const MARK: u16 = 3;
const OUT_INTERFACE: u16 = 6;
const PAYLOAD: u16 = 10;
const INFO: u16 = 14;
/// The flag of `INFO`: the transport checksum has yet to be computed.
const INFO_UNSUMMED: u32 = 1;
/// The flag of `INFO`: the frame has yet to be segmented.
const INFO_UNSEGMENTED: u32 = 2;

/// The length of the attribute with a verdict, in bytes: length and kind, the verdict, and the packet's id.
const VERDICT_ATTRIBUTE: u16 = 12;
/// The length of a verdict without payload, in bytes: netlink's header, the queue's header, and the attribute.
const VERDICT_LENGTH: usize = 16 + 4 + VERDICT_ATTRIBUTE as usize;

/// The hook of packets that this host sends.
pub(super) const LOCAL_OUT: u8 = 3;

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Verdict {
    Drop = 0,
    Accept = 1,
}

/// A queued packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// Its id for verdicts; later packets have greater ids, up to an overflow.
    pub(super) id: u32,
    /// Its hook.
    pub(super) hook: u8,
    /// Its mark.
    pub(super) mark: u32,
    /// The index of its output interface; 0 if there is none.
    pub(super) out: u32,
    /// Whether its transport checksum has yet to be computed.
    pub(super) unsummed: bool,
    /// Whether it has yet to be segmented.
    pub(super) unsegmented: bool,
    /// Its bytes from the IP header on.
    pub(super) bytes: &'a [u8],
}

/// Returns the netlink type of a message of this subsystem.
const fn kind(message: u8) -> u16 {
    u16::from_be_bytes([SUBSYSTEM, message])
}

/// Returns the header after netlink's own: any family, version 0, the queue's number.
fn header(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [0, 0, high, low]
}

/// Encodes a request that configures a queue.
fn config(number: u16, attrs: &Attrs) -> Request {
    // All of these attributes are short.
    let body = attrs.after(&header(number)).unwrap_or_default();
    Request { kind: kind(CONFIG), flags: flag(libc::NLM_F_ACK), body }
}

/// For [`segmentation`]: frames are segmented before they arrive.
const SEGMENTED: bool = false;

/// Encodes whether frames arrive unsegmented.
fn segmentation(unsegmented: bool) -> Attrs {
    Attrs::new().be32(FLAG_MASK, UNSEGMENTED).be32(FLAGS, if unsegmented { UNSEGMENTED } else { 0 })
}

/// Encodes the creation of a queue for this many packets in one message, so that no packet meets a half-made queue.
pub(super) fn bind(number: u16, most: u32, unsegmented: bool) -> Request {
    let [a, b, c, d] = WHOLE.to_be_bytes();
    let mut attrs = Attrs::new()
        .bytes(COMMAND, &[BIND, 0, 0, 0])
        .bytes(COPYING, &[a, b, c, d, COPY_PACKET])
        .be32(MAX_LENGTH, most);
    attrs.extend(&segmentation(unsegmented));
    config(number, &attrs)
}

/// Encodes the request after which frames arrive segmented.
pub(super) fn segment(number: u16) -> Request {
    config(number, &segmentation(SEGMENTED))
}

/// Encodes the requests after which new packets pass as if there were no queue; packets that are held stay held. These are two
/// messages: with a single one the kernel would set the maximum length before the flag, and drop packets in between.
pub(super) fn pass_by(number: u16) -> [Request; 2] {
    let when_full = Attrs::new().be32(FLAG_MASK, PASS_WHEN_FULL).be32(FLAGS, PASS_WHEN_FULL);
    [when_full, Attrs::new().be32(MAX_LENGTH, 0)].map(|attrs| config(number, &attrs))
}

/// Encodes the end of a queue; packets that it holds are dropped.
pub(super) fn unbind(number: u16) -> Request {
    config(number, &Attrs::new().bytes(COMMAND, &[UNBIND, 0, 0, 0]))
}

/// Parses a message; `None` if it is not a packet.
pub(super) fn packet(message: u16, body: &[u8]) -> Option<Packet<'_>> {
    if message != kind(PACKET) {
        return None;
    }
    let mut packet =
        Packet { id: 0, hook: 0, mark: 0, out: 0, unsummed: false, unsegmented: false, bytes: &[] };
    let number = |value: &[u8]| value.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let mut has_id = false;
    for (kind, value) in attributes(body.get(4..)?) {
        match kind {
            PACKET_HEADER => {
                (packet.id, packet.hook) = (number(value), *value.get(6)?);
                has_id = true;
            }
            MARK => packet.mark = number(value),
            OUT_INTERFACE => packet.out = number(value),
            PAYLOAD => packet.bytes = value,
            INFO => {
                let info = number(value);
                packet.unsummed = info & INFO_UNSUMMED != 0;
                packet.unsegmented = info & INFO_UNSEGMENTED != 0;
            }
            _ => {}
        }
    }
    has_id.then_some(packet)
}

/// Parses the kernel's answer to a request: 0 or an errno. `None` if the message is not an answer.
pub(super) fn answer(message: u16, body: &[u8]) -> Option<i32> {
    (libc::c_int::from(message) == libc::NLMSG_ERROR)
        .then(|| body.first_chunk().map_or(libc::EIO, |code| i32::from_ne_bytes(*code).saturating_neg()))
}

/// Verdicts, many in one datagram.
#[derive(Debug)]
pub(super) struct Verdicts {
    number: u16,
    bytes: Vec<u8>,
}

impl Verdicts {
    pub(super) fn new(number: u16) -> Self {
        Self { number, bytes: Vec::new() }
    }

    /// Adds a message; the packet continues with `payload` instead of its own bytes, unless that is empty.
    fn add(&mut self, message: u8, verdict: Verdict, id: u32, payload: &[u8]) {
        let begin = self.bytes.len();
        let padded = if payload.is_empty() { 0 } else { 4 + payload.len().next_multiple_of(4) };
        let length = u32::try_from(VERDICT_LENGTH + padded).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind(message).to_ne_bytes());
        self.bytes.extend(flag(libc::NLM_F_REQUEST).to_ne_bytes());
        // No sequence number and no port, because no answer is wanted.
        self.bytes.extend([0; 8]);
        self.bytes.extend(header(self.number));
        self.bytes.extend(VERDICT_ATTRIBUTE.to_ne_bytes());
        self.bytes.extend(VERDICT_HEADER.to_ne_bytes());
        self.bytes.extend((verdict as u32).to_be_bytes());
        self.bytes.extend(id.to_be_bytes());
        if !payload.is_empty() {
            // The bytes came in an attribute, so they fit into one.
            self.bytes.extend(u16::try_from(4 + payload.len()).unwrap_or(u16::MAX).to_ne_bytes());
            self.bytes.extend(PAYLOAD.to_ne_bytes());
            self.bytes.extend(payload);
            self.bytes.resize(begin + VERDICT_LENGTH + padded, 0);
        }
    }

    /// Adds a verdict on one packet.
    pub(super) fn one(&mut self, verdict: Verdict, id: u32) {
        self.add(VERDICT, verdict, id, &[]);
    }

    /// Adds a verdict on one packet that continues with other bytes.
    pub(super) fn changed(&mut self, id: u32, bytes: &[u8]) {
        self.add(VERDICT, Verdict::Accept, id, bytes);
    }

    /// Adds a verdict by which all held packets up to and including this one continue.
    pub(super) fn up_to(&mut self, id: u32) {
        self.add(VERDICT_BATCH, Verdict::Accept, id, &[]);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Returns the number of packets that a queue could not take, because it was full or they were not received in time.
/// Parses `/proc/net/netfilter/nfnetlink_queue`.
pub(super) fn dropped(text: &str, number: u16) -> u64 {
    let lines = text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields.first().and_then(|field| field.parse().ok()) == Some(number))
        // The columns of packets that met a full queue, and of those that no receiver took in time.
        .flat_map(|fields| [5, 6].map(|column| fields.get(column).and_then(|field| field.parse().ok())))
        .flatten()
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_netlink::{find, messages};
    use proptest::prelude::*;

    fn queued(payload: &[u8]) -> Vec<u8> {
        Attrs::new()
            .bytes(PACKET_HEADER, &[0, 0, 1, 2, 8, 0, LOCAL_OUT])
            .be32(MARK, 9)
            .be32(OUT_INTERFACE, 4)
            .be32(INFO, INFO_UNSUMMED | INFO_UNSEGMENTED)
            .bytes(PAYLOAD, payload)
            .after(&header(5))
            .unwrap()
    }

    #[test]
    fn a_packet_is_read_whole() {
        let body = queued(b"hello");
        let wanted = Packet {
            id: 258,
            hook: LOCAL_OUT,
            mark: 9,
            out: 4,
            unsummed: true,
            unsegmented: true,
            bytes: b"hello",
        };
        assert_eq!(packet(kind(PACKET), &body), Some(wanted));
        assert_eq!(packet(kind(VERDICT), &body), None);
        // Without an id no verdict can be given on a packet.
        assert_eq!(packet(kind(PACKET), &[0, 0, 0, 5]), None);
    }

    #[test]
    fn verdicts_follow_each_other_in_one_datagram() {
        let mut verdicts = Verdicts::new(0xfd03);
        verdicts.one(Verdict::Drop, 7);
        verdicts.changed(8, b"other");
        verdicts.up_to(11);
        let read: Vec<_> = messages(verdicts.bytes())
            .map(|part| {
                assert_eq!(part.body[..4], [0, 0, 0xfd, 3]);
                let attrs = &part.body[4..];
                let [a, b, c, d, e, f, g, h] = find(attrs, VERDICT_HEADER).unwrap().try_into().unwrap();
                let payload = find(attrs, PAYLOAD).map(<[u8]>::to_vec);
                (part.kind, u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]), payload)
            })
            .collect();
        let wanted = [
            (kind(VERDICT), 0, 7, None),
            (kind(VERDICT), 1, 8, Some(b"other".to_vec())),
            (kind(VERDICT_BATCH), 1, 11, None),
        ];
        assert_eq!(read, wanted);
    }

    #[test]
    fn packets_that_the_kernel_dropped_are_counted_for_one_queue() {
        let text = "    3   4711     0 2 65531     0     0      100  1\n64769   4712     5 2 65531     7    11  2000  1\n";
        assert_eq!((dropped(text, 64769), dropped(text, 3), dropped(text, 9)), (18, 0, 0));
        assert_eq!(dropped("64769 x", 64769), 0);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(message: u16, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = packet(kind(PACKET), &bytes);
            let _ = answer(message, &bytes);
        }
    }
}
