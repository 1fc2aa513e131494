//! The words of a chart: its legend, and its description for screen readers.

use std::fmt::Write as _;

use super::{
    Chart, Line, escape,
    frame::{LEFT, WIDTH, latency},
};
use crate::{report::columns::Dot, score::format};

/// The symbol of a key.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    Line,
    Bar,
    Dot,
}

/// A legend: keys (a symbol and its meaning) side by side, in as many rows as they need.
pub(super) struct Legend<'s> {
    svg: &'s mut String,
    /// The left end of the next key.
    x: f64,
    /// The middle of the current row.
    y: f64,
}

impl<'s> Legend<'s> {
    /// Begins a legend at the top of a chart, at `x`.
    pub(super) const fn new(svg: &'s mut String, x: f64) -> Self {
        Self { svg, x, y: 10.0 }
    }

    /// Adds a key. `class` is the style of its symbol; `attributes` are those by which the page's script filters it, or empty.
    pub(super) fn key(&mut self, sign: Sign, class: &str, text: &str, attributes: &str) {
        let width = 23.0 + 6.3 * text.chars().count() as f64;
        if self.x + width > WIDTH {
            (self.x, self.y) = (LEFT, self.y + 14.0);
        }
        let (x, y) = (self.x, self.y);
        let _ = write!(self.svg, "<g{attributes}>");
        let _ = match sign {
            Sign::Bar => write!(
                self.svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"18\" height=\"4\"/>",
                y - 2.0
            ),
            Sign::Line => write!(self.svg, "<path class=\"{class}\" d=\"M{x:.1} {y:.1}H{:.1}\"/>", x + 18.0),
            Sign::Dot => {
                write!(self.svg, "<path class=\"{class} dots\" d=\"M{:.1} {y:.1}h.01\"/>", x + 9.0)
            }
        };
        let _ = write!(
            self.svg,
            "<text class=\"key\" x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
            x + 23.0,
            y + 4.0,
            escape(text)
        );
        self.x += width + 14.0;
    }
}

impl Chart {
    /// Draws the keys of all lines, and those of the styles that the chart uses.
    pub(super) fn legend(&self, svg: &mut String, lines: &[(&Line, Vec<Dot>)]) {
        let mut legend = Legend::new(svg, LEFT);
        for (place, (line, _)) in lines.iter().enumerate() {
            let attributes = format!(" data-v=\"{}\"", line.vantages);
            if line.counts {
                legend.key(Sign::Line, &format!("line v{}", place % 6), &line.name, &attributes);
            } else {
                legend.key(Sign::Line, "line vx", &format!("{} (on a target)", line.name), &attributes);
            }
        }
        legend.key(Sign::Line, "thin vk", "median", "");
        legend.key(Sign::Line, "line vk", "p99", "");
        if lines.iter().any(|(_, dots)| dots.iter().any(|dot| dot.p99.is_none())) {
            legend.key(Sign::Bar, "endless vk", "p99 without an answer", "");
        }
        if lines.iter().any(|(line, _)| !line.columns.missing().is_empty()) {
            legend.key(Sign::Bar, "hole vk", "nothing measured", "");
        }
    }

    /// Describes the chart in sentences: for each line its lowest share and its highest latency, then the faults.
    pub(super) fn describe(&self, lines: &[(&Line, Vec<Dot>)]) -> String {
        let mut text = String::from(
            "Share of good requests, and below it median and 99th percentile of latency, over time.",
        );
        for (line, dots) in lines {
            let lowest = dots.iter().min_by(|a, b| a.share.total_cmp(&b.share));
            match lowest {
                None => {
                    let _ = write!(text, " {}: nothing measured.", line.name);
                }
                Some(dot) => {
                    let slowest = dots.iter().map(|dot| dot.p99.unwrap_or(u64::MAX)).max().unwrap_or(0);
                    let slow =
                        if slowest == u64::MAX { "without an answer".to_owned() } else { latency(slowest) };
                    let _ = write!(
                        text,
                        " {}: lowest share {} at {}, highest 99th percentile {slow}.",
                        line.name,
                        format::percent(dot.share),
                        format::clock(dot.from_us)
                    );
                }
            }
        }
        for band in self.bands.iter().filter(|band| band.fault) {
            let _ = write!(text, " {}.", band.title);
        }
        text
    }
}
