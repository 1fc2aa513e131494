//! Draws the samples of a source over time: each sample a dot, the bound a dashed line, gaps a strip.

use std::fmt::Write as _;

use super::{
    Band, escape,
    frame::{LEFT, METRIC, METRIC_TOP as TOP, RIGHT, Span, WIDTH, rule},
    short, stretch,
};
use crate::score::{
    card::Unit,
    format,
    metric_card::{GapCard, PointCard},
};

const BELOW: f64 = 24.0;

/// The samples of one objective.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// An id that is unique on the page.
    pub(crate) id: String,
    pub(crate) title: String,
    /// What the source was asked.
    pub(crate) asks: String,
    pub(crate) unit: Unit,
    pub(crate) span: Span,
    /// Its place among the metrics of the run, whose values the page has; none for the chart of an attack.
    pub(crate) panel: Option<usize>,
    pub(crate) bands: Vec<Band>,
    pub(crate) points: Vec<PointCard>,
    pub(crate) gaps: Vec<GapCard>,
    pub(crate) bound: Option<f64>,
}

impl Panel {
    /// Renders the panel as an `<svg>` element.
    pub(crate) fn svg(&self) -> String {
        let id = &self.id;
        let (low, high) = self.scale();
        let mut svg = String::new();
        let _ = write!(
            svg,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"{}{}><title \
             id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            TOP + METRIC + BELOW,
            self.span.data(),
            self.panel.map_or_else(String::new, |panel| format!(
                " data-m=\"{panel}\" data-low=\"{low}\" data-high=\"{high}\""
            )),
            escape(&self.title),
            escape(&self.describe())
        );
        self.bands(&mut svg);
        let y = |value: f64| TOP + METRIC * (1.0 - ((value - low) / (high - low)).clamp(0.0, 1.0));
        for value in [low, f64::midpoint(low, high), high] {
            rule(&mut svg, y(value), &escape(&self.text(value)), "grid");
        }
        if let Some(bound) = self.bound {
            let _ = write!(
                svg,
                "<line class=\"goal\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"><title>bound: {}</title></line>",
                WIDTH - RIGHT,
                self.text(bound),
                at = y(bound)
            );
        }
        for (counts, class) in [(false, "line vx"), (true, "line v0")] {
            // A dot is a line of no length with round ends, so that the page's colours of lines apply.
            let dots = self.shown().filter(|(point, _)| point.counts == counts);
            let d: String = dots
                .map(|(point, value)| format!("M{} {}h.01", short(self.span.x(point.at_us)), short(y(value))))
                .collect();
            if !d.is_empty() {
                let _ =
                    write!(svg, "<path class=\"{class} dots\" data-c=\"{}\" d=\"{d}\"/>", u8::from(counts));
            }
        }
        for gap in &self.gaps {
            let (left, right) = (self.span.x(gap.from_us), self.span.x(gap.until_us));
            let _ = write!(
                svg,
                "<rect class=\"hole v0\"{} x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"4\"><title>not known from {} \
                 to {}: {}</title></rect>",
                stretch(gap.from_us, gap.until_us),
                TOP + METRIC - 5.0,
                (right - left).max(1.0),
                format::clock(gap.from_us),
                format::clock(gap.until_us),
                escape(&gap.why)
            );
        }
        self.span.axis(&mut svg, TOP + METRIC);
        svg.push_str("</svg>");
        svg
    }

    fn shown(&self) -> impl Iterator<Item = (&PointCard, f64)> {
        let inside = |point: &&PointCard| (self.span.from_us..=self.span.until_us).contains(&point.at_us);
        self.points.iter().filter(inside).filter_map(|point| Some((point, point.value?)))
    }

    fn bands(&self, svg: &mut String) {
        for band in &self.bands {
            let (left, right) = (self.span.x(band.from_us), self.span.x(band.until_us));
            let _ = write!(
                svg,
                "<g class=\"{}\"{}><title>{}</title><rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{METRIC}\"/>",
                if band.fault { "fault" } else { "phase" },
                stretch(band.from_us, band.until_us),
                escape(&band.title),
                (right - left).max(1.0),
            );
            // Over the whole run, the lanes above have the words.
            if self.panel.is_none() {
                let _ = write!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    left + 3.0,
                    TOP - 6.0,
                    escape(&band.label)
                );
            }
            svg.push_str("</g>");
        }
    }

    /// Returns the lowest and the highest value of the axis: those of the samples and the bound, with zero where it is near.
    fn scale(&self) -> (f64, f64) {
        let finite = |value: &f64| value.abs() < f64::MAX / 4.0;
        let all = self.shown().map(|(_, value)| value).chain(self.bound).filter(finite);
        let (low, high) =
            all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), one| (low.min(one), high.max(one)));
        if low > high {
            return (0.0, 1.0);
        }
        let low = if low > 0.0 && low < high / 2.0 { 0.0 } else { low };
        let room = if high > low { (high - low) * 0.08 } else { high.abs().max(1.0) * 0.5 };
        (if low == 0.0 { low } else { low - room }, high + room)
    }

    fn text(&self, value: f64) -> String {
        match self.unit {
            Unit::Share => format::percent(value),
            _ => format::value(value),
        }
    }

    fn describe(&self) -> String {
        let count = self.points.iter().filter(|point| point.counts).count();
        let (low, high) = self
            .shown()
            .filter(|(point, _)| point.counts)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, one)| (low.min(one), high.max(one)));
        let range = if low <= high {
            format!(", between {} and {}", self.text(low), self.text(high))
        } else {
            String::new()
        };
        let gaps = match self.gaps.len() {
            0 => String::new(),
            1 => ", one gap".to_owned(),
            more => format!(", {more} gaps"),
        };
        format!(
            "Samples of {} over time: {count} count{range}{gaps}; others are not wholly in a judged phase.",
            self.asks
        )
    }
}
