//! The axes of a chart.

use std::fmt::Write as _;

use super::{
    Chart, Mark, escape,
    frame::{
        BELOW, BETWEEN, LATENCY, LEFT, LETTER, MARK_ROW, RIGHT, SHARE, Scale, Span, TOP, WIDTH, axis_name,
        goal, latency, rule,
    },
};
use crate::score::format;

impl Chart {
    pub(super) fn share_axis(&self, svg: &mut String, floor: f64) {
        for share in [floor, f64::midpoint(floor, 1.0), 1.0] {
            let y = TOP + SHARE * (1.0 - (share - floor) / (1.0 - floor));
            rule(svg, y, &format::percent(share), "grid");
        }
        axis_name(svg, TOP - 21.0, "good requests, %");
    }

    pub(super) fn latency_axis(&self, svg: &mut String, scale: &Scale) {
        axis_name(svg, TOP + SHARE + BETWEEN - 5.0, "latency, log scale");
        for us in scale.ticks() {
            rule(svg, scale.y(us), &latency(us), "grid");
        }
    }

    /// Draws the goals, with labels that lie on top of all lines.
    pub(super) fn goals(&self, svg: &mut String, floor: f64, scale: &Scale) {
        if let Some((good, label)) = self.good.as_ref().filter(|(good, _)| *good > floor) {
            goal(svg, TOP, TOP + SHARE * (1.0 - (good - floor) / (1.0 - floor)), label);
        }
        if let Some((below, label)) = &self.below_us {
            goal(svg, TOP + SHARE + BETWEEN, scale.y(*below), label);
        }
    }

    /// Returns the marks that are shown, each with the place and the row of its label.
    pub(super) fn placed(&self) -> Vec<(&Mark, f64, usize)> {
        let inside = self.span.from_us..=self.span.until_us;
        let mut rows: Vec<f64> = Vec::new();
        let mut marks: Vec<&Mark> = self.marks.iter().filter(|mark| inside.contains(&mark.at_us)).collect();
        marks.sort_by_key(|mark| mark.at_us);
        let place = |mark| {
            let mark: &Mark = mark;
            let width = LETTER * mark.label.chars().count() as f64;
            let x = (self.span.x(mark.at_us) + 7.0).min(WIDTH - RIGHT - width).max(LEFT);
            let row = rows.iter().position(|free| *free <= x).unwrap_or(rows.len());
            match rows.get_mut(row) {
                Some(free) => *free = x + width + 8.0,
                None => rows.push(x + width + 8.0),
            }
            (mark, x, row)
        };
        marks.into_iter().map(place).collect()
    }

    /// Draws a line down through the panels for each mark, with a triangle on the axis of time and its label below.
    pub(super) fn marks(&self, svg: &mut String, placed: &[(&Mark, f64, usize)]) {
        let y = TOP + SHARE + BETWEEN + LATENCY;
        for (mark, _, row) in placed {
            let x = self.span.x(mark.at_us);
            let _ = write!(
                svg,
                "<g><title>{}</title><line class=\"moment\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/><path \
                 class=\"mark\" d=\"M{:.1} {:.1}L{x:.1} {y:.1}L{:.1} {:.1}Z\"/></g>",
                escape(&mark.title),
                y + BELOW + 10.0 + MARK_ROW * *row as f64,
                x - 5.0,
                y - 9.0,
                x + 5.0,
                y - 9.0,
            );
        }
        // Labels lie on top of the lines of others.
        for (mark, x, row) in placed {
            let y = y + BELOW + 10.0 + MARK_ROW * *row as f64;
            let _ = write!(
                svg,
                "<text class=\"key halo\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
                escape(&mark.label)
            );
        }
    }
}

impl Span {
    /// Draws the time axis.
    pub(super) fn axis(&self, svg: &mut String, y: f64) {
        const STEPS: [i64; 15] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400];
        let span = self.until_us.saturating_sub(self.from_us) / 1_000_000;
        let step =
            STEPS.into_iter().find(|step| span / step <= 9).unwrap_or(86_400).saturating_mul(1_000_000);
        let _ = write!(svg, "<g class=\"axis\" data-y=\"{y:.1}\">");
        let mut tick = self.from_us.saturating_sub(self.zero_us).div_euclid(step).saturating_mul(step);
        for _ in 0..32 {
            let at = self.zero_us.saturating_add(tick);
            if at > self.until_us {
                break;
            }
            if at >= self.from_us {
                let x = self.x(at);
                let label = match (self.zero_us, tick) {
                    (0, _) => format::clock(tick).trim_end_matches(".0").to_owned(),
                    (_, 0) => "fault".to_owned(),
                    (_, tick) => {
                        format!("{}{}", if tick > 0 { "+" } else { "−" }, seconds(tick.unsigned_abs()))
                    }
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
        // On the axis of an attack, each label has its unit.
        if self.zero_us == 0 {
            let unit = if self.until_us >= 3_600_000_000 { "h:min:s" } else { "min:s" };
            let _ = write!(svg, "<text class=\"name\" x=\"2\" y=\"{:.1}\">{unit}</text>", y + 18.0);
        }
    }
}

fn seconds(us: u64) -> String {
    let seconds = us / 1_000_000;
    if seconds < 60 || !seconds.is_multiple_of(60) {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds / 60)
    }
}
