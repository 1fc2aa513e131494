//! `alertmanager`: alerts of Prometheus' Alertmanager, and of systems with the same API (version 2).

use std::{collections::BTreeMap, fmt};

use firedrill_wire::probe::{Form as _, HttpProbe, Refusal, Secret};
use serde::{Deserialize, Serialize};

use super::{Form, Kind, Metrics, Way, path_only, prometheus::encoded};
use crate::alert::{AlertQuery, AlertSeen, Alerts, json, quoted, rfc3339_us, shown};

/// Prometheus' Alertmanager, from 0.16 on (API v2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// `http://…` or `https://…`, with the path before `/api/v2` if there is one.
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

impl Form for Alertmanager {
    const EXAMPLE: &'static str = "{ url = \"http://10.1.0.9:9093\" }";

    fn without_secrets(&self) -> Self {
        let HttpProbe { url, headers, .. } = self.request().without_secrets();
        Self { url, headers, ..self.clone() }
    }
}

/// Written by hand: a derived implementation would print texts that may be secrets.
impl fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, bearer, headers, ca_file, secrets } = &self.without_secrets();
        f.debug_struct("Alertmanager")
            .field("url", url)
            .field("bearer", bearer)
            .field("headers", headers)
            .field("ca_file", ca_file)
            .field("secrets", secrets)
            .finish()
    }
}

impl Alertmanager {
    fn request(&self) -> HttpProbe {
        let Self { url, bearer, headers, ca_file, secrets } = self.clone();
        HttpProbe { headers, bearer, ca_file, secrets, ..HttpProbe::get(url) }
    }
}

impl Kind for Alertmanager {
    fn way(&self) -> Way<'_> {
        Way::Asked(Box::new(self.request()))
    }

    fn invalid(&self) -> Vec<Refusal> {
        path_only(&self.request(), "an Alertmanager", Self::EXAMPLE)
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        None
    }

    fn alerts(&self) -> Option<&dyn Alerts> {
        Some(self)
    }
}

impl Alerts for Alertmanager {
    fn ask(&self, query: &AlertQuery) -> HttpProbe {
        let url = format!("{}/api/v2/alerts?{}", self.url.trim_end_matches('/'), filters(query));
        HttpProbe { url, ..self.request() }
    }

    fn firing(&self, query: &AlertQuery, status: u16, body: &[u8]) -> Result<Vec<AlertSeen>, String> {
        firing("an Alertmanager", query, status, body)
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        None
    }

    fn name_is(&self) -> &'static str {
        "the label `alertname`"
    }
}

/// Returns the query string of a request, with a filter for the alert's name and each label.
pub(super) fn filters(query: &AlertQuery) -> String {
    let name = std::iter::once(("alertname", &query.name));
    let labels = name.chain(query.labels.iter().map(|(name, value)| (name.as_str(), value)));
    let filters: Vec<String> = labels
        .map(|(name, value)| format!("filter={}", encoded(&format!("{name}={}", quoted(value)))))
        .collect();
    filters.join("&")
}

/// The beginning of the zero time of Go, which Alertmanager writes if there is no time.
const NEVER: &str = "0001-01-01T00:00:00";

/// An alert of API v2. Times may be missing, because Grafana answers by an older version of the API in parts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: BTreeMap<String, String>,
    fingerprint: String,
    starts_at: Option<String>,
    ends_at: Option<String>,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
    /// Time intervals that mute the alert; from Alertmanager 0.28 on.
    #[serde(default)]
    muted_by: Vec<String>,
}

/// Reads an answer. It contains only alerts that are not over: `endsAt` is in the future, and moves on each time that the alert is sent again.
/// `startsAt` is by the clock of the sender, such as Prometheus, so it is only shown. `source` is the name of the system, for messages.
pub(super) fn firing(
    source: &str,
    query: &AlertQuery,
    status: u16,
    body: &[u8],
) -> Result<Vec<AlertSeen>, String> {
    let alerts: Vec<Alert> = json(source, status, body)?;
    let wanted = |alert: &&Alert| {
        alert.labels.get("alertname") == Some(&query.name)
            && query.labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value))
            // An unprocessed alert was not checked for silences yet; it does not count until it is.
            && alert.status.state != "unprocessed"
    };
    Ok(alerts.iter().filter(wanted).map(Alert::seen).collect())
}

impl Alert {
    fn seen(&self) -> AlertSeen {
        let Status { state, silenced_by, inhibited_by, muted_by } = &self.status;
        let first = |ids: &[String]| ids.first().map(|id| shown(id));
        let hushed = first(silenced_by)
            .map(|id| format!("silenced (silence {id})"))
            .or_else(|| first(inhibited_by).map(|id| format!("inhibited by the alert {id}")))
            .or_else(|| first(muted_by).map(|name| format!("muted in the time interval {name}")))
            .or_else(|| (state != "active").then(|| format!("its state is {}", shown(state))));
        AlertSeen {
            id: shown(&self.fingerprint),
            what: shown(&what(&self.labels)),
            since_us: self.starts_at.as_deref().and_then(rfc3339_us),
            precise_to_us: None,
            // A time that cannot be read becomes 0: it may be past already.
            forgotten_us: self
                .ends_at
                .as_deref()
                .filter(|at| !at.starts_with(NEVER))
                .map(|at| rfc3339_us(at).unwrap_or(0)),
            hushed,
        }
    }
}

/// Returns an alert for people, with its labels. Labels without information are left out.
pub(super) fn what(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("alertname").cloned().unwrap_or_default();
    let hidden = ["alertname", "alertstate", "__name__"];
    let labels = labels.iter().filter(|(name, _)| !hidden.contains(&name.as_str()));
    AlertQuery { name, labels: labels.map(|(name, value)| (name.clone(), value.clone())).collect() }.words()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of Alertmanager 0.25.0 (Debian 12) to `GET /api/v2/alerts`, 2026-11-26 19:59:03 UTC, with alerts of Prometheus 2.42,
    /// one of them under a silence and one inhibited. The interface is that of
    /// <https://github.com/prometheus/alertmanager/blob/v0.25.0/api/v2/openapi.yaml>.
    const ANSWER: &[u8] = include_bytes!("contracts/alertmanager.json");

    fn query(name: &str, labels: &[(&str, &str)]) -> AlertQuery {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        AlertQuery { name: name.to_owned(), labels }
    }

    fn seen(name: &str, labels: &[(&str, &str)]) -> Vec<AlertSeen> {
        firing("an Alertmanager", &query(name, labels), 200, ANSWER).expect("an answer")
    }

    #[test]
    fn a_real_answer_is_read() {
        let [down] = seen("ZoneDown", &[("severity", "page")]).try_into().expect("one");
        assert_eq!(down.what, "ZoneDown {severity=\"page\", zone=\"a\"}");
        assert_eq!((down.id.as_str(), &down.hushed), ("f71afd6337bd73a5", &None));
        assert_eq!(down.since_us, rfc3339_us("2026-11-26T19:58:54.533Z"));
        assert_eq!((down.forgotten_us, down.precise_to_us), (rfc3339_us("2026-11-26T19:59:06.533Z"), None));
        let [quiet] = seen("Quiet", &[]).try_into().expect("one");
        assert_eq!(quiet.hushed.as_deref(), Some("silenced (silence db2c12f3-db82-4c5a-89bd-36f0f5c72f10)"));
        let [inhibited] = seen("Inhibited", &[]).try_into().expect("one");
        assert_eq!(inhibited.hushed.as_deref(), Some("inhibited by the alert 0cd4a800f1f42cd3"));
        assert_eq!(seen("ZoneDown", &[("zone", "b")]), []);
        assert_eq!(seen("Zone", &[]), []);
    }

    #[test]
    fn an_unprocessed_alert_does_not_fire_and_one_in_an_unknown_state_is_hushed() {
        let with = |state: &str| {
            let text = String::from_utf8(ANSWER.to_vec())
                .expect("text")
                .replace("\"active\"", &format!("\"{state}\""));
            firing("an Alertmanager", &query("ZoneDown", &[]), 200, text.as_bytes()).expect("an answer")
        };
        assert_eq!(with("unprocessed"), []);
        assert_eq!(with("suppressed")[0].hushed.as_deref(), Some("its state is suppressed"));
        let muted = br#"[{"labels":{"alertname":"ZoneDown"},"fingerprint":"1","status":{"state":"suppressed","mutedBy":["night"]}}]"#;
        let muted = firing("an Alertmanager", &query("ZoneDown", &[]), 200, muted).expect("an answer");
        assert_eq!(muted[0].hushed.as_deref(), Some("muted in the time interval night"));
    }

    #[test]
    fn an_end_in_any_zone_is_read_and_an_unreadable_one_counts_as_past() {
        let ends = |at: &str| {
            let text = format!(
                r#"[{{"labels":{{"alertname":"x"}},"fingerprint":"1","endsAt":"{at}","status":{{"state":"active"}}}}]"#
            );
            firing("an Alertmanager", &query("x", &[]), 200, text.as_bytes()).expect("an answer")[0]
                .forgotten_us
        };
        assert_eq!(ends("2026-11-26T20:00:00+02:00"), rfc3339_us("2026-11-26T18:00:00Z"));
        assert_eq!((ends("tomorrow"), ends("0001-01-01T00:00:00.000Z")), (Some(0), None));
    }

    #[test]
    fn a_request_has_a_filter_for_each_label_with_its_value_escaped() {
        let am: Alertmanager =
            serde_json::from_str(r#"{"url":"http://a:9093/am/"}"#).expect("its parameters");
        let asked = am.ask(&query("Zone\"D\\", &[("zone", "a b")]));
        assert_eq!(
            asked.url,
            "http://a:9093/am/api/v2/alerts?filter=alertname%3D%22Zone%5C%22D%5C%5C%22&filter=zone%3D%22a%20b%22"
        );
        assert!(asked.parsed().is_ok());
    }

    #[test]
    fn errors_contain_the_text_of_the_source() {
        let why = |status, body: &[u8]| {
            firing("an Alertmanager", &query("x", &[]), status, body).expect_err("a refusal")
        };
        assert_eq!(why(400, br#""bad matcher format: x""#), "status 400: \"bad matcher format: x\"");
        assert!(why(200, b"<html>login</html>").contains("not that of an Alertmanager: <html>login"));
        assert!(why(401, b"who?").contains("the token is missing"));
        assert!(why(429, b"slow down").contains("a longer `every`"));
    }
}
