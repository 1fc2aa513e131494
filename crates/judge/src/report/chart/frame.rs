//! The frame of a chart: its measures in pixels of the SVG, its scale of latencies, and its horizontal rules.

use std::fmt::Write as _;

use serde::Serialize;

use super::{super::columns::Dot, text::escape};

/// Width of a chart.
pub(super) const WIDTH: f64 = 860.0;
/// Width left of the panels, for the labels of the vertical axes.
pub(super) const LEFT: f64 = 58.0;
/// Width right of the panels.
pub(super) const RIGHT: f64 = 12.0;
/// Height above the panel of shares, for the legend and the labels of the bands.
pub(super) const TOP: f64 = 52.0;
/// Height of the panel of shares.
pub(super) const SHARE: f64 = 120.0;
/// Height between the two panels.
pub(super) const BETWEEN: f64 = 26.0;
/// Height of the panel of latencies.
pub(super) const LATENCY: f64 = 96.0;
/// Height below the lowest panel, for the labels of the time axis.
pub(super) const BELOW: f64 = 24.0;
/// Height of one row of labels of marks.
pub(super) const MARK_ROW: f64 = 15.0;
/// Width of one letter of a label, on average.
pub(super) const LETTER: f64 = 6.4;
/// Height above the panel of a metric.
pub(super) const METRIC_TOP: f64 = 42.0;
/// Height of the panel of a metric.
pub(super) const METRIC: f64 = 96.0;

/// The measures of charts, for the page's script.
#[derive(Debug, Serialize)]
pub(crate) struct Frame {
    left: f64,
    right: f64,
    width: f64,
    top: f64,
    share: f64,
    between: f64,
    latency: f64,
    metric_top: f64,
    metric: f64,
}

/// The measures of all charts.
pub(crate) const FRAME: Frame = Frame {
    left: LEFT,
    right: WIDTH - RIGHT,
    width: WIDTH,
    top: TOP,
    share: SHARE,
    between: BETWEEN,
    latency: LATENCY,
    metric_top: METRIC_TOP,
    metric: METRIC,
};

/// The time axis of a chart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// The time at which the axis shows zero.
    pub(crate) zero_us: i64,
}

impl Span {
    /// Returns the horizontal position of a moment; a moment outside of the axis is at its nearer end.
    pub(super) fn x(&self, us: i64) -> f64 {
        let span = self.until_us.saturating_sub(self.from_us).max(1) as f64;
        let part = us.saturating_sub(self.from_us) as f64 / span;
        LEFT + (WIDTH - LEFT - RIGHT) * part.clamp(0.0, 1.0)
    }

    /// Returns the attributes from which the page's script knows both ends of the axis, in milliseconds on the run's clock.
    pub(super) fn data(&self) -> String {
        format!(" data-from=\"{}\" data-until=\"{}\"", self.from_us / 1000, self.until_us / 1000)
    }
}

/// A logarithmic scale of latencies. Both ends are powers of ten of a microsecond.
pub(super) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Creates a scale that has room for all latencies and for the wanted limit `below`, in microseconds.
    pub(super) fn of(dots: &[&[Dot]], below: Option<u64>) -> Self {
        let latencies =
            dots.iter().copied().flatten().flat_map(|dot| [dot.p50, dot.p99]).flatten().chain(below);
        let (mut low, mut high) = (u64::MAX, 0);
        for us in latencies {
            (low, high) = (low.min(us.max(1)), high.max(us));
        }
        if low > high {
            (low, high) = (1_000, 1_000_000);
        }
        // The lower end is a whole power of ten. The upper end leaves room for the strip of infinite values.
        Self {
            low: (low as f64).log10().floor(),
            high: ((high as f64).log10() + 0.25).max((low as f64).log10() + 0.8),
        }
    }

    /// Returns its attributes for the page's script: both ends, as powers of ten.
    pub(super) fn data(&self) -> String {
        format!(" data-low=\"{}\" data-high=\"{:.4}\"", self.low, self.high)
    }

    /// Returns the vertical position of a latency in the panel of latencies.
    pub(super) fn y(&self, us: u64) -> f64 {
        let part = ((us.max(1) as f64).log10() - self.low) / (self.high - self.low);
        TOP + SHARE + BETWEEN + LATENCY * (1.0 - part.clamp(0.0, 1.0))
    }

    /// Returns the powers of ten on the scale, in microseconds.
    pub(super) fn ticks(&self) -> Vec<u64> {
        (0..10)
            .map(|power| 10_u64.pow(power))
            .filter(|us| (self.low..=self.high).contains(&(*us as f64).log10()))
            .collect()
    }
}

/// Draws a horizontal rule with a label.
pub(super) fn rule(svg: &mut String, y: f64, label: &str, class: &str) {
    let _ = write!(
        svg,
        "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"scale\" x=\"{}\" \
         y=\"{:.1}\">{label}</text>",
        WIDTH - RIGHT,
        LEFT - 6.0,
        y + 4.0
    );
}

/// Draws a goal as a dashed line with its label at the right end, inside the panel that begins at `top`.
pub(super) fn goal(svg: &mut String, top: f64, y: f64, label: &str) {
    // The label is above the line, or below it if the line is at the top.
    let text = if y - top < 14.0 { y + 12.0 } else { y - 4.0 };
    let _ = write!(
        svg,
        "<line class=\"goal\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"wanted\" x=\"{}\" \
         y=\"{text:.1}\">{}</text>",
        WIDTH - RIGHT,
        WIDTH - RIGHT - 4.0,
        escape(label)
    );
}

/// Returns at most five round values for the rules of a linear axis.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let least = (high - low) / 4.0;
    let power = 10_f64.powf(least.log10().floor());
    let Some(step) =
        [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= least)
    else {
        return vec![low, high];
    };
    let first = (low / step).ceil();
    (0..5).map(|place| (first + f64::from(place)) * step).filter(|value| *value <= high).collect()
}

/// Draws the name of a vertical axis, with its unit, above it.
pub(super) fn axis_name(svg: &mut String, y: f64, name: &str) {
    let _ = write!(svg, "<text class=\"name\" x=\"2\" y=\"{y:.1}\">{}</text>", escape(name));
}

/// Formats a latency in the largest whole unit.
pub(super) fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_an_axis_are_at_round_values() {
        let text =
            |low, high| ticks(low, high).into_iter().map(crate::score::format::value).collect::<Vec<_>>();
        assert_eq!(text(0.0, 0.0886), ["0", "0.025", "0.05", "0.075"]);
        assert_eq!(text(0.0, 11.2), ["0", "5", "10"]);
        assert_eq!(text(0.0, 1.0), ["0", "0.25", "0.5", "0.75", "1"]);
        assert_eq!(text(-3.0, 3.0), ["-2", "0", "2"]);
        assert!(text(f64::NAN, 1.0).len() <= 5 && ticks(5.0, 5.0).len() <= 5);
    }
}
