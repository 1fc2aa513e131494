//! Draws measurements as SVG: good requests above, latency below, faults shaded, on one time axis.
//!
//! Never smooths an outage away: if many bins fall on one pixel, the worst bin is drawn. If there are no bins, no line
//! is drawn, and a strip marks the gap. Colours come from the page's style sheet, so that dark mode and print work.

mod axes;
mod frame;
pub(crate) mod heat;
pub(crate) mod lanes;
mod legend;
pub(crate) mod metric;
mod panel;
pub(crate) mod rates;
mod text;

use std::fmt::Write as _;

use frame::{BELOW, BETWEEN, LATENCY, MARK_ROW, SHARE, Scale, TOP, WIDTH};
pub(crate) use frame::{FRAME, Frame, Span};
pub(crate) use text::{cut, escape};
use text::{short, stretch};

use super::columns::{Columns, Dot};
use crate::score::format;

/// Maximum number of columns per line.
pub(crate) const COLUMNS: usize = 420;

/// Measurements of one vantage, or the worst of several.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Whether its requests count for verdicts. Those of a vantage on a target do not.
    pub(crate) counts: bool,
    pub(crate) columns: Columns,
    /// The vantages whose measurements the line shows.
    pub(crate) members: Vec<String>,
    /// The same vantages as indexes into [`super::names::Names`], for the page's script.
    pub(crate) vantages: String,
}

/// A shaded stretch of time, on the run's clock.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    pub(crate) label: String,
    pub(crate) title: String,
    /// Whether it is a fault, which is shaded. Otherwise it is a phase, of which only the border is drawn.
    pub(crate) fault: bool,
}

/// A moment that is marked on the time axis.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) at_us: i64,
    pub(crate) label: String,
    pub(crate) title: String,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// An id that is unique on the page.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) span: Span,
    /// The index of the panel whose values the page's script has; `None` for the chart of an attack, which the script does not redraw.
    pub(crate) panel: Option<usize>,
    pub(crate) lines: Vec<Line>,
    pub(crate) bands: Vec<Band>,
    pub(crate) marks: Vec<Mark>,
    /// The wanted share of good requests, with the label of its line.
    pub(crate) good: Option<(f64, String)>,
    /// The upper limit of latency, in microseconds, with the label of its line.
    pub(crate) below_us: Option<(u64, String)>,
}

impl Chart {
    /// Renders the chart as an `<svg>` element.
    pub(crate) fn svg(&self) -> String {
        let placed = self.placed();
        let rows = placed.iter().map(|(_, _, row)| row + 1).max().unwrap_or(0);
        let height = TOP + SHARE + BETWEEN + LATENCY + BELOW + MARK_ROW * rows as f64;
        let lines: Vec<(&Line, Vec<Dot>)> =
            self.lines.iter().map(|line| (line, line.columns.dots().copied().collect())).collect();
        let floor = floor(&lines);
        let dots: Vec<&[Dot]> = lines.iter().map(|(_, dots)| dots.as_slice()).collect();
        let scale = Scale::of(&dots, self.below_us.as_ref().map(|(us, _)| *us));
        let mut svg = String::new();
        let id = &self.id;
        let _ = write!(
            svg,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"{}{}>\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            self.span.data(),
            self.panel.map_or_else(String::new, |panel| format!(
                " data-p=\"{panel}\" data-floor=\"{floor}\"{}",
                scale.data()
            )),
            escape(&self.title),
            escape(&self.describe(&lines))
        );
        self.bands(&mut svg);
        self.share_axis(&mut svg, floor);
        self.latency_axis(&mut svg, &scale);
        self.span.axis(&mut svg, TOP + SHARE + BETWEEN + LATENCY);
        self.marks(&mut svg, &placed);
        for (place, (line, dots)) in lines.iter().enumerate() {
            let class = if line.counts { format!("v{}", place % 6) } else { "vx".to_owned() };
            let share =
                |dot: &Dot| Some(TOP + SHARE * (1.0 - ((dot.share - floor) / (1.0 - floor)).clamp(0.0, 1.0)));
            let _ = write!(svg, "<g data-l=\"{place}\" data-v=\"{}\">", line.vantages);
            self.path(&mut svg, dots, ("share", &format!("line {class}")), share);
            self.path(&mut svg, dots, ("p50", &format!("thin {class}")), |dot| dot.p50.map(|us| scale.y(us)));
            self.path(&mut svg, dots, ("p99", &format!("line {class}")), |dot| dot.p99.map(|us| scale.y(us)));
            self.holes(&mut svg, line, place, &class);
            // A strip at the top of the lower panel shows where the 99th percentile is infinite.
            let strip = TOP + SHARE + BETWEEN + 2.0 + 5.0 * (place % 4) as f64;
            let endless = |dot: &Dot| dot.p99.is_none().then_some(strip);
            self.path(&mut svg, dots, ("endless", &format!("endless {class}")), endless);
            svg.push_str("</g>");
        }
        self.goals(&mut svg, floor, &scale);
        self.legend(&mut svg, &lines);
        svg.push_str("</svg>");
        svg
    }

    /// Returns the horizontal position of a moment, in pixels.
    fn x(&self, us: i64) -> f64 {
        self.span.x(us)
    }

    /// Draws one value of a line. A chart with a panel gets the `<path>` element even if it is empty, because the page's script
    /// draws into it after zooming.
    fn path(
        &self,
        svg: &mut String,
        dots: &[Dot],
        (value, class): (&str, &str),
        y: impl Fn(&Dot) -> Option<f64>,
    ) {
        let mut d = String::new();
        let mut last: Option<(i64, String)> = None;
        // The end of the last step, not yet written: equal steps that follow each other are drawn as one.
        let mut end = String::new();
        for dot in dots {
            let Some(y) = y(dot).map(short) else {
                last = None;
                continue;
            };
            // The line has steps, because a bin is a stretch of time and not a moment. It is broken where bins are
            // missing. Bins less than 200 ms apart are joined.
            let joined = last.filter(|(last, _)| dot.from_us.saturating_sub(*last).abs() < 200_000);
            match joined {
                Some((_, height)) if height == y => {}
                Some(_) => {
                    let _ = write!(d, "{end}V{y}");
                }
                None => {
                    let _ = write!(d, "{end}M{} {y}", short(self.x(dot.from_us)));
                }
            }
            end = format!("H{}", short(self.x(dot.until_us)));
            last = Some((dot.until_us, y));
        }
        d.push_str(&end);
        if !d.is_empty() || self.panel.is_some() {
            let _ = write!(svg, "<path class=\"{class}\" data-k=\"{value}\" d=\"{d}\"/>");
        }
    }

    /// Draws a strip under the upper panel where a vantage has no bins.
    fn holes(&self, svg: &mut String, line: &Line, place: usize, class: &str) {
        let y = TOP + SHARE + 3.0 + 5.0 * (place % 4) as f64;
        for (from, until) in line.columns.missing() {
            let (left, right) = (self.x(from), self.x(until));
            let _ = write!(
                svg,
                "<rect class=\"hole {class}\"{} x=\"{left:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"4\"><title>{}: \
                 nothing measured from {} to {}</title></rect>",
                stretch(from, until),
                (right - left).max(1.0),
                escape(&line.name),
                format::clock(from),
                format::clock(until)
            );
        }
    }

    /// Draws the faults and phases behind both panels, with labels above them.
    fn bands(&self, svg: &mut String) {
        let bottom = TOP + SHARE + BETWEEN + LATENCY;
        // A label may begin right of this position.
        let mut free = f64::MIN;
        for (place, band) in self.bands.iter().enumerate() {
            let (left, right) = (self.x(band.from_us), self.x(band.until_us));
            let class = if band.fault { "fault" } else { "phase" };
            let _ = write!(
                svg,
                "<g class=\"{class}\"{}><title>{}</title><rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
                 height=\"{:.1}\"/>",
                stretch(band.from_us, band.until_us),
                escape(&band.title),
                TOP,
                (right - left).max(1.0),
                bottom - TOP
            );
            // A label that would overlap the next band is reduced to the number with which it begins. The band's title has the
            // full text.
            let next = self.bands.get(place + 1).map_or(WIDTH, |next| self.x(next.from_us).max(left));
            let label_width = |label: &str| 6.6 * label.chars().count() as f64;
            let short = band.label.split(' ').next().filter(|word| word.bytes().all(|b| b.is_ascii_digit()));
            let fits = |label: &&str| !band.fault || left + label_width(label) < next.max(right);
            let label = [Some(band.label.as_str()), short].into_iter().flatten().find(fits);
            let label = label.or(short).unwrap_or(&band.label);
            let width = label_width(label);
            if left > free && left + width < WIDTH {
                let _ = write!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    left + 3.0,
                    TOP - 6.0,
                    escape(label)
                );
                free = left + width + 6.0;
            }
            svg.push_str("</g>");
        }
    }

    /// Returns the duration of a step of the lines, for people.
    pub(crate) fn resolution(&self) -> String {
        match self.lines.iter().map(|line| line.columns.step_us()).max() {
            None | Some(..=1_000_000) => "Each second is drawn.".to_owned(),
            Some(step_us) => format!(
                "Each step of a line is {} long and shows the worst second in it.",
                format::time(step_us)
            ),
        }
    }
}

/// Returns the lower end of the axis of shares: the largest round share that is not above any drawn share, so that one per cent of
/// errors is visible.
fn floor(lines: &[(&Line, Vec<Dot>)]) -> f64 {
    let lowest = lines.iter().flat_map(|(_, dots)| dots).map(|dot| dot.share).fold(1.0, f64::min);
    [0.99, 0.98, 0.95, 0.9, 0.8, 0.5].into_iter().find(|floor| *floor <= lowest).unwrap_or(0.0)
}
