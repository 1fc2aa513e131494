//! `http`: records in a server that takes and gives one record by each request.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    hide::Clear,
    probe::{
        HttpProbe, HttpTarget,
        kind::{About, Connections, Form, Hides, Kind, Reach, Read, Shows, Source},
        refused::{Field, Refusal},
        secret::Secret,
    },
};

/// The placeholder of a record's key.
const KEY: &str = "{key}";
/// The placeholder of a record's value.
const VALUE: &str = "{value}";

/// A server that takes one record by each request of HTTP, and gives it back by another one.
///
/// A write with an answer of 200 to 299 is acknowledged. One that was not sent, or that has an answer of 400 to 498 except 408, is refused. All
/// others may be done or not.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpStore {
    /// `http://…` or `https://…`, with `{key}` behind the host, and with `{value}` there or in the body.
    pub url: String,
    /// The method of a write.
    #[serde(default = "HttpStore::usual_method")]
    pub method: String,
    /// The body of a write.
    #[serde(default = "HttpStore::usual_body")]
    pub body: String,
    /// The URL by which a record is read back, with `{key}`, at the same server; that of the write if left out. A GET of it answers 404 or 410
    /// where there is no such record, and else the value alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    /// The headers of both requests, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A bearer token, resolved where the probe runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Returns the place of a value.
fn at(key: &str) -> Field {
    Field::request(&["http", key])
}

impl HttpStore {
    fn usual_method() -> String {
        "PUT".to_owned()
    }

    fn usual_body() -> String {
        VALUE.to_owned()
    }

    /// Returns the request of a write, in which `{key}` and `{value}` stand for those of the record.
    #[must_use]
    pub fn writing(&self) -> HttpProbe {
        let Self { url, method, body, read: _, headers, bearer, ca_file } = self.clone();
        let body = Some(body).filter(|body| !body.is_empty());
        HttpProbe { method, body, headers, bearer, ca_file, ..HttpProbe::get(url) }
    }

    /// Returns the request that reads a record, in which `{key}` stands for its key.
    #[must_use]
    pub fn reading(&self) -> HttpProbe {
        let url = self.read.as_ref().unwrap_or(&self.url).clone();
        HttpProbe { url, method: "GET".to_owned(), body: None, ..self.writing() }
    }

    /// Returns a copy without the texts that may be secrets, and these texts.
    fn hiding(&self) -> (Self, Vec<Clear>) {
        let writing = self.writing();
        let HttpProbe { url, headers, body, .. } = writing.without_secrets();
        let read = self.read.as_ref().map(|_| self.reading().without_secrets().url);
        let mut clear = writing.about().clear;
        if self.read.is_some() {
            let as_read = |one: Clear| Clear { field: Field::request(&["read"]), ..one };
            let in_url = |one: &Clear| one.field == Field::request(&["url"]);
            clear.extend(self.reading().about().clear.into_iter().filter(in_url).map(as_read));
        }
        let clear = clear.into_iter().map(|one| Clear { field: one.field.within("http"), ..one }).collect();
        // The value alone is no secret.
        let body = if self.body == VALUE { VALUE.to_owned() } else { body.unwrap_or_default() };
        (Self { url, read, headers, body, ..self.clone() }, clear)
    }

    /// Refuses a request that does not name the record.
    fn unnamed(&self) -> Vec<Refusal> {
        let mut wrong = Vec::new();
        let behind =
            |url: &str| HttpTarget::new(url).is_ok_and(|target| !target.path.to_string().contains(KEY));
        let mut key = |field: &str, url: &str| {
            if behind(url) {
                let what = format!("the url has no `{KEY}`, so all records would be one");
                wrong.push(Refusal::new(at(field), what, "no key", "for example \"http://kv/orders/{key}\""));
            }
        };
        key("url", &self.url);
        if let Some(read) = &self.read {
            key("read", read);
        }
        if !self.body.contains(VALUE) && !self.url.contains(VALUE) {
            let what =
                format!("neither the body nor the url has `{VALUE}`, so nothing of the record is written");
            wrong.push(Refusal::new(at("body"), what, "no value", "body = \"{value}\", or leave it out"));
        }
        if ["GET", "HEAD", "OPTIONS", "DELETE", "TRACE"].contains(&self.method.as_str()) {
            let what = format!("a request of {} writes no record", self.method);
            wrong.push(Refusal::new(at("method"), what, "writes nothing", "for example \"PUT\" or \"POST\""));
        }
        wrong
    }

    /// Refuses a second server: a policy and a plan know one address of a probe.
    fn elsewhere(&self) -> Option<Refusal> {
        let target = |url| HttpTarget::new(url).ok().map(|one| (one.host, one.port, one.name));
        let read = target(self.read.as_ref()?)?;
        let what = "`read` names another server than `url`; both must be at the same server";
        (read != target(&self.url)?).then(|| {
            Refusal::new(at("read"), what, "another server", "the scheme, the host and the port of `url`")
        })
    }
}

impl Form for HttpStore {
    const EXAMPLE: &'static str = "{ url = \"http://kv/orders/{key}\" }";
    const HIDES: &'static [(&'static str, Hides)] =
        &[("url", Hides::Url), ("read", Hides::Url), ("headers", Hides::Headers), ("body", Hides::Whole)];
    const AS_IT_IS: &'static [&'static str] = &[];

    fn without_secrets(&self) -> Self {
        self.hiding().0
    }
}

impl Kind for HttpStore {
    fn about(&self) -> About<'_> {
        let Self { url, method, body: _, read, headers, bearer, ca_file } = self;
        let (shown, clear) = self.hiding();
        let asks = format!("writes by {method} {}", shown.url);
        let bearer = bearer.iter().map(|secret| Read::secret(at("bearer"), secret));
        let authorities =
            ca_file.iter().map(|path| Read { field: at("ca_file"), from: Source::File(path), secret: false });
        let fills =
            headers.iter().map(|(name, value)| (Field::request(&["http", "headers", name]), value.as_str()));
        let read = read.iter().map(|read| (at("read"), read.as_str()));
        About {
            measures: asks.clone(),
            asks,
            reach: Reach {
                field: at("url"),
                text: url,
                to: HttpTarget::new(url).ok().map(|target| (target.host, target.port)),
            },
            shows: Shows::Keeps,
            connections: Connections::Any,
            reads: bearer.chain(authorities).collect(),
            secrets: vec!["key", "value"],
            fills: fills.chain([(at("url"), url.as_str())]).chain(read).collect(),
            clear,
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut wrong = self.writing().parsed().err().unwrap_or_default();
        if self.read.is_some() {
            let of_url = |one: &Refusal| one.field == Field::request(&["url"]);
            let reading = self.reading().parsed().err().unwrap_or_default();
            let as_read = |one: Refusal| Refusal { field: Field::request(&["read"]), ..one };
            wrong.extend(reading.into_iter().filter(of_url).map(as_read));
        }
        let within = |one: Refusal| Refusal { field: one.field.within("http"), ..one };
        let mut wrong: Vec<Refusal> = wrong.into_iter().map(within).collect();
        wrong.extend(self.unnamed());
        wrong.extend(self.elsewhere());
        wrong
    }

    fn vain(&self) -> Vec<Refusal> {
        let within = |one: Refusal| Refusal { field: one.field.within("http"), ..one };
        self.writing().vain().into_iter().map(within).collect()
    }
}

/// Prints no hidden text.
impl fmt::Debug for HttpStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, method, body, read, headers, bearer, ca_file } = &self.without_secrets();
        f.debug_struct("HttpStore")
            .field("url", url)
            .field("method", method)
            .field("body", body)
            .field("read", read)
            .field("headers", headers)
            .field("bearer", bearer)
            .field("ca_file", ca_file)
            .finish()
    }
}
