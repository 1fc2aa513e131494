//! Counts drills that were judged right and wrong, and compares the counts with limits. It judges no drill itself.

use std::fmt;

use firedrill_statistics::at_most;

use crate::verdict::Verdict;

/// The limits of a cell, or of all cells together. Shares are from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Minimum share of drills whose range contains the truth.
    cover: f64,
    /// Maximum share of drills that are wrongly judged held, and of those that are wrongly judged violated.
    wrong: f64,
    /// Maximum share of goals far from the truth that stay undecided; `None` if `check` does not call the size sufficient.
    undecided: Option<f64>,
    /// Maximum of the median width of ranges, in the unit of the measurement.
    width: Option<f64>,
}

/// The limits of a single cell.
pub(super) const CELL: Limits = Limits { cover: 0.95, wrong: 0.025, undecided: None, width: None };
/// The limits of a cell whose size `check` calls sufficient for a system with half or twice the allowed failures.
pub(super) const LARGE: Limits = Limits { undecided: Some(0.15), ..CELL };
/// The limits of all cells together.
pub(super) const MEAN: Limits = CELL;

impl Limits {
    /// Adds the maximum of the median width.
    pub(super) const fn with_width(self, most: f64) -> Self {
        Self { width: Some(most), ..self }
    }
}

/// The counts of some drills.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    drills: u64,
    /// Number of drills whose range contains the truth.
    covers: u64,
    /// Number of goals at the truth, or just beyond it, that were judged held.
    false_held: u64,
    /// Number of goals at the truth, or just within it, that were judged violated.
    false_violated: u64,
    /// Number of goals that are far from the truth.
    far: u64,
    /// Number of those far goals that stayed undecided.
    far_undecided: u64,
    /// Number of those far goals that were judged wrongly.
    far_wrong: u64,
    /// The width of each drill's range.
    widths: Vec<f64>,
}

impl Tally {
    /// Adds a drill: whether its range contains the truth, and whether goals at the truth were judged wrongly.
    pub(super) fn count(&mut self, covers: bool, false_held: bool, false_violated: bool) {
        self.drills += 1;
        self.covers += u64::from(covers);
        self.false_held += u64::from(false_held);
        self.false_violated += u64::from(false_violated);
    }

    /// Adds the width of a drill's range, in the unit of the measurement.
    pub(super) fn count_width(&mut self, width: f64) {
        self.widths.push(width);
    }

    fn median_width(&self) -> Option<f64> {
        let mut widths = self.widths.clone();
        widths.sort_by(f64::total_cmp);
        widths.get(widths.len() / 2).copied()
    }

    /// Adds the verdict on a goal that is far from the truth; `right` is the correct verdict.
    pub(super) fn count_far(&mut self, verdict: Verdict, right: Verdict) {
        self.far += 1;
        self.far_undecided += u64::from(verdict == Verdict::Unknown);
        self.far_wrong += u64::from(verdict != right && verdict != Verdict::Unknown);
    }

    /// Adds the counts of another cell. Widths are left out, because those of different cells cannot be compared.
    pub(super) fn add(&mut self, other: &Self) {
        self.drills += other.drills;
        self.covers += other.covers;
        self.false_held += other.false_held;
        self.false_violated += other.false_violated;
        self.far += other.far;
        self.far_undecided += other.far_undecided;
        self.far_wrong += other.far_wrong;
    }

    /// Returns a text for each limit that is exceeded by more than chance explains. If the true share is exactly the limit, that
    /// happens once in 740 times, as with three standard deviations.
    pub(super) fn exceeded(&self, limits: Limits) -> impl Iterator<Item = String> {
        const CHANCE: f64 = 0.00135;
        let per_cent = |count: u64, of: u64| count as f64 / of.max(1) as f64 * 100.0;
        let above = |what: &str, count: u64, of: u64, limit: f64| {
            // The probability of this count or a higher one by chance, if the true share is the limit.
            let as_many = count.checked_sub(1).map_or(1.0, |fewer| 1.0 - at_most(fewer, of, limit));
            (as_many < CHANCE)
                .then(|| format!("{what} {:.1} %, the limit is {:.1} %", per_cent(count, of), limit * 100.0))
        };
        // The probability that chance gives so few, or fewer, if the true share is the limit.
        let as_few = at_most(self.covers, self.drills, limits.cover);
        let cover = || {
            format!(
                "cover {:.1} %, the least is {:.1} %",
                per_cent(self.covers, self.drills),
                limits.cover * 100.0
            )
        };
        // The fewer drills, the more their median varies.
        let slack = 1.0 + 1.0 / (self.drills.max(1) as f64).sqrt();
        [
            (as_few < CHANCE).then(cover),
            above("false held", self.false_held, self.drills, limits.wrong),
            above("false violated", self.false_violated, self.drills, limits.wrong),
            limits.undecided.and_then(|limit| above("undecided", self.far_undecided, self.far, limit)),
            self.median_width()
                .zip(limits.width)
                .map(|(width, most)| (width, most * slack))
                .filter(|(width, most)| width > most)
                .map(|(width, most)| {
                    format!("the median width of ranges is {width:.2}, the limit is {most:.2}")
                }),
            (self.far_wrong > self.far / 500).then(|| {
                format!("{} of {} goals far from the truth are judged wrongly", self.far_wrong, self.far)
            }),
        ]
        .into_iter()
        .flatten()
    }
}

/// Writes a row of the table: shares in per cent, and the median width.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_cent = |count: u64, of: u64| count as f64 / of.max(1) as f64 * 100.0;
        let undecided = match self.far {
            0 => "—".to_owned(),
            far => format!("{:.1}", per_cent(self.far_undecided, far)),
        };
        write!(
            f,
            "{:>6.1} {:>10.1} {:>14.1} {undecided:>10}",
            per_cent(self.covers, self.drills),
            per_cent(self.false_held, self.drills),
            per_cent(self.false_violated, self.drills)
        )?;
        self.median_width().map_or(Ok(()), |width| write!(f, " {width:>8.2}"))
    }
}
