//! Draws a [`Heat`] as SVG: time from left to right, latency upwards. A cell has a stronger colour if a larger part of its column's requests is in it.

use std::fmt::Write as _;

use super::{
    escape,
    frame::{LEFT, RIGHT, Span, WIDTH, latency},
};
use crate::report::heat::{Heat, power};

/// Height of a band of latency.
const BAND: f64 = 6.0;
/// Height above the bands, with the row of requests without a good answer.
const TOP: f64 = 22.0;

/// The bands of a map without any good answer: 1 ms to 10 ms.
const NO_ANSWERS: (usize, usize) = (12, 18);

/// Renders a map as an `<svg>` element; `None` if nothing was measured.
pub(crate) fn svg(id: &str, probe: &str, span: Span, heat: &Heat) -> Option<String> {
    let (first, last) = heat.range().or_else(|| heat.any_bad().then_some(NO_ANSWERS))?;
    // One band more below, and at least ten bands above it, so that the labels of the axis have room.
    let (first, last) = (first.saturating_sub(1), last.max(first + 10));
    let bands = last - first;
    let height = BAND * bands as f64;
    let mut svg = format!(
        "<svg class=\"chart heat\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"{} data-heat=\"\">\
         <title id=\"{id}-t\">{}: latency of all requests</title><desc id=\"{id}-d\">Each column is the requests of a time, by \
         latency. The line above is the requests without a good answer. The chart before it has the figures.</desc>",
        TOP + height + 24.0,
        span.data(),
        escape(probe),
    );
    for band in first..=last {
        // Only whole powers of ten have a rule.
        let exponent = power(band);
        if (exponent - exponent.round()).abs() < 1e-6 {
            let y = TOP + BAND * (last - band) as f64;
            let us = firedrill_statistics::whole(10_f64.powf(exponent));
            super::frame::rule(&mut svg, y, &latency(us), "grid");
        }
    }
    let _ = write!(svg, "<text class=\"scale\" x=\"{}\" y=\"12\">failed</text>", LEFT - 6.0);
    // The cells are in a nested `<svg>` whose units are columns and bands. The page's script zooms by changing its `viewBox`, which also
    // cuts off the columns outside.
    let width = WIDTH - LEFT - RIGHT;
    let columns_wide = span.until_us.saturating_sub(span.from_us) as f64 / heat.step_us().max(1) as f64;
    let mut picture = |y: f64, height: f64, rows: usize, class: &str, levels: &dyn Fn(usize) -> Vec<u8>| {
        let _ = write!(
            svg,
            "<svg class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {columns_wide:.3} \
             {rows}\" data-columns=\"{columns_wide:.3}\" data-rows=\"{rows}\" preserveAspectRatio=\"none\">"
        );
        let cells: Vec<Vec<u8>> = (0..rows).map(levels).collect();
        for level in 1..=5_u8 {
            let mut d = String::new();
            for (row, levels) in cells.iter().enumerate() {
                runs(&mut d, row, levels, level);
            }
            if !d.is_empty() {
                let _ = write!(svg, "<path class=\"h{level}\" d=\"{d}\"/>");
            }
        }
        svg.push_str("</svg>");
    };
    picture(5.0, 8.0, 1, "cells bad", &|_| heat.levels(None).collect());
    picture(TOP, height, bands, "cells", &|row| heat.levels(Some(last - 1 - row)).collect());
    span.axis(&mut svg, TOP + height);
    svg.push_str("</svg>");
    Some(svg)
}

/// Draws the columns of a row that have the level, with one line for each run of neighbours.
fn runs(d: &mut String, row: usize, levels: &[u8], level: u8) {
    let mut at = 0;
    for run in levels.chunk_by(|left, right| left == right) {
        if run.first() == Some(&level) {
            let _ = write!(d, "M{at} {row}.5h{}", run.len());
        }
        at += run.len();
    }
}
