//! Counts a probe's requests by time and latency, for a map that shows all of them: also the slow few that no
//! percentile shows. Seconds come in any order, and none of them is kept.

use firedrill_probe::{cells::Grid, seconds::Second};

use super::steps::Steps;

/// Bands of latency to a power of ten.
const BANDS: f64 = 6.0;
/// The first band begins here, as a power of ten in microseconds.
const FIRST: f64 = 1.0;
/// Number of bands: up to a thousand seconds.
const ALL: usize = 48;

/// The bands of one column, and its requests without a good answer.
type Column = ([u32; ALL], u32);

/// The counts.
#[derive(Clone, Debug)]
pub(crate) struct Heat {
    steps: Steps,
    columns: Vec<Column>,
}

impl Heat {
    /// Creates an empty map of at most `most` columns of whole seconds.
    pub(crate) fn new(from_us: i64, until_us: i64, most: usize) -> Self {
        let steps = Steps::new(from_us, until_us, most);
        Self { steps, columns: vec![([0; ALL], 0); steps.count()] }
    }

    /// Adds a second.
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

    /// Returns the first band with requests and the one after the last; `None` if there are no requests.
    pub(crate) fn range(&self) -> Option<(usize, usize)> {
        let used = |band: &usize| self.columns.iter().any(|(bands, _)| bands[*band] > 0);
        let first = (0..ALL).find(used)?;
        let last = (0..ALL).rev().find(used)?;
        Some((first, last + 1))
    }

    /// Whether any request had no good answer.
    pub(crate) fn any_bad(&self) -> bool {
        self.columns.iter().any(|(_, bad)| *bad > 0)
    }

    /// Returns how much of each column's requests is in a band, from 0 (none) to 5; `None` for those without a good
    /// answer.
    pub(crate) fn levels(&self, band: Option<usize>) -> impl Iterator<Item = u8> {
        self.columns.iter().map(move |(bands, bad)| {
            let all = bands.iter().fold(u64::from(*bad), |sum, one| sum.saturating_add(u64::from(*one)));
            let here = u64::from(band.map_or(*bad, |band| bands[band]));
            let share = here as f64 / all.max(1) as f64;
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

/// Returns the beginning of a band, as a power of ten in microseconds.
pub(crate) fn power(band: usize) -> f64 {
    FIRST + band as f64 / BANDS
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not below 0, and the cast saturates"
)]
fn band(us: u64) -> usize {
    ((((us.max(1) as f64).log10() - FIRST) * BANDS).max(0.0) as usize).min(ALL - 1)
}
