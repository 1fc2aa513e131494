//! The series `ALERTS`: the alerts of a Prometheus' own rules. It knows no silences and no inhibitions; those are an Alertmanager's.

use std::collections::BTreeMap;

use firedrill_wire::probe::HttpProbe;
use serde::Deserialize;

use super::{Prometheus, answers::Answer, encoded};
use crate::{
    alert::{AlertQuery, AlertSeen, Alerts, json, quoted, shown},
    kind::alertmanager::what,
};

/// The state of an alert whose condition has held for as long as its rule's `for` demands.
const FIRING: &str = "firing";

impl Alerts for Prometheus {
    fn ask(&self, query: &AlertQuery) -> HttpProbe {
        let firing = [("alertname", query.name.as_str()), ("alertstate", FIRING)];
        let labels = query.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let matchers: Vec<String> = firing
            .into_iter()
            .chain(labels)
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect();
        let base = self.url.trim_end_matches('/');
        let url =
            format!("{base}/api/v1/query?query={}", encoded(&format!("ALERTS{{{}}}", matchers.join(","))));
        HttpProbe { url, ..self.request() }
    }

    fn firing(&self, query: &AlertQuery, status: u16, body: &[u8]) -> Result<Vec<AlertSeen>, String> {
        // When a Prometheus refuses a query, the status is 400 or 422, and the body has the reason.
        let status = if matches!(status, 400 | 422) { 200 } else { status };
        let answer: Answer<Data> = json("a Prometheus", status, body)?;
        let vector = answer.data()?.filter(|data| data.kind == "vector");
        let data = vector.ok_or("the answer is not a vector of alerts")?;
        let wanted = |series: &&Series| {
            let has = |name: &str, value: &str| series.metric.get(name).is_some_and(|own| own == value);
            has("alertname", &query.name)
                && has("alertstate", FIRING)
                && query.labels.iter().all(|(name, value)| has(name, value))
        };
        Ok(data.result.iter().filter(wanted).map(Series::seen).collect())
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        None
    }

    fn name_is(&self) -> &'static str {
        "the label `alertname`"
    }
}

#[derive(Deserialize)]
struct Data {
    /// `vector`, if the answer is that of an instant query for series.
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(default)]
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    /// The labels, by name.
    #[serde(default)]
    metric: BTreeMap<String, String>,
}

impl Series {
    fn seen(&self) -> AlertSeen {
        let what = shown(&what(&self.metric));
        AlertSeen { id: what.clone(), what, ..AlertSeen::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of Prometheus 2.42.0 (Debian 12) to the query `ALERTS{severity="page"}`, 2026-11-26 19:59:03 UTC. The series is
    /// described at <https://prometheus.io/docs/prometheus/2.42/configuration/alerting_rules/#inspecting-alerts-during-runtime>.
    const ANSWER: &[u8] = include_bytes!("../contracts/prometheus_alerts.json");

    fn query(name: &str, labels: &[(&str, &str)]) -> AlertQuery {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        AlertQuery { name: name.to_owned(), labels }
    }

    fn prometheus() -> Prometheus {
        serde_json::from_str(r#"{"url":"http://p:9090/"}"#).expect("its parameters")
    }

    #[test]
    fn a_pending_alert_is_not_firing() {
        let seen = |query: &AlertQuery| prometheus().firing(query, 200, ANSWER).expect("an answer");
        let [down] = seen(&query("ZoneDown", &[("zone", "a")])).try_into().expect("one");
        assert_eq!(down.what, "ZoneDown {severity=\"page\", zone=\"a\"}");
        assert_eq!((down.hushed, down.since_us, down.forgotten_us), (None, None, None));
        assert_eq!(seen(&query("Pending", &[])), []);
        assert_eq!(seen(&query("ZoneDown", &[("zone", "b")])), []);
    }

    #[test]
    fn a_question_selects_alerts_that_are_firing() {
        let asked = prometheus().ask(&query("Zone\"Down", &[("zone", "a")]));
        assert_eq!(
            asked.url,
            "http://p:9090/api/v1/query?query=ALERTS%7Balertname%3D%22Zone%5C%22Down%22%2Calertstate%3D%22firing%22%2C\
             zone%3D%22a%22%7D"
        );
        assert!(asked.parsed().is_ok());
        let bad = br#"{"status":"error","errorType":"bad_data","error":"1:8: parse error: unexpected"}"#;
        let why = prometheus().firing(&query("x", &[]), 400, bad).expect_err("a refusal");
        assert_eq!(why, "it refuses the query: 1:8: parse error: unexpected");
        let why = prometheus().firing(&query("x", &[]), 503, b"Service Unavailable").expect_err("no answer");
        assert_eq!(why, "status 503: Service Unavailable");
    }
}
