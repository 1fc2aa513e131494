//! The XML that CI systems read as JUnit results: `testsuites`, `testsuite`, `testcase`.
//!
//! Elements and attributes follow Jenkins' schema. Properties of cases, which are the first child of a case, follow pytest
//! (<https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd>).
//! Never writes a character that XML 1.0 forbids.

use std::fmt::Write as _;

/// The result of a case. A result other than success has its reason.
#[derive(Debug)]
pub enum Status {
    /// The objective held.
    Success,
    /// The objective was violated.
    Failure(String),
    /// The verdict is unknown.
    Error(String),
    /// The attack or step did not run.
    Skipped(String),
}

/// A test case.
#[derive(Debug)]
pub struct Case {
    name: String,
    status: Status,
    /// The text of `system-out`.
    pub output: Option<String>,
    /// Names and values.
    pub properties: Vec<(&'static str, String)>,
}

/// A test suite: a list of cases with a name.
#[derive(Debug)]
pub struct Suite {
    name: String,
    /// The duration in microseconds, if it is known.
    pub took_us: Option<i64>,
    /// Names and values.
    pub properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
}

impl Suite {
    /// Creates a suite without cases.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), took_us: None, properties: Vec::new(), cases: Vec::new() }
    }

    /// Adds a case, and returns it.
    pub fn add(&mut self, name: &str, status: Status) -> &mut Case {
        self.cases.push(Case { name: name.to_owned(), status, output: None, properties: Vec::new() });
        let last = self.cases.len() - 1;
        &mut self.cases[last]
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts the cases whose result fulfils the condition.
    fn count(&self, condition: fn(&Status) -> bool) -> usize {
        self.cases.iter().filter(|case| condition(&case.status)).count()
    }
}

/// Whether a result is a failure.
const fn failed(status: &Status) -> bool {
    matches!(status, Status::Failure(_))
}

/// Whether a result is an error.
const fn erred(status: &Status) -> bool {
    matches!(status, Status::Error(_))
}

/// Whether a case was skipped.
const fn skipped(status: &Status) -> bool {
    matches!(status, Status::Skipped(_))
}

/// Returns the whole document; `took_us` is the duration of the run in microseconds.
#[must_use]
pub fn document(name: &str, took_us: i64, suites: &[Suite]) -> String {
    let count = |condition| suites.iter().map(|suite| suite.count(condition)).sum::<usize>();
    let tests: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites name=\"{}\" tests=\"{tests}\" skipped=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}\">",
        attribute(name),
        count(skipped),
        count(failed),
        count(erred),
        seconds(took_us)
    );
    for suite in suites {
        write_suite(&mut text, suite);
    }
    text.push_str("</testsuites>\n");
    text
}

/// Appends a suite with its cases.
fn write_suite(text: &mut String, suite: &Suite) {
    let time = suite.took_us.map_or_else(String::new, |took| format!(" time=\"{}\"", seconds(took)));
    let _ = writeln!(
        text,
        "    <testsuite name=\"{}\" tests=\"{}\" skipped=\"{}\" errors=\"{}\" failures=\"{}\"{time}>",
        attribute(&suite.name),
        suite.cases.len(),
        suite.count(skipped),
        suite.count(erred),
        suite.count(failed)
    );
    write_properties(text, "        ", &suite.properties);
    for case in &suite.cases {
        write_case(text, &suite.name, case);
    }
    text.push_str("    </testsuite>\n");
}

/// Appends a case; `class` is the name of its suite.
fn write_case(text: &mut String, class: &str, case: &Case) {
    let status = match &case.status {
        Status::Success => String::new(),
        Status::Failure(why) => format!("<failure message=\"{}\" type=\"violated\"/>", attribute(why)),
        Status::Error(why) => format!("<error message=\"{}\" type=\"unknown\"/>", attribute(why)),
        Status::Skipped(why) => format!("<skipped message=\"{}\"/>", attribute(why)),
    };
    let output = case.output.as_ref().map(|output| format!("<system-out>{}</system-out>", escape(output)));
    let _ = writeln!(
        text,
        "        <testcase name=\"{}\" classname=\"{}\">",
        attribute(&case.name),
        attribute(class)
    );
    write_properties(text, "            ", &case.properties);
    for part in [Some(status), output].into_iter().flatten().filter(|part| !part.is_empty()) {
        let _ = writeln!(text, "            {part}");
    }
    text.push_str("        </testcase>\n");
}

/// Appends properties. Those with an empty value are left out; if none is left, nothing is appended.
fn write_properties(text: &mut String, indent: &str, properties: &[(&'static str, String)]) {
    let mut properties = properties.iter().filter(|(_, value)| !value.is_empty()).peekable();
    if properties.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "{indent}<properties>");
    for (name, value) in properties {
        let _ = writeln!(
            text,
            "{indent}    <property name=\"{}\" value=\"{}\"/>",
            attribute(name),
            attribute(value)
        );
    }
    let _ = writeln!(text, "{indent}</properties>");
}

/// Formats microseconds as seconds with three decimals.
fn seconds(us: i64) -> String {
    let ms = us.max(0) / 1000;
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Escapes text for an attribute. Readers turn line breaks in attributes into blanks unless they are escaped.
fn attribute(text: &str) -> String {
    escape(text).replace('\t', "&#9;").replace('\n', "&#10;")
}

/// Escapes text for the content of an element.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML readers turn an unescaped carriage return into a line feed.
            '\r' => escaped.push_str("&#13;"),
            '\t' | '\n' => escaped.push(c),
            // XML 1.0, section 2.2, forbids these characters, also as character references.
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters_are_replaced_and_special_ones_are_escaped() {
        assert_eq!(escape("a<b & \"c\">\nd"), "a&lt;b &amp; &quot;c&quot;&gt;\nd");
        assert_eq!(attribute("a\nb\tc\r"), "a&#10;b&#9;c&#13;");
        assert_eq!(escape("\u{1b}[31m\0\u{ffff}ü☕"), "\u{fffd}[31m\u{fffd}\u{fffd}ü☕");
    }

    #[test]
    fn attributes_have_the_counts_of_results_and_the_duration() {
        let mut suite = Suite::new("s");
        suite.took_us = Some(1_234_567);
        suite.add("a", Status::Success);
        suite.add("b", Status::Failure("x".into())).output = Some("o".into());
        suite.add("c", Status::Error("y".into()));
        suite.add("d", Status::Skipped("z".into())).properties =
            vec![("goal", "a \"b\"\nc".into()), ("range", String::new())];
        suite.properties = vec![("plan", "x".into())];
        let text = document("run", -5, &[suite]);
        assert!(text.contains(r#"tests="4" skipped="1" failures="1" errors="1" time="0.000""#), "{text}");
        assert!(text.contains(r#"tests="4" skipped="1" errors="1" failures="1" time="1.234""#), "{text}");
        assert!(text.contains(r#"<failure message="x" type="violated"/>"#), "{text}");
        assert!(text.contains("<system-out>o</system-out>"), "{text}");
        assert!(text.contains(r#"<property name="goal" value="a &quot;b&quot;&#10;c"/>"#), "{text}");
        assert!(text.contains(r#"<property name="plan" value="x"/>"#) && !text.contains("range"), "{text}");
    }
}
