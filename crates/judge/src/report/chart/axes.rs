//! The axes of a chart.

use std::fmt::Write as _;

use super::{
    Chart, escape,
    frame::{BETWEEN, LATENCY, LEFT, RIGHT, SHARE, Scale, Span, TOP, WIDTH, latency, rule},
};
use crate::score::format;

impl Chart {
    pub(super) fn share_axis(&self, svg: &mut String, floor: f64) {
        for share in [floor, f64::midpoint(floor, 1.0), 1.0] {
            let y = TOP + SHARE * (1.0 - (share - floor) / (1.0 - floor));
            rule(svg, y, &format::percent(share), "grid");
        }
        if let Some(good) = self.good.filter(|good| *good > floor) {
            let y = TOP + SHARE * (1.0 - (good - floor) / (1.0 - floor));
            let _ = write!(
                svg,
                "<line class=\"goal\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"><title>wanted: {}</title></line>",
                WIDTH - RIGHT,
                format::percent(good)
            );
        }
        let _ = write!(svg, "<text class=\"name\" x=\"2\" y=\"{:.1}\">good</text>", TOP - 13.0);
    }

    pub(super) fn latency_axis(&self, svg: &mut String, scale: &Scale) {
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"2\" y=\"{:.1}\">latency</text>",
            TOP + SHARE + BETWEEN - 5.0
        );
        for us in scale.ticks() {
            rule(svg, scale.y(us), &latency(us), "grid");
        }
        if let Some(below) = self.below_us {
            let y = scale.y(below);
            let _ = write!(
                svg,
                "<line class=\"goal\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"><title>wanted: at most {}</title></line>",
                WIDTH - RIGHT,
                latency(below)
            );
        }
    }

    /// Draws a triangle on the axis of time for each mark.
    pub(super) fn marks(&self, svg: &mut String) {
        let y = TOP + SHARE + BETWEEN + LATENCY;
        let inside = self.span.from_us..=self.span.until_us;
        for mark in self.marks.iter().filter(|mark| inside.contains(&mark.at_us)) {
            let x = self.span.x(mark.at_us);
            let _ = write!(
                svg,
                "<path class=\"mark\" d=\"M{:.1} {:.1}L{x:.1} {y:.1}L{:.1} {:.1}Z\"><title>{}</title></path>",
                x - 5.0,
                y - 9.0,
                x + 5.0,
                y - 9.0,
                escape(&mark.title)
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
