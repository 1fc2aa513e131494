//! The functions of a query: which samples of a series they need, and what their value shows when series are missing.

use std::collections::BTreeSet;

use super::promql::{AGGREGATIONS, Word, selectors, words};
use crate::kind::Missing;

/// The samples that a query reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Read {
    /// A selector without its range.
    Selector(String),
    /// A selector with its range, by a function that leaves out series with fewer than two samples in it.
    Two(String),
    /// The same, by a function to which one sample is enough.
    One(String),
}

impl Read {
    /// Returns the query of the number of series.
    pub(super) fn count(&self) -> String {
        match self {
            Self::Selector(text) => format!("count({text})"),
            Self::Two(text) => format!("count(count_over_time({text}) >= 2)"),
            // It keeps the names of series, so it fails nowhere where the query does not.
            Self::One(text) => format!("count(last_over_time({text}))"),
        }
    }
}

/// Returns what a query reads: each selector, and each with a range again as its function sees it. A query that `check` accepts has no
/// `offset` and no `@`, so a range stands right behind its selector.
pub(super) fn reads(query: &str) -> BTreeSet<Read> {
    let mut all: BTreeSet<Read> = selectors(query).into_iter().map(Read::Selector).collect();
    let words = words(query);
    // The functions whose parentheses are open.
    let mut open: Vec<Option<&str>> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match word {
            Word::Open => open.push(match at.checked_sub(1).and_then(|before| words.get(before)) {
                Some(Word::Name(name)) => Some(name),
                _ => None,
            }),
            Word::Close => {
                open.pop();
            }
            Word::Brackets(range) => {
                let text = |place: Option<usize>| match place.and_then(|place| words.get(place)) {
                    Some(Word::Name(text) | Word::Braces(text)) => Some(*text),
                    _ => None,
                };
                let last = at.checked_sub(1);
                let Some(own) = text(last) else { continue };
                let name = match text(last.and_then(|last| last.checked_sub(1))) {
                    Some(name) if own.starts_with('{') && !name.starts_with('{') => name,
                    _ => "",
                };
                let ranged = format!("{name}{own}{range}");
                let one = open.iter().rev().find_map(|name| *name).is_some_and(is_enough_with_one);
                all.insert(if one { Read::One(ranged) } else { Read::Two(ranged) });
            }
            _ => {}
        }
    }
    all
}

/// Whether a function has a value of a series with one sample in the range. Others, such as `rate`, need two.
fn is_enough_with_one(function: &str) -> bool {
    let lower = function.to_ascii_lowercase();
    lower.ends_with("_over_time") || lower == "changes" || lower == "resets"
}

/// Returns what the value of a query shows when series behind it are missing, as far as its words tell.
pub(super) fn missing(query: &str) -> Missing {
    let words = words(query);
    let lower = |word: &Word<'_>| match word {
        Word::Name(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    let aggregates = |name: &String| AGGREGATIONS.contains(&name.as_str());
    // Makes one value of several series, or another value for those that are missing.
    let mixes = |name: &String| {
        ["or", "unless", "scalar", "absent", "absent_over_time"].contains(&name.as_str())
            || name.starts_with("histogram_")
    };
    let names: Vec<String> = words.iter().filter_map(lower).collect();
    if names.iter().any(mixes) {
        return Missing::Open;
    }
    match names.iter().filter(|name| aggregates(name)).count() {
        0 => Missing::Each,
        1 => of_aggregation(&words, names.first().map(String::as_str), query),
        _ => Missing::Open,
    }
}

/// The same of a query with one aggregation: it has to be the whole query, over one selector.
fn of_aggregation(words: &[Word<'_>], name: Option<&str>, query: &str) -> Missing {
    // Operators may stand anywhere; only commas between labels or arguments are none.
    let operates = words.iter().any(|word| match word {
        Word::Other(text) => {
            !text.starts_with(['"', '\'', '`', ',']) && !text.starts_with(|c: char| c.is_ascii_digit())
        }
        _ => false,
    });
    if operates || selectors(query).len() != 1 {
        return Missing::Open;
    }
    // These make nothing negative of series that are not: so a sum of some is at most the sum of all.
    let counts = |name: &str| {
        let lower = name.to_ascii_lowercase();
        ["sum", "by", "without", "rate", "irate", "increase", "resets", "changes"].contains(&lower.as_str())
            || lower.ends_with("_over_time")
    };
    let counts = words.windows(2).all(|pair| match pair {
        [Word::Name(name), Word::Open] => counts(name),
        _ => true,
    });
    match name {
        Some("sum") if counts => Missing::AtLeast,
        Some("max" | "count" | "topk") => Missing::AtLeast,
        Some("min" | "bottomk") => Missing::AtMost,
        _ => Missing::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_its_function_sees_it() {
        let counts = |query: &str| -> Vec<String> {
            reads(query).iter().filter(|one| !matches!(one, Read::Selector(_))).map(Read::count).collect()
        };
        assert_eq!(counts("up"), Vec::<String>::new());
        for two in ["sum(rate(x[10s]))", "sum by (a) ((increase(x[10s])))", "RATE((x [10s]))"] {
            assert_eq!(counts(two), ["count(count_over_time(x[10s]) >= 2)"], "{two}");
        }
        assert_eq!(
            counts("quantile_over_time(0.9, x{a=\"[1h]\"}[10s])"),
            ["count(last_over_time(x{a=\"[1h]\"}[10s]))"]
        );
        assert_eq!(counts("resets({a=\"b\"}[1m])"), ["count(last_over_time({a=\"b\"}[1m]))"]);
        assert_eq!(
            counts("sum by (x) (rate(a[5s])) / on (x) sum(max_over_time(b{c='d'}[9s]))"),
            ["count(count_over_time(a[5s]) >= 2)", "count(last_over_time(b{c='d'}[9s]))"]
        );
        assert_eq!(reads("rate(x[10s])").into_iter().next(), Some(Read::Selector("x".to_owned())));
    }

    #[test]
    fn the_words_of_a_query_tell_what_it_shows_without_some_series() {
        for (query, wanted) in [
            ("rate(x[10s])", Missing::Each),
            ("a / on(x) group_left b", Missing::Each),
            ("sum(rate(x[10s]))", Missing::AtLeast),
            ("sum by (zone, job) (increase(x{a=\"-\"}[1m]))", Missing::AtLeast),
            ("sum(rate(x[10s])) without (a)", Missing::AtLeast),
            ("topk(3, x)", Missing::AtLeast),
            ("max(deriv(x[10s]))", Missing::AtLeast),
            ("min(x)", Missing::AtMost),
            ("avg(x)", Missing::Open),
            ("quantile(0.9, x)", Missing::Open),
            ("sum(delta(x[10s]))", Missing::Open),
            ("sum(ln(x))", Missing::Open),
            ("sum(-x)", Missing::Open),
            ("-sum(x)", Missing::Open),
            ("100 * sum(x)", Missing::Open),
            ("sum(a - b)", Missing::Open),
            ("sum(a * on(x) b)", Missing::Open),
            ("sum(rate(a[9s])) / sum(rate(b[9s]))", Missing::Open),
            ("max(sum by (a) (x))", Missing::Open),
            ("abs(sum(x))", Missing::Open),
            ("sum(x) or vector(0)", Missing::Open),
            ("rate(x[10s]) or 0 * up", Missing::Open),
            ("histogram_quantile(0.99, rate(x_bucket[5m]))", Missing::Open),
            ("absent(x)", Missing::Open),
        ] {
            assert_eq!(missing(query), wanted, "{query}");
        }
    }
}
