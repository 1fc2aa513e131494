//! Installs netem and tbf on an ifb, and reads their counters. The layouts are those of linux/pkt_sched.h.
//!
//! Never changes the qdiscs of an interface that this tool has not made.

use std::collections::BTreeMap;

use firedrill_netlink::{Attrs, NetlinkError, Reason, Request, Socket, attr, find, flag};

use super::compose::{MOST_WAITING, Stage};
use firedrill_packets::impair::{self, Chance, Impair, Loss, Rate};

const NEW_QDISC: u16 = 36;
const GET_QDISC: u16 = 38;
const HEADER: usize = 20;
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const STATS: u16 = 7;
const ROOT: u32 = u32::MAX;
/// The handle of an ifb's first qdisc; the handles of the following qdiscs follow.
const FIRST: u32 = 0xfd00;
/// Maximum number of bytes that wait in a tbf.
const RATE_LIMIT: u32 = 64 << 20;
/// The length of the kernel's packet scheduler tick, in nanoseconds.
const TICK_NS: u128 = 64;

/// The counters of an ifb.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that left the ifb.
    pub passed: u64,
    /// Packets that were dropped, on purpose or because a queue was full.
    pub dropped: u64,
    /// Packets that are waiting in the ifb now.
    pub waiting: u64,
}

impl Counts {
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            dropped: self.dropped + other.dropped,
            waiting: self.waiting + other.waiting,
        }
    }

    /// Returns the number of all packets that were redirected to the ifb.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.passed + self.dropped + self.waiting
    }
}

/// Installs a chain of qdiscs on an ifb, in place of its existing qdiscs.
pub(super) fn install(name: &str, index: u32, stages: &[Stage]) -> Result<(), NetlinkError> {
    let mut socket = Socket::open(libc::NETLINK_ROUTE)?;
    for (handle, stage) in (FIRST..).zip(stages) {
        let (kind, options) = match stage {
            Stage::Netem(impair) => ("netem", netem(impair)),
            Stage::Tbf(rate) => ("tbf", tbf(rate)),
        };
        let what = format!("install {kind} on {name}");
        let parent = if handle == FIRST { ROOT } else { (handle - 1) << 16 | 1 };
        let body = options.and_then(|options| {
            Attrs::new().text(KIND, kind).bytes(OPTIONS, &options).after(&header(index, handle << 16, parent))
        });
        let body = body.ok_or_else(|| NetlinkError {
            what: what.clone(),
            reason: Reason::TooLong("the table of a distribution".to_owned()),
        })?;
        let flags = flag(libc::NLM_F_CREATE | libc::NLM_F_REPLACE);
        socket.request(&what, &Request { kind: NEW_QDISC, flags, body })?;
    }
    Ok(())
}

/// Makes the header of a request about a qdisc (`tcmsg`).
fn header(index: u32, handle: u32, parent: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&handle.to_ne_bytes());
    header[12..16].copy_from_slice(&parent.to_ne_bytes());
    header
}

/// Converts a share to netem's format, in which 2³² − 1 is all.
fn part(share: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share lies between 0 and 1"
    )]
    let part = (share * f64::from(u32::MAX)).round() as u32;
    part
}

/// Encodes numbers in the byte order of this machine.
fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// Makes the `TCA_OPTIONS` of netem: `tc_netem_qopt`, then attributes. `None` if an attribute is too long.
fn netem(impair: &Impair) -> Option<Vec<u8>> {
    let random = match impair.loss {
        Loss::Random(chance) => chance,
        Loss::None | Loss::GilbertElliott { .. } => Chance::default(),
    };
    let ticks = |time: std::time::Duration| u32::try_from(time.as_nanos() / TICK_NS).unwrap_or(u32::MAX);
    // netem reorders nothing if the gap is 0.
    let gap = if impair.reorder.chance.share > 0.0 { impair.reorder.gap.max(1) } else { 0 };
    let head = numbers(&[
        ticks(impair.delay),
        MOST_WAITING,
        part(random.share),
        gap,
        part(impair.duplicate.share),
        ticks(impair.jitter),
    ]);
    let correlations = [impair.delay_correlation, random.correlation, impair.duplicate.correlation];
    let chance = |chance: Chance| numbers(&[part(chance.share), part(chance.correlation)]);
    let nanoseconds =
        |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_ne_bytes();
    let mut attrs = Attrs::new()
        .bytes(1, &numbers(&correlations.map(part)))
        .bytes(3, &chance(impair.reorder.chance))
        .bytes(4, &chance(impair.corrupt))
        .bytes(10, &nanoseconds(impair.delay))
        .bytes(11, &nanoseconds(impair.jitter));
    if let Some(table) = impair::table_of(impair.distribution) {
        let table: Vec<u8> = table.iter().flat_map(|entry| entry.to_ne_bytes()).collect();
        attrs = attrs.bytes(2, &table);
    }
    if let Loss::GilbertElliott { to_bad, to_good, in_bad, in_good } = impair.loss {
        // The four numbers are p, r, 1-h and 1-k of the model; here the third is the share of packets that pass in the bad state.
        let model = numbers(&[to_bad, to_good, 1.0 - in_bad, in_good].map(part));
        attrs = attrs.nest(5, &Attrs::new().bytes(2, &model));
    }
    attrs.after(&head)
}

/// Makes the `TCA_OPTIONS` of tbf: `TCA_TBF_PARMS` (`tc_tbf_qopt`), and attributes for values that have no room there. `None` if an attribute
/// is too long.
fn tbf(rate: &Rate) -> Option<Vec<u8>> {
    // With the link layer Ethernet, the kernel needs no rate table.
    const ETHERNET: u8 = 1;
    // The rate is rounded up, because tbf treats a rate of 0 as nearly no limit.
    let bytes = rate.bits.div_ceil(8);
    let short = u32::try_from(bytes).unwrap_or(u32::MAX);
    let mut spec = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
    spec.extend(short.to_ne_bytes());
    let no_peak = [0; 12];
    let rest = numbers(&[RATE_LIMIT, 0, 0]);
    let mut attrs = Attrs::new().bytes(1, &[&spec[..], &no_peak, &rest].concat()).ne32(6, rate.burst);
    if bytes > u64::from(u32::MAX) {
        attrs = attrs.bytes(4, &bytes.to_ne_bytes());
    }
    attrs.after(&[])
}

/// Returns the counters of the first qdisc of each interface, by the interface's index.
pub(super) fn counts() -> Result<BTreeMap<u32, Counts>, NetlinkError> {
    let request = Request { kind: GET_QDISC, flags: 0, body: vec![0; HEADER] };
    let qdiscs = Socket::open(libc::NETLINK_ROUTE)?.dump("list qdiscs", &request)?;
    Ok(qdiscs.iter().filter_map(|qdisc| counted(&qdisc.body)).collect())
}

/// Returns the interface index and the counters of a qdisc; `None` if it is not the first one of its interface.
fn counted(body: &[u8]) -> Option<(u32, Counts)> {
    let (header, attrs) = body.split_at_checked(HEADER)?;
    let word = |bytes: &[u8], at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if word(header, 12)? != ROOT || attr::text(attrs, KIND).is_none() {
        return None;
    }
    let stats = find(attrs, STATS)?;
    // gnet_stats_basic has 8 bytes for the number of bytes, then 4 for the number of packets. Newer kernels repeat the number of packets in 8
    // bytes.
    let wide = find(stats, 8).and_then(|packets| Some(u64::from_ne_bytes(packets.try_into().ok()?)));
    let passed = match wide {
        Some(packets) => packets,
        None => u64::from(word(find(stats, 1)?, 8)?),
    };
    let queue = find(stats, 3)?;
    let counts = Counts { passed, waiting: u64::from(word(queue, 0)?), dropped: u64::from(word(queue, 8)?) };
    Some((word(header, 4)?, counts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn netem_gets_the_same_options_as_from_tc() {
        let impair = Impair {
            delay: Duration::from_millis(500),
            jitter: Duration::from_millis(100),
            loss: Loss::Random(Chance { share: 0.05, correlation: 0.25 }),
            ..Impair::default()
        };
        let options = netem(&impair).expect("short");
        let head: Vec<_> =
            options[..24].chunks(4).map(|four| u32::from_ne_bytes(four.try_into().expect("four"))).collect();
        assert_eq!(head, [7_812_500, MOST_WAITING, 214_748_365, 0, 0, 1_562_500]);
        assert_eq!(find(&options[24..], 10), Some(&500_000_000_u64.to_ne_bytes()[..]));
        assert_eq!(find(&options[24..], 1), Some(&numbers(&[0, 1_073_741_824, 0])[..]));
        assert_eq!(find(&options[24..], 2), None);
    }

    #[test]
    fn the_loss_model_and_the_reordering_are_in_netems_format() {
        let loss = Loss::GilbertElliott { to_bad: 0.1, to_good: 0.5, in_bad: 1.0, in_good: 0.0 };
        let mut impair = Impair { loss, ..Impair::default() };
        impair.reorder.chance.share = 0.25;
        let options = netem(&impair).expect("short");
        assert_eq!(&options[12..16], &1_u32.to_ne_bytes(), "without a gap, no packet overtakes another");
        let model = find(find(&options[24..], 5).expect("a loss model"), 2).expect("Gilbert-Elliott");
        assert_eq!(model, numbers(&[429_496_730, 2_147_483_648, 0, 0]));
    }
}
