//! The parts that panels of metrics and logs share: their beginning, the shaded stretches, the strips over unknown stretches.

use std::fmt::Write as _;

use super::{
    Band, escape,
    frame::{BELOW, METRIC, METRIC_TOP as TOP, Span, WIDTH},
    stretch,
};

/// Begins an `<svg>` element; `data` are its attributes for the page's script.
pub(super) fn begin(id: &str, span: Span, data: &str, (title, text): (&str, &str)) -> String {
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"{}{data}><title \
         id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        TOP + METRIC + BELOW,
        span.data(),
        escape(title),
        escape(text)
    )
}

/// Draws the faults and phases behind a panel; with their labels if `labelled`.
pub(super) fn bands(svg: &mut String, span: Span, bands: &[Band], labelled: bool) {
    for band in bands {
        let (left, right) = (span.x(band.from_us), span.x(band.until_us));
        let _ = write!(
            svg,
            "<g class=\"{}\"{}><title>{}</title><rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{METRIC}\"/>",
            if band.fault { "fault" } else { "phase" },
            stretch(band.from_us, band.until_us),
            escape(&band.title),
            (right - left).max(1.0),
        );
        if labelled {
            let (x, y) = (left + 3.0, TOP - 6.0);
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(&band.label));
        }
        svg.push_str("</g>");
    }
}

/// Draws a strip with its top at `y` over a stretch of time of which something is not known.
pub(super) fn strip(
    svg: &mut String,
    span: Span,
    (from_us, until_us): (i64, i64),
    y: f64,
    (class, title): (&str, &str),
) {
    let (left, right) = (span.x(from_us), span.x(until_us));
    let _ = write!(
        svg,
        "<rect class=\"{class}\"{} x=\"{left:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"4\"><title>{}</title></rect>",
        stretch(from_us, until_us),
        (right - left).max(1.0),
        escape(title)
    );
}
