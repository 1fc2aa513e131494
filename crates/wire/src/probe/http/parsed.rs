//! Checks the request of an HTTP probe. A request that cannot be sent, or that no answer could satisfy, is refused.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE},
};

use regex::bytes::Regex;

use super::{HttpProbe, Statuses, bounds, url::Target};
use crate::{
    hide::placeholder,
    logs,
    probe::refused::{Field, Refusal, note},
};

/// A probe's texts, checked. It has no `Debug`, because headers may carry a token.
#[expect(missing_debug_implementations, reason = "headers may carry a token")]
pub struct Parsed {
    /// The destination, and the path that is requested.
    pub target: Target,
    /// The method.
    pub method: Method,
    /// The headers that are given. Secrets in them are still names.
    pub headers: HeaderMap,
    /// The name of the header that has the id of a request.
    pub id_header: Option<HeaderName>,
    /// The pattern of the body.
    pub matches: Option<Regex>,
}

impl HttpProbe {
    /// Returns the request, checked.
    ///
    /// # Errors
    /// All values that cannot be sent, and all conditions that no answer could meet.
    pub fn parsed(&self) -> Result<Parsed, Vec<Refusal>> {
        let mut wrong = Vec::new();
        let target = note(Target::new(&self.url), &mut wrong);
        let method = note(method(&self.method), &mut wrong);
        wrong.extend(self.status.iter().flat_map(Statuses::refusals));
        wrong.extend(self.contains.as_deref().and_then(contains));
        let matches = self.matches.as_deref().and_then(|text| note(matches(text), &mut wrong));
        wrong.extend(self.json.iter().flat_map(|bound| bound.refusals()));
        wrong.extend(no_body(self, method.as_ref()));
        let headers = headers(self, &mut wrong);
        let id_header = self.id_header.as_deref().and_then(|name| note(id_header(name, self), &mut wrong));
        let bearer = self.bearer.as_ref();
        wrong.extend(bearer.and_then(|secret| secret.invalid(Field::request(&["bearer"]), "`bearer`")));
        wrong.extend(secrets(self));
        wrong.extend(self.ca_file.as_deref().and_then(ca_file));
        wrong.extend(bounds::refusals(self));
        match (target, method) {
            (Some(target), Some(method)) if wrong.is_empty() => {
                Ok(Parsed { target, method, headers, id_header, matches })
            }
            _ => Err(wrong),
        }
    }
}

/// Refuses names that no secret can have, and secrets that nothing in the request names. Reads no secret.
fn secrets(probe: &HttpProbe) -> Vec<Refusal> {
    let mut wrong = Vec::new();
    for (name, secret) in &probe.secrets {
        let field = Field::request(&["secrets", name]);
        let well = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(well) {
            let what = format!("`{name}` cannot be the name of a secret");
            wrong.push(Refusal::new(field, what, "not a name", "letters, digits, `-` and `_`"));
            continue;
        }
        wrong.extend(secret.invalid(field.clone(), &format!("the secret `{name}`")));
        let named = placeholder(name);
        let texts = probe.headers.values().chain([&probe.url]).chain(&probe.body);
        if !texts.into_iter().any(|text| text.contains(&named)) {
            let what = format!("nothing of the request has `{named}`, so the secret would not be sent");
            wrong.push(Refusal::new(field, what, "not used", "name it in the url, a header or the body"));
        }
    }
    wrong
}

fn method(text: &str) -> Result<Method, Refusal> {
    let wrong =
        |what: String, help: &str| Refusal::new(Field::request(&["method"]), what, "not a method", help);
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

/// Refuses a text that no answer can contain, or that every answer contains.
fn contains(text: &str) -> Option<Refusal> {
    let refuse = |what: String, label, help| Refusal::new(Field::request(&["contains"]), what, label, help);
    if text.is_empty() {
        let what = "an empty text is in every body".to_owned();
        return Some(refuse(what, "always found", "leave `contains` out, or give it a text"));
    }
    let most = HttpProbe::ANSWER_MOST;
    (text.len() > most).then(|| {
        let what =
            format!("a text of {} bytes is not found in the {most} that are read of a body", text.len());
        refuse(what, "never found", "give a shorter part of it")
    })
}

/// Compiles the pattern of a body.
fn matches(text: &str) -> Result<Regex, Refusal> {
    let refuse =
        |what: String, label, help: &str| Refusal::new(Field::request(&["matches"]), what, label, help);
    if text.is_empty() {
        let what = "an empty pattern matches every body".to_owned();
        return Err(refuse(what, "always found", "leave `matches` out, or give it a pattern"));
    }
    logs::pattern(text).map_err(|why| {
        // The first line is a heading, and those that follow draw the place.
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let what = format!("the pattern of the body is invalid: {why}");
        refuse(
            what,
            "not a pattern",
            r#"a regular expression of Rust's crate `regex`, such as "order-[0-9]+""#,
        )
    })
}

/// Refuses conditions for a body where no good answer has one.
fn no_body(probe: &HttpProbe, method: Option<&Method>) -> Vec<Refusal> {
    let head = (method == Some(&Method::HEAD)).then(|| "an answer to HEAD has no body".to_owned());
    let bare = || {
        let status = probe.status.as_ref()?.without_body()?;
        Some(format!("an answer of status {status} has no body"))
    };
    let Some((what, other)) =
        head.map(|what| (what, "take GET")).or_else(|| bare().map(|what| (what, "take another status")))
    else {
        return Vec::new();
    };
    let conditions = [
        ("contains", probe.contains.is_some()),
        ("matches", probe.matches.is_some()),
        ("json", probe.json.is_some()),
    ];
    let refuse = |key: &str| {
        let help = format!("leave `{key}` out, or {other}");
        Refusal::new(Field::request(&[key]), what.clone(), "never found", help)
    };
    conditions.iter().filter(|(_, there)| *there).map(|(key, _)| refuse(key)).collect()
}

/// Returns the name of the header for ids.
fn id_header(name: &str, probe: &HttpProbe) -> Result<HeaderName, Refusal> {
    let refuse = |what: String, label, help| Refusal::new(Field::request(&["id_header"]), what, label, help);
    let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
        let what = format!("`{name}` cannot be the name of a header");
        return Err(refuse(what, "not a header", "for example \"X-Request-Id\""));
    };
    let own = [AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE];
    if own.contains(&key) {
        let what = format!("the header `{name}` says something else than the id of a request");
        return Err(refuse(what, "not for ids", "for example \"X-Request-Id\""));
    }
    if probe.headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
        let what = format!("the header `{name}` stands in `headers`, too");
        return Err(refuse(what, "there already", "leave one of them out"));
    }
    Ok(key)
}

fn ca_file(path: &str) -> Option<Refusal> {
    (path.is_empty() || path.contains('\0')).then(|| {
        let what = "no file can have the name that `ca_file` gives";
        Refusal::new(
            Field::request(&["ca_file"]),
            what,
            "not a file",
            "name a PEM file, or leave `ca_file` out",
        )
    })
}

/// Returns the given headers, and no others.
fn headers(probe: &HttpProbe, wrong: &mut Vec<Refusal>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &probe.headers {
        let refuse = |what: String, label, help: &str| {
            Refusal::new(Field::request(&["headers", name]).its_key(), what, label, help)
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
                Field::request(&["headers", name]),
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
    headers
}
