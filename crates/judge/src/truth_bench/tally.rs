//! Counts drills that were judged right and wrong, and compares them with the limits.

use std::fmt;

use firedrill_statistics::at_most;

/// Maximum shares of a cell (for `cover` the minimum).
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    cover: f64,
    wrong: f64,
    /// `None` if `check` does not call the size sufficient.
    undecided: Option<f64>,
    /// The median width of ranges, in the unit of the measurement.
    width: Option<f64>,
}

/// A single cell.
pub(super) const CELL: Limits = Limits { cover: 0.95, wrong: 0.025, undecided: None, width: None };
/// A cell whose size `check` calls sufficient for a system with half or twice the allowed failures.
pub(super) const LARGE: Limits = Limits { undecided: Some(0.15), ..CELL };
/// The mean of all cells.
pub(super) const MEAN: Limits = CELL;

impl Limits {
    pub(super) const fn width(self, most: f64) -> Self {
        Self { width: Some(most), ..self }
    }
}

/// The counts of some drills.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    drills: u64,
    covers: u64,
    /// Goals just beyond the truth that were judged held, and goals just within it that were judged violated.
    held: u64,
    violated: u64,
    /// Goals far from the truth, and those that were undecided or judged wrongly.
    far: u64,
    undecided: u64,
    far_wrong: u64,
    widths: Vec<f64>,
}

impl Tally {
    /// Adds a drill's range, and the verdicts on goals at the truth.
    pub(super) fn count(&mut self, covers: bool, false_held: bool, false_violated: bool) {
        self.drills += 1;
        self.covers += u64::from(covers);
        self.held += u64::from(false_held);
        self.violated += u64::from(false_violated);
    }

    /// Adds the width of a drill's range.
    pub(super) fn width(&mut self, width: f64) {
        self.widths.push(width);
    }

    fn median_width(&self) -> Option<f64> {
        let mut widths = self.widths.clone();
        widths.sort_by(f64::total_cmp);
        widths.get(widths.len() / 2).copied()
    }

    /// Adds a goal that is far from the truth; `right` is the correct verdict.
    pub(super) fn far(&mut self, said: crate::verdict::Verdict, right: crate::verdict::Verdict) {
        self.far += 1;
        self.undecided += u64::from(said == crate::verdict::Verdict::Unknown);
        self.far_wrong += u64::from(said != right && said != crate::verdict::Verdict::Unknown);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.drills += other.drills;
        self.covers += other.covers;
        self.held += other.held;
        self.violated += other.violated;
        self.far += other.far;
        self.undecided += other.undecided;
        self.far_wrong += other.far_wrong;
    }

    /// Returns a sentence for each limit that is exceeded by more than chance. At the limit itself that happens in 1
    /// of 740 runs, as with three standard deviations.
    pub(super) fn beyond(&self, limits: Limits) -> impl Iterator<Item = String> {
        const CHANCE: f64 = 0.00135;
        let per_cent = |count: u64, of: u64| count as f64 / of.max(1) as f64 * 100.0;
        let above = |what: &str, count: u64, of: u64, limit: f64| {
            let as_many = count.checked_sub(1).map_or(1.0, |fewer| 1.0 - at_most(fewer, of, limit));
            (as_many < CHANCE).then(|| format!("{what} {:.1} %", per_cent(count, of)))
        };
        let as_few = at_most(self.covers, self.drills, limits.cover);
        // The median of few drills varies.
        let slack = 1.0 + 1.0 / (self.drills.max(1) as f64).sqrt();
        [
            (as_few < CHANCE).then(|| format!("cover {:.1} %", per_cent(self.covers, self.drills))),
            above("false held", self.held, self.drills, limits.wrong),
            above("false violated", self.violated, self.drills, limits.wrong),
            limits.undecided.and_then(|limit| above("undecided", self.undecided, self.far, limit)),
            self.median_width()
                .zip(limits.width)
                .map(|(width, most)| (width, most * slack))
                .filter(|(width, most)| width > most)
                .map(|(width, most)| format!("ranges are {width:.2} wide, {most:.2} at most")),
            (self.far_wrong > self.far / 500).then(|| format!("{} wrong far from the limit", self.far_wrong)),
        ]
        .into_iter()
        .flatten()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |count: u64, of: u64| count as f64 / of.max(1) as f64 * 100.0;
        let undecided =
            if self.far == 0 { "—".to_owned() } else { format!("{:.1}", share(self.undecided, self.far)) };
        write!(
            f,
            "{:>6.1} {:>10.1} {:>14.1} {undecided:>10}",
            share(self.covers, self.drills),
            share(self.held, self.drills),
            share(self.violated, self.drills)
        )?;
        self.median_width().map_or(Ok(()), |width| write!(f, " {width:>8.2}"))
    }
}
