//! `grafana`: annotations of Grafana. A run or a game day is a region. Its first message makes a point; the message about the end adds the region's end.

use firedrill_wire::probe::{HttpProbe, Refusal, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kind, Parcel, base, post};
use crate::{
    message::{Message, What},
    secrets::Opened,
};

/// Annotations of Grafana.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grafana {
    /// The address of Grafana, such as `https://grafana.example`.
    pub url: String,
    /// A token of a service account that may write annotations.
    pub token: Secret,
    /// The dashboard's uid. Without it, annotations belong to the organisation and are found by their tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<String>,
    /// The panel's number, with `dashboard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel: Option<u64>,
    /// Further tags, added to `firedrill` and the kind of event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

impl Kind for Grafana {
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        vec![("token", &self.token)]
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut refusals = base(&self.url, "https://grafana.example");
        if self.panel.is_some() && self.dashboard.is_none() {
            let field = firedrill_wire::probe::Field::request(&["panel"]);
            refusals.push(Refusal::new(
                field,
                "`panel` has no meaning without `dashboard`",
                "of which dashboard",
                "dashboard = \"UID\", or leave `panel` out",
            ));
        }
        refusals
    }

    /// Announcements and slots that were not held are not shown on a time axis.
    fn takes(&self, what: What) -> bool {
        !matches!(what, What::Announced | What::Missed | What::Skipped)
    }

    fn parcel(&self, message: &Message, _: &Opened, receipt: Option<&str>) -> Result<Parcel, String> {
        let url = format!("{}/api/annotations", self.url.trim_end_matches('/'));
        let is_end = message.what.is_end();
        let request = match receipt.filter(|_| is_end) {
            Some(id) => {
                let body = json!({ "timeEnd": message.at_ms(), "text": text(message) });
                HttpProbe {
                    method: "PATCH".to_owned(),
                    ..post(&format!("{url}/{id}"), &body, self.ca_file.as_ref())
                }
            }
            None => post(&url, &self.annotation(message, is_end), self.ca_file.as_ref()),
        };
        Ok(Parcel::Http(Box::new(HttpProbe { bearer: Some(self.token.clone()), ..request })))
    }

    fn receipt(&self, body: &[u8]) -> Option<String> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        answer.get("id")?.as_u64().map(|id| id.to_string())
    }
}

impl Grafana {
    /// Returns a new annotation: a moment, or the whole region for an end. An end gets a new annotation only if Grafana did not accept the beginning.
    fn annotation(&self, message: &Message, is_end: bool) -> Value {
        let own = ["firedrill", message.what.word()];
        let tags: Vec<&str> = own.into_iter().chain(self.tags.iter().map(String::as_str)).collect();
        let mut body = json!({ "time": message.at_ms(), "tags": tags, "text": text(message) });
        if is_end {
            body["time"] = message.begun_ms().into();
            body["timeEnd"] = message.at_ms().into();
        }
        if let Some(dashboard) = &self.dashboard {
            body["dashboardUID"] = dashboard.as_str().into();
        }
        if let Some(panel) = self.panel {
            body["panelId"] = panel.into();
        }
        body
    }
}

/// Returns the text. Grafana shows it as HTML, so it is escaped.
fn text(message: &Message) -> String {
    message.line().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Begun;

    fn grafana(rest: &str) -> Grafana {
        let text = format!(r#"{{"url":"https://g.example/","token":{{"secret_env":"T"}}{rest}}}"#);
        serde_json::from_str(&text).expect("its parameters")
    }

    fn sent(grafana: &Grafana, message: &Message, receipt: Option<&str>) -> (String, String, Value) {
        let Ok(Parcel::Http(request)) = grafana.parcel(message, &Opened::of(&[]), receipt) else {
            panic!("a request")
        };
        let body = serde_json::from_str(request.body.as_deref().expect("a body")).expect("JSON");
        assert!(request.bearer.is_some());
        (request.method, request.url, body)
    }

    /// `POST /api/annotations` with `time`, `timeEnd`, `tags`, `text`, `dashboardUID`, `panelId` and its answer `{"message":"Annotation
    /// added","id":1}`, and `PATCH /api/annotations/:id`, as of Grafana 12.4:
    /// <https://grafana.com/docs/grafana/v12.4/developer-resources/api-reference/http-api/annotations.md>, read in November 2026. From
    /// Grafana 13 on these paths are deprecated and still served.
    #[test]
    fn a_run_is_a_region_that_its_end_closes() {
        let mut started = Message::new("r/started", What::Started, "Firedrill: <b>r</b> has started");
        started.at = "2026-12-04T14:00:00.000Z".to_owned();
        let own = grafana(r#","dashboard":"abc","panel":2,"tags":["team-a"]"#);
        let (method, url, body) = sent(&own, &started, None);
        assert_eq!((method.as_str(), url.as_str()), ("POST", "https://g.example/api/annotations"));
        assert_eq!(
            body,
            json!({
                "time": 1_796_392_800_000_u64, "tags": ["firedrill", "started", "team-a"],
                "text": "Firedrill: &lt;b&gt;r&lt;/b&gt; has started", "dashboardUID": "abc", "panelId": 2,
            })
        );
        let receipt = own.receipt(br#"{"message":"Annotation added","id":17}"#);
        assert_eq!(receipt.as_deref(), Some("17"));
        let mut ended = Message::new("r/ended", What::Ended, "Firedrill: r has ended: held");
        ended.at = "2026-12-04T14:05:00.000Z".to_owned();
        ended.begun = Some(Begun { id: "r/started".to_owned(), at: started.at });
        let (method, url, body) = sent(&own, &ended, receipt.as_deref());
        assert_eq!((method.as_str(), url.as_str()), ("PATCH", "https://g.example/api/annotations/17"));
        assert_eq!(body, json!({ "timeEnd": 1_796_393_100_000_u64, "text": "Firedrill: r has ended: held" }));
        let (method, _, body) = sent(&own, &ended, None);
        assert_eq!(
            (method.as_str(), &body["time"], &body["timeEnd"]),
            ("POST", &json!(1_796_392_800_000_u64), &json!(1_796_393_100_000_u64))
        );
    }

    #[test]
    fn wrong_parameters_are_refused() {
        assert!(grafana("").invalid().is_empty());
        assert_eq!(grafana(r#","panel":2"#).invalid().len(), 1);
        assert_eq!(Grafana { url: "g.example".to_owned(), ..grafana("") }.invalid().len(), 1);
        assert_eq!(Grafana { url: "https://u:p@g.example".to_owned(), ..grafana("") }.invalid().len(), 1);
        assert!(!grafana("").takes(What::Announced) && grafana("").takes(What::Landed));
    }
}
