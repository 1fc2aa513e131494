//! What a request keeps secret, in the forms in which an answer may repeat it, so that no message shows it.

use std::{collections::BTreeSet, fmt};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use firedrill_wire::probe::{Field, Form as _, HttpProbe};

use super::filled;
use crate::{reads::Reads, secret};

/// The sign that stands in place of a secret.
const HIDDEN: &[u8] = b"***";
/// Fewer characters of base64 may stand anywhere by chance.
const LEAST: usize = 6;

/// The texts that an answer may not be shown with.
#[derive(Clone, Default)]
pub(super) struct Echoes(Vec<Vec<u8>>);

impl fmt::Debug for Echoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Echoes")
    }
}

impl Echoes {
    /// Reads the secrets of a request. One that cannot be read was not sent.
    pub(super) fn of(request: &HttpProbe, reads: &dyn Reads) -> Self {
        let bearer = request.bearer.iter().map(|secret| ("bearer".to_owned(), secret));
        let named = request.secrets.iter().map(|(name, secret)| (filled::called(name), secret));
        let read = bearer
            .chain(named)
            .filter_map(|(name, one)| secret::text(&Field::request(&["secrets"]), &name, one, reads).ok());
        let mut all = BTreeSet::new();
        for text in read.chain(in_clear(request)) {
            forms(&text, &mut all);
            if let Some(decoded) = decoded(&text) {
                // A login is a name and a password.
                let password = decoded.split_once(':').map(|(_, password)| password.to_owned());
                password.iter().chain([&decoded]).for_each(|text| forms(text, &mut all));
            }
        }
        let mut all: Vec<Vec<u8>> = all.into_iter().filter(|form| !form.is_empty()).collect();
        all.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(all)
    }

    /// Returns a text without them.
    pub(super) fn hide(&self, text: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.first() {
            if let Some(form) = self.0.iter().find(|form| rest.starts_with(form)) {
                shown.extend_from_slice(HIDDEN);
                rest = &rest[form.len()..];
            } else {
                shown.push(*first);
                rest = &rest[1..];
            }
        }
        shown
    }
}

/// Returns what stands in a request as it is, and is hidden where the request is shown.
fn in_clear(request: &HttpProbe) -> Vec<String> {
    let shown = request.without_secrets();
    let mut all = Vec::new();
    for (name, value) in &request.headers {
        if shown.headers.get(name) != Some(value) && !value.contains('{') {
            all.push(value.clone());
            all.extend(value.rsplit_once(' ').map(|(_, last)| last.to_owned()));
        }
    }
    if shown.url != request.url {
        let behind = request.url.split_once("://").map_or("", |(_, behind)| behind);
        let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((login, _)) = authority.rsplit_once('@') {
            all.push(login.to_owned());
            all.extend(login.split_once(':').map(|(_, password)| password.to_owned()));
        }
        let query = behind.split_once('?').map_or("", |(_, query)| query);
        let values = query.split('&').filter_map(|part| part.split_once('=')).map(|(_, value)| value);
        all.extend(
            values.filter(|value| !value.contains('{') && !shown.url.contains(value)).map(str::to_owned),
        );
    }
    all.retain(|text| !text.is_empty());
    all
}

/// Returns the text that base64 stands for, if it is one.
fn decoded(text: &str) -> Option<String> {
    let bare = text.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?;
    let decoded = String::from_utf8(bytes).ok()?;
    (decoded.len() >= LEAST && decoded.chars().all(|c| !c.is_control())).then_some(decoded)
}

/// Adds a secret as it is, as URLs, JSON and HTML have it, and in base64, wherever it begins there.
fn forms(text: &str, all: &mut BTreeSet<Vec<u8>>) {
    let percent = filled::encoded(text);
    let json = text.replace('\\', "\\\\").replace('"', "\\\"");
    let angles = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quotes = [("&quot;", "&#39;"), ("&#34;", "&#39;"), ("&quot;", "&#x27;")];
    all.extend(quotes.map(|(double, single)| html.replace('"', double).replace('\'', single).into_bytes()));
    all.extend([percent.to_ascii_lowercase(), percent.replace("%20", "+")].map(String::into_bytes));
    all.extend(
        [json.replace('/', "\\/"), json, angles, html, percent, text.to_owned()].map(String::into_bytes),
    );
    for before in 0..3_usize {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(text.as_bytes());
        // The first and the last character may be made of neighbours, too.
        let (from, until) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let own = encoded.get(from..until).unwrap_or_default();
            if own.len() >= LEAST {
                all.insert(own.as_bytes().to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reads::Anything;

    fn request(token: &str) -> (tempfile::TempDir, HttpProbe) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("token");
        std::fs::write(&path, format!("{token}\n")).expect("a file");
        let text = format!(
            r#"{{"url":"http://bob:hunter22@h/","bearer":{{"secret_file":"{0}"}},"secrets":{{"k":{{"secret_file":"{0}"}}}},"headers":{{"X-Api-Key":"0123456789abcdef"}}}}"#,
            path.display()
        );
        (dir, serde_json::from_str(&text).expect("a request"))
    }

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let token = "s3/cr&t <tok\"en>";
        let (_dir, request) = request(token);
        let echoes = Echoes::of(&request, &Anything);
        let base64 = |text: String| base64::prelude::BASE64_STANDARD.encode(text);
        for echoed in [
            token.to_owned(),
            filled::encoded(token),
            filled::encoded(token).to_ascii_lowercase(),
            serde_json::to_string(token).expect("JSON"),
            r#"s3/cr\u0026t \u003ctok\"en\u003e"#.to_owned(),
            "s3/cr&amp;t &lt;tok&quot;en&gt;".to_owned(),
            base64(token.to_owned()),
            "0123456789abcdef".to_owned(),
            "hunter22".to_owned(),
        ] {
            let shown = String::from_utf8(echoes.hide(format!("no: {echoed}!").as_bytes())).expect("text");
            assert!(shown.starts_with("no: ") && shown.contains("***"), "{echoed}: {shown}");
            assert!(!shown.contains("s3") && !shown.contains("tok") && !shown.contains(&echoed), "{shown}");
        }
        for login in ["a", "ab", "abc", "abcd"] {
            let shown =
                String::from_utf8(echoes.hide(base64(format!("{login}:{token}")).as_bytes())).expect("text");
            assert!(shown.contains("***") && shown.len() < 16, "{shown}");
        }
        assert_eq!(echoes.hide(b"status 401"), b"status 401");
        assert_eq!(format!("{echoes:?}"), "Echoes");
    }

    #[test]
    fn a_login_in_base64_is_hidden_as_a_text_too() {
        let (_dir, request) = request("Ym9iOmNvcnJlY3QgaG9yc2U=");
        let echoes = Echoes::of(&request, &Anything);
        assert_eq!(echoes.hide(b"bob has no password 'correct horse'"), b"bob has no password '***'");
    }
}
