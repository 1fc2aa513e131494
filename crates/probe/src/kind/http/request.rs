//! The request that a probe repeats, checked once. Never in `Debug` output: it may carry a token.

use bytes::Bytes;
use firedrill_wire::probe::{Connection, HttpProbe, ProbeSpec};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE, USER_AGENT},
};
use http_body_util::Full;

use super::{
    bounds::{self, ANSWER},
    filled::{self, Filled, place},
    url::Target,
};
use crate::{
    reads::Reads,
    refusal::{Field, Refusal, note},
    secret,
};

/// A probe's texts, checked.
pub(super) struct Parsed {
    pub(super) target: Target,
    method: Method,
    pub(super) headers: HeaderMap,
}

impl Parsed {
    /// Refuses what cannot be sent, or what no answer could satisfy: all of it at once.
    pub(super) fn new(spec: &ProbeSpec, probe: &HttpProbe) -> Result<Self, Vec<Refusal>> {
        let mut wrong = Vec::new();
        let target = note(Target::new(&probe.url), &mut wrong);
        let method = note(method(&probe.method), &mut wrong);
        wrong.extend(probe.status.and_then(status));
        wrong.extend(probe.contains.as_deref().and_then(|text| contains(text, probe, method.as_ref())));
        let authority = target.as_ref().map_or("", |target| target.authority.as_str());
        let headers = headers(spec, probe, authority, &mut wrong);
        wrong.extend(probe.bearer.as_ref().and_then(|secret| place(Field::Bearer, "`bearer`", secret)));
        wrong.extend(filled::refusals(probe));
        wrong.extend(probe.ca_file.as_deref().and_then(ca_file));
        wrong.extend(bounds::refusals(probe));
        match (target, method) {
            (Some(target), Some(method)) if wrong.is_empty() => Ok(Self { target, method, headers }),
            _ => Err(wrong),
        }
    }

    /// Reads the secrets, and has it all.
    pub(super) fn template(mut self, probe: &HttpProbe, reads: &dyn Reads) -> Result<Template, Refusal> {
        if let Some(bearer) = &probe.bearer {
            self.headers.insert(AUTHORIZATION, secret::bearer(bearer, reads)?);
        }
        let filled = Filled::new(probe, reads)?;
        filled.headers(&mut self.headers)?;
        Ok(Template {
            method: self.method,
            path: filled.path(self.target.path)?,
            headers: self.headers,
            body: filled.text(probe.body.as_deref().unwrap_or_default()).into(),
        })
    }
}

/// The secrets that cannot be read on this machine, or cannot be where they are named.
pub(super) fn unreadable(spec: &ProbeSpec, probe: &HttpProbe, reads: &dyn Reads) -> Vec<Refusal> {
    let read = |name: &String, secret| {
        secret::text(&Field::Secret(name.clone()), &filled::called(name), secret, reads).err()
    };
    let mut wrong: Vec<Refusal> =
        probe.secrets.iter().filter_map(|(name, secret)| read(name, secret)).collect();
    if wrong.is_empty()
        && let (Ok(filled), Ok(mut parsed)) = (Filled::new(probe, reads), Parsed::new(spec, probe))
    {
        wrong.extend(filled.headers(&mut parsed.headers).err());
        wrong.extend(filled.path(parsed.target.path).err());
    }
    wrong
}

fn method(text: &str) -> Result<Method, Refusal> {
    let wrong = |what: String, help: &str| Refusal::new(Field::Method, what, "not a method", help);
    let capitals = text.to_ascii_uppercase();
    match Method::from_bytes(text.as_bytes()) {
        Ok(Method::CONNECT) => Err(wrong(
            "the method CONNECT is for proxies; a probe asks a service".to_owned(),
            "for example \"GET\"",
        )),
        Ok(_) if text != capitals && STANDARD.contains(&capitals.as_str()) => Err(wrong(
            format!("`{text}` is not an HTTP method"),
            &format!("write it in capitals: \"{capitals}\""),
        )),
        Ok(method) => Ok(method),
        Err(_) => Err(wrong(format!("`{text}` is not an HTTP method"), "for example \"GET\" or \"POST\"")),
    }
}

/// Methods that servers know, in these letters only.
const STANDARD: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

fn status(status: u16) -> Option<Refusal> {
    let what = format!("no answer ends with the status {status}");
    let help = "a number from 200 to 599; answers of 1xx come before the one that counts";
    (!(200..=599).contains(&status)).then(|| Refusal::new(Field::Status, what, "not a status", help))
}

/// Refuses a text that no answer can contain, or that every answer contains.
fn contains(text: &str, probe: &HttpProbe, method: Option<&Method>) -> Option<Refusal> {
    let wrong = |what: String, help| Some(Refusal::new(Field::Contains, what, "never found", help));
    if text.is_empty() {
        let (what, help) = ("an empty text is in every body", "leave `contains` out, or give it a text");
        return Some(Refusal::new(Field::Contains, what, "always found", help));
    }
    if text.len() > ANSWER {
        let what =
            format!("a text of {} bytes is not found in the {ANSWER} that are read of a body", text.len());
        return wrong(what, "give a shorter part of it");
    }
    if method == Some(&Method::HEAD) {
        return wrong("an answer to HEAD has no body".to_owned(), "take GET, or leave `contains` out");
    }
    let status = probe.status.filter(|status| [204, 205, 304].contains(status))?;
    wrong(format!("an answer of status {status} has no body"), "leave `contains` out, or take another status")
}

fn ca_file(path: &str) -> Option<Refusal> {
    (path.is_empty() || path.contains('\0')).then(|| {
        let what = "no file can have the name that `ca_file` gives";
        Refusal::new(Field::CaFile, what, "not a file", "name a PEM file, or leave `ca_file` out")
    })
}

fn headers(spec: &ProbeSpec, probe: &HttpProbe, authority: &str, wrong: &mut Vec<Refusal>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &probe.headers {
        let refuse = |what: String, label, help: &str| {
            Refusal::new(Field::HeaderName(name.clone()), what, label, help)
        };
        let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
            let what = format!("`{name}` cannot be the name of a header");
            wrong.push(refuse(what, "not a header", "for example X-Drill"));
            continue;
        };
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE].contains(&key) {
            let what = format!("the prober sets the header `{name}` itself");
            wrong.push(refuse(
                what,
                "set by the prober",
                "leave it out; for connections there is `connection`",
            ));
            continue;
        }
        if key == AUTHORIZATION && probe.bearer.is_some() {
            let what = format!("both `bearer` and the header `{name}` say who asks");
            wrong.push(refuse(what, "besides `bearer`", "leave one of them out"));
            continue;
        }
        let Ok(value) = HeaderValue::from_str(value) else {
            wrong.push(Refusal::new(
                Field::HeaderValue(name.clone()),
                format!("the value of the header `{name}` holds characters that a header cannot carry"),
                "cannot be sent",
                "no line breaks and no other control characters",
            ));
            continue;
        };
        if headers.insert(key, value).is_some() {
            let what = format!("the header `{name}` is there twice: capitals make no difference");
            wrong.push(refuse(what, "there already", "leave one of them out"));
        }
    }
    if !headers.contains_key(HOST) {
        // An authority that was parsed is a header's value; one that was not has been refused.
        headers.extend(HeaderValue::from_str(authority).map(|host| (HOST, host)));
    }
    if !headers.contains_key(USER_AGENT) {
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("firedrill/", env!("CARGO_PKG_VERSION"))));
    }
    if spec.connection == Connection::New {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    headers
}

/// Makes one request after another.
pub(super) struct Template {
    method: Method,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Template {
    /// A request as it is sent.
    pub(super) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}
