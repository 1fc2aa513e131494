//! `pagerduty`: change events of PagerDuty, by its Events API v2. Change events are only shown; they page nobody.

use firedrill_wire::{
    probe::{Refusal, Secret},
    text::clean,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kind, Parcel, base, post};
use crate::{
    message::{Message, What},
    secrets::Opened,
};

/// Maximum length of a summary that PagerDuty accepts, in characters.
const SUMMARY_MOST: usize = 1024;

/// Change events of a service of PagerDuty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerDuty {
    /// The integration key of the service.
    pub routing_key: Secret,
    /// The address of the Events API, in Europe `https://events.eu.pagerduty.com`.
    #[serde(default = "PagerDuty::usual_url")]
    pub url: String,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

impl PagerDuty {
    fn usual_url() -> String {
        "https://events.pagerduty.com".to_owned()
    }
}

impl Kind for PagerDuty {
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        vec![("routing_key", &self.routing_key)]
    }

    fn invalid(&self) -> Vec<Refusal> {
        base(&self.url, &Self::usual_url())
    }

    /// Only beginnings and ends are changes.
    fn takes(&self, what: What) -> bool {
        matches!(what, What::Started | What::Ended | What::Halted | What::Test)
    }

    fn parcel(&self, message: &Message, secrets: &Opened, _: Option<&str>) -> Result<Parcel, String> {
        let details: serde_json::Map<String, Value> =
            message.facts().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let body = json!({
            "routing_key": secrets.text("routing_key")?,
            "payload": {
                "summary": clean(&message.title, SUMMARY_MOST),
                "timestamp": message.at,
                "source": "firedrill",
                "custom_details": details,
            },
            "links": [],
        });
        let url = format!("{}/v2/change/enqueue", self.url.trim_end_matches('/'));
        Ok(Parcel::Http(Box::new(post(&url, &body, self.ca_file.as_ref()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of `POST /v2/change/enqueue` with the fields of PagerDuty's page on change events,
    /// <https://raw.githubusercontent.com/PagerDuty/developer-docs/main/docs/events-API-v2/03-Change-Events.md>, read in November 2026:
    /// `routing_key`, `payload.summary` and so on. The status 202 means accepted, 400 never accepted; 429 and 5xx may be tried again.
    #[test]
    fn a_change_has_a_summary_and_its_details() {
        let pagerduty: PagerDuty =
            serde_json::from_str(r#"{"routing_key":{"secret_env":"KEY"}}"#).expect("its parameters");
        assert!(pagerduty.invalid().is_empty());
        let mut message = Message::new("r/started", What::Started, "Firedrill: drill \"friday\" has started");
        message.at = "2026-12-04T14:00:00.000Z".to_owned();
        message.environment = Some("production".to_owned());
        let secrets = Opened::of(&[("routing_key", "R0UT1NGKEY")]);
        let Ok(Parcel::Http(request)) = pagerduty.parcel(&message, &secrets, None) else {
            panic!("a request")
        };
        assert_eq!(request.url, "https://events.pagerduty.com/v2/change/enqueue");
        let body: Value = serde_json::from_str(request.body.as_deref().expect("a body")).expect("JSON");
        assert_eq!(
            body,
            json!({
                "routing_key": "R0UT1NGKEY",
                "payload": {
                    "summary": "Firedrill: drill \"friday\" has started",
                    "timestamp": "2026-12-04T14:00:00.000Z",
                    "source": "firedrill",
                    "custom_details": { "Environment": "production" },
                },
                "links": [],
            })
        );
        assert!(pagerduty.takes(What::Halted) && !pagerduty.takes(What::Landed));
    }
}
