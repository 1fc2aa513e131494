//! `datadog`: monitors of Datadog as alerts, by its API v1.

use std::{collections::BTreeMap, fmt};

use firedrill_wire::probe::{Form as _, HttpProbe, Refusal, Secret};
use serde::{Deserialize, Serialize};

use super::{Form, Kind, Metrics, Way, path_only, prometheus::encoded, secrets_at};
use crate::alert::{AlertQuery, AlertSeen, Alerts, json, shown};

/// Assumed maximum difference between this machine's clock and Datadog's, in seconds.
const CLOCKS_S: i64 = 60;
/// Maximum number of monitors in an answer.
const MOST: usize = 100;
/// In place of a group's name, for a monitor without groups.
const NO_GROUP: &str = "*";

/// Datadog.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Datadog {
    /// `https://…` of your site, such as `https://api.datadoghq.eu`.
    #[serde(default = "Datadog::usual_url")]
    pub url: String,
    /// An API key, resolved where the coordinator runs.
    pub api_key: Secret,
    /// An application key with the permission `monitors_read`, resolved where the coordinator runs.
    pub app_key: Secret,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

impl Datadog {
    fn usual_url() -> String {
        "https://api.datadoghq.com".to_owned()
    }
}

impl Form for Datadog {
    const EXAMPLE: &'static str =
        "{ api_key = { secret_env = \"DD_API_KEY\" }, app_key = { secret_env = \"DD_APP_KEY\" } }";

    fn without_secrets(&self) -> Self {
        Self { url: self.request().without_secrets().url, ..self.clone() }
    }
}

/// Written by hand: a derived implementation would print texts that may be secrets.
impl fmt::Debug for Datadog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, api_key, app_key, ca_file } = &self.without_secrets();
        f.debug_struct("Datadog")
            .field("url", url)
            .field("api_key", api_key)
            .field("app_key", app_key)
            .field("ca_file", ca_file)
            .finish()
    }
}

impl Datadog {
    fn request(&self) -> HttpProbe {
        let headers = BTreeMap::from([
            ("DD-API-KEY".to_owned(), "{api_key}".to_owned()),
            ("DD-APPLICATION-KEY".to_owned(), "{app_key}".to_owned()),
            ("Accept".to_owned(), "application/json".to_owned()),
        ]);
        let secrets = [("api_key", &self.api_key), ("app_key", &self.app_key)];
        let secrets = secrets.map(|(name, secret)| (name.to_owned(), secret.clone())).into();
        HttpProbe { headers, secrets, ca_file: self.ca_file.clone(), ..HttpProbe::get(self.url.clone()) }
    }
}

impl Kind for Datadog {
    fn way(&self) -> Way<'_> {
        Way::Asked(Box::new(self.request()))
    }

    fn invalid(&self) -> Vec<Refusal> {
        let wrong = path_only(&self.request(), "Datadog", "{ url = \"https://api.datadoghq.eu\" }");
        secrets_at(wrong, &["api_key", "app_key"])
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        None
    }

    fn alerts(&self) -> Option<&dyn Alerts> {
        Some(self)
    }
}

impl Alerts for Datadog {
    fn ask(&self, query: &AlertQuery) -> HttpProbe {
        let base = self.url.trim_end_matches('/');
        let url = format!(
            "{base}/api/v1/monitor?group_states=all&with_downtimes=true&page=0&page_size={MOST}&name={}",
            encoded(&query.name)
        );
        HttpProbe { url, ..self.request() }
    }

    fn firing(&self, query: &AlertQuery, status: u16, body: &[u8]) -> Result<Vec<AlertSeen>, String> {
        firing(query, status, body, now_s())
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        None
    }

    fn name_is(&self) -> &'static str {
        "the monitor's name; labels are the tags of a group"
    }
}

/// Returns the present time in seconds since 1970.
fn now_s() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok().and_then(|now| i64::try_from(now.as_secs()).ok()).unwrap_or(0)
}

/// Reads an answer that came at `now_s`, in seconds since 1970.
fn firing(query: &AlertQuery, status: u16, body: &[u8], now_s: i64) -> Result<Vec<AlertSeen>, String> {
    let monitors: Vec<Monitor> = json("Datadog", status, body)?;
    if monitors.len() >= MOST {
        return Err(format!("{MOST} monitors or more have that text in their names; give the whole name"));
    }
    let named: Vec<&Monitor> = monitors.iter().filter(|monitor| monitor.name == query.name).collect();
    if named.is_empty() {
        // A monitor that does not exist cannot fire. The question is wrong, and this must not look like an alert that did not fire.
        return Err(format!("there is no monitor `{}`", shown(&query.name)));
    }
    Ok(named.into_iter().flat_map(|monitor| monitor.firing(query, now_s)).collect())
}

#[derive(Deserialize)]
struct Monitor {
    id: i64,
    name: String,
    overall_state: Option<String>,
    #[serde(default)]
    matching_downtimes: Vec<Downtime>,
    #[serde(default)]
    state: State,
    #[serde(default)]
    options: Options,
}

#[derive(Deserialize)]
struct Downtime {
    id: Option<i64>,
    /// Tags that a silenced group must have, all of them.
    #[serde(default)]
    scope: serde_json::Value,
}

impl Downtime {
    /// Whether it may silence a group. Datadog lists only downtimes that are active by its own clock, so times are not checked.
    fn hushes(&self, group: &str) -> bool {
        let scopes: Vec<&str> = match &self.scope {
            serde_json::Value::String(scope) => vec![scope],
            serde_json::Value::Array(scopes) => scopes.iter().filter_map(serde_json::Value::as_str).collect(),
            _ => Vec::new(),
        };
        scopes.iter().all(|scope| may_cover(scope, group))
    }
}

/// Whether an end, in seconds since 1970, is certainly past. `None` and 0 mean that there is no end.
fn is_past(end: Option<i64>, now_s: i64) -> bool {
    end.is_some_and(|end| end > 0 && end < now_s.saturating_sub(CLOCKS_S))
}

/// Whether a scope may cover a group. A scope is a list of tags, and covers the groups that have all of them. A group's name has only the tags by which
/// its monitor is grouped. Whether the group has other tags is not known, so a scope with other tags may cover it.
fn may_cover(scope: &str, group: &str) -> bool {
    // Other texts may be expressions of Datadog, such as `(a OR b)`, which are not evaluated here.
    let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "_-./".contains(c));
    scope.split(',').map(str::trim).all(|wanted| {
        let Some((key, value)) = wanted.split_once(':').filter(|(key, value)| plain(key) && plain(value))
        else {
            return true;
        };
        let mut tags_of_key =
            group.split(',').filter_map(|tag| tag.trim().split_once(':')).filter(|(name, _)| *name == key);
        let first = tags_of_key.next();
        first.is_none_or(|(_, has)| has == value || tags_of_key.any(|(_, has)| has == value))
    })
}

#[derive(Default, Deserialize)]
struct State {
    #[serde(default)]
    groups: BTreeMap<String, Group>,
}

#[derive(Deserialize)]
struct Group {
    status: Option<String>,
    last_triggered_ts: Option<i64>,
}

#[derive(Default, Deserialize)]
struct Options {
    /// Scopes that are muted, each with the time until which it is, or `null`.
    #[serde(default)]
    silenced: Option<BTreeMap<String, serde_json::Value>>,
}

impl Monitor {
    /// Returns the groups of the monitor that fire and have the query's labels as tags.
    fn firing(&self, query: &AlertQuery, now_s: i64) -> Vec<AlertSeen> {
        let has = |group: &str| {
            query
                .labels
                .iter()
                .all(|(name, value)| group.split(',').any(|tag| tag.trim() == format!("{name}:{value}")))
        };
        let is_alert = |state: &Option<String>| state.as_deref() == Some("Alert");
        if self.state.groups.is_empty() {
            // A monitor without groups has only an overall state, without a time.
            let fires = is_alert(&self.overall_state) && query.labels.is_empty();
            return fires.then(|| self.seen(NO_GROUP, None, now_s)).into_iter().collect();
        }
        let groups = self.state.groups.iter().filter(|(name, group)| is_alert(&group.status) && has(name));
        groups.map(|(name, group)| self.seen(name, group.last_triggered_ts, now_s)).collect()
    }

    fn seen(&self, group: &str, since: Option<i64>, now_s: i64) -> AlertSeen {
        let mut downtimes = self.matching_downtimes.iter().filter(|downtime| downtime.hushes(group));
        let downtime = downtimes.next().map(|downtime| match downtime.id {
            Some(id) => format!("silenced (downtime {id})"),
            None => "silenced (a downtime)".to_owned(),
        });
        let muted = self
            .options
            .silenced
            .iter()
            .flatten()
            .any(|(scope, until)| !is_past(until.as_i64(), now_s) && may_cover(scope, group));
        AlertSeen {
            id: format!("{}/{}", self.id, shown(group)),
            what: if group == NO_GROUP {
                shown(&self.name)
            } else {
                shown(&format!("{} ({group})", self.name))
            },
            since_us: since.and_then(|seconds| seconds.checked_mul(1_000_000)),
            precise_to_us: since.map(|_| 1_000_000),
            forgotten_us: None,
            hushed: downtime.or_else(|| muted.then(|| "muted".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to `GET /api/v1/monitor` with the fields of Datadog's description of "Get all monitors", looked up on 2026-11-26:
    /// <https://docs.datadoghq.com/api/latest/monitors/get-all-monitors/>. Values are made up. Limits are told in headers, and requests
    /// beyond them get status 429 (<https://docs.datadoghq.com/api/latest/rate-limits/>).
    const ANSWER: &str = include_str!("contracts/datadog.json");

    /// A time shortly after the alerts of the answer, in seconds since 1970.
    const NOW_S: i64 = 1_795_695_000;

    fn dog() -> Datadog {
        let text = r#"{"api_key":{"secret_env":"A"},"app_key":{"secret_env":"B"}}"#;
        serde_json::from_str(text).expect("its parameters")
    }

    fn seen(answer: &str, name: &str, labels: &[(&str, &str)]) -> Result<Vec<AlertSeen>, String> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        firing(&AlertQuery { name: name.to_owned(), labels }, 200, answer.as_bytes(), NOW_S)
    }

    #[test]
    fn each_group_in_alert_fires() {
        let [one] = seen(ANSWER, "Checkout errors", &[]).expect("an answer").try_into().expect("one");
        assert_eq!(one.id, "83649643/service:checkout,zone:a");
        assert_eq!((one.since_us, one.precise_to_us), (Some(1_795_694_590_000_000), Some(1_000_000)));
        assert_eq!(seen(ANSWER, "Checkout errors", &[("zone", "a")]).expect("an answer").len(), 1);
        assert_eq!(seen(ANSWER, "Checkout errors", &[("zone", "b")]), Ok(vec![]));
        let [silenced] = seen(ANSWER, "Disk", &[]).expect("an answer").try_into().expect("one");
        assert_eq!(silenced.hushed.as_deref(), Some("silenced (downtime 1625)"));
        assert_eq!(silenced.since_us, None);
    }

    #[test]
    fn a_downtime_or_a_mute_hushes_the_groups_that_it_may_cover() {
        let with = |downtime: &str, silenced: &str| {
            let answer = ANSWER
                .replacen(r#""matching_downtimes": []"#, &format!(r#""matching_downtimes": [{downtime}]"#), 1)
                .replacen(r#""silenced": {}"#, &format!(r#""silenced": {{{silenced}}}"#), 1);
            seen(&answer, "Checkout errors", &[]).expect("an answer").remove(0).hushed
        };
        let hushed = Some("silenced (downtime 7)".to_owned());
        for scope in [
            r#"["*"]"#,
            r#"["zone:a"]"#,
            r#"["zone:a","service:checkout"]"#,
            r#"["env:prod"]"#,
            r#"["zone:(a OR b)"]"#,
            "null",
        ] {
            assert_eq!(with(&format!(r#"{{"id":7,"scope":{scope}}}"#), ""), hushed, "{scope}");
        }
        // Listed downtimes count even if they are not active by this machine's clock.
        for active in [r#""start":1795600000,"end":1795690000"#, r#""start":1795700000"#] {
            assert_eq!(with(&format!(r#"{{"id":7,"scope":["*"],{active}}}"#), ""), hushed, "{active}");
        }
        for other in [r#"{"id":7,"scope":["zone:b"]}"#, r#"{"id":7,"scope":["zone:a","service:cart"]}"#] {
            assert_eq!(with(other, ""), None, "{other}");
        }
        assert_eq!(with("", r#""zone:a": null"#).as_deref(), Some("muted"));
        assert_eq!(with("", r#""*": 1795700000"#).as_deref(), Some("muted"));
        assert_eq!((with("", r#""zone:b": null"#), with("", r#""*": 1795690000"#)), (None, None));
    }

    #[test]
    fn a_monitor_that_does_not_exist_is_an_error() {
        assert_eq!(seen(ANSWER, "Checkout", &[]), Err("there is no monitor `Checkout`".to_owned()));
    }

    #[test]
    fn a_request_has_the_names_of_the_keys_and_not_the_keys() {
        let asked = dog().ask(&AlertQuery { name: "Checkout errors".to_owned(), labels: BTreeMap::new() });
        assert_eq!(
            asked.url,
            "https://api.datadoghq.com/api/v1/monitor?group_states=all&with_downtimes=true&page=0&page_size=100\
             &name=Checkout%20errors"
        );
        assert_eq!(asked.headers["DD-API-KEY"], "{api_key}");
        assert!(asked.parsed().is_ok() && dog().invalid().is_empty());
    }
}
