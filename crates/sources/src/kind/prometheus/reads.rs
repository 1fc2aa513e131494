//! The functions of a query: the samples of a series that they need, and how their value changes when series are missing.

use std::collections::BTreeSet;

use super::promql::{AGGREGATIONS, Word, selectors, words};
use crate::kind::Missing;

/// The samples that a query reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Read {
    /// A selector without its range.
    Selector(String),
    /// A selector with its range, read by a function that leaves out series with fewer than two samples in the range.
    Two(String),
    /// A selector with its range, read by a function that needs only one sample.
    One(String),
}

impl Read {
    /// Returns a query for the number of series that are read.
    pub(super) fn count(&self) -> String {
        match self {
            Self::Selector(text) => format!("count({text})"),
            Self::Two(text) => format!("count(count_over_time({text}) >= 2)"),
            // `last_over_time` keeps the names of series, so that it never makes two of them equal, which would be an error.
            Self::One(text) => format!("count(last_over_time({text}))"),
        }
    }
}

/// Returns all that a query reads: each selector, and each selector with a range once more with that range. A range comes directly
/// after its selector, because `check` accepts no query with `offset` or `@`.
pub(super) fn reads(query: &str) -> BTreeSet<Read> {
    let mut reads: BTreeSet<Read> = selectors(query).into_iter().map(Read::Selector).collect();
    let words = words(query);
    // The open parentheses, each with the name before it: that of its function, if it has one.
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
                let text = |index: Option<usize>| match index.and_then(|index| words.get(index)) {
                    Some(Word::Name(text) | Word::Braces(text)) => Some(*text),
                    _ => None,
                };
                let last = at.checked_sub(1);
                let Some(selector) = text(last) else { continue };
                let name = match text(last.and_then(|last| last.checked_sub(1))) {
                    Some(name) if selector.starts_with('{') && !name.starts_with('{') => name,
                    _ => "",
                };
                let ranged = format!("{name}{selector}{range}");
                let needs_one = open.iter().rev().find_map(|name| *name).is_some_and(needs_one_sample);
                reads.insert(if needs_one { Read::One(ranged) } else { Read::Two(ranged) });
            }
            _ => {}
        }
    }
    reads
}

/// Whether a function has a value for a series with one sample in the range. Others, such as `rate`, need two.
fn needs_one_sample(function: &str) -> bool {
    let lower = function.to_ascii_lowercase();
    lower.ends_with("_over_time") || lower == "changes" || lower == "resets"
}

/// Returns how the value of a query changes when series behind it are missing; [`Missing::Open`] if its words do not show that.
pub(super) fn missing(query: &str) -> Missing {
    let words = words(query);
    let lower = |word: &Word<'_>| match word {
        Word::Name(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    let aggregates = |name: &String| AGGREGATIONS.contains(&name.as_str());
    // These make one value of several series, or put another value in place of a missing series.
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
        1 => missing_of_aggregation(&words, names.first().map(String::as_str), query),
        _ => Missing::Open,
    }
}

/// Does the same as [`missing`] for a query with one aggregation. If the aggregation is not the whole query, or has several selectors, the result
/// is [`Missing::Open`].
fn missing_of_aggregation(words: &[Word<'_>], name: Option<&str>, query: &str) -> Missing {
    // Any other sign than a text, a number or a comma is an operator.
    let operates = words.iter().any(|word| match word {
        Word::Other(text) => {
            !text.starts_with(['"', '\'', '`', ',']) && !text.starts_with(|c: char| c.is_ascii_digit())
        }
        _ => false,
    });
    if operates || selectors(query).len() != 1 {
        return Missing::Open;
    }
    // These functions have no negative values for counters, so a sum over some series is at most the sum over all.
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
    fn counted_series_have_as_many_samples_as_the_function_needs() {
        let counts = |query: &str| -> Vec<String> {
            reads(query).iter().filter(|read| !matches!(read, Read::Selector(_))).map(Read::count).collect()
        };
        assert_eq!(counts("up"), Vec::<String>::new());
        for query in ["sum(rate(x[10s]))", "sum by (a) ((increase(x[10s])))", "RATE((x [10s]))"] {
            assert_eq!(counts(query), ["count(count_over_time(x[10s]) >= 2)"], "{query}");
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
    fn the_effect_of_missing_series_follows_from_the_words_of_a_query() {
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
