//! Checks that a request really comes from a chat. Slack signs the request with its time; Mattermost sends a token. Both are compared in constant
//! time. This module never decides what a person may do.

use firedrill_files::text::hex;
use http::HeaderMap;
use ring::hmac::{HMAC_SHA256, Key, sign, verify};

/// Maximum difference between the time of a request and the server's clock, in seconds, in either direction.
pub(super) const LATE_S: i64 = 300;

/// A request that was proven to come from the chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Genuine {
    /// Identifies the request. A repeated request has the same digest; any other request has a different one.
    pub(super) digest: String,
    /// The time after which it is too old, in seconds since 1970.
    pub(super) until_s: i64,
}

/// Returns the value of a header; `None` if there is no value, or more than one.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Checks the signature of a request of Slack.
///
/// # Errors
/// The signature does not fit the secret, or the time is too far from `now_s`. The error is a clause that says why.
pub(super) fn of_slack(
    secret: &str,
    headers: &HeaderMap,
    body: &[u8],
    now_s: i64,
) -> Result<Genuine, &'static str> {
    let time =
        only(headers, "x-slack-request-timestamp").ok_or("it has no header X-Slack-Request-Timestamp")?;
    let given = only(headers, "x-slack-signature").ok_or("it has no header X-Slack-Signature")?;
    let signature = given
        .strip_prefix("v0=")
        .and_then(bytes)
        .ok_or("its signature is not `v0=` and hexadecimal digits")?;
    let key = Key::new(HMAC_SHA256, secret.as_bytes());
    let signed = [b"v0:", time.as_bytes(), b":", body].concat();
    verify(&key, &signed, &signature).map_err(|_| "its signature is none of this secret")?;
    let at_s: i64 = time.parse().map_err(|_| "its time is no number")?;
    if at_s.abs_diff(now_s) > LATE_S.unsigned_abs() {
        return Err("its time is more than 5 minutes from the server's");
    }
    Ok(Genuine { digest: format!("slack {}", hex(&signature)), until_s: at_s + LATE_S })
}

/// Checks the token of a request of Mattermost. The request has no signature and no time, so its time is that of the check.
///
/// # Errors
/// The token differs from the secret. The error is a clause that says why.
pub(super) fn of_mattermost(
    secret: &str,
    headers: &HeaderMap,
    body: &[u8],
    now_s: i64,
) -> Result<Genuine, &'static str> {
    let parts = only(headers, "authorization").and_then(|value| value.split_once(' '));
    let (_, given) = parts
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("token"))
        .ok_or("it has no header `Authorization: Token …`")?;
    let key = Key::new(HMAC_SHA256, secret.as_bytes());
    // Only the secret itself has the same signature as the secret. `verify` compares signatures in constant time.
    verify(&key, given.trim().as_bytes(), sign(&key, secret.as_bytes()).as_ref())
        .map_err(|_| "its token is another one")?;
    let digest = format!("mattermost {}", hex(sign(&key, body).as_ref()));
    Ok(Genuine { digest, until_s: now_s + LATE_S })
}

/// Reads bytes from pairs of hexadecimal digits; `None` if a pair is incomplete or is no number.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// The example of Slack's page "Verifying requests from Slack", <https://docs.slack.dev/authentication/verifying-requests-from-slack>,
    /// read in November 2026: secret, time, body and signature.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const TIME: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    /// [`TIME`] as a number.
    const AT_S: i64 = 1_531_420_618;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// Returns the headers of a request as Slack signs it.
    pub(in crate::chat) fn signed(secret: &str, body: &str, at_s: i64) -> HeaderMap {
        let key = Key::new(HMAC_SHA256, secret.as_bytes());
        let signature = hex(sign(&key, format!("v0:{at_s}:{body}").as_bytes()).as_ref());
        headers(&[
            ("x-slack-request-timestamp", &at_s.to_string()),
            ("x-slack-signature", &format!("v0={signature}")),
        ])
    }

    #[test]
    fn the_example_of_slack_is_genuine_and_nothing_near_it_is() {
        let slack = |time: &str, signature: &str, body: &str, now_s| {
            let headers = headers(&[("x-slack-request-timestamp", time), ("x-slack-signature", signature)]);
            of_slack(SECRET, &headers, body.as_bytes(), now_s)
        };
        let genuine = slack(TIME, SIGNATURE, BODY, AT_S).unwrap();
        assert_eq!(genuine.until_s, AT_S + 300);
        let upper = format!("v0={}", SIGNATURE[3..].to_ascii_uppercase());
        assert_eq!(slack(TIME, &upper, BODY, AT_S), Ok(genuine), "the same request");
        for (now_s, is_right) in
            [(AT_S + 300, true), (AT_S - 300, true), (AT_S + 301, false), (AT_S - 301, false)]
        {
            assert_eq!(slack(TIME, SIGNATURE, BODY, now_s).is_ok(), is_right, "{now_s}");
        }
        let changed = SIGNATURE.replace("v0=a2", "v0=a3");
        for (time, signature, body) in [
            (TIME, SIGNATURE, BODY.replace("U2CERLKJA", "U2CERLKJB")),
            ("1531420619", SIGNATURE, BODY.to_owned()),
            (TIME, changed.as_str(), BODY.to_owned()),
            (TIME, &SIGNATURE[..20], BODY.to_owned()),
            (TIME, &SIGNATURE[3..], BODY.to_owned()),
            (TIME, "v0=", BODY.to_owned()),
            (TIME, "v0=a", BODY.to_owned()),
            (TIME, "v0=zz", BODY.to_owned()),
        ] {
            assert!(slack(time, signature, &body, AT_S).is_err(), "{time} {signature}");
        }
        assert!(of_slack("another", &signed(SECRET, BODY, AT_S), BODY.as_bytes(), AT_S).is_err());
        assert!(of_slack(SECRET, &HeaderMap::new(), BODY.as_bytes(), AT_S).is_err());
        let twice = headers(&[
            ("x-slack-request-timestamp", TIME),
            ("x-slack-signature", SIGNATURE),
            ("x-slack-signature", "v0=00"),
        ]);
        assert!(of_slack(SECRET, &twice, BODY.as_bytes(), AT_S).is_err(), "two signatures are ambiguous");
        // A time that is no number is refused, even with a right signature.
        let key = Key::new(HMAC_SHA256, SECRET.as_bytes());
        let without_time = format!("v0={}", hex(sign(&key, format!("v0:now:{BODY}").as_bytes()).as_ref()));
        assert!(slack("now", &without_time, BODY, AT_S).is_err());
    }

    /// `Authorization: Token …`, as in "Custom slash commands" of Mattermost's documentation,
    /// <https://developers.mattermost.com/integrate/slash-commands/custom/>, read in November 2026.
    #[test]
    fn only_the_token_of_the_command_is_genuine() {
        let ask = |value: &str| {
            of_mattermost("okwexpgqm7yhdcgb64ap3bwrna", &headers(&[("authorization", value)]), b"x", 5)
        };
        assert_eq!(ask("Token okwexpgqm7yhdcgb64ap3bwrna").unwrap().until_s, 305);
        for wrong in
            ["Token okwexpgqm7yhdcgb64ap3bwrnb", "Token ", "Token", "Bearer okwexpgqm7yhdcgb64ap3bwrna", ""]
        {
            assert!(ask(wrong).is_err(), "{wrong}");
        }
    }
}
