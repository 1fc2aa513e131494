//! Counts a probe's requests by time and latency, for a map that shows all requests, also the few slow ones that no
//! percentile shows. Seconds may be added in any order; only the counts are kept.

use firedrill_probe::{cells::Grid, seconds::Second};

use super::steps::Steps;

/// Number of bands of latency for each power of ten.
const BANDS: f64 = 6.0;
/// Beginning of the first band, as a power of ten of a microsecond: 10 µs.
const FIRST: f64 = 1.0;
/// Number of bands: from 10 µs to a thousand seconds.
const COUNT: usize = 48;

/// The number of requests in each band of one column, and the number without a good answer.
type Column = ([u32; COUNT], u32);

/// The counts of one probe.
#[derive(Clone, Debug)]
pub(crate) struct Heat {
    steps: Steps,
    columns: Vec<Column>,
}

impl Heat {
    /// Creates an empty map of at most `most` columns between two moments. The width of a column is a whole number of seconds.
    pub(crate) fn new(from_us: i64, until_us: i64, most: usize) -> Self {
        let steps = Steps::new(from_us, until_us, most);
        Self { steps, columns: vec![([0; COUNT], 0); steps.count()] }
    }

    /// Adds a second. A second after the end of the map is ignored; a second before its beginning is in the first column.
    pub(crate) fn put(&mut self, second: &Second, grid: &Grid) {
        let place = self.steps.place(second.start_us).max(0);
        let Some((bands, bad)) = usize::try_from(place).ok().and_then(|place| self.columns.get_mut(place))
        else {
            return;
        };
        for cell in second.latencies.as_deref().unwrap_or_default() {
            let band = band(grid.end(*cell));
            bands[band] = bands[band].saturating_add(1);
        }
        *bad = bad.saturating_add(u32::try_from(second.bad).unwrap_or(u32::MAX));
    }

    /// Returns the duration of a column, in microseconds.
    pub(crate) const fn step_us(&self) -> i64 {
        self.steps.step_us
    }

    /// Returns the first band with requests and the band after the last; `None` if no request has a good answer.
    pub(crate) fn range(&self) -> Option<(usize, usize)> {
        let used = |band: &usize| self.columns.iter().any(|(bands, _)| bands[*band] > 0);
        let first = (0..COUNT).find(used)?;
        let last = (0..COUNT).rev().find(used)?;
        Some((first, last + 1))
    }

    /// Whether any request had no good answer.
    pub(crate) fn any_bad(&self) -> bool {
        self.columns.iter().any(|(_, bad)| *bad > 0)
    }

    /// Returns for each column the level of a band: 0 if none of the column's requests is in it, up to 5 if half of them or more are.
    /// The band `None` is that of requests without a good answer.
    pub(crate) fn levels(&self, band: Option<usize>) -> impl Iterator<Item = u8> {
        self.columns.iter().map(move |(bands, bad)| {
            let total =
                bands.iter().fold(u64::from(*bad), |sum, count| sum.saturating_add(u64::from(*count)));
            let here = u64::from(band.map_or(*bad, |band| bands[band]));
            let share = here as f64 / total.max(1) as f64;
            match share {
                _ if here == 0 => 0,
                0.0..0.02 => 1,
                0.02..0.1 => 2,
                0.1..0.25 => 3,
                0.25..0.5 => 4,
                _ => 5,
            }
        })
    }
}

/// Returns the beginning of a band, as a power of ten of a microsecond.
pub(crate) fn power(band: usize) -> f64 {
    FIRST + band as f64 / BANDS
}

/// Returns the band of a latency; latencies outside of all bands are in the first or last one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not below 0, and the cast saturates"
)]
fn band(us: u64) -> usize {
    ((((us.max(1) as f64).log10() - FIRST) * BANDS).max(0.0) as usize).min(COUNT - 1)
}
