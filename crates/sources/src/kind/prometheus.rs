//! `prometheus`: the HTTP API of Prometheus. A question is a range query. So a later question can be about moments for which an earlier
//! question failed.

mod alerts;
mod answers;
mod promql;
mod reads;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use firedrill_wire::probe::{Field, Form as _, HttpProbe, Refusal, Secret};
use serde::{Deserialize, Serialize};

pub use self::promql::selectors;
use self::{
    answers::{AGE, BEHIND, COUNT, behind, points},
    reads::Read,
};
use super::{Form, Kind, Metrics, Missing, Question, Questions, Way};
use crate::{
    alert::Alerts,
    points::{Behind, Point},
};

/// The HTTP API of Prometheus.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// `http://…` or `https://…`, with the path before `/api/v1` if there is one.
    pub url: String,
    /// A bearer token, resolved where the coordinator runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
    /// The request's headers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Secrets by name. `{name}` in the value of a header becomes the secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
}

/// The header with the body's media type.
const CONTENT_TYPE: &str = "Content-Type";
/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

impl Form for Prometheus {
    const EXAMPLE: &'static str = "{ url = \"http://10.1.0.9:9090\" }";

    fn without_secrets(&self) -> Self {
        let HttpProbe { url, headers, .. } = self.request().without_secrets();
        Self { url, headers, ..self.clone() }
    }
}

/// Written by hand: a derived implementation would print texts that may be secrets.
impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, bearer, headers, ca_file, secrets } = &self.without_secrets();
        f.debug_struct("Prometheus")
            .field("url", url)
            .field("bearer", bearer)
            .field("headers", headers)
            .field("ca_file", ca_file)
            .field("secrets", secrets)
            .finish()
    }
}

impl Prometheus {
    /// Returns a request for the bare URL, with the headers that every question has.
    fn request(&self) -> HttpProbe {
        let Self { url, bearer, headers, ca_file, secrets } = self.clone();
        HttpProbe { headers, bearer, ca_file, secrets, ..HttpProbe::get(url) }
    }
}

impl Kind for Prometheus {
    fn way(&self) -> Way<'_> {
        Way::Asked(Box::new(self.request()))
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut wrong = self.request().parsed().err().unwrap_or_default();
        if self.url.contains(['?', '#']) {
            let what = "the url of a Prometheus has a query, and the question is put behind its path";
            let help = "for example \"http://10.1.0.9:9090\"; headers and `bearer` say who asks";
            wrong.push(Refusal::new(Field::request(&["url"]), what, "ends with a query", help));
        }
        wrong
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        Some(self)
    }

    fn alerts(&self) -> Option<&dyn Alerts> {
        Some(self)
    }
}

impl Metrics for Prometheus {
    fn key(&self) -> &'static str {
        "promql"
    }

    fn takes(&self) -> &'static [&'static str] {
        &["window"]
    }

    fn questions(&self) -> Option<&dyn Questions> {
        Some(self)
    }

    fn invalid_query(&self, query: &str) -> Vec<(String, String)> {
        promql::invalid(query)
    }

    fn window_us(&self, query: &str) -> i64 {
        promql::window_us(query)
    }

    fn has_steps(&self) -> bool {
        true
    }

    /// A value does not show its age: `rate(x[1m])` has values until a minute after the last scrape, and a plain selector until five
    /// minutes after it. So the query asks for the age of the oldest series that each selector reads, at the same moments.
    ///
    /// The age shows nothing about a target that is gone, because Prometheus marks the end of its series and returns them no more. So
    /// the query counts series, too: those that each selector finds, and those that each function over a range uses. A function may use
    /// fewer than the selector finds. All is one query, so that ages and counts are from the same state of the data.
    fn behind_query(&self, queries: &[&str]) -> Option<String> {
        let reads: BTreeSet<Read> = queries.iter().flat_map(|query| reads::reads(query)).collect();
        let named = |text: String, name: String| {
            format!("label_replace({text}, \"{BEHIND}\", \"{name}\", \"\", \"\")")
        };
        let part = |(index, read): (usize, Read)| {
            let count = named(read.count(), format!("{COUNT}{index}"));
            let Read::Selector(selector) = read else { return count };
            let age = format!("max(time() - timestamp({selector}))");
            format!("{} or {count}", named(age, format!("{AGE}{index}")))
        };
        let parts: Vec<String> = reads.into_iter().enumerate().map(part).collect();
        (!parts.is_empty()).then(|| parts.join(" or "))
    }

    fn missing(&self, query: &str) -> Missing {
        reads::missing(query)
    }
}

impl Questions for Prometheus {
    fn behind(&self, question: &Question, status: u16, body: &[u8]) -> Result<Vec<Behind>, String> {
        behind(question, status, body)
    }

    fn question(&self, question: &Question) -> HttpProbe {
        let Question { query, from_us, until_us, step_us } = question;
        let mut request = self.request();
        request.url = format!("{}/api/v1/query_range", request.url.trim_end_matches('/'));
        request.method = "POST".to_owned();
        request.headers.insert(CONTENT_TYPE.to_owned(), FORM.to_owned());
        request.body = Some(format!(
            "query={}&start={}&end={}&step={}",
            encoded(query),
            seconds(*from_us),
            seconds(*until_us),
            seconds(*step_us)
        ));
        request
    }

    fn points(&self, _: &Question, status: u16, body: &[u8]) -> Result<Vec<Point>, String> {
        points(status, body)
    }
}

/// Writes microseconds as seconds with decimals.
fn seconds(us: i64) -> String {
    format!("{}.{:06}", us.div_euclid(1_000_000), us.rem_euclid(1_000_000))
}

/// Percent-encodes a text for a form or a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prometheus(url: &str) -> Prometheus {
        serde_json::from_value(serde_json::json!({ "url": url })).expect("its parameters")
    }

    #[test]
    fn a_question_is_a_range_query_in_a_form() {
        let question = Question {
            query: "rate(x{a=\"b\"}[10s])".to_owned(),
            from_us: 1_795_723_089_500_000,
            until_us: 1_795_723_090_500_000,
            step_us: 1_000_000,
        };
        let asked = prometheus("http://p:9090/prom/").question(&question);
        assert_eq!(asked.url, "http://p:9090/prom/api/v1/query_range");
        assert_eq!(
            asked.body.as_deref(),
            Some(
                "query=rate%28x%7Ba%3D%22b%22%7D%5B10s%5D%29&start=1795723089.500000&end=1795723090.500000&step=1.000000"
            )
        );
        assert!(asked.parsed().is_ok());
    }

    #[test]
    fn the_data_behind_queries_are_the_oldest_age_and_the_series_of_each_selector() {
        let behind_query = |queries: &[&str]| prometheus("http://p:9090").behind_query(queries);
        assert_eq!(
            behind_query(&["sum(rate(x[1m]))"]).as_deref(),
            Some(
                "label_replace(max(time() - timestamp(x)), \"firedrill\", \"age-0\", \"\", \"\") or \
                 label_replace(count(x), \"firedrill\", \"count-0\", \"\", \"\") or \
                 label_replace(count(count_over_time(x[1m]) >= 2), \"firedrill\", \"count-1\", \"\", \"\")"
            )
        );
        let both = behind_query(&["a / b", "b"]).expect("two selectors");
        assert!(
            both.contains("count(a), \"firedrill\", \"count-0\"")
                && both.contains("timestamp(b)), \"firedrill\", \"age-1\"")
        );
        assert_eq!(both.matches("count(").count(), 2, "{both}");
        assert_eq!(behind_query(&["vector(1)"]), None);
        let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"firedrill":"age-0"},"values":[[10,"0.5"],[11,"1.5"]]},
            {"metric":{"firedrill":"age-1"},"values":[[10,"2.5"]]},
            {"metric":{"firedrill":"count-0"},"values":[[10,"4"],[11,"3"]]},
            {"metric":{"firedrill":"count-1"},"values":[[10,"1"]]}]}}"#;
        let question =
            Question { query: both, from_us: 10_000_000, until_us: 11_000_000, step_us: 1_000_000 };
        let read = behind(&question, 200, answer).expect("an answer");
        let moments: Vec<_> =
            read.iter().map(|moment| (moment.at_us, moment.age, moment.series.as_slice())).collect();
        assert_eq!(moments, [(10_000_000, Some(2.5), &[4, 1][..]), (11_000_000, Some(1.5), &[3, 0])]);
    }

    #[test]
    fn counts_and_moments_that_were_not_asked_for_are_left_out() {
        let query = prometheus("http://p:9090").behind_query(&["rate(x[10s])"]).expect("a selector");
        let question = Question { query, from_us: 10_000_000, until_us: 12_000_000, step_us: 1_000_000 };
        let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"firedrill":"count-0"},"values":[[9.9,"4"],[10.001,"4"],[12,"3"],[12.1,"4"]]},
            {"metric":{"firedrill":"count-1"},"values":[[12,"2"]]},
            {"metric":{"firedrill":"count-999"},"values":[[10,"1"],[11,"1"]]}]}}"#;
        let read = behind(&question, 200, answer).expect("an answer");
        let moments: Vec<_> = read.iter().map(|moment| (moment.at_us, moment.series.as_slice())).collect();
        assert_eq!(moments, [(10_001_000, &[4, 0][..]), (12_000_000, &[3, 2])]);
    }

    #[test]
    fn a_url_with_a_query_is_refused_and_headers_with_secrets_are_hidden() {
        assert_eq!(prometheus("http://p:9090").invalid(), []);
        assert_eq!(prometheus("http://p:9090/?x=1").invalid().len(), 1);
        let mut tenant = prometheus("http://p:9090");
        tenant.headers.insert("X-Api-Key".to_owned(), "0123456789abcdef0123456789".to_owned());
        assert!(!format!("{tenant:?}").contains("0123456789abcdef"), "{tenant:?}");
        assert_eq!(tenant.without_secrets().headers["X-Api-Key"], "***");
    }
}
