//! The question of an objective to StatsD, as one text: `rate(checkout.errors{env="prod"}[1s]) alive by checkout.requests`.

use std::{collections::BTreeMap, fmt, time::Duration};

use firedrill_wire::Span;

use super::line::{Form, Metric};

/// Metrics by name and tags: `checkout.requests{code="ok"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// The tags that the metrics must have. A tag without a value has the value `""`.
    pub(crate) tags: BTreeMap<String, String>,
}

/// The value that is read from the packets of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// The sum of a counter, or the number of timings.
    Count,
    /// [`Reads::Count`] per second.
    Rate,
    /// The sum since the listener began.
    Total,
    /// The value of a gauge at the end of the interval.
    Last,
    /// The lowest value of a gauge or of timings.
    Min,
    /// The highest value of a gauge or of timings.
    Max,
    /// The mean of timings.
    Mean,
    /// Number of distinct values of a set.
    Unique,
    /// A percentile of timings, in thousandths of one per cent.
    Percentile(u32),
}

/// A question about one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) reads: Reads,
    /// The metrics that it is about.
    pub(crate) of: Selector,
    /// Length of an interval.
    pub(crate) every: Span,
    /// The metrics whose packets show that a sender is alive; `None` if `of` does.
    pub(crate) alive_by: Option<Selector>,
}

/// The words between a question and the metrics that show that a sender is alive.
const ALIVE_BY: &str = " alive by ";
/// The names of all values but percentiles.
const NAMES: [(&str, Reads); 8] = [
    ("count", Reads::Count),
    ("rate", Reads::Rate),
    ("total", Reads::Total),
    ("last", Reads::Last),
    ("min", Reads::Min),
    ("max", Reads::Max),
    ("mean", Reads::Mean),
    ("unique", Reads::Unique),
];

impl Reads {
    /// Reads the name of a value, such as `rate` or `p99.9`; `None` if there is no such value.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some((_, reads)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Some(*reads);
        }
        let digits = text.strip_prefix('p')?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let whole: u32 = whole.parse().ok().filter(|whole| *whole <= 100)?;
        let decimals: u32 = match decimals.len() {
            0 if !digits.contains('.') => 0,
            1..=3 => format!("{decimals:0<3}").parse().ok()?,
            _ => return None,
        };
        let thousandths = whole * 1_000 + decimals;
        (1..=100_000).contains(&thousandths).then_some(Self::Percentile(thousandths))
    }

    /// Whether the value can be read from metrics of a type.
    pub(super) const fn fits(self, form: Form) -> bool {
        match self {
            Self::Count | Self::Rate | Self::Total => matches!(form, Form::Counter | Form::Timing),
            Self::Last => matches!(form, Form::Gauge),
            Self::Min | Self::Max => matches!(form, Form::Gauge | Form::Timing),
            Self::Mean | Self::Percentile(_) => matches!(form, Form::Timing),
            Self::Unique => matches!(form, Form::Set),
        }
    }

    /// Returns the types that the value can be read from, for messages.
    pub(crate) const fn types(self) -> &'static str {
        match self {
            Self::Count | Self::Rate | Self::Total => "counters (c) and timings (ms, h, d)",
            Self::Last => "gauges (g)",
            Self::Min | Self::Max => "gauges (g) and timings (ms, h, d)",
            Self::Mean | Self::Percentile(_) => "timings (ms, h, d)",
            Self::Unique => "sets (s)",
        }
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(thousandths) => write!(f, "p{}", f64::from(*thousandths) / 1_000.0),
            other => f.write_str(NAMES.iter().find(|(_, reads)| reads == other).map_or("", |(name, _)| name)),
        }
    }
}

impl Selector {
    /// Reads `name` or `name{tag="value", …}`. The error is a clause for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, tags) = match text.split_once('{') {
            None => (text, None),
            Some((name, rest)) => (name.trim_end(), Some(rest)),
        };
        let tags = match tags {
            None => BTreeMap::new(),
            Some(rest) => self::tags(rest).ok_or_else(|| format!("the tags of `{text}` cannot be read"))?,
        };
        let name = name.to_owned();
        let wrong = |c: char| c.is_whitespace() || c.is_control() || "{}[]()|@#:\"".contains(c);
        if name.is_empty() || name.contains(wrong) {
            return Err(format!("`{name}` is not a name of StatsD"));
        }
        Ok(Self { name, tags })
    }

    /// Whether the selector selects a metric.
    pub(super) fn fits(&self, metric: &Metric<'_>) -> bool {
        self.name == metric.name && self.tags.iter().all(|(tag, value)| metric.has(tag, value))
    }
}

/// Reads the tags after the brace, `tag="value", …}`; `None` if they are malformed or a tag comes twice.
fn tags(mut rest: &str) -> Option<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return after.trim().is_empty().then_some(tags);
        }
        let (tag, after) = rest.split_once('=')?;
        let mut chars = after.trim_start().strip_prefix('"')?.char_indices();
        let text = after.trim_start().get(1..)?;
        let mut value = String::new();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(chars.next()?.1),
                (_, other) => value.push(other),
            }
        };
        let tag = tag.trim();
        if tag.is_empty()
            || tag.contains(['"', '{', '}', ',', ':'])
            || tags.insert(tag.to_owned(), value).is_some()
        {
            return None;
        }
        rest = text.get(end + 1..)?.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.tags.is_empty() {
            return Ok(());
        }
        let quoted = |value: &String| value.replace('\\', "\\\\").replace('"', "\\\"");
        let tags: Vec<String> =
            self.tags.iter().map(|(tag, value)| format!("{tag}=\"{}\"", quoted(value))).collect();
        write!(f, "{{{}}}", tags.join(", "))
    }
}

impl Query {
    /// Reads a question as [`fmt::Display`] writes it. The error is a clause for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // These words may also be in the value of a tag, so each place with them is tried.
        let parts = text.match_indices(ALIVE_BY).map(|(at, words)| (&text[..at], &text[at + words.len()..]));
        let mut queries = parts.filter_map(|(question, alive_by)| {
            let alive_by = Some(Selector::parse(alive_by).ok()?);
            Self::parse_question(question).ok().map(|query| Self { alive_by, ..query })
        });
        queries.next().map_or_else(|| Self::parse_question(text), Ok)
    }

    /// Reads a question without ` alive by …`.
    fn parse_question(question: &str) -> Result<Self, String> {
        let wrong = || format!("`{question}` is not a question to StatsD");
        let (reads, rest) = question.split_once('(').ok_or_else(wrong)?;
        let (of, every) = rest.strip_suffix("])").and_then(|rest| rest.rsplit_once('[')).ok_or_else(wrong)?;
        let every: Span = every.parse().map_err(|_| wrong())?;
        if every.0 < Duration::from_millis(1) {
            return Err(wrong());
        }
        Ok(Self {
            reads: Reads::parse(reads).ok_or_else(wrong)?,
            of: Selector::parse(of)?,
            every,
            alive_by: None,
        })
    }

    /// Returns the length of time that a value is about; zero if it is about a moment, or about all the time since the beginning.
    pub(crate) fn window(&self) -> Span {
        if matches!(self.reads, Reads::Last | Reads::Total) { Span::ZERO } else { self.every }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}[{}])", self.reads, self.of, self.every)?;
        self.alive_by.as_ref().map_or(Ok(()), |alive_by| write!(f, "{ALIVE_BY}{alive_by}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_have_names_and_percentiles() {
        for (text, reads) in [
            ("rate", Reads::Rate),
            ("p50", Reads::Percentile(50_000)),
            ("p99.9", Reads::Percentile(99_900)),
            ("p99.999", Reads::Percentile(99_999)),
            ("p0.1", Reads::Percentile(100)),
        ] {
            assert_eq!((Reads::parse(text), reads.to_string().as_str()), (Some(reads), text));
        }
        for wrong in ["", "p", "p101", "p0", "p99.9999", "p9.", "p1.2.3", "p-1", "average", "P99"] {
            assert_eq!(Reads::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_may_have_tags() {
        let selector =
            Selector::parse("checkout.requests{code=\"ok\", zone = \"a\\\"b\"}").expect("a selector");
        assert_eq!((selector.name.as_str(), selector.tags["code"].as_str()), ("checkout.requests", "ok"));
        assert_eq!(selector.tags["zone"], "a\"b");
        for wrong in
            ["", "a b", "a:b", "a{", "a{b}", "a{b=c}", "a{b=\"c\"", "a{b=\"c\"}x", "a{b=\"1\",b=\"2\"}"]
        {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_question_is_read_as_it_is_displayed(
            name in "[a-z.]{1,9}", tag in "[a-z]{1,4}", value in "[ -~]{0,9}", seconds in 1u64..400, by in "[a-z]{0,3}",
        ) {
            let query = Query {
                reads: Reads::Percentile(99_900),
                of: Selector { name, tags: BTreeMap::from([(tag, value)]) },
                every: Span::secs(seconds),
                alive_by: Selector::parse(&by).ok(),
            };
            prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = (Query::parse(&text), Selector::parse(&text));
            let _ = Query::parse(&format!("rate({text}[1s])"));
        }
    }
}
