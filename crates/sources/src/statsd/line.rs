//! Reads the lines of a StatsD packet, with the extensions of DogStatsD. No input makes it panic.

/// A line of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Line<'p> {
    /// Values of a metric.
    Metric(Metric<'p>),
    /// An event or a service check of DogStatsD.
    Skipped,
}

/// Values of a metric, all of which are numbers, except those of a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Metric<'p> {
    pub(super) name: &'p str,
    pub(super) form: Form,
    /// The values as they were sent, separated by colons.
    values: &'p str,
    /// The share of events that was sent, above 0 and at most 1.
    pub(super) rate: f64,
    /// The tags as they were sent, separated by commas.
    tags: &'p str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Counter,
    Gauge,
    /// Timings, histograms and distributions.
    Timing,
    Set,
}

/// A line that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed<'p> {
    /// The name of its metric; `None` if it has none.
    pub(super) name: Option<&'p str>,
}

/// A value that is a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    /// Whether it begins with `+` or `-`.
    pub(super) signed: bool,
}

/// Reads a line that is not empty.
pub(super) fn line(bytes: &[u8]) -> Result<Line<'_>, Malformed<'_>> {
    if bytes.starts_with(b"_e{") || bytes.starts_with(b"_sc|") {
        return Ok(Line::Skipped);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => return Err(Malformed { name: name_of(bytes) }),
    };
    let (name, rest) = text.split_once(':').ok_or(Malformed { name: None })?;
    if name.is_empty() {
        return Err(Malformed { name: None });
    }
    metric(name, rest).map(Line::Metric).ok_or(Malformed { name: Some(name) })
}

/// Returns the name in a line that is not UTF-8 as a whole; `None` if it has none.
fn name_of(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == b':')?;
    std::str::from_utf8(&bytes[..end]).ok().filter(|name| !name.is_empty())
}

/// Reads the part of a line after the name and the colon; `None` if it is malformed.
fn metric<'p>(name: &'p str, rest: &'p str) -> Option<Metric<'p>> {
    let mut fields = rest.split('|');
    let values = fields.next()?;
    let form = match fields.next()? {
        "c" => Form::Counter,
        "g" => Form::Gauge,
        "ms" | "h" | "d" => Form::Timing,
        "s" => Form::Set,
        _ => return None,
    };
    let (mut rate, mut tags) = (1.0, "");
    for field in fields {
        if let Some(text) = field.strip_prefix('@') {
            rate = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= 1.0)?;
        } else if let Some(text) = field.strip_prefix('#') {
            tags = text;
        } else if field.starts_with('T') {
            // A time: the values are not those of the line's arrival.
            return None;
        }
    }
    let metric = Metric { name, form, values, rate, tags };
    let valid = form == Form::Set || values.split(':').all(|value| number(value).is_some());
    (valid && !values.is_empty()).then_some(metric)
}

fn number(text: &str) -> Option<Number> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some(Number { value, signed: text.starts_with(['+', '-']) })
}

impl<'p> Metric<'p> {
    /// Returns the values that are numbers; none for a set.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Number> + use<'p> {
        let values = if self.form == Form::Set { "" } else { self.values };
        values.split(':').filter_map(number)
    }

    /// Returns the value of a set, which may be any text.
    pub(super) const fn member(&self) -> &'p str {
        self.values
    }

    /// Whether the metric has a tag with a value. A tag without a colon has the value `""`.
    pub(super) fn has(&self, tag: &str, value: &str) -> bool {
        self.tags().any(|own| own.split_once(':').unwrap_or((own, "")) == (tag, value))
    }

    /// Returns the tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.tags.split(',').filter(|tag| !tag.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Metric<'_> {
        match line(text.as_bytes()) {
            Ok(Line::Metric(metric)) => metric,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn all_forms_of_metrics_are_read() {
        for (text, form, values, rate) in [
            ("shop.errors:1|c", Form::Counter, vec![1.0], 1.0),
            ("shop.errors:3|c|@0.1", Form::Counter, vec![3.0], 0.1),
            ("shop.errors:-2|c|#env:prod", Form::Counter, vec![-2.0], 1.0),
            ("queue:333|g", Form::Gauge, vec![333.0], 1.0),
            ("buy:320|ms|@0.5|#a:b,c", Form::Timing, vec![320.0], 0.5),
            ("buy:1.5:2.5:3|d|#a:b|c:in-3f2|e:it-x|card:low", Form::Timing, vec![1.5, 2.5, 3.0], 1.0),
            ("size:1e3|h", Form::Timing, vec![1000.0], 1.0),
        ] {
            let metric = read(text);
            let numbers: Vec<f64> = metric.numbers().map(|number| number.value).collect();
            assert_eq!((metric.form, numbers, metric.rate), (form, values, rate), "{text}");
        }
        let set = read("users:a:b|s|#x");
        assert_eq!((set.member(), set.numbers().count()), ("a:b", 0));
        let signed: Vec<bool> =
            ["q:+1|g", "q:-1|g", "q:1|g"].map(|text| read(text).numbers().all(|number| number.signed)).into();
        assert_eq!(signed, [true, true, false]);
    }

    #[test]
    fn tags_are_found_with_and_without_values() {
        let metric = read("x:1|c|#env:prod,urgent,url:a:b,,zone:a,zone:b");
        for (tag, value, has) in [
            ("env", "prod", true),
            ("env", "pro", false),
            ("urgent", "", true),
            ("url", "a:b", true),
            ("zone", "b", true),
            ("none", "", false),
            ("", "", false),
        ] {
            assert_eq!(metric.has(tag, value), has, "{tag}:{value}");
        }
        assert_eq!(metric.tags().count(), 5);
    }

    #[test]
    fn events_and_checks_are_skipped_and_malformed_lines_keep_their_name() {
        for text in ["_e{5,4}:title|text|#a", "_sc|redis|0|#a"] {
            assert_eq!(line(text.as_bytes()), Ok(Line::Skipped), "{text}");
        }
        for (text, name) in [
            ("hello", None),
            (":1|c", None),
            ("x:1", Some("x")),
            ("x:|c", Some("x")),
            ("x:one|c", Some("x")),
            ("x:NaN|g", Some("x")),
            ("x:inf|ms", Some("x")),
            ("x:1|c|@0", Some("x")),
            ("x:1|c|@2", Some("x")),
            ("x:1|q", Some("x")),
            ("x:1:|c", Some("x")),
            ("x:1|c|T1656581400", Some("x")),
        ] {
            assert_eq!(line(text.as_bytes()), Err(Malformed { name }), "{text}");
        }
        assert_eq!(line(b"x:\xff|c"), Err(Malformed { name: Some("x") }));
        assert_eq!(line(b"\xff:1|c"), Err(Malformed { name: None }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Line::Metric(metric)) = line(&bytes) {
                prop_assert!(metric.numbers().all(|number| number.value.is_finite()));
                prop_assert!(metric.rate > 0.0 && metric.rate <= 1.0);
                let _ = (metric.tags().count(), metric.has("a", "b"), metric.member());
            }
        }

        #[test]
        fn almost_valid_lines_are_read_without_a_panic(text in "[a-z.]{0,3}:?[-+0-9.e:]{0,6}\\|?(c|g|ms|h|d|s|q)?(\\|[@#cT][a-z0-9.:,]{0,6}){0,3}") {
            let _ = line(text.as_bytes());
        }

        #[test]
        fn a_counter_is_read_as_it_was_written(name in "[a-zA-Z_.-]{1,20}", value in -1e9f64..1e9, tag in "[a-z]{1,5}", tag_value in "[a-z:]{0,5}") {
            let text = format!("{name}:{value}|c|#{tag}:{tag_value}");
            let metric = read(&text);
            prop_assert_eq!(metric.name, name.as_str());
            prop_assert_eq!(metric.numbers().map(|number| number.value).collect::<Vec<_>>(), vec![value]);
            prop_assert!(metric.has(&tag, &tag_value));
        }
    }
}
