//! `pagerduty`: incidents of PagerDuty, read through its REST API v2.

use std::{collections::BTreeMap, fmt};

use firedrill_wire::probe::{Form as _, HttpProbe, Refusal, Secret};
use serde::{Deserialize, Serialize};

use super::{Form, Kind, Metrics, Way, path_only, prometheus::encoded, secrets_at};
use crate::alert::{AlertQuery, AlertSeen, Alerts, json, rfc3339_us, shown};

/// The most incidents in one answer.
const MOST_INCIDENTS: usize = 100;

/// PagerDuty.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerDuty {
    /// `https://…`; in Europe `https://api.eu.pagerduty.com`.
    #[serde(default = "PagerDuty::usual_url")]
    pub url: String,
    /// An API key, which may be read-only, resolved where the coordinator runs.
    pub token: Secret,
    /// Ids of the services whose incidents are asked for; without them those of all services, of which there may be at most 100 open ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

impl PagerDuty {
    fn usual_url() -> String {
        "https://api.pagerduty.com".to_owned()
    }
}

impl Form for PagerDuty {
    const EXAMPLE: &'static str =
        "{ token = { secret_file = \"/etc/firedrill/secrets/pagerduty\" }, services = [\"PIJ90N7\"] }";

    fn without_secrets(&self) -> Self {
        Self { url: self.request().without_secrets().url, ..self.clone() }
    }
}

/// Written by hand: a derived implementation would print texts that may be secrets.
impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, token, services, ca_file } = &self.without_secrets();
        f.debug_struct("PagerDuty")
            .field("url", url)
            .field("token", token)
            .field("services", services)
            .field("ca_file", ca_file)
            .finish()
    }
}

impl PagerDuty {
    /// Returns a request for the bare URL, with the headers that every question has.
    fn request(&self) -> HttpProbe {
        let headers = BTreeMap::from([
            ("Authorization".to_owned(), "Token token={token}".to_owned()),
            ("Accept".to_owned(), "application/vnd.pagerduty+json;version=2".to_owned()),
        ]);
        let secrets = BTreeMap::from([("token".to_owned(), self.token.clone())]);
        HttpProbe { headers, secrets, ca_file: self.ca_file.clone(), ..HttpProbe::get(self.url.clone()) }
    }
}

impl Kind for PagerDuty {
    fn way(&self) -> Way<'_> {
        Way::Asked(Box::new(self.request()))
    }

    fn invalid(&self) -> Vec<Refusal> {
        let wrong = path_only(&self.request(), "PagerDuty", "{ url = \"https://api.pagerduty.com\" }");
        secrets_at(wrong, &["token"])
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        None
    }

    fn alerts(&self) -> Option<&dyn Alerts> {
        Some(self)
    }
}

impl Alerts for PagerDuty {
    /// Asks for all open incidents, however old: PagerDuty adds new events to an incident that is open already, without a new incident.
    fn ask(&self, _: &AlertQuery) -> HttpProbe {
        let base = self.url.trim_end_matches('/');
        let services: String =
            self.services.iter().map(|id| format!("&service_ids%5B%5D={}", encoded(id))).collect();
        let url = format!(
            "{base}/incidents?date_range=all&statuses%5B%5D=triggered&statuses%5B%5D=acknowledged&sort_by=created_at%3Adesc\
             &limit={MOST_INCIDENTS}{services}"
        );
        HttpProbe { url, ..self.request() }
    }

    fn firing(&self, query: &AlertQuery, status: u16, body: &[u8]) -> Result<Vec<AlertSeen>, String> {
        let answer: Answer = json("PagerDuty", status, body)?;
        if answer.more {
            return Err(format!(
                "more than {MOST_INCIDENTS} incidents are open; give the ids of `services` to ask for fewer"
            ));
        }
        Ok(answer.incidents.iter().filter(|incident| incident.fits(query)).map(Incident::seen).collect())
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        Some(&["service", "urgency", "incident_key"])
    }

    fn name_is(&self) -> &'static str {
        "a part of the incident's title"
    }
}

#[derive(Deserialize)]
struct Answer {
    incidents: Vec<Incident>,
    /// Whether there are more incidents than the answer has.
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Incident {
    id: String,
    #[serde(default)]
    title: String,
    status: String,
    created_at: Option<String>,
    incident_key: Option<String>,
    urgency: Option<String>,
    service: Option<Service>,
}

#[derive(Deserialize)]
struct Service {
    id: String,
    summary: Option<String>,
}

impl Incident {
    /// Whether the incident is open, and of those that `query` is about.
    fn fits(&self, query: &AlertQuery) -> bool {
        let has = |(name, wanted): (&String, &String)| match name.as_str() {
            "service" => {
                let service = self.service.as_ref();
                service.is_some_and(|own| own.id == *wanted || own.summary.as_ref() == Some(wanted))
            }
            "urgency" => self.urgency.as_ref() == Some(wanted),
            "incident_key" => self.incident_key.as_ref() == Some(wanted),
            _ => false,
        };
        // An acknowledged incident counts: a person was notified of it.
        let open = ["triggered", "acknowledged"].contains(&self.status.as_str());
        open && self.title.contains(&query.name) && query.labels.iter().all(has)
    }

    fn seen(&self) -> AlertSeen {
        AlertSeen {
            id: shown(&self.id),
            what: shown(&self.title),
            since_us: self.created_at.as_deref().and_then(rfc3339_us),
            precise_to_us: Some(1_000_000),
            forgotten_us: None,
            hushed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of an answer to `GET /incidents` in PagerDuty's own description of its API, as of 2026-08-14:
    /// <https://github.com/PagerDuty/api-schema/blob/main/reference/REST/openapiv3.json> (`listIncidents`), with the title, the status
    /// and `more` of an incident that is open. There are at most 100 incidents in an answer, and 960 requests a minute to a key
    /// (<https://support.pagerduty.com/docs/rest-api-rate-limits>).
    const ANSWER: &str = include_str!("contracts/pagerduty.json");

    fn pagerduty() -> PagerDuty {
        let text = r#"{"token":{"secret_env":"PD"},"services":["PIJ90N7"]}"#;
        serde_json::from_str(text).expect("its parameters")
    }

    fn seen(answer: &str, name: &str, labels: &[(&str, &str)]) -> Result<Vec<AlertSeen>, String> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        pagerduty().firing(&AlertQuery { name: name.to_owned(), labels }, 200, answer.as_bytes())
    }

    #[test]
    fn an_open_incident_fires_since_it_was_created() {
        let [incident] =
            seen(ANSWER, "is on fire", &[("urgency", "high")]).expect("an answer").try_into().expect("one");
        assert_eq!((incident.id.as_str(), incident.what.as_str()), ("PT4KHLK", "The server is on fire."));
        assert_eq!(
            (incident.since_us, incident.precise_to_us),
            (rfc3339_us("2015-10-06T21:30:42Z"), Some(1_000_000))
        );
        for labels in [("service", "My Mail Service"), ("service", "PIJ90N7")] {
            assert_eq!(seen(ANSWER, "", &[labels]).expect("an answer").len(), 1, "{labels:?}");
        }
        assert_eq!(seen(ANSWER, "", &[("service", "Other")]), Ok(vec![]));
        assert_eq!(seen(ANSWER, "under water", &[]), Ok(vec![]));
        let acknowledged = ANSWER.replace("\"status\": \"triggered\"", "\"status\": \"acknowledged\"");
        assert_eq!(seen(&acknowledged, "fire", &[]).expect("an answer").len(), 1);
        let resolved = ANSWER.replace("\"status\": \"triggered\"", "\"status\": \"resolved\"");
        assert_eq!(seen(&resolved, "fire", &[]), Ok(vec![]));
    }

    #[test]
    fn an_answer_with_only_some_of_the_incidents_is_refused() {
        let cut = ANSWER.replace("\"more\": false", "\"more\": true");
        assert!(seen(&cut, "fire", &[]).expect_err("cut").contains("more than 100"));
    }

    #[test]
    fn a_question_has_a_placeholder_and_not_the_token() {
        let asked = pagerduty().ask(&AlertQuery { name: "x".to_owned(), labels: BTreeMap::new() });
        assert_eq!(
            asked.url,
            "https://api.pagerduty.com/incidents?date_range=all&statuses%5B%5D=triggered&statuses%5B%5D=acknowledged\
             &sort_by=created_at%3Adesc&limit=100&service_ids%5B%5D=PIJ90N7"
        );
        assert_eq!(asked.headers["Authorization"], "Token token={token}");
        assert!(asked.parsed().is_ok() && pagerduty().invalid().is_empty());
    }
}
