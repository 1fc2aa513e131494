//! The words of a chart: its legend, and its description for those who do not see it.

use std::fmt::Write as _;

use super::{
    Chart, Line, escape,
    frame::{LEFT, WIDTH, latency},
};
use crate::{report::columns::Dot, score::format};

impl Chart {
    pub(super) fn legend(&self, svg: &mut String, lines: &[(&Line, Vec<Dot>)]) {
        let (mut x, mut y) = (LEFT, 10.0);
        let mut item = |mark: &str, class: &str, text: &str, of: &str| {
            let of = if of.is_empty() { String::new() } else { format!(" data-v=\"{of}\"") };
            let width = 23.0 + 6.3 * text.chars().count() as f64;
            if x + width > WIDTH {
                (x, y) = (LEFT, y + 14.0);
            }
            let _ = write!(svg, "<g{of}>");
            let _ = match mark {
                "bar" => write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"18\" height=\"4\"/>",
                    y - 2.0
                ),
                _ => write!(svg, "<path class=\"{class}\" d=\"M{x:.1} {y:.1}H{:.1}\"/>", x + 18.0),
            };
            let _ = write!(
                svg,
                "<text class=\"key\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 23.0,
                y + 4.0,
                escape(text)
            );
            svg.push_str("</g>");
            x += width + 14.0;
        };
        for (place, (line, _)) in lines.iter().enumerate() {
            if line.counts {
                item("line", &format!("line v{}", place % 6), &line.name, &line.vantages);
            } else {
                item("line", "line vx", &format!("{} (on a target)", line.name), &line.vantages);
            }
        }
        item("line", "thin vk", "median", "");
        item("line", "line vk", "p99", "");
        item("line", "goal", "wanted", "");
        if lines.iter().any(|(_, dots)| dots.iter().any(|dot| dot.p99.is_none())) {
            item("bar", "endless vk", "p99 without an answer", "");
        }
        if lines.iter().any(|(line, _)| !line.columns.missing().is_empty()) {
            item("bar", "hole vk", "nothing measured", "");
        }
    }

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
