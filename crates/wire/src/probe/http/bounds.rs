//! Maximum sizes of the parts of a request, and of the answer that is read. Most servers accept less, and a
//! larger request would mostly measure its own transmission.

use super::HttpProbe;
use crate::probe::refused::{Field, Refusal};

/// The longest URL, in bytes.
const URL: usize = 8 * 1024;
/// The longest method, in bytes.
const METHOD: usize = 32;
/// The most headers.
const HEADERS: usize = 100;
/// The longest names and values of all headers together, in bytes.
const HEADER_BYTES: usize = 32 * 1024;
/// The largest body, in bytes.
const BODY: usize = 1024 * 1024;

impl HttpProbe {
    /// Maximum length of the body of an answer that is read, in bytes. A longer body closes the connection.
    pub const ANSWER_MOST: usize = 64 * 1024;
}

/// Refuses parts that are too large.
pub(super) fn refusals(probe: &HttpProbe) -> Vec<Refusal> {
    let mut wrong = Vec::new();
    let mut most = |key: &str, what: &str, has: usize, most: usize, unit: &str| {
        if has > most {
            let what = format!("{what} has {has} {unit}; at most {most} are allowed");
            wrong.push(Refusal::new(
                Field::request(&[key]),
                what,
                "too much",
                format!("{most} {unit} or fewer"),
            ));
        }
    };
    most("url", "the url", probe.url.len(), URL, "bytes");
    most("method", "the method", probe.method.len(), METHOD, "bytes");
    most("body", "the body", probe.body.as_ref().map_or(0, String::len), BODY, "bytes");
    let bytes = probe.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    most("headers", "the request", probe.headers.len(), HEADERS, "headers");
    most("headers", "all headers together", bytes, HEADER_BYTES, "bytes");
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_named() {
        let mut probe: HttpProbe = serde_json::from_str(r#"{"url":"http://edge/"}"#).unwrap();
        assert_eq!(refusals(&probe), []);
        probe.url = format!("http://edge/{}", "x".repeat(URL));
        probe.method = "X".repeat(METHOD + 1);
        probe.body = Some("x".repeat(BODY + 1));
        probe.headers = (0..=HEADERS).map(|number| (format!("x-{number}"), "v".repeat(400))).collect();
        let said: Vec<String> = refusals(&probe).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 5, "{said:?}");
        for bound in [URL, METHOD, BODY, HEADERS, HEADER_BYTES] {
            assert!(said.iter().any(|text| text.contains(&format!("at most {bound}"))), "{bound}: {said:?}");
        }
    }
}
