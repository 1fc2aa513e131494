//! The axes of a chart: shares, latencies and time, with the goals and the marks that lie on them.

use std::fmt::Write as _;

use super::{
    Chart, Mark, escape,
    frame::{
        BELOW, BETWEEN, LATENCY, LEFT, LETTER, MARK_ROW, RIGHT, SHARE, Scale, Span, TOP, WIDTH, axis_name,
        goal, latency, rule,
    },
};
use crate::score::format;

/// Distance between the line of a mark and its label, in pixels.
const LABEL_BESIDE: f64 = 7.0;
/// Minimum distance between two labels in a row, in pixels.
const LABEL_GAP: f64 = 8.0;
/// Distance from the labels of the time axis down to the baseline of the first row of marks' labels, in pixels.
const LABEL_BELOW: f64 = 10.0;
/// Half of the width, and the whole height, of the triangle of a mark, in pixels.
const TRIANGLE: (f64, f64) = (5.0, 9.0);

impl Chart {
    /// Draws the axis of shares, which goes from `floor` to 100 %.
    pub(super) fn share_axis(&self, svg: &mut String, floor: f64) {
        for share in [floor, f64::midpoint(floor, 1.0), 1.0] {
            rule(svg, share_y(share, floor), &format::percent(share), "grid");
        }
        // Above the labels of the bands.
        axis_name(svg, TOP - 21.0, "good requests, %");
    }

    /// Draws the axis of latencies.
    pub(super) fn latency_axis(&self, svg: &mut String, scale: &Scale) {
        axis_name(svg, TOP + SHARE + BETWEEN - 5.0, "latency, log scale");
        for us in scale.ticks() {
            rule(svg, scale.y(us), &latency(us), "grid");
        }
    }

    /// Draws the goals. It is called after everything else is drawn, so that their labels lie on top of all lines. A share below
    /// `floor` is not drawn: all lines are above it.
    pub(super) fn goals(&self, svg: &mut String, floor: f64, scale: &Scale) {
        if let Some((good, label)) = self.good.as_ref().filter(|(good, _)| *good >= floor) {
            goal(svg, TOP, share_y(*good, floor), label);
        }
        if let Some((below, label)) = &self.below_us {
            goal(svg, TOP + SHARE + BETWEEN, scale.y(*below), label);
        }
    }

    /// Returns the marks on the time axis in their order, each with the left edge and the row of its label. A label takes the first row
    /// in which it overlaps no earlier one.
    pub(super) fn placed(&self) -> Vec<(&Mark, f64, usize)> {
        let inside = self.span.from_us..=self.span.until_us;
        let mut marks: Vec<&Mark> = self.marks.iter().filter(|mark| inside.contains(&mark.at_us)).collect();
        marks.sort_by_key(|mark| mark.at_us);
        // For each row, the place from which it is free.
        let mut rows: Vec<f64> = Vec::new();
        let mut placed = Vec::new();
        for mark in marks {
            let width = LETTER * mark.label.chars().count() as f64;
            let x = (self.span.x(mark.at_us) + LABEL_BESIDE).min(WIDTH - RIGHT - width).max(LEFT);
            let row = rows.iter().position(|free| *free <= x).unwrap_or(rows.len());
            let next = x + width + LABEL_GAP;
            match rows.get_mut(row) {
                Some(free) => *free = next,
                None => rows.push(next),
            }
            placed.push((mark, x, row));
        }
        placed
    }

    /// Draws the marks as [`Self::placed`] returns them: for each a line through both panels down to its label, and a triangle whose
    /// tip is on the time axis.
    pub(super) fn marks(&self, svg: &mut String, placed: &[(&Mark, f64, usize)]) {
        let axis_y = TOP + SHARE + BETWEEN + LATENCY;
        let label_y = |row: usize| axis_y + BELOW + LABEL_BELOW + MARK_ROW * row as f64;
        let (half, height) = TRIANGLE;
        for (mark, _, row) in placed {
            let x = self.span.x(mark.at_us);
            let _ = write!(
                svg,
                "<g><title>{}</title><line class=\"moment\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/><path \
                 class=\"mark\" d=\"M{:.1} {:.1}L{x:.1} {axis_y:.1}L{:.1} {:.1}Z\"/></g>",
                escape(&mark.title),
                label_y(*row),
                x - half,
                axis_y - height,
                x + half,
                axis_y - height,
            );
        }
        // All labels come after all lines, so that no line of another mark crosses a label.
        for (mark, x, row) in placed {
            let y = label_y(*row);
            let _ = write!(
                svg,
                "<text class=\"key halo\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
                escape(&mark.label)
            );
        }
    }
}

impl Span {
    /// Draws the time axis at the height `y`. If zero is the start of a fault, times are before or after it (`−30 s`, `+2 min`). Otherwise
    /// zero is the beginning of the run, and times are those of its clock (`01:30`).
    pub(super) fn axis(&self, svg: &mut String, y: f64) {
        // Steps from one tick to the next, in seconds. The first one that fits into the axis at most nine times is taken, or else a day.
        const STEPS: [i64; 15] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400];
        const DAY: i64 = 86_400;
        const HOUR_US: i64 = 3_600_000_000;
        // Limits the size of the page, however long the axis is.
        const MOST_TICKS: usize = 32;
        let is_clock = self.zero_us == 0;
        let span = self.until_us.saturating_sub(self.from_us) / 1_000_000;
        let step = STEPS.into_iter().find(|step| span / step <= 9).unwrap_or(DAY).saturating_mul(1_000_000);
        let _ = write!(svg, "<g class=\"axis\" data-y=\"{y:.1}\">");
        // The time from zero to the tick; the first tick is at the left end or before it.
        let mut tick = self.from_us.saturating_sub(self.zero_us).div_euclid(step).saturating_mul(step);
        for _ in 0..MOST_TICKS {
            let at = self.zero_us.saturating_add(tick);
            if at > self.until_us {
                break;
            }
            if at >= self.from_us {
                let x = self.x(at);
                let label = if is_clock {
                    format::clock(tick).trim_end_matches(".0").to_owned()
                } else if tick == 0 {
                    "fault".to_owned()
                } else {
                    format!("{}{}", if tick > 0 { "+" } else { "−" }, duration(tick.unsigned_abs()))
                };
                let _ = write!(
                    svg,
                    "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{:.1}\"/><text class=\"time\" \
                     x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
                    y + 4.0,
                    y + 18.0
                );
            }
            tick = tick.saturating_add(step);
        }
        svg.push_str("</g>");
        // Times of the clock have no unit in their labels.
        if is_clock {
            let unit = if self.until_us >= HOUR_US { "h:min:s" } else { "min:s" };
            let _ = write!(svg, "<text class=\"name\" x=\"2\" y=\"{:.1}\">{unit}</text>", y + 18.0);
        }
    }
}

/// Returns the height of a share on an axis that begins at `floor`, in pixels from the top.
fn share_y(share: f64, floor: f64) -> f64 {
    TOP + SHARE * (1.0 - (share - floor) / (1.0 - floor))
}

/// Formats a duration in minutes where they are whole (`2 min`), otherwise in seconds (`90 s`).
fn duration(us: u64) -> String {
    let seconds = us / 1_000_000;
    if seconds < 60 || !seconds.is_multiple_of(60) {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_at_the_lower_end_of_the_axis_is_drawn() {
        let chart = Chart {
            id: "c".to_owned(),
            title: "t".to_owned(),
            span: Span { from_us: 0, until_us: 1_000_000, zero_us: 0 },
            panel: None,
            lines: Vec::new(),
            bands: Vec::new(),
            marks: Vec::new(),
            good: Some((0.99, "the goal".to_owned())),
            below_us: None,
        };
        let svg = chart.svg();
        assert!(svg.contains("99 %") && svg.contains("the goal"), "{svg}");
    }
}
