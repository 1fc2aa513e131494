//! The question of an objective to StatsD, as one text: `rate(checkout.errors{env="prod"}[1s]) alive by checkout.requests`.

use std::{collections::BTreeMap, fmt, time::Duration};

use firedrill_wire::Span;

use super::line::{Form, Metric};

/// Metrics by name and tags: `checkout.requests{code="ok"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// Tags that they must have. One without a value has the value `""`.
    pub(crate) tags: BTreeMap<String, String>,
}

/// The value that is read from the packets of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// The sum of a counter, or the number of timings.
    Count,
    /// The same a second.
    Rate,
    /// The sum since the listener began.
    Total,
    /// The value of a gauge at the end.
    Last,
    /// The lowest value of a gauge or of timings.
    Min,
    /// The highest value of a gauge or of timings.
    Max,
    /// The mean of timings.
    Mean,
    /// Number of different values of a set.
    Unique,
    /// A percentile of timings, in thousandths of one per cent.
    Percentile(u32),
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) reads: Reads,
    pub(crate) of: Selector,
    pub(crate) every: Span,
    /// Metrics whose packets show that the sender is alive.
    pub(crate) alive_by: Option<Selector>,
}

/// The words between a question and the metric that shows that its sender is alive.
const ALIVE_BY: &str = " alive by ";
/// All values but percentiles.
const NAMED: [(&str, Reads); 8] = [
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
    /// Reads the name of a value.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some((_, reads)) = NAMED.iter().find(|(name, _)| *name == text) {
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
        let all = whole * 1_000 + decimals;
        (1..=100_000).contains(&all).then_some(Self::Percentile(all))
    }

    /// Whether it can be read from metrics of a type.
    pub(super) const fn fits(self, form: Form) -> bool {
        match self {
            Self::Count | Self::Rate | Self::Total => matches!(form, Form::Counter | Form::Timing),
            Self::Last => matches!(form, Form::Gauge),
            Self::Min | Self::Max => matches!(form, Form::Gauge | Form::Timing),
            Self::Mean | Self::Percentile(_) => matches!(form, Form::Timing),
            Self::Unique => matches!(form, Form::Set),
        }
    }

    /// The types that it can be read from, for messages.
    pub(crate) const fn of(self) -> &'static str {
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
            Self::Percentile(all) => write!(f, "p{}", f64::from(*all) / 1_000.0),
            other => f.write_str(NAMED.iter().find(|(_, one)| one == other).map_or("", |(name, _)| name)),
        }
    }
}

impl Selector {
    /// Reads `name` or `name{tag="value", …}`. The error is a sentence.
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

    /// Whether a metric is one of them.
    pub(super) fn fits(&self, metric: &Metric<'_>) -> bool {
        self.name == metric.name && self.tags.iter().all(|(tag, value)| metric.has(tag, value))
    }
}

/// Reads `tag="value", …}`.
fn tags(mut rest: &str) -> Option<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return after.trim().is_empty().then_some(all);
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
            || all.insert(tag.to_owned(), value).is_some()
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
        let all: Vec<String> =
            self.tags.iter().map(|(tag, value)| format!("{tag}=\"{}\"", quoted(value))).collect();
        write!(f, "{{{}}}", all.join(", "))
    }
}

impl Query {
    /// Reads a question as it is displayed. The error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // The text of a tag may have these words, too.
        let parts = text.match_indices(ALIVE_BY).map(|(at, words)| (&text[..at], &text[at + words.len()..]));
        let mut both = parts.filter_map(|(question, alive_by)| {
            let alive_by = Some(Selector::parse(alive_by).ok()?);
            Self::parse_one(question).ok().map(|query| Self { alive_by, ..query })
        });
        both.next().map_or_else(|| Self::parse_one(text), Ok)
    }

    fn parse_one(question: &str) -> Result<Self, String> {
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

    /// Returns the length of time that a value describes.
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
        let read = Selector::parse("checkout.requests{code=\"ok\", zone = \"a\\\"b\"}").expect("a selector");
        assert_eq!((read.name.as_str(), read.tags["code"].as_str()), ("checkout.requests", "ok"));
        assert_eq!(read.tags["zone"], "a\"b");
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
