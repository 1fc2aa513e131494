//! Draws the samples of a source over time: each sample as a dot, the bound as a dashed line, each gap as a strip.

use std::fmt::Write as _;

use super::{
    Band,
    frame::{LEFT, LETTER, METRIC, METRIC_TOP as TOP, Span, axis_name, goal, rule, ticks},
    legend::{Legend, Sign},
    panel::{bands, begin, strip},
    short,
};
use crate::score::{
    card::Unit,
    format,
    metric_card::{GapCard, PointCard},
};

/// The samples of one objective.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// An id that is unique on the page.
    pub(crate) id: String,
    pub(crate) title: String,
    /// The question to the source.
    pub(crate) asks: String,
    pub(crate) unit: Unit,
    /// The unit of its values as the scenario names it; may be empty.
    pub(crate) unit_name: String,
    /// `below`, `above` or `at least`, for the label of the bound.
    pub(crate) side: &'static str,
    pub(crate) span: Span,
    /// The index of the metric whose values the page's script has; `None` for the chart of an attack, which the script does not redraw.
    pub(crate) panel: Option<usize>,
    pub(crate) bands: Vec<Band>,
    pub(crate) points: Vec<PointCard>,
    pub(crate) gaps: Vec<GapCard>,
    pub(crate) bound: Option<f64>,
}

impl Panel {
    /// Renders the panel as an `<svg>` element.
    pub(crate) fn svg(&self) -> String {
        let (low, high) = self.scale();
        let data = self.panel.map_or_else(String::new, |panel| {
            format!(" data-m=\"{panel}\" data-low=\"{low}\" data-high=\"{high}\"")
        });
        let mut svg = begin(&self.id, self.span, &data, (&self.title, &self.describe()));
        // A chart of the whole run has no labels of bands: the lanes above it have them.
        bands(&mut svg, self.span, &self.bands, self.panel.is_none());
        let y = |value: f64| TOP + METRIC * (1.0 - ((value - low) / (high - low)).clamp(0.0, 1.0));
        // A share has no rule above 100 %.
        let most = if self.unit == Unit::Share { 1.0 } else { f64::INFINITY };
        for value in ticks(low, high).into_iter().filter(|value| *value <= most) {
            rule(&mut svg, y(value), &self.tick(value), "grid");
        }
        axis_name(&mut svg, 14.0, self.axis());
        for (counts, class) in [(false, "line vx"), (true, "line v0")] {
            // A dot is a line of no length with round ends, so that the style sheet's colours of lines apply to it.
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
            let [from, until] = [gap.from_us, gap.until_us].map(format::clock);
            let text = format!("not known from {from} to {until}: {}", gap.why);
            let stretch = (gap.from_us, gap.until_us);
            strip(&mut svg, self.span, stretch, TOP + METRIC - 5.0, ("hole v0", &text));
        }
        if let Some(bound) = self.bound {
            goal(&mut svg, TOP, y(bound), &format!("goal: {} {}", self.side, self.text(bound)));
        }
        self.span.axis(&mut svg, TOP + METRIC);
        self.legend(&mut svg);
        svg.push_str("</svg>");
        svg
    }

    /// Draws the legend right of the axis' name.
    fn legend(&self, svg: &mut String) {
        let name_end = 12.0 + LETTER * self.axis().chars().count() as f64;
        let mut legend = Legend::new(svg, LEFT.max(name_end));
        legend.key(Sign::Dot, "v0", "sample that counts", "");
        if self.shown().any(|(point, _)| !point.counts) {
            legend.key(Sign::Dot, "vx", "does not count: not wholly in a judged phase", "");
        }
        if !self.gaps.is_empty() {
            legend.key(Sign::Bar, "hole v0", "not known", "");
        }
    }

    /// Returns the samples on the time axis that have a value, each with its value.
    fn shown(&self) -> impl Iterator<Item = (&PointCard, f64)> {
        let inside = |point: &&PointCard| (self.span.from_us..=self.span.until_us).contains(&point.at_us);
        self.points.iter().filter(inside).filter_map(|point| Some((point, point.value?)))
    }

    /// Returns the lowest and the highest value of the axis. It includes all samples and the bound, and zero if zero is near.
    fn scale(&self) -> (f64, f64) {
        let finite = |value: &f64| value.abs() < f64::MAX / 4.0;
        let values = self.shown().map(|(_, value)| value).chain(self.bound).filter(finite);
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), one| (low.min(one), high.max(one)));
        if low > high {
            return (0.0, 1.0);
        }
        let low = if low > 0.0 && low < high / 2.0 { 0.0 } else { low };
        // Free space at the ends, so that no dot lies on the frame.
        let room = if high > low { (high - low) * 0.08 } else { high.abs().max(1.0) * 0.5 };
        (if low == 0.0 { low } else { low - room }, high + room)
    }

    /// Returns the name of the axis: the unit.
    fn axis(&self) -> &str {
        match self.unit {
            Unit::Share => "good events, %",
            _ if self.unit_name.is_empty() => "value (its unit is not given)",
            _ => &self.unit_name,
        }
    }

    /// Formats a value for the axis, whose name has the unit.
    fn tick(&self, value: f64) -> String {
        if self.unit == Unit::Share { format::percent(value) } else { format::value(value) }
    }

    /// Formats a value with its unit.
    fn text(&self, value: f64) -> String {
        match self.unit {
            Unit::Share => format::percent(value),
            _ => with_unit(format::value(value), &self.unit_name),
        }
    }

    /// Describes the panel in a sentence, for screen readers.
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

/// Returns a value with its unit; the value alone if `unit` is empty.
pub(crate) fn with_unit(value: String, unit: &str) -> String {
    if unit.is_empty() { value } else { format!("{value} {unit}") }
}
