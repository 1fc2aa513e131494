//! Secrets in requests.

use super::{request::speaks_of_secrets, *};
use crate::probe::{Form as _, HttpProbe, Kind as _, ProbeKind};

fn probe(json: serde_json::Value) -> HttpProbe {
    serde_json::from_value(json).expect("a probe")
}

#[test]
fn all_places_of_secrets_are_hidden() {
    let clear = probe(serde_json::json!({
        "url": "https://olga:PW1@shop.example/hook/T0aB1cD2eF3gH4iJ5kL6/x?api_key=QKEY99&page=7#F1",
        "headers": { "Authorization": "Basic HDRSECRET", "X-Api-Key": "APIKEY77", "X-Shop": "s1",
            "Accept": "text/html", "Referer": "http://edge/?k=REF5" },
        "body": "BODY66", "contains": "key QKEY99 is known",
    }));
    let shown = serde_json::to_string(&clear.without_secrets()).expect("prints") + &format!("{clear:?}");
    for secret in
        ["olga", "PW1", "T0aB1c", "QKEY99", "=7", "F1", "HDRSECRET", "APIKEY77", "s1", "REF5", "BODY66"]
    {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    let hidden = clear.without_secrets();
    assert_eq!(hidden.url, "https://***@shop.example/hook/***/x?api_key=***&page=***#***");
    assert_eq!(hidden.headers["Accept"], "text/html");
    assert_eq!(hidden.contains.as_deref(), Some("key *** is known"));
    assert_eq!(hidden.without_secrets(), hidden, "hiding twice changes nothing");
    let sure = clear.about().clear.into_iter().filter(|clear| clear.sure);
    let sure: Vec<String> = sure.map(|clear| clear.part.to_string()).collect();
    assert_eq!(
        sure,
        [
            "the user in the url",
            "a piece of the url's path",
            "`api_key` in the url",
            "the header `Authorization`",
            "the header `X-Api-Key`",
        ]
    );
}

#[test]
fn names_of_secrets_are_shown() {
    let named = probe(serde_json::json!({
        "url": "http://edge/?key={key}&page=2", "headers": { "Authorization": "Bearer {key}", "X-Two": "{key}x" },
        "body": "{key}", "secrets": { "key": { "secret_env": "SHOP_KEY" } },
    }));
    let shown = named.without_secrets();
    assert_eq!(shown.url, "http://edge/?key={key}&page=***");
    assert_eq!(
        (shown.headers["Authorization"].as_str(), shown.headers["X-Two"].as_str()),
        ("Bearer {key}", "***")
    );
    assert_eq!(shown.body.as_deref(), Some("{key}"));
    assert!(named.about().clear.iter().all(|clear| !clear.sure));
}

#[test]
fn secrets_are_recognised_by_name_and_form() {
    for name in
        ["Authorization", "X-Api-Key", "apiKey", "access_token", "clientSecret", "Cookie", "sig", "XTOKEN"]
    {
        assert!(names_secret(name), "{name}");
    }
    for name in ["page", "X-Shop", "keyboard", "author", "passenger", "monkey", "zip_codes"] {
        assert!(!names_secret(name), "{name}");
    }
    for text in
        ["9f86d081884c7d659a2feaa0c55ad015", "T0aB1cD2eF3gH4iJ5kL6", "ghp_abcdefgh1", "eyJhbGciOiJIUzI1NiJ9"]
    {
        assert!(looks_secret(text), "{text}");
    }
    for text in
        ["checkout", "very-long-name-of-a-report-2024", "123e4567-e89b-12d3-a456-426614174000", "a/b/c"]
    {
        assert!(!looks_secret(text), "{text}");
    }
    assert!(speaks_of_secrets(r#"{"user": "a", "password": "b"}"#) && speaks_of_secrets("token=a"));
    assert!(!speaks_of_secrets("a token is a word") && !speaks_of_secrets(""));
}

#[test]
fn parameters_that_a_request_hides_are_hidden() {
    let asked = [ProbeKind::Http(probe(serde_json::json!({ "url": "http://edge/?k=QKEY99" })))];
    let pairs = ["k=QKEY99", "hold=90s", "token=t"].map(|pair| pair.split_once('=').expect("a pair"));
    let values = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let shown = params(&values, &asked);
    assert_eq!(shown.values().map(String::as_str).collect::<Vec<_>>(), ["90s", "***", "***"]);
}
