//! `opsgenie`: alerts of Opsgenie, by its Alert API v2.

use std::{collections::BTreeMap, fmt};

use firedrill_wire::probe::{Form as _, HttpProbe, Refusal, Secret};
use serde::{Deserialize, Serialize};

use super::{Form, Kind, Metrics, Way, path_only, prometheus::encoded, secrets_at};
use crate::alert::{AlertQuery, AlertSeen, Alerts, json, rfc3339_us, shown};

/// Maximum number of alerts in an answer.
const MOST: usize = 100;

/// Opsgenie, or the alerts of Jira Service Management by the same API.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opsgenie {
    /// `https://…`; in Europe `https://api.eu.opsgenie.com`.
    #[serde(default = "Opsgenie::usual_url")]
    pub url: String,
    /// The key of an API integration that may read, resolved where the coordinator runs.
    pub token: Secret,
    /// A search that open alerts must fulfil, in Opsgenie's language, such as `tag:shop`; there may be at most 100 of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

impl Opsgenie {
    fn usual_url() -> String {
        "https://api.opsgenie.com".to_owned()
    }
}

impl Form for Opsgenie {
    const EXAMPLE: &'static str = "{ token = { secret_file = \"/etc/firedrill/secrets/opsgenie\" } }";

    fn without_secrets(&self) -> Self {
        Self { url: self.request().without_secrets().url, ..self.clone() }
    }
}

/// Written by hand: a derived implementation would print texts that may be secrets.
impl fmt::Debug for Opsgenie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, token, search, ca_file } = &self.without_secrets();
        f.debug_struct("Opsgenie")
            .field("url", url)
            .field("token", token)
            .field("search", search)
            .field("ca_file", ca_file)
            .finish()
    }
}

impl Opsgenie {
    fn request(&self) -> HttpProbe {
        let headers = BTreeMap::from([("Authorization".to_owned(), "GenieKey {token}".to_owned())]);
        let secrets = BTreeMap::from([("token".to_owned(), self.token.clone())]);
        HttpProbe { headers, secrets, ca_file: self.ca_file.clone(), ..HttpProbe::get(self.url.clone()) }
    }
}

impl Kind for Opsgenie {
    fn way(&self) -> Way<'_> {
        Way::Asked(Box::new(self.request()))
    }

    fn invalid(&self) -> Vec<Refusal> {
        let wrong = path_only(&self.request(), "Opsgenie", "{ url = \"https://api.opsgenie.com\" }");
        secrets_at(wrong, &["token"])
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        None
    }

    fn alerts(&self) -> Option<&dyn Alerts> {
        Some(self)
    }
}

impl Alerts for Opsgenie {
    fn ask(&self, _: &AlertQuery) -> HttpProbe {
        let search = match &self.search {
            Some(search) => format!("status:open AND ({search})"),
            None => "status:open".to_owned(),
        };
        let base = self.url.trim_end_matches('/');
        let url =
            format!("{base}/v2/alerts?query={}&limit={MOST}&sort=createdAt&order=desc", encoded(&search));
        HttpProbe { url, ..self.request() }
    }

    fn firing(&self, query: &AlertQuery, status: u16, body: &[u8]) -> Result<Vec<AlertSeen>, String> {
        let answer: Answer = json("Opsgenie", status, body)?;
        if answer.data.len() >= MOST || answer.paging.is_some_and(|paging| paging.next.is_some()) {
            return Err(format!("{MOST} alerts or more are open; a `search` asks for fewer"));
        }
        Ok(answer.data.iter().filter(|alert| alert.fits(query)).map(Alert::seen).collect())
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        Some(&["alias", "source", "priority", "tag"])
    }

    fn name_is(&self) -> &'static str {
        "a part of the alert's message"
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Alert>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    id: String,
    #[serde(default)]
    message: String,
    status: String,
    #[serde(default)]
    snoozed: bool,
    snoozed_until: Option<String>,
    created_at: Option<String>,
    alias: Option<String>,
    source: Option<String>,
    priority: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

impl Alert {
    fn fits(&self, query: &AlertQuery) -> bool {
        let has = |(name, wanted): (&String, &String)| match name.as_str() {
            "alias" => self.alias.as_ref() == Some(wanted),
            "source" => self.source.as_ref() == Some(wanted),
            "priority" => self.priority.as_ref() == Some(wanted),
            "tag" => self.tags.contains(wanted),
            _ => false,
        };
        self.status == "open" && self.message.contains(&query.name) && query.labels.iter().all(has)
    }

    fn seen(&self) -> AlertSeen {
        let until = self.snoozed_until.as_deref().map(|until| format!(" until {}", shown(until)));
        AlertSeen {
            id: shown(&self.id),
            what: shown(&self.message),
            since_us: self.created_at.as_deref().and_then(rfc3339_us),
            precise_to_us: Some(1_000),
            forgotten_us: None,
            hushed: self.snoozed.then(|| format!("snoozed{}", until.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to `GET /v2/alerts` with the fields of `ListAlertsResponse` and `BaseAlert` in Opsgenie's own description of its API, as
    /// of 2021-08-02: <https://github.com/opsgenie/opsgenie-python-sdk/blob/master/opsgenie-oas.json>. Values are made up. There are at
    /// most 100 alerts in an answer; requests beyond an account's limit get status 429.
    const ANSWER: &str = include_str!("contracts/opsgenie.json");

    fn genie(search: Option<&str>) -> Opsgenie {
        let mut genie: Opsgenie =
            serde_json::from_str(r#"{"token":{"secret_env":"OG"}}"#).expect("its parameters");
        genie.search = search.map(str::to_owned);
        genie
    }

    fn seen(answer: &str, name: &str, labels: &[(&str, &str)]) -> Result<Vec<AlertSeen>, String> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        genie(None).firing(&AlertQuery { name: name.to_owned(), labels }, 200, answer.as_bytes())
    }

    #[test]
    fn an_open_alert_fires_since_it_was_created() {
        let [one] =
            seen(ANSWER, "ZoneDown", &[("tag", "zone-a")]).expect("an answer").try_into().expect("one");
        assert_eq!((one.what.as_str(), &one.hushed), ("[Prometheus]: ZoneDown", &None));
        assert_eq!((one.since_us, one.precise_to_us), (rfc3339_us("2026-11-26T12:03:10.125Z"), Some(1_000)));
        let [snoozed] =
            seen(ANSWER, "Disk", &[("priority", "P3")]).expect("an answer").try_into().expect("one");
        assert_eq!(snoozed.hushed.as_deref(), Some("snoozed until 2026-11-26T14:00:00Z"));
        assert_eq!(seen(ANSWER, "ZoneDown", &[("tag", "zone-b")]), Ok(vec![]));
        let closed = ANSWER.replace("\"open\"", "\"closed\"");
        assert_eq!(seen(&closed, "", &[]), Ok(vec![]));
    }

    #[test]
    fn an_incomplete_answer_is_an_error() {
        let cut = ANSWER.replace("\"first\"", "\"next\"");
        assert!(seen(&cut, "", &[]).expect_err("cut").contains("100 alerts or more"));
    }

    #[test]
    fn a_request_has_the_name_of_the_token_and_not_the_token() {
        let query = AlertQuery { name: "x".to_owned(), labels: BTreeMap::new() };
        let asked = genie(Some("tag:shop")).ask(&query);
        assert_eq!(
            asked.url,
            "https://api.opsgenie.com/v2/alerts?query=status%3Aopen%20AND%20%28tag%3Ashop%29&limit=100&sort=createdAt&order=desc"
        );
        assert_eq!(asked.headers["Authorization"], "GenieKey {token}");
        assert!(asked.parsed().is_ok() && genie(None).invalid().is_empty());
    }
}
