//! `http`: an HTTP or HTTPS request.

mod bounds;
mod good;
mod parsed;
mod url;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

pub use good::{JsonBound, JsonEquals, Status, Statuses};
pub use parsed::Parsed;
pub use url::Target;

use super::{
    kind::{About, Connections, Form, Hides, Kind, Reach, Read, Shows, Source},
    refused::{Field, Refusal},
    secret::Secret,
};
use crate::hide::{Clear, Hiding};

/// An HTTP or HTTPS request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// `http://…` or `https://…`.
    pub url: String,
    /// The request's method.
    #[serde(default = "HttpProbe::usual_method")]
    pub method: String,
    /// The status that is good: a number, a class such as `"2xx"`, or a list of both. None means any of 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Statuses>,
    /// A text that the body must contain, within its first 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A regular expression of Rust's crate `regex` that the body must match somewhere, within its first 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// A value that the body must have: JSON of at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Box<JsonBound>>,
    /// The request's headers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The header that has an id of each request, such as `X-Request-Id`: a UUID that no other request has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_header: Option<String>,
    /// The request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A bearer token, resolved where the probe runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Secrets by name. `{name}` in the URL behind its host, in the value of a header or in the body becomes the secret, where
    /// the probe runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
}

impl HttpProbe {
    fn usual_method() -> String {
        "GET".to_owned()
    }

    /// Returns a GET request, for which any status of 200 to 299 is good.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: Self::usual_method(),
            status: None,
            contains: None,
            matches: None,
            json: None,
            headers: BTreeMap::new(),
            id_header: None,
            body: None,
            bearer: None,
            ca_file: None,
            secrets: BTreeMap::new(),
        }
    }

    /// Returns a copy without the texts that may be secrets, and these texts.
    fn hiding(&self) -> (Self, Vec<Clear>) {
        let at = |key: &str| Field::request(&[key]);
        let mut hiding = Hiding::new(self.secrets.keys());
        let url = hiding.url(&at("url"), &self.url);
        let headers = self.headers.iter().map(|(name, value)| {
            (name.clone(), hiding.header(&Field::request(&["headers", name]), name, value))
        });
        let headers = headers.collect();
        let body = self.body.as_ref().map(|body| hiding.body(&at("body"), body));
        let contains = self.contains.as_ref().map(|text| hiding.echoed(text));
        let matches = self.matches.as_ref().map(|text| hiding.echoed(text));
        let mut json = self.json.clone();
        if let Some(JsonEquals::Text(text)) = json.as_mut().and_then(|bound| bound.equals.as_mut()) {
            *text = hiding.echoed(text);
        }
        (Self { url, headers, body, contains, matches, json, ..self.clone() }, hiding.found())
    }
}

impl Form for HttpProbe {
    const EXAMPLE: &'static str = "{ url = \"http://edge/\" }";
    const HIDES: &'static [(&'static str, Hides)] =
        &[("url", Hides::Url), ("headers", Hides::Headers), ("body", Hides::Whole)];
    const AS_IT_IS: &'static [&'static str] = &["body", "contains", "headers", "json", "matches"];

    fn without_secrets(&self) -> Self {
        self.hiding().0
    }
}

impl Kind for HttpProbe {
    fn about(&self) -> About<'_> {
        let Self {
            url,
            method,
            status: _,
            contains: _,
            matches: _,
            json: _,
            headers,
            id_header: _,
            body: _,
            bearer,
            ca_file,
            secrets,
        } = self;
        let (shown, clear) = self.hiding();
        let asks = format!("{method} {}", shown.url);
        let bearer = bearer.iter().map(|secret| Read::secret(Field::request(&["bearer"]), secret));
        let named = secrets.iter().map(|(name, one)| Read::secret(Field::request(&["secrets", name]), one));
        let authorities = ca_file.iter().map(|path| Read {
            field: Field::request(&["ca_file"]),
            from: Source::File(path),
            secret: false,
        });
        let fills = headers.iter().map(|(name, value)| (Field::request(&["headers", name]), value.as_str()));
        About {
            measures: asks.clone(),
            asks,
            reach: Reach {
                field: Field::request(&["url"]),
                text: url,
                to: Target::new(url).ok().map(|target| (target.host, target.port)),
            },
            shows: Shows::Answers,
            connections: Connections::Any,
            reads: bearer.chain(named).chain(authorities).collect(),
            secrets: secrets.keys().map(String::as_str).collect(),
            fills: fills.chain([(Field::request(&["url"]), url.as_str())]).collect(),
            clear,
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        self.parsed().err().unwrap_or_default()
    }

    fn vain(&self) -> Vec<Refusal> {
        let mut vain = Vec::new();
        let mut add = |key: &str, what: String, help: &str| {
            vain.push(Refusal::new(Field::request(&[key]), what, "has no effect", help));
        };
        if self.ca_file.is_some() && self.url.starts_with("http://") {
            let what = "has `ca_file`, but its URL is not https".to_owned();
            add("ca_file", what, "an https:// URL, or leave `ca_file` out");
        }
        let body = self.body.as_deref().is_some_and(|body| !body.is_empty());
        if body && ["GET", "HEAD"].contains(&&*self.method) {
            let what = format!("sends a body with {}, which most servers ignore", self.method);
            add("body", what, "method = \"POST\", or leave `body` out");
        }
        vain
    }
}

/// Prints no hidden text: other types print this one with their own [`Debug`].
impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            method,
            status,
            contains,
            matches,
            json,
            headers,
            id_header,
            body,
            bearer,
            ca_file,
            secrets,
        } = &self.without_secrets();
        f.debug_struct("HttpProbe")
            .field("url", url)
            .field("method", method)
            .field("status", status)
            .field("contains", contains)
            .field("matches", matches)
            .field("json", json)
            .field("headers", headers)
            .field("id_header", id_header)
            .field("body", body)
            .field("bearer", bearer)
            .field("ca_file", ca_file)
            .field("secrets", secrets)
            .finish()
    }
}
