//! Draws the samples of a source over the phases of an attack: each sample a dot, the bound a dashed line, gaps a strip.

use std::fmt::Write as _;

use super::{
    escape,
    frame::{LEFT, RIGHT, WIDTH, rule},
    short,
};
use crate::score::{
    card::{AttackCard, ObjectiveCard, Unit, phase_word},
    format,
    metric_card::{MetricCard, PointCard},
};

const TOP: f64 = 30.0;
const HIGH: f64 = 96.0;
const BELOW: f64 = 24.0;

/// Draws the panel of an objective; `None` without samples or phases.
pub(crate) fn panel(attack: &AttackCard, objective: &ObjectiveCard, place: usize) -> Option<String> {
    let metric = objective.metric.as_deref()?;
    let (first, last) = attack.phases.first().zip(attack.phases.last())?;
    let panel = Panel { from_us: first.from_us, until_us: last.until_us, attack, objective, metric };
    Some(panel.svg(&format!("metric-{}-{place}", attack.index)))
}

struct Panel<'c> {
    from_us: i64,
    until_us: i64,
    attack: &'c AttackCard,
    objective: &'c ObjectiveCard,
    metric: &'c MetricCard,
}

impl Panel<'_> {
    fn svg(&self, id: &str) -> String {
        let mut svg = String::new();
        let _ = write!(
            svg,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title \
             id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            TOP + HIGH + BELOW,
            escape(&format!("{} during “{}”", self.objective.name, self.attack.name)),
            escape(&self.describe())
        );
        self.phases(&mut svg);
        let (low, high) = self.scale();
        let y = |value: f64| TOP + HIGH * (1.0 - ((value - low) / (high - low)).clamp(0.0, 1.0));
        for value in [low, f64::midpoint(low, high), high] {
            rule(&mut svg, y(value), &escape(&self.text(value)), "grid");
        }
        if let Some(bound) = self.metric.bound {
            let _ = write!(
                svg,
                "<line class=\"goal\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"><title>bound: {}</title></line>",
                WIDTH - RIGHT,
                self.text(bound),
                at = y(bound)
            );
        }
        for (points, class) in [(false, "line vx"), (true, "line v0")] {
            // A dot is a line of no length with round ends, so that the page's colours of lines apply.
            let dots = self.shown().filter(|(point, _)| point.counts == points);
            let d: String = dots
                .map(|(point, value)| {
                    let (x, y) = (self.x(point.at_us), y(value));
                    format!("M{} {}h.01", short(x), short(y))
                })
                .collect();
            if !d.is_empty() {
                let _ = write!(svg, "<path class=\"{class} dots\" d=\"{d}\"/>");
            }
        }
        for gap in &self.metric.gaps {
            let (left, right) = (self.x(gap.from_us), self.x(gap.until_us));
            let _ = write!(
                svg,
                "<rect class=\"hole v0\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"4\"><title>not known from {} to {}: \
                 {}</title></rect>",
                TOP + HIGH + 3.0,
                (right - left).max(1.0),
                format::clock(gap.from_us),
                format::clock(gap.until_us),
                escape(&gap.why)
            );
        }
        svg.push_str("</svg>");
        svg
    }

    fn shown(&self) -> impl Iterator<Item = (&PointCard, f64)> {
        let inside = |point: &&PointCard| (self.from_us..=self.until_us).contains(&point.at_us);
        self.metric.points.iter().filter(inside).filter_map(|point| Some((point, point.value?)))
    }

    fn x(&self, us: i64) -> f64 {
        let span = self.until_us.saturating_sub(self.from_us).max(1) as f64;
        let part = us.saturating_sub(self.from_us) as f64 / span;
        LEFT + (WIDTH - LEFT - RIGHT) * part.clamp(0.0, 1.0)
    }

    fn phases(&self, svg: &mut String) {
        for phase in &self.attack.phases {
            let (left, right) = (self.x(phase.from_us), self.x(phase.until_us));
            let fault = phase.phase == firedrill_plan::plan::model::Phase::Fault;
            let _ = write!(
                svg,
                "<g class=\"{}\"><title>{word} from {} to {}</title><rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" \
                 height=\"{HIGH}\"/><text x=\"{:.1}\" y=\"{:.1}\">{word}</text></g><text class=\"time\" x=\"{left:.1}\" \
                 y=\"{:.1}\">{}</text>",
                if fault { "fault" } else { "phase" },
                format::clock(phase.from_us),
                format::clock(phase.until_us),
                (right - left).max(1.0),
                left + 3.0,
                TOP - 6.0,
                TOP + HIGH + 20.0,
                format::clock(phase.from_us).trim_end_matches(".0"),
                word = phase_word(phase.phase),
            );
        }
    }

    /// Returns the lowest and the highest value of the axis: those of the samples and the bound, with zero where it is near.
    fn scale(&self) -> (f64, f64) {
        let finite = |value: &f64| value.abs() < f64::MAX / 4.0;
        let all = self.shown().map(|(_, value)| value).chain(self.metric.bound).filter(finite);
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
        match self.objective.measured.unit {
            Unit::Share => format::percent(value),
            _ => format::value(value),
        }
    }

    fn describe(&self) -> String {
        let count = self.metric.samples;
        let worst = self
            .metric
            .worst
            .map_or_else(String::new, |worst| format!(", the worst is {}", self.text(worst)));
        let gaps = match self.metric.gaps.len() {
            0 => String::new(),
            1 => ", one gap".to_owned(),
            more => format!(", {more} gaps"),
        };
        format!("Samples of {} over time: {count} count{worst}{gaps}.", self.metric.asks)
    }
}
