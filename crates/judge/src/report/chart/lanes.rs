//! Draws the events of a run in lanes on the time axis of the charts: faults, guards, alerts and other moments.

use std::fmt::Write as _;

use super::{
    cut, escape,
    frame::{LEFT, LETTER, RIGHT, Span, WIDTH},
    stretch,
};

/// Height of a row.
const ROW: f64 = 25.0;
/// Height above the first row.
const TOP: f64 = 6.0;
/// Maximum length of a label, which fits any chart.
const LABEL: usize = 90;
/// Maximum number of rows of a lane.
const MOST_ROWS: usize = 12;

/// A bar, or a mark where it has no length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Item {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    pub(crate) label: String,
    /// The whole text, shown as a tooltip.
    pub(crate) title: String,
    /// `fault`, `alert`, `doubt` or `plain`.
    pub(crate) class: &'static str,
    /// The number of its attack, from 1; `None` if it belongs to no attack.
    pub(crate) attack: Option<usize>,
    /// The hosts that it is about, as indexes into [`crate::report::names::Names`]; empty if it is about no host.
    pub(crate) hosts: String,
}

/// Items of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) items: Vec<Item>,
}

/// Renders the lanes as an `<svg>` element. Lanes without items are left out.
pub(crate) fn svg(id: &str, title: &str, span: Span, lanes: &[Lane]) -> String {
    let mut body = String::new();
    // The description for readers who do not see the lanes.
    let mut words = String::new();
    let mut y = TOP;
    for lane in lanes.iter().filter(|lane| !lane.items.is_empty()) {
        let (rows, left_out) = packed(span, &lane.items);
        let _ = write!(body, "<text class=\"name\" x=\"2\" y=\"{:.1}\">{}</text>", y + 12.0, lane.name);
        for row in rows {
            row.iter().for_each(|item| draw(&mut body, span, item, y));
            y += ROW;
        }
        if left_out > 0 {
            let _ = write!(body, "<text x=\"{LEFT}\" y=\"{:.1}\">and {left_out} more</text>", y + 12.0);
            y += ROW;
        }
        let _ = write!(words, " {}: ", lane.name);
        let titles: Vec<&str> = lane.items.iter().take(MOST_ROWS).map(|item| item.title.as_str()).collect();
        words.push_str(&titles.join("; "));
        words.push('.');
        y += 4.0;
    }
    span.axis(&mut body, y);
    format!(
        "<svg class=\"chart lanes\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"{} data-lanes=\"\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{body}</svg>",
        y + 24.0,
        span.data(),
        escape(title),
        escape(words.trim())
    )
}

/// Puts items into rows in which they do not overlap. Returns the rows, and the number of items for which no row was left.
fn packed(span: Span, items: &[Item]) -> (Vec<Vec<&Item>>, usize) {
    let mut rows: Vec<(f64, Vec<&Item>)> = Vec::new();
    let mut left_out = 0;
    for item in items {
        let (from, until) = extent(span, item);
        let full = rows.len() >= MOST_ROWS;
        match rows.iter_mut().find(|(free, _)| *free <= from) {
            Some((free, row)) => {
                row.push(item);
                *free = until + 8.0;
            }
            None if !full => rows.push((until + 8.0, vec![item])),
            None => left_out += 1,
        }
    }
    (rows.into_iter().map(|(_, row)| row).collect(), left_out)
}

/// Returns the left and the right end of the space that a bar and its label take together.
fn extent(span: Span, item: &Item) -> (f64, f64) {
    let (left, right) = (span.x(item.from_us), span.x(item.until_us));
    let width = LETTER * cut(&item.label, LABEL).chars().count() as f64;
    let label = label_x(left, width);
    (left.min(label), right.max(label + width))
}

/// Returns the left end of a label: at the beginning of its bar, or so far left that the label fits into the chart.
fn label_x(left: f64, width: f64) -> f64 {
    left.min(WIDTH - RIGHT - width).max(LEFT)
}

/// Draws an item with its label in the row whose top is at `y`.
fn draw(svg: &mut String, span: Span, item: &Item, y: f64) {
    let (left, right) = (span.x(item.from_us), span.x(item.until_us));
    let label = cut(&item.label, LABEL);
    let x = label_x(left, LETTER * label.chars().count() as f64);
    let attack = item.attack.map_or_else(String::new, |attack| format!(" data-a=\"{attack}\""));
    let hosts = if item.hosts.is_empty() { String::new() } else { format!(" data-h=\"{}\"", item.hosts) };
    let _ = write!(
        svg,
        "<g class=\"item {}\"{}{attack}{hosts}><title>{}</title><text x=\"{x:.1}\" y=\"{:.1}\">{}</text>\
         <rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"6\"/></g>",
        item.class,
        stretch(item.from_us, item.until_us),
        escape(&item.title),
        y + 11.0,
        escape(&label),
        y + 15.0,
        (right - left).max(3.0)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_overlap_are_in_different_rows_and_items_without_a_row_are_counted() {
        let span = Span { from_us: 0, until_us: 100_000_000, zero_us: 0 };
        let item = |from: i64, until: i64| Item {
            from_us: from * 1_000_000,
            until_us: until * 1_000_000,
            label: "x".to_owned(),
            title: format!("from {from}"),
            ..Item::default()
        };
        let few = [item(0, 50), item(10, 20), item(60, 70)];
        let (rows, left_out) = packed(span, &few);
        let titles: Vec<Vec<&str>> =
            rows.iter().map(|row| row.iter().map(|item| item.title.as_str()).collect()).collect();
        assert_eq!((titles, left_out), (vec![vec!["from 0", "from 60"], vec!["from 10"]], 0));
        let many: Vec<Item> = (0..20).map(|_| item(0, 50)).collect();
        assert!(
            svg("l", "lanes", span, &[Lane { name: "faults", items: many }]).contains(">and 8 more</text>")
        );
        let late = Item { label: "a label that is long".to_owned(), ..item(99, 100) };
        let (from, until) = extent(span, &late);
        assert!(from >= LEFT && until <= WIDTH, "{from} {until}");
    }
}
