//! Divides a list into pages, and chooses the page that a person asked for. Reads no list itself.

use serde::Serialize;

/// The part of a list that one page shows.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Paging {
    /// The number of the page, from 1.
    pub(super) number: usize,
    /// The number of the first row, from 1.
    from: usize,
    /// The number of the last row.
    until: usize,
    /// Whether there are further rows.
    more: bool,
}

impl Paging {
    /// Returns the part for a page number as it was typed. `rows` is the number of rows on a page, `total` that of the whole list. A text that is no
    /// number means the first page; a number that is too high means the last page.
    pub(super) fn of(typed: &str, rows: usize, total: usize) -> Self {
        let last = total.div_ceil(rows).max(1);
        let number = typed.parse::<usize>().unwrap_or(1).clamp(1, last);
        let until = (number * rows).min(total);
        Self { number, from: (number - 1) * rows + 1, until, more: until < total }
    }

    /// Returns the rows of this page.
    pub(super) fn part<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        all.get(self.from - 1..self.until).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_on_one_page_whatever_was_typed() {
        let all: Vec<usize> = (0..120).collect();
        let part = |typed: &str| Paging::of(typed, 50, all.len()).part(&all).to_vec();
        assert_eq!([part("1"), part("2"), part("3")].concat(), all);
        assert_eq!((part(""), part("-1"), part("0")), (part("1"), part("1"), part("1")));
        assert_eq!(part("18446744073709551615"), part("3"));
        assert_eq!(Paging::of("9", 50, 0), Paging { number: 1, from: 1, until: 0, more: false });
    }
}
