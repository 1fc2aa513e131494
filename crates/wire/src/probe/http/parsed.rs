//! Checks the request of an HTTP probe. A request that cannot be sent, or that no answer could satisfy, is refused.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE},
};

use super::{HttpProbe, bounds, url::Target};
use crate::{
    hide::placeholder,
    probe::refused::{Field, Refusal, note},
};

/// A probe's texts, checked. Never in `Debug` output, because headers may carry a token.
#[expect(missing_debug_implementations, reason = "headers may carry a token")]
pub struct Parsed {
    /// The destination, and the path that is requested.
    pub target: Target,
    /// The method.
    pub method: Method,
    /// The headers that are given. Secrets in them are still names.
    pub headers: HeaderMap,
}

impl HttpProbe {
    /// Returns the request, checked.
    ///
    /// # Errors
    /// All that cannot be sent, or that no answer could satisfy.
    pub fn parsed(&self) -> Result<Parsed, Vec<Refusal>> {
        let mut wrong = Vec::new();
        let target = note(Target::new(&self.url), &mut wrong);
        let method = note(method(&self.method), &mut wrong);
        wrong.extend(self.status.and_then(status));
        wrong.extend(self.contains.as_deref().and_then(|text| contains(text, self, method.as_ref())));
        let headers = headers(self, &mut wrong);
        let bearer = self.bearer.as_ref();
        wrong.extend(bearer.and_then(|secret| secret.invalid(Field::request(&["bearer"]), "`bearer`")));
        wrong.extend(secrets(self));
        wrong.extend(self.ca_file.as_deref().and_then(ca_file));
        wrong.extend(bounds::refusals(self));
        match (target, method) {
            (Some(target), Some(method)) if wrong.is_empty() => Ok(Parsed { target, method, headers }),
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

fn status(status: u16) -> Option<Refusal> {
    let what = format!("no answer ends with the status {status}");
    let help = "a number from 200 to 599; answers of 1xx come before the one that counts";
    (!(200..=599).contains(&status))
        .then(|| Refusal::new(Field::request(&["status"]), what, "not a status", help))
}

/// Refuses a text that no answer can contain, or that every answer contains.
fn contains(text: &str, probe: &HttpProbe, method: Option<&Method>) -> Option<Refusal> {
    let wrong =
        |what: String, help| Some(Refusal::new(Field::request(&["contains"]), what, "never found", help));
    if text.is_empty() {
        let (what, help) = ("an empty text is in every body", "leave `contains` out, or give it a text");
        return Some(Refusal::new(Field::request(&["contains"]), what, "always found", help));
    }
    let most = HttpProbe::ANSWER_MOST;
    if text.len() > most {
        let what =
            format!("a text of {} bytes is not found in the {most} that are read of a body", text.len());
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
