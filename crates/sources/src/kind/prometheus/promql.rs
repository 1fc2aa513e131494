//! Reads queries in PromQL, without a full parser: finds their selectors, and how far they look back. Does not decide whether a query is
//! valid PromQL; Prometheus itself does.

use std::collections::BTreeSet;

/// A word or a sign of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word<'q> {
    /// The name of a metric, of a label or of a function, or a keyword.
    Name(&'q str),
    /// `{…}`, with the braces.
    Braces(&'q str),
    /// `[…]`, with the brackets.
    Brackets(&'q str),
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// A number, a duration, an operator, a text or a comma.
    Other(&'q str),
}

/// Words of the language, which are no names of metrics.
const KEYWORDS: [&str; 14] = [
    "and",
    "or",
    "unless",
    "atan2",
    "bool",
    "offset",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "inf",
    "nan",
];
/// Words that come before a list of labels in parentheses.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Aggregations, whose parentheses may come after `by (…)`.
pub(super) const AGGREGATIONS: [&str; 14] = [
    "sum",
    "min",
    "max",
    "avg",
    "group",
    "stddev",
    "stdvar",
    "count",
    "count_values",
    "bottomk",
    "topk",
    "quantile",
    "limitk",
    "limit_ratio",
];

/// Splits a query into words. Leaves out spaces and comments.
pub(super) fn words(query: &str) -> Vec<Word<'_>> {
    let bytes = query.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let from = at;
        match byte {
            b'#' => at = query[at..].find('\n').map_or(bytes.len(), |end| at + end),
            b'"' | b'\'' | b'`' => {
                at = text_end(bytes, at);
                words.push(Word::Other(&query[from..at]));
            }
            b'{' | b'[' => {
                let close = if *byte == b'{' { b'}' } else { b']' };
                at += 1;
                while let Some(byte) = bytes.get(at) {
                    match byte {
                        b'"' | b'\'' | b'`' => at = text_end(bytes, at),
                        byte if *byte == close => break,
                        _ => at += 1,
                    }
                }
                at = (at + 1).min(bytes.len());
                let word = &query[from..at];
                words.push(if close == b'}' { Word::Braces(word) } else { Word::Brackets(word) });
            }
            b'(' | b')' => {
                at += 1;
                words.push(if *byte == b'(' { Word::Open } else { Word::Close });
            }
            byte if byte.is_ascii_alphabetic() || b"_:".contains(byte) => {
                while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(byte)) {
                    at += 1;
                }
                words.push(Word::Name(&query[from..at]));
            }
            byte if byte.is_ascii_digit() => {
                // A number or a duration. Letters after the digits belong to it: `1e3`, `5m`.
                while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.') {
                    at += 1;
                }
                words.push(Word::Other(&query[from..at]));
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                at += query[at..].chars().next().map_or(1, char::len_utf8);
                words.push(Word::Other(&query[from..at]));
            }
        }
    }
    words
}

/// Returns the place after the end of the quoted text that begins at `at`.
fn text_end(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'\\' if quote != b'`' => end += 1,
            byte if *byte == quote => return end + 1,
            _ => {}
        }
        end += 1;
    }
    bytes.len()
}

/// Returns the selectors of series in a query, without ranges: `x{a="b"}` of `rate(x{a="b"}[10s])`.
#[must_use]
pub fn selectors(query: &str) -> Vec<String> {
    let words = words(query);
    let mut selectors = BTreeSet::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1);
        match word {
            Word::Name(name)
                if next == Some(&Word::Open)
                    && BEFORE_LABELS.contains(&name.to_ascii_lowercase().as_str()) =>
            {
                while at < words.len() && words[at] != Word::Close {
                    at += 1;
                }
            }
            Word::Name(name) => {
                let lower = name.to_ascii_lowercase();
                let aggregates = AGGREGATIONS.contains(&lower.as_str())
                    && matches!(next, Some(Word::Name(by)) if ["by", "without"].contains(&by.to_ascii_lowercase().as_str()));
                let called = next == Some(&Word::Open);
                if let Some(Word::Braces(labels)) = next {
                    selectors.insert(format!("{name}{labels}"));
                    at += 1;
                } else if !called && !aggregates && !KEYWORDS.contains(&lower.as_str()) {
                    selectors.insert((*name).to_owned());
                }
            }
            Word::Braces(labels) => {
                selectors.insert((*labels).to_owned());
            }
            _ => {}
        }
        at += 1;
    }
    selectors.into_iter().collect()
}

/// Returns the longest range of a query, in microseconds; 0 if it has none.
pub(super) fn window_us(query: &str) -> i64 {
    ranges(query).into_iter().filter_map(duration_us).max().unwrap_or(0)
}

/// Returns the ranges of a query without their brackets, such as `1m`. A subquery's resolution is left out.
fn ranges(query: &str) -> Vec<&str> {
    let range = |word| match word {
        Word::Brackets(text) => {
            let text: &str = text;
            text.trim_matches(['[', ']']).split(':').next().map(str::trim)
        }
        _ => None,
    };
    words(query).into_iter().filter_map(range).collect()
}

/// Reads a duration in microseconds, such as `1m30s` or `500ms`. A bare number counts seconds, as Prometheus 3 has it. `None` for any
/// other text.
fn duration_us(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("ms", 1_000),
        ("s", 1_000_000),
        ("m", 60_000_000),
        ("h", 3_600_000_000),
        ("d", 86_400_000_000),
        ("w", 604_800_000_000),
        ("y", 31_536_000_000_000),
    ];
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let span = std::time::Duration::try_from_secs_f64(text.parse().ok()?).ok()?;
        return i64::try_from(span.as_micros()).ok();
    }
    let (mut rest, mut sum) = (text, 0_i64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        let letters =
            rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[digits..letters])?;
        sum = sum.checked_add(count.checked_mul(*unit)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(sum)
}

/// Returns the reasons why a query is unfit for an objective, each with a help text.
pub(super) fn invalid(query: &str) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let mut add = |what: &str, help: &str| wrong.push((what.to_owned(), help.to_owned()));
    let words = words(query);
    if query.trim().is_empty() {
        add("the query is empty", "for example sum(rate(http_errors_total[10s]))");
        return wrong;
    }
    if selectors(query).is_empty() {
        add(
            "the query reads no series, so nothing tells whether anything was measured",
            "for example sum(rate(http_errors_total[10s]))",
        );
    }
    let moved = words.iter().any(|word| match word {
        Word::Name(name) => name.eq_ignore_ascii_case("offset"),
        Word::Other(text) => *text == "@",
        _ => false,
    });
    if moved {
        let what = "the query moves its time by `offset` or `@`, so its values are of another time than they are judged for";
        add(what, "leave it out; `lag` says how late the source knows");
    }
    if words.iter().any(|word| matches!(word, Word::Brackets(text) if text.contains(':'))) {
        let what = "the query has a subquery, in which the age of samples cannot be told";
        add(
            what,
            "record it as a series with a rule of Prometheus, ask for that, and give the time that the rule looks back as `window`",
        );
    }
    if let Some(range) = ranges(query).into_iter().find(|range| duration_us(range).is_none_or(|us| us <= 0)) {
        let range = crate::excerpt::excerpt(range);
        let what =
            format!("the range [{range}] cannot be read, so nothing tells what time the values are about");
        add(&what, "a duration such as [10s] or [1m30s], or a number of seconds");
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_found_anywhere_in_a_query() {
        for (query, wanted) in [
            ("up", &["up"][..]),
            ("sum(rate(http_errors_total[10s]))", &["http_errors_total"]),
            (
                "sum by (zone, job) (rate(x{a=~\"5..\", b='}'}[1m])) / on(zone) group_left(node) y",
                &["x{a=~\"5..\", b='}'}", "y"],
            ),
            ("topk(3, a:b:rate5m) or 0 * sum(up{job=\"x\"})", &["a:b:rate5m", "up{job=\"x\"}"]),
            ("{__name__=~\"x.+\"} > bool 5 # up\n", &["{__name__=~\"x.+\"}"]),
            ("histogram_quantile(0.99, sum by(le) (rate(d_bucket[5m])))", &["d_bucket"]),
            ("sum without(instance) (a) + 1e3 - inf", &["a"]),
            ("label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\") unless vector(1)", &["a"]),
            ("a * on(x) group_left b", &["a", "b"]),
            ("sum(a)", &["a"]),
            ("sum{a=\"b\"}", &["sum{a=\"b\"}"]),
            ("", &[]),
            ("\"\\\"x", &[]),
        ] {
            assert_eq!(selectors(query), wanted, "{query}");
        }
    }

    #[test]
    fn the_window_is_the_longest_range() {
        assert_eq!(window_us("a"), 0);
        assert_eq!(window_us("rate(a[10s]) / rate(b[1m30s])"), 90_000_000);
        assert_eq!(window_us("rate(a[500ms])"), 500_000);
        assert_eq!(window_us("a{b=\"[1h]\"}"), 0);
        assert_eq!(window_us("rate(a[60])"), 60_000_000, "seconds, since Prometheus 3");
        assert_eq!(window_us("rate(a[ 1.5 ])"), 1_500_000);
    }

    #[test]
    fn queries_of_another_time_are_refused() {
        assert!(invalid("sum(rate(x[10s]))").is_empty());
        for query in [
            "",
            "vector(1)",
            "x offset 5m",
            "x @ 1609746000",
            "max_over_time(rate(x[5s])[1m:5s])",
            "rate(x[5q])",
            "rate(x[1m + 5])",
            "rate(x[])",
            "rate(x[0])",
        ] {
            assert_eq!(invalid(query).len(), 1, "{query}");
        }
    }
}
