//! `grafana`: alerts that Grafana itself evaluates, by its built-in Alertmanager.

use std::{collections::BTreeMap, fmt};

use firedrill_wire::probe::{Form as _, HttpProbe, Refusal, Secret};
use serde::{Deserialize, Serialize};

use super::{
    Form, Kind, Metrics, Way,
    alertmanager::{filters, firing},
    path_only,
};
use crate::alert::{AlertQuery, AlertSeen, Alerts};

/// Grafana's own alerts, from Grafana 9 on. For alerts that Grafana only shows, name the Prometheus that evaluates them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grafana {
    /// `https://…`, with the path below which Grafana is served if there is one.
    pub url: String,
    /// The token of a service account, resolved where the coordinator runs.
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

impl Form for Grafana {
    const EXAMPLE: &'static str =
        "{ url = \"https://grafana\", bearer = { secret_file = \"/etc/firedrill/secrets/grafana\" } }";

    fn without_secrets(&self) -> Self {
        let HttpProbe { url, headers, .. } = self.request().without_secrets();
        Self { url, headers, ..self.clone() }
    }
}

/// Written by hand: a derived implementation would print texts that may be secrets.
impl fmt::Debug for Grafana {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, bearer, headers, ca_file, secrets } = &self.without_secrets();
        f.debug_struct("Grafana")
            .field("url", url)
            .field("bearer", bearer)
            .field("headers", headers)
            .field("ca_file", ca_file)
            .field("secrets", secrets)
            .finish()
    }
}

impl Grafana {
    fn request(&self) -> HttpProbe {
        let Self { url, bearer, headers, ca_file, secrets } = self.clone();
        HttpProbe { headers, bearer, ca_file, secrets, ..HttpProbe::get(url) }
    }
}

impl Kind for Grafana {
    fn way(&self) -> Way<'_> {
        Way::Asked(Box::new(self.request()))
    }

    fn invalid(&self) -> Vec<Refusal> {
        path_only(&self.request(), "a Grafana", Self::EXAMPLE)
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        None
    }

    fn alerts(&self) -> Option<&dyn Alerts> {
        Some(self)
    }
}

impl Alerts for Grafana {
    fn ask(&self, query: &AlertQuery) -> HttpProbe {
        let base = self.url.trim_end_matches('/');
        HttpProbe {
            url: format!("{base}/api/alertmanager/grafana/api/v2/alerts?{}", filters(query)),
            ..self.request()
        }
    }

    fn firing(&self, query: &AlertQuery, status: u16, body: &[u8]) -> Result<Vec<AlertSeen>, String> {
        firing("Grafana", query, status, body)
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        None
    }

    fn name_is(&self) -> &'static str {
        "the label `alertname`, which is the rule's title"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of the form that Grafana's interface gives: `gettableAlerts` of `RouteGetGrafanaAMAlerts`, as in Grafana's
    /// `pkg/services/ngalert/api/tooling/definitions/alertmanager.go`, looked up on 2026-11-26. Values are made up; the labels
    /// `__alert_rule_uid__` and `grafana_folder` are those that Grafana adds.
    const ANSWER: &[u8] = include_bytes!("contracts/grafana.json");

    #[test]
    fn answers_have_the_format_of_an_alertmanager() {
        let grafana: Grafana =
            serde_json::from_str(r#"{"url":"https://g/grafana"}"#).expect("its parameters");
        let labels = [("severity".to_owned(), "page".to_owned())].into();
        let query = AlertQuery { name: "Checkout is down".to_owned(), labels };
        let asked = grafana.ask(&query);
        assert_eq!(
            asked.url,
            "https://g/grafana/api/alertmanager/grafana/api/v2/alerts?filter=alertname%3D%22Checkout%20is%20down%22\
             &filter=severity%3D%22page%22"
        );
        let [seen] = grafana.firing(&query, 200, ANSWER).expect("an answer").try_into().expect("one");
        assert_eq!((seen.hushed.as_deref(), seen.precise_to_us), (None, None));
        assert!(seen.what.starts_with("Checkout is down {"), "{seen:?}");
        let why = grafana.firing(&query, 401, br#"{"message":"Invalid API key"}"#).expect_err("a refusal");
        assert!(why.contains("the token is missing") && why.contains("Invalid API key"), "{why}");
    }
}
