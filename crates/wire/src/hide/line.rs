//! Hides secrets in lines of logs, where nothing but their look and the words before them tell that they are secrets.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

use super::{HIDDEN, looks_secret, names_secret};

/// A regular expression of this file; a test compiles each.
fn regex(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("{error}"))
}

/// Private keys, up to their end or the end of the line.
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----).*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)")
});
/// Headers whose whole value is secret.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?i)((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token)(\\?["']?\s*[:=]\s*)(\\?"(?:[^"\\]|\\[^"])*|'[^']*|[^"'\r\n]*)"#,
    )
});
/// What follows the name of a scheme of authentication.
static SCHEME: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(bearer|basic|negotiate|digest)\s+[A-Za-z0-9_\-.+/=~]{8,}"));
/// A user in a URL.
static USER: LazyLock<Regex> = LazyLock::new(|| regex(r"(://)[^/\s@]+@"));
/// A name, and what stands between it and its value.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"([A-Za-z][A-Za-z0-9_.\-]*)(\\?["']?\s*(?:=>|:=|[=:])\s*)"#));
/// The value after a name: what it is wrapped in, and the value itself.
static VALUE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r#"^([\[({<&]*(?:Some\()?)([bu]?\\?"(?:[^"\\]|\\[^"])*\\?"?|[bu]?'[^']*'?|[^\s,;&"'(){}\[\]<>]+)"#)
});
/// A name and a value in words or as options: `password is x`, `--token x`.
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)((?:--?[a-z0-9-]*(?:token|secret|password|passwd|api-?key))\s+|\bpassw(?:or)?d\s+(?:is\s+|was\s+)?)([^\s,;]{4,})",
    )
});
/// Tokens of well-known services.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:sk_live_|sk_test_|rk_live_|gh[pousr]_|github_pat_|glpat-|xox[abpr]-|AKIA|ASIA|AIza)[A-Za-z0-9_\-]{8,}|eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)*",
    )
});
/// Long words that may be drawn at random.
static LONG: LazyLock<Regex> = LazyLock::new(|| regex(r"[A-Za-z0-9+/_\-]{20,}={0,2}"));

/// Returns a line of a log with `***` in place of what may be a secret: values that are called like one, what follows
/// `Authorization` and its schemes, users in URLs, private keys, tokens of well-known services, and long words that look drawn at
/// random. Ids in the form of UUIDs stay.
#[must_use]
pub fn line(text: &str) -> String {
    let mut text = Cow::Borrowed(text);
    replace(&mut text, &PRIVATE_KEY, |found| format!("{}{HIDDEN}", &found[1]));
    replace(&mut text, &HEADER, |found| {
        let quote = quote(&found[3]);
        format!("{}{}{quote}{HIDDEN}", &found[1], &found[2])
    });
    replace(&mut text, &SCHEME, |found| format!("{} {HIDDEN}", &found[1]));
    replace(&mut text, &USER, |found| format!("{}{HIDDEN}@", &found[1]));
    if let Some(new) = named(&text) {
        text = Cow::Owned(new);
    }
    replace(&mut text, &WORDS, |found| format!("{}{HIDDEN}", &found[1]));
    replace(&mut text, &TOKEN, |_| HIDDEN.to_owned());
    replace(&mut text, &LONG, |found| long(&found[0]));
    text.into_owned()
}

fn replace(text: &mut Cow<'_, str>, by: &Regex, with: impl Fn(&Captures<'_>) -> String) {
    if let Cow::Owned(new) = by.replace_all(text, |found: &Captures<'_>| with(found)) {
        *text = Cow::Owned(new);
    }
}

/// Returns the quotation mark that a value begins with.
fn quote(value: &str) -> &str {
    ["\\\"", "\"", "'"].into_iter().find(|mark| value.starts_with(mark)).unwrap_or("")
}

/// Hides values that are called a secret; `None` if there are none. What follows any other name is read on from there: a value may
/// itself be a name and a value (`msg=token:x`). Goes on in a loop, since a line may have as many names as it likes.
fn named(text: &str) -> Option<String> {
    let mut hidden: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while let Some(found) = NAME.captures_at(text, at) {
        let (whole, name) = (found.get_match(), &found[1]);
        at = whole.end();
        if !names_secret(name) {
            continue;
        }
        let Some(value) = VALUE.captures(&text[at..]) else { continue };
        let (wrapped, value) = (&value[1], &value[2]);
        let mark = quote(value);
        let inner = value.strip_prefix(mark).unwrap_or(value);
        let inner = inner.strip_suffix(mark).unwrap_or(inner);
        // Codes of HTTP and of exits are three digits at most.
        let code = inner.len() <= 3 && inner.bytes().all(|byte| byte.is_ascii_digit());
        if code || inner.is_empty() {
            continue;
        }
        let end = if value.len() > mark.len() && value.ends_with(mark) { mark } else { "" };
        let start = at + wrapped.len();
        let out = hidden.get_or_insert_with(String::new);
        for part in [&text[copied..start], mark, HIDDEN, end] {
            out.push_str(part);
        }
        at = start + value.len();
        copied = at;
    }
    hidden.map(|out| out + &text[copied..])
}

/// Hides a long word that looks drawn at random; of a path, the parts that do.
fn long(word: &str) -> String {
    let hidden = |part: &str| {
        let hex = part.len() >= 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Names of classes in the middle of words have no digits.
        let mixed = part.len() >= 48 || part.bytes().any(|byte| byte.is_ascii_digit());
        hex || (mixed && looks_secret(part))
    };
    if word.starts_with('/') {
        let parts = word.split('/').map(|part| if hidden(part) { HIDDEN } else { part });
        return parts.collect::<Vec<_>>().join("/");
    }
    if hidden(word) { HIDDEN.to_owned() } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_hidden() {
        for (text, safe) in [
            ("login password=hunter2 failed", "login password=*** failed"),
            ("PASSWORD: \"hunter 2\", next", "PASSWORD: \"***\", next"),
            (r#"{"user":"al","apiToken":"abc","n":1}"#, r#"{"user":"al","apiToken":"***","n":1}"#),
            (r#"{"log":"{\"token\":\"abc\"}"}"#, r#"{"log":"{\"token\":\"***\"}"}"#),
            ("GET /a?token=abc&x=1", "GET /a?token=***&x=1"),
            ("msg=token:abc", "msg=token:***"),
            ("ERROR: password: hunter2", "ERROR: password: ***"),
            ("app: api_key: abc4 x", "app: api_key: *** x"),
            ("password=[hunter2]", "password=[***]"),
            (r#"{"tokens":1,"api_token":["abc4"]}"#, r#"{"tokens":1,"api_token":["***"]}"#),
            ("password: Some(\"hunter2\")", "password: Some(\"***\")"),
            ("password=b'hunter2' x", "password=*** x"),
            ("Authorization: Bearer abc.def", "Authorization: ***"),
            (r#""authorization": "Basic abc", "a": 1"#, r#""authorization": "***", "a": 1"#),
            ("Cookie: a=b; c=d", "Cookie: ***"),
            ("sent bearer abcdefgh to x", "sent bearer *** to x"),
            ("postgres://app:pw@db/x", "postgres://***@db/x"),
            ("psql --password hunter2", "psql --password ***"),
            ("the password is hunter2", "the password is ***"),
            ("key AKIAIOSFODNN7EXAMPLE used", "key *** used"),
            (
                "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "aws_secret_access_key = ***",
            ),
            ("got wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "got ***"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln!", "jwt ***!"),
            ("h=d41d8cd98f00b204e9800998ecf8427e", "h=***"),
            ("-----BEGIN RSA PRIVATE KEY----- MIIE", "-----BEGIN RSA PRIVATE KEY-----***"),
        ] {
            assert_eq!(line(text), safe);
            assert_eq!(line(safe), safe, "hiding twice changes nothing");
        }
    }

    #[test]
    fn a_line_of_names_alone_needs_no_more_stack_than_any_other() {
        // The stack of a thread that reads logs.
        let read = std::thread::Builder::new().stack_size(1 << 20).spawn(|| line(&"a=".repeat(2048)));
        assert_eq!(read.unwrap().join().unwrap(), "a=".repeat(2048));
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "ERROR status code: 500, exit code=137",
            "panic at com.example.shop.OrderServiceImplementationFactory.java:42",
            "request 0b5d1f8e-0a4c-4f6e-9d6a-1f2e3d4c5b6a failed after 12.5ms",
            "open /usr/lib/systemd/system/checkout.service: No such file or directory",
            "2026-11-26T20:31:52.123456Z ERROR http://10.1.2.3:8080/checkout/orders?id=17 user=alice",
        ] {
            assert_eq!(line(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let _ = line(&text);
        }

        #[test]
        fn a_value_that_is_called_a_secret_never_stays(value in "[a-zA-Z0-9!#%_]{4,60}", name in "(db_password|token|clientSecret|api-key)", before in "[ -~]{0,20} ") {
            let text = format!("{before}{name}={value}");
            prop_assume!(!before.contains(['"', '\'', '\\', '<', '>', '=', ':']));
            prop_assert!(!line(&text).contains(&format!("={value}")), "{}", line(&text));
        }
    }
}
