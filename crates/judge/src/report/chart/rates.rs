//! Draws the rates of matching lines of a log over time: a line for each host or group of hosts, the goal as a dashed line,
//! strips where nothing was read and where lines may be missing.

use std::fmt::Write as _;

use super::{
    Band,
    frame::{LEFT, METRIC, METRIC_TOP as TOP, Span, axis_name, goal, rule, ticks},
    legend::{Legend, Sign},
    panel::{bands, begin, strip},
    short,
};
use crate::{report::rates::Rates, score::format};

/// The rates of one host, or of several hosts whose rates are the same.
#[derive(Clone, Debug)]
pub(crate) struct RateLine {
    pub(crate) name: String,
    /// The hosts, as indexes into [`crate::report::names::Names`].
    pub(crate) hosts: String,
    pub(crate) rates: Rates,
}

/// The panel of one log.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// An id that is unique on the page.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) span: Span,
    /// The index of the log whose values the page's script has.
    pub(crate) place: usize,
    pub(crate) lines: Vec<RateLine>,
    pub(crate) bands: Vec<Band>,
    /// The strictest wanted rate, in lines a second, with the label of its line.
    pub(crate) bound: Option<(f64, String)>,
}

impl Lane {
    /// Renders the panel as an `<svg>` element.
    pub(crate) fn svg(&self) -> String {
        let high = self.scale();
        let data = format!(" data-r=\"{}\" data-low=\"0\" data-high=\"{high}\"", self.place);
        let mut svg = begin(&self.id, self.span, &data, (&self.title, &self.describe()));
        bands(&mut svg, self.span, &self.bands, false);
        let y = |value: f64| TOP + METRIC * (1.0 - (value / high).clamp(0.0, 1.0));
        for value in ticks(0.0, high) {
            rule(&mut svg, y(value), &format::value(value), "grid");
        }
        axis_name(&mut svg, 14.0, "lines/s");
        for (place, line) in self.lines.iter().enumerate() {
            let class = format!("v{}", place % 6);
            let _ = write!(svg, "<g data-l=\"{place}\" data-h=\"{}\">", line.hosts);
            for (key, style) in [("low", "thin"), ("high", "line")] {
                let d = self.path(line, key == "low", y);
                let _ = write!(svg, "<path class=\"{style} {class}\" data-k=\"{key}\" d=\"{d}\"/>");
            }
            let row = TOP + METRIC - 5.0 - 5.0 * (place % 4) as f64;
            for gap in &line.rates.gaps {
                let [from, until] = [gap.from_us, gap.until_us].map(format::clock);
                let text = format!("{}: not known from {from} to {until}: {}", line.name, gap.why);
                strip(
                    &mut svg,
                    self.span,
                    (gap.from_us, gap.until_us),
                    row,
                    (&format!("hole {class}"), &text),
                );
            }
            for more in &line.rates.more {
                let text = format!("{}: lines may be missing, {}", line.name, more.why);
                let class = format!("more {class}");
                strip(&mut svg, self.span, (more.from_us, more.until_us), TOP + 1.0, (&class, &text));
            }
            svg.push_str("</g>");
        }
        if let Some((bound, label)) = &self.bound {
            goal(&mut svg, TOP, y(*bound), label);
        }
        self.span.axis(&mut svg, TOP + METRIC);
        self.legend(&mut svg);
        svg.push_str("</svg>");
        svg
    }

    /// Draws the keys of all lines, and those of the styles that the panel uses.
    fn legend(&self, svg: &mut String) {
        let mut legend = Legend::new(svg, LEFT);
        for (place, line) in self.lines.iter().enumerate() {
            let attributes = format!(" data-h=\"{}\"", line.hosts);
            legend.key(Sign::Line, &format!("line v{}", place % 6), &line.name, &attributes);
        }
        if self.lines.iter().any(|line| line.rates.is_wide()) {
            legend.key(Sign::Line, "line vk", "highest in a step", "");
            legend.key(Sign::Line, "thin vk", "lowest in a step", "");
        }
        if self.lines.iter().any(|line| !line.rates.gaps.is_empty()) {
            legend.key(Sign::Bar, "hole vk", "not read", "");
        }
        if self.lines.iter().any(|line| !line.rates.more.is_empty()) {
            legend.key(Sign::Bar, "more vk", "lines may be missing", "");
        }
    }

    /// Returns the path of a line's lowest (`low`) or highest rates, broken where nothing was read. The path of the lowest rates is
    /// empty unless some step has several rates.
    fn path(&self, line: &RateLine, low: bool, y: impl Fn(f64) -> f64) -> String {
        let steps = line.rates.steps;
        let (mut d, mut last, mut end) = (String::new(), None::<String>, String::new());
        let wide = line.rates.is_wide();
        let from = steps.from_us.saturating_add(line.rates.shift_us);
        for (at, rate) in line.rates.all.iter().enumerate() {
            let Some(rate) = rate.filter(|_| wide || !low) else {
                last = None;
                continue;
            };
            let height = short(y(if low { rate.low } else { rate.high }));
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            let x = |step: i64| short(self.span.x(from.saturating_add(step.saturating_mul(steps.step_us))));
            match &last {
                Some(there) if *there == height => {}
                Some(_) => {
                    let _ = write!(d, "{end}V{height}");
                }
                None => {
                    let _ = write!(d, "{end}M{} {height}", x(at));
                }
            }
            end = format!("H{}", x(at.saturating_add(1)));
            last = Some(height);
        }
        d + &end
    }

    /// Returns the upper end of the axis: a little above the highest rate and the bound, or 1 if both are 0.
    fn scale(&self) -> f64 {
        let highest = self.lines.iter().map(|line| line.rates.highest()).fold(0.0, f64::max);
        let most = highest.max(self.bound.as_ref().map_or(0.0, |(bound, _)| *bound));
        if most > 0.0 { most * 1.12 } else { 1.0 }
    }

    /// Describes the panel in sentences, for screen readers.
    fn describe(&self) -> String {
        let mut text = "Matching lines a second, over time.".to_owned();
        for line in &self.lines {
            let gaps = match line.rates.gaps.len() {
                0 => String::new(),
                1 => ", one stretch not read".to_owned(),
                more => format!(", {more} stretches not read"),
            };
            let _ = write!(
                text,
                " {}: at most {} a second{gaps}.",
                line.name,
                format::value(line.rates.highest())
            );
        }
        if let Some((_, label)) = &self.bound {
            let _ = write!(text, " {}.", format::capital(label));
        }
        text
    }
}
