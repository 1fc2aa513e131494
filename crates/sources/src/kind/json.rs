//! `json`: any system that answers HTTP requests with JSON that contains points, each with a time and a value.

use std::{collections::BTreeMap, fmt};

use firedrill_wire::{
    Span,
    probe::{Field, Form as _, HttpProbe, Refusal, Secret},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Form, Kind, Metrics, Question, Questions, Way, prometheus::encoded};
use crate::{
    alert::{Alerts, rfc3339_us},
    excerpt::excerpt,
    points::{Behind, Point, merged_apart},
};

/// A request whose answer is JSON. `{query}` in the URL or the body becomes the objective's query; `{from}` and `{to}` become the asked
/// time in Unix seconds, `{from_ms}` and `{to_ms}` in milliseconds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Json {
    /// `http://…` or `https://…`.
    pub url: String,
    /// The request's method.
    #[serde(default = "Json::get")]
    pub method: String,
    /// The request's headers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A bearer token, resolved where the coordinator runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Secrets by name. `{name}` in the URL behind its host, in the value of a header or in the body becomes the secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// A JSON pointer to the list of points, such as `/series/*/pointlist`; `*` stands for every entry, each a series.
    pub points: String,
    /// A JSON pointer in a point to its time: `/time`, `/0`.
    pub time: String,
    /// A JSON pointer in a point to its value: `/value`, `/1`.
    pub value: String,
    /// The unit of times.
    #[serde(default)]
    pub unit: Unit,
    /// The length of time that a point describes.
    #[serde(default)]
    pub window: Span,
    /// Whether a point's time is the end or the start of the time that it describes.
    #[serde(default)]
    pub stamp: Stamp,
}

/// The unit of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Seconds since 1970.
    #[default]
    S,
    /// Milliseconds since 1970.
    Ms,
    /// Microseconds since 1970.
    Us,
    /// Nanoseconds since 1970.
    Ns,
    /// A text, such as `2026-11-26T19:58:01.848Z`.
    Rfc3339,
}

/// The meaning of a point's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stamp {
    /// The end of the time that the point describes.
    #[default]
    End,
    /// The start of the time that the point describes, as in most services that aggregate.
    Start,
}

/// The names in braces that a question replaces.
const FILLED: [&str; 5] = ["query", "from", "to", "from_ms", "to_ms"];

impl Json {
    fn get() -> String {
        "GET".to_owned()
    }

    /// Returns the length of time that a point describes, in microseconds.
    fn window(&self) -> i64 {
        i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX)
    }
}

impl Form for Json {
    const EXAMPLE: &'static str = "{ url = \"https://metrics/api?q={query}&from={from}&to={to}\", points = \"/series/*/points\", time = \"/0\", value = \"/1\" }";

    fn without_secrets(&self) -> Self {
        let HttpProbe { url, headers, body, .. } = self.request().without_secrets();
        Self { url, headers, body, ..self.clone() }
    }
}

/// Written by hand: a derived implementation would print texts that may be secrets.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.without_secrets();
        f.debug_struct("Json")
            .field("url", &shown.url)
            .field("headers", &shown.headers)
            .field("body", &shown.body)
            .field("points", &shown.points)
            .finish_non_exhaustive()
    }
}

impl Json {
    fn request(&self) -> HttpProbe {
        let Self { url, method, headers, body, bearer, ca_file, secrets, .. } = self.clone();
        HttpProbe { method, headers, body, bearer, ca_file, secrets, ..HttpProbe::get(url) }
    }
}

impl Kind for Json {
    fn way(&self) -> Way<'_> {
        Way::Asked(Box::new(self.request()))
    }

    fn invalid(&self) -> Vec<Refusal> {
        let sample = Question { query: "q".to_owned(), from_us: 0, until_us: 0, step_us: 1_000_000 };
        let mut wrong = self.question(&sample).parsed().err().unwrap_or_default();
        for (key, pointer) in [("points", &self.points), ("time", &self.time), ("value", &self.value)] {
            if !(pointer.is_empty() || pointer.starts_with('/')) {
                let what = format!("`{pointer}` is not a JSON pointer");
                let help = format!("\"/{pointer}\": a pointer begins with a slash");
                wrong.push(Refusal::new(Field::request(&[key]), what, "not a pointer", help));
            }
        }
        for name in self.secrets.keys().filter(|name| FILLED.contains(&name.as_str())) {
            let what = format!("`{{{name}}}` is filled in by each question, so no secret can be called so");
            wrong.push(Refusal::new(
                Field::request(&["secrets", name]).its_key(),
                what,
                "taken",
                "another name",
            ));
        }
        wrong
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        Some(self)
    }

    fn alerts(&self) -> Option<&dyn Alerts> {
        None
    }
}

impl Metrics for Json {
    fn key(&self) -> &'static str {
        "query"
    }

    fn questions(&self) -> Option<&dyn Questions> {
        Some(self)
    }

    fn invalid_query(&self, query: &str) -> Vec<(String, String)> {
        let has_place = |text: &String| text.contains("{query}");
        let used = has_place(&self.url) || self.body.as_ref().is_some_and(has_place);
        let mut wrong = Vec::new();
        // Both a place without a query and a query without a place are errors.
        if query.is_empty() == used {
            wrong.push(if used {
                (
                    "the source's request has `{query}`, and the objective gives none".to_owned(),
                    "query = \"…\"".to_owned(),
                )
            } else {
                (
                    "the source's request has no `{query}`, so it would not be sent".to_owned(),
                    "put {query} into the source's url or body, or leave `query` out".to_owned(),
                )
            });
        }
        wrong
    }

    fn window_us(&self, _: &str) -> i64 {
        self.window()
    }

    fn has_steps(&self) -> bool {
        false
    }

    /// The times of points show their age, so no further question is needed.
    fn behind_query(&self, _: &[&str]) -> Option<String> {
        None
    }
}

impl Questions for Json {
    fn behind(&self, _: &Question, _: u16, _: &[u8]) -> Result<Vec<Behind>, String> {
        Err("points have times of their own".to_owned())
    }

    fn question(&self, question: &Question) -> HttpProbe {
        let Question { query, from_us, until_us, step_us: _ } = question;
        // A point with the time of its start may have begun before the asked time.
        let from_us = from_us.saturating_sub(self.window());
        // Times are widened to whole units. The query is filled in last, so that braces in it are not replaced.
        let fill = |text: &str, query: &str| {
            text.replace("{from}", &from_us.div_euclid(1_000_000).to_string())
                .replace("{to}", &until_us.saturating_add(999_999).div_euclid(1_000_000).to_string())
                .replace("{from_ms}", &from_us.div_euclid(1_000).to_string())
                .replace("{to_ms}", &until_us.saturating_add(999).div_euclid(1_000).to_string())
                .replace("{query}", query)
        };
        let mut request = self.request();
        request.url = fill(&request.url, &encoded(query));
        request.body = request.body.map(|body| {
            let is_json = body.trim_start().starts_with(['{', '[']);
            let query = if is_json { within_text(query) } else { query.clone() };
            fill(&body, &query)
        });
        request
    }

    fn points(&self, question: &Question, status: u16, body: &[u8]) -> Result<Vec<Point>, String> {
        if !(200..=299).contains(&status) {
            return Err(format!("status {status}: {}", excerpt(&String::from_utf8_lossy(body))));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|_| format!("the answer is not JSON: {}", excerpt(&String::from_utf8_lossy(body))))?;
        let mut series = Vec::new();
        for list in at_pointer(&value, &self.points) {
            let list = list
                .as_array()
                .ok_or_else(|| format!("what stands at `{}` is not a list of points", self.points))?;
            let points: Result<Vec<Option<Point>>, String> =
                list.iter().map(|point| self.point(point)).collect();
            let asked = |point: &Point| (question.from_us..=question.until_us).contains(&point.at_us);
            series.push(points?.into_iter().flatten().filter(asked).collect());
        }
        // A point counts for the time since the point before it, but for one and a half steps at most. The gaps of a single series have the same limit.
        Ok(merged_apart(series, question.step_us.saturating_add(question.step_us / 2)))
    }
}

impl Json {
    /// Reads a point; `None` if it has no value, because nothing was measured.
    fn point(&self, point: &Value) -> Result<Option<Point>, String> {
        let at = |pointer: &str| point.pointer(pointer).filter(|value| !value.is_null());
        let Some(value) = at(&self.value) else { return Ok(None) };
        let value = number(value).ok_or_else(|| format!("the value at `{}` is not a number", self.value))?;
        let time = at(&self.time).ok_or_else(|| format!("a point has no time at `{}`", self.time))?;
        let time = self.unit.micros(time).ok_or_else(|| {
            format!("the time at `{}` is not one in the unit that the source gives", self.time)
        })?;
        let later = if self.stamp == Stamp::Start { self.window() } else { 0 };
        Ok(Some(Point::of(time.saturating_add(later), value)))
    }
}

/// Returns a text escaped for JSON, without the quotes around it.
fn within_text(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// Reads a number, which may be written as a text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

impl Unit {
    #[expect(clippy::cast_possible_truncation, reason = "a float is cut at the ends of the range")]
    /// Reads a time in this unit, in microseconds since 1970.
    fn micros(self, value: &Value) -> Option<i64> {
        let each = match self {
            Self::S => 1e6,
            Self::Ms => 1e3,
            Self::Us => 1.0,
            Self::Ns => 1e-3,
            Self::Rfc3339 => {
                return rfc3339_us(value.as_str()?);
            }
        };
        number(value).map(|number| (number * each).round() as i64)
    }
}

/// Returns the values at a pointer, in which `*` means every entry.
fn at_pointer<'v>(value: &'v Value, pointer: &str) -> Vec<&'v Value> {
    let mut values = vec![value];
    for step in pointer.split('/').skip(1) {
        values = values
            .into_iter()
            .flat_map(|value| match (step, value) {
                ("*", Value::Array(entries)) => entries.iter().collect::<Vec<_>>(),
                ("*", Value::Object(entries)) => entries.values().collect(),
                _ => value.pointer(&format!("/{step}")).into_iter().collect(),
            })
            .collect();
    }
    values
}

#[cfg(test)]
mod tests;
