//! Bins that are still to be written, put together by probe, vantage and boot.

use std::{collections::HashMap, sync::Arc};

use firedrill_probe::{cells::Grid, requests::Pace, seconds::Stream};
use firedrill_wire::probe::Bin;

use super::Scales;

/// Bins that are still to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    streams: Vec<Stream>,
    /// The stream of each probe, vantage and boot.
    places: HashMap<(String, String, String), Place>,
    /// The newest number of each vantage.
    newest: HashMap<String, u64>,
    /// Number of bins.
    pub(super) bins: u64,
    /// The beginning of the earliest bin, in microseconds on the run's clock; 0 without bins.
    pub(super) from_us: i64,
    /// The end of the latest bin, likewise.
    pub(super) until_us: i64,
}

/// The stream to which bins of a probe at a vantage in a boot are added, and how to read them.
#[derive(Debug)]
struct Place {
    /// The index of the stream.
    stream: usize,
    grid: Arc<Grid>,
    pace: Option<Pace>,
}

impl Pending {
    /// Whether a bin comes from a prober that was restarted. Its numbers no longer tell which bins were read.
    pub(super) fn begins_anew(&self, vantage: &str, bin: &Bin) -> bool {
        self.newest.get(vantage).is_some_and(|newest| bin.seq <= *newest)
    }

    /// Takes a bin that began at `start_us` on the run's clock.
    pub(super) fn push(&mut self, scales: &Scales, vantage: &str, start_us: i64, bin: &Bin) {
        let key = (bin.probe.clone(), vantage.to_owned(), bin.boot_id.clone());
        let place = self.places.entry(key).or_insert_with_key(|(probe, vantage, boot_id)| {
            let grid = scales.grid(probe);
            self.streams.push(Stream {
                probe: probe.clone(),
                vantage: vantage.clone(),
                boot_id: boot_id.clone(),
                cuts: grid.cuts().to_vec(),
                ..Stream::default()
            });
            Place { stream: self.streams.len() - 1, grid, pace: scales.pace(probe, vantage) }
        });
        self.streams[place.stream].push(bin, start_us, &place.grid, place.pace);
        self.newest.insert(vantage.to_owned(), bin.seq);
        let until_us = start_us.saturating_add(i64::try_from(bin.length_us).unwrap_or(i64::MAX));
        (self.from_us, self.until_us) = match self.bins {
            0 => (start_us, until_us),
            _ => (self.from_us.min(start_us), self.until_us.max(until_us)),
        };
        self.bins += 1;
    }

    /// Returns the bins, by streams.
    pub(super) fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Returns the streams and removes them.
    pub(super) fn take(&mut self) -> Vec<Stream> {
        std::mem::take(self).streams
    }
}
