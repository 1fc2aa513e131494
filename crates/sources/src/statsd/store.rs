//! The data of a listener: its questions, the senders of their metrics, the packets that were lost, and counts of all that arrived. Only
//! data that a question needs are kept, so the questions bound the memory.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
};

use super::{
    alive::Stream,
    line::{Line, Malformed, line},
    query::Query,
    track::{Known, SENDERS, Track},
};
use crate::{
    excerpt::excerpt,
    points::{Behind, Point},
};

/// Maximum number of periods with dropped packets that are kept apart.
const DROPS: usize = 1_000;
/// Number of names that are kept for messages.
const NAMES: usize = 200;

/// The data of a listener. Times are microseconds of the listener's clock.
pub(super) struct Store {
    tracks: Vec<Track>,
    /// The indexes of the questions in `tracks`, by the names of the metrics that they need.
    by_name: HashMap<String, Vec<usize>>,
    senders: HashMap<SocketAddr, Stream>,
    /// Periods in which packets were dropped, each with their number, in order.
    drops: VecDeque<(i64, i64, u64)>,
    /// The longest silence of a sender that counts as alive.
    within_us: i64,
    /// Whether a sign before a gauge's value means a change.
    changes: bool,
    /// The time at which the listener began.
    began_us: i64,
    /// All packets that arrived up to this time were read.
    read_us: i64,
    counts: Counts,
    /// Names of metrics that no question is about, for messages.
    names: BTreeSet<String>,
}

/// Counts of all packets and lines that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that were read.
    pub packets: u64,
    /// Metrics in them.
    pub metrics: u64,
    /// Events and service checks of DogStatsD, which are skipped.
    pub skipped: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The first line that could not be read, without texts that may be secrets; `None` if there is none.
    pub first_malformed: Option<String>,
    /// Packets that the kernel dropped before they were read.
    pub dropped: u64,
    /// Packets that could not be passed on.
    pub not_forwarded: u64,
}

impl Store {
    /// Returns a store without data. `changes` says whether a sign before a gauge's value means a change.
    pub(super) fn new(queries: Vec<Query>, within_us: i64, changes: bool, began_us: i64) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, query) in queries.iter().enumerate() {
            let alive_by = query.alive_by.as_ref().map(|selector| &selector.name);
            for name in std::iter::once(&query.of.name).chain(alive_by) {
                let indexes = by_name.entry(name.clone()).or_default();
                if !indexes.contains(&index) {
                    indexes.push(index);
                }
            }
        }
        Self {
            tracks: queries.into_iter().map(Track::new).collect(),
            by_name,
            senders: HashMap::new(),
            drops: VecDeque::new(),
            within_us,
            changes,
            began_us,
            read_us: began_us,
            counts: Counts::default(),
            names: BTreeSet::new(),
        }
    }

    /// Takes a packet.
    pub(super) fn packet(&mut self, at_us: i64, from: SocketAddr, bytes: &[u8]) {
        self.counts.packets += 1;
        if let Some(sender) = self.senders.get_mut(&from) {
            sender.heard(at_us, self.within_us);
        }
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(bytes) = lines.next() {
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if !bytes.is_empty() {
                self.line(at_us, from, bytes, lines.peek().is_none());
            }
        }
    }

    /// Takes a line. `ends` says whether the line is the last one of its packet.
    fn line(&mut self, at_us: i64, from: SocketAddr, bytes: &[u8], ends: bool) {
        let metric = match line(bytes) {
            Ok(Line::Metric(metric)) => metric,
            Ok(Line::Skipped) => return self.counts.skipped += 1,
            Err(malformed) => return self.malformed(at_us, bytes, malformed, ends),
        };
        self.counts.metrics += 1;
        let Some(indexes) = self.by_name.get(metric.name) else {
            if self.names.len() < NAMES && !self.names.contains(metric.name) {
                self.names.insert(metric.name.to_owned());
            }
            return;
        };
        let mut follows = false;
        for index in indexes {
            let Some(track) = self.tracks.get_mut(*index) else { continue };
            follows |= track.take(&metric, (at_us, self.within_us), from, self.changes);
        }
        if follows && !self.senders.contains_key(&from) {
            self.follow(at_us, from);
        }
    }

    /// Takes a line that cannot be read. A sender may cut a packet at its maximum size. So a last line without a colon may be the
    /// beginning of any name that begins so.
    fn malformed(&mut self, at_us: i64, bytes: &[u8], malformed: Malformed<'_>, ends: bool) {
        self.counts.malformed += 1;
        let shown = || firedrill_wire::hide::line(&excerpt(&String::from_utf8_lossy(bytes)));
        self.counts.first_malformed.get_or_insert_with(shown);
        let cut = ends && !bytes.contains(&b':');
        for track in &mut self.tracks {
            let name = track.query.of.name.as_str();
            let is_own = malformed.name == Some(name) || cut && name.as_bytes().starts_with(bytes);
            if is_own {
                track.unreadable(at_us);
            }
        }
    }

    /// Follows a sender. If there are too many, the one that has been silent for the longest time is removed.
    fn follow(&mut self, at_us: i64, from: SocketAddr) {
        if self.senders.len() >= SENDERS {
            let oldest =
                self.senders.iter().min_by_key(|(_, stream)| stream.last_us()).map(|(from, _)| *from);
            if let Some(oldest) = oldest {
                self.senders.remove(&oldest);
                self.tracks.iter_mut().for_each(|track| track.forget(&oldest));
            }
        }
        self.senders.insert(from, Stream::new(at_us));
    }

    /// Records that packets were dropped between two moments.
    pub(super) fn dropped(&mut self, from_us: i64, until_us: i64, packets: u64) {
        self.counts.dropped = self.counts.dropped.saturating_add(packets);
        if self.drops.len() >= DROPS
            && let Some((oldest_from_us, _, oldest_packets)) = self.drops.pop_front()
            && let Some((next_from_us, _, next_packets)) = self.drops.front_mut()
        {
            // The two oldest periods become one, from the beginning of the first to the end of the second.
            *next_from_us = (*next_from_us).min(oldest_from_us);
            *next_packets = next_packets.saturating_add(oldest_packets);
        }
        self.drops.push_back((from_us, until_us, packets));
        self.tracks.iter_mut().for_each(|track| track.dropped(from_us, until_us, packets));
    }

    /// Records that all packets that arrived up to a moment were read.
    pub(super) fn read_until(&mut self, us: i64) {
        self.read_us = self.read_us.max(us);
    }

    /// Records that a packet could not be passed on.
    pub(super) fn not_forwarded(&mut self) {
        self.counts.not_forwarded += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Returns the points of a question at the given moments. Leaves out moments without a value.
    pub(super) fn points(
        &mut self,
        query: &str,
        moments: impl Iterator<Item = i64>,
    ) -> Result<Vec<Point>, String> {
        let (index, read_us) = (self.index(query)?, self.read_us);
        self.tracks[index].advance(read_us);
        let dropped = |from_us: i64, until_us: i64| dropped(&self.drops, from_us, until_us);
        let known = self.known(&dropped);
        Ok(moments.filter_map(|at_us| self.tracks[index].point(at_us, known)).collect())
    }

    /// Returns the data behind questions at the given moments. `queries` has a question on each line.
    pub(super) fn behind(
        &mut self,
        queries: &str,
        moments: impl Iterator<Item = i64>,
    ) -> Result<Vec<Behind>, String> {
        let indexes: Vec<usize> = queries.lines().map(|query| self.index(query)).collect::<Result<_, _>>()?;
        let read_us = self.read_us;
        indexes.iter().for_each(|index| self.tracks[*index].advance(read_us));
        let dropped = |from_us: i64, until_us: i64| dropped(&self.drops, from_us, until_us);
        let known = self.known(&dropped);
        let behind = |at_us: i64| {
            let (ages, series): (Vec<_>, Vec<_>) =
                indexes.iter().map(|index| self.tracks[*index].behind(at_us, known)).unzip();
            // If a question has no data, its age is not known, so the highest age is not known either.
            let ages = ages.into_iter().collect::<Option<Vec<f64>>>();
            Behind { at_us, age: ages.and_then(|ages| ages.into_iter().reduce(f64::max)), series }
        };
        Ok(moments.map(behind).collect())
    }

    /// Returns the reason why a question has no value, in words; `None` if a packet answered it.
    pub(super) fn missing(&self, query: &str) -> Option<String> {
        let missing = self.tracks[self.index(query).ok()?].missing()?;
        let Counts { packets, .. } = self.counts;
        if packets == 0 {
            return Some(format!("{missing}; no packet arrived"));
        }
        let names: Vec<String> = self.names.iter().take(5).map(|name| excerpt(name)).collect();
        let more = if self.names.len() > names.len() { ", …" } else { "" };
        let s = if packets == 1 { "" } else { "s" };
        Some(if names.is_empty() {
            format!("{missing}; {packets} packet{s} arrived")
        } else {
            format!("{missing}; {packets} packet{s} arrived, with {}{more}", names.join(", "))
        })
    }

    /// Returns the index of a question in `tracks`.
    fn index(&self, query: &str) -> Result<usize, String> {
        let index = self.tracks.iter().position(|track| track.query.to_string() == query);
        index.ok_or_else(|| format!("nobody listens for {query}"))
    }

    /// Returns the store's data that a track needs.
    fn known<'s>(&'s self, dropped: &'s dyn Fn(i64, i64) -> u64) -> Known<'s> {
        let Self { senders, began_us, read_us, within_us, .. } = self;
        Known { senders, began_us: *began_us, read_us: *read_us, within_us: *within_us, dropped }
    }
}

/// Returns the number of packets that were dropped in periods that overlap the time between two moments.
fn dropped(drops: &VecDeque<(i64, i64, u64)>, from_us: i64, until_us: i64) -> u64 {
    let touching = drops.iter().rev().take_while(|(_, until, _)| *until >= from_us);
    touching.filter(|(from, ..)| *from <= until_us).map(|(_, _, packets)| packets).sum()
}

#[cfg(test)]
mod tests;
