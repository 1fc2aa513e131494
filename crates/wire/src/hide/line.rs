//! Hides secrets in lines of logs. Only their form and the words before them show that they are secrets.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

use super::{HIDDEN, looks_secret, names_secret, value::value, words_of};

/// A regular expression of this file; a test compiles each.
fn regex(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("{error}"))
}

/// Private keys, up to their end or the end of the line.
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----).*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)",
    )
});
/// The end of a private key that an earlier line began.
static KEY_END: LazyLock<Regex> = LazyLock::new(|| regex(r"^.*(-----END [A-Z0-9 ]*PRIVATE KEY)"));
/// Headers whose whole value is secret.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?i)((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token)((?:\\*["'`])?\s*(?:=>|[:=]|%3[ad])\s*)"#,
    )
});
/// What follows the name of a scheme of authentication.
static SCHEME: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(bearer|basic|negotiate|digest)\s+[A-Za-z0-9_\-.+/=~]{8,}"));
/// A URL from its authority on.
static URL: LazyLock<Regex> = LazyLock::new(|| regex(r#"(://)([^\s"'<>`]+)"#));
/// A user before an address without a scheme: `app:pw@tcp(db:3306)`.
static USER: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"[A-Za-z0-9_.\-%+]+:[^\s"'<>`@/=,][^\s"'<>`]*@([A-Za-z0-9(\[])"#));
/// A name, and what stands between it and its value.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"([A-Za-z][A-Za-z0-9_.\-]*)((?:\\*["'`]|[\])]|%5[dD]|%2[27]|&quot;)*\s*(?:=>|:=|->|[=:]|%3[aAdD])\s*|\\*["']\s*,\s*(?:\\*["']))"#,
    )
});
/// The name in a list of names and values: `{name: DB_PASSWORD, value: x}`.
static LISTED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?i)\b(?:name|key)(?:\\*["'])?\s*[:=]+>?\s*(?:\\*["'])?([a-z][a-z0-9_.\-]*)(?:\\*["'])?[\s,;]+(?:\\*["'])?value(?:\\*["'])?\s*[:=]+>?\s*"#,
    )
});
/// The content of an element: `<password>x</password>`.
static ELEMENT: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"((?:<|&lt;)([A-Za-z][A-Za-z0-9_:.\-]*)(?:\s[^<>]*)?(?:>|&gt;))(<!\[CDATA\[.*?(?:\]\]>|$)|[^<&]+)")
});
/// The name of a field in quotation marks, after the first mark.
static FIELD: LazyLock<Regex> = LazyLock::new(|| regex(r#"^[A-Za-z0-9_.\- ]*\\*["']\s*[:=]"#));
/// A name and a value in words or as options: `password is x`, `--token x`.
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:--?[a-z0-9-]*(?:token|secret|password|passwd|passphrase|api-?key)\s+|\bpass(?:w(?:or)?d|phrase|code)\s+(?:(?:is|was)\s+)?)",
    )
});
/// Tokens of well-known services.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:sk_live_|sk_test_|rk_live_|gh[pousr]_|github_pat_|glpat-|xox[abpr]-|AKIA|ASIA|AIza|npm_|hf_|ya29\.|SG\.|sk-)[A-Za-z0-9_\-]{8,}|eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)*",
    )
});
/// Long words that may be drawn at random.
static LONG: LazyLock<Regex> = LazyLock::new(|| regex(r"[A-Za-z0-9+/_\-]{20,}={0,2}"));

/// Names of secrets in logs, besides those of requests.
const NAMES: [&str; 14] = [
    "accesskey",
    "csrf",
    "cvv",
    "dbpass",
    "encryptionkey",
    "jsessionid",
    "mnemonic",
    "otp",
    "pin",
    "privatekey",
    "secretkey",
    "sessid",
    "sessionid",
    "xsrf",
];

/// Whether something that is called so in a log is most likely a secret. The parts of a name may be written without marks between them.
fn called_secret(name: &str) -> bool {
    let known = |word: &str| {
        NAMES.contains(&word)
            || ["passwor", "passwd", "passphrase", "passcode", "secret"]
                .iter()
                .any(|part| word.contains(part))
            || [
                "token",
                "apikey",
                "accesskey",
                "privatekey",
                "sessionid",
                "sessid",
                "csrftoken",
                "credential",
                "cookie",
            ]
            .iter()
            .any(|end| word.ends_with(end))
            || (word.ends_with("pass") && !["bypass", "compass"].contains(&word))
    };
    let words = words_of(name);
    let known = |word: &String| {
        let one = word.strip_suffix('s').unwrap_or(word);
        known(word) || known(one) || names_secret(one)
    };
    // `private_key` and `privateKey` are two words.
    names_secret(name) || words.iter().any(known) || known(&words.concat())
}

/// Returns a line of a log with `***` in place of what may be a secret: values that are called like one, what follows
/// `Authorization` and its schemes, users in URLs, private keys, tokens of well-known services, and long words that look drawn at
/// random. Ids in the form of UUIDs stay.
#[must_use]
pub fn line(text: &str) -> String {
    let mut text = Cow::Borrowed(text);
    replace(&mut text, &PRIVATE_KEY, |found| format!("{}{HIDDEN}", &found[1]));
    replace(&mut text, &KEY_END, |found| format!("{HIDDEN}{}", &found[1]));
    follow(&mut text, &HEADER, |found| {
        found[2].contains(['"', '\'', '`']).then_some(Kind::Value).or(Some(Kind::Rest))
    });
    replace(&mut text, &SCHEME, |found| format!("{} {HIDDEN}", &found[1]));
    replace(&mut text, &URL, |found| format!("{}{}", &found[1], without_user(&found[2])));
    replace(&mut text, &USER, |found| format!("{HIDDEN}@{}", &found[1]));
    replace(&mut text, &ELEMENT, |found| {
        let hides = called_secret(&found[2]) && !found[3].trim().is_empty();
        format!("{}{}", &found[1], if hides { HIDDEN } else { &found[3] })
    });
    follow(&mut text, &LISTED, |found| called_secret(&found[1]).then_some(Kind::Value));
    follow(&mut text, &NAME, |found| {
        let name = &found[1];
        // What is quoted after a comma may be another name.
        let kind = match () {
            () if found[2].contains(',') => Kind::Quoted,
            () if name.to_ascii_lowercase().contains("phrase") => Kind::Rest,
            () if names_code(name) => Kind::Code,
            () => Kind::Value,
        };
        called_secret(name).then_some(kind)
    });
    follow(&mut text, &WORDS, |found| {
        let sure = found[0].contains(" is ") || found[0].contains(" was ") || found[0].starts_with('-');
        Some(if sure { Kind::Value } else { Kind::Word })
    });
    replace(&mut text, &TOKEN, |_| HIDDEN.to_owned());
    replace(&mut text, &LONG, |found| long(&found[0]));
    text.into_owned()
}

/// Whether a name is that of codes and counts too: `code`, `key`, `tokens`.
fn names_code(name: &str) -> bool {
    let secret = ["pass", "pwd", "pin", "otp", "cvv", "secret"];
    !words_of(name).iter().any(|word| secret.iter().any(|part| word.contains(part)))
}

fn replace(text: &mut Cow<'_, str>, by: &Regex, with: impl Fn(&Captures<'_>) -> String) {
    if let Cow::Owned(new) = by.replace_all(text, |found: &Captures<'_>| with(found)) {
        *text = Cow::Owned(new);
    }
}

/// What follows a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A value.
    Value,
    /// A value, or a code of HTTP or of an exit, which have three digits at most and are no secrets.
    Code,
    /// A value whose opening mark has been read.
    Quoted,
    /// A value of four characters at least.
    Word,
    /// All that follows.
    Rest,
}

/// Hides what follows a text, as `kind` says; nothing where it says `None`. What follows is read on from there: a value may
/// itself be a name and a value (`msg=token:x`). Uses a loop and no recursion, because a line may hold any number of names.
fn follow(text: &mut Cow<'_, str>, by: &Regex, kind: impl Fn(&Captures<'_>) -> Option<Kind>) {
    let mut hidden: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while let Some(found) = by.captures_at(text, at) {
        at = found.get_match().end();
        let Some(kind) = kind(&found) else {
            // The mark before it may be the one after a name.
            if found.get(2).is_some_and(|between| between.as_str().contains(',')) {
                at = found.get(2).map_or(at, |between| between.start());
                at += text[at..].find(',').unwrap_or(0);
            }
            continue;
        };
        let (start, end, after) = if kind == Kind::Rest {
            (at, text.trim_end().len().max(at), text.len())
        } else {
            if kind == Kind::Quoted && FIELD.is_match(&text[at..]) {
                continue;
            }
            // The mark is part of the value.
            let opened = if kind == Kind::Quoted { text[..at].len() - 1 } else { at };
            let Some(found) = value(&text[opened..]) else { continue };
            (opened + found.start, opened + found.end, opened + found.after)
        };
        let inner = &text[start..end];
        let code = kind == Kind::Code && inner.len() <= 3 && inner.bytes().all(|byte| byte.is_ascii_digit());
        if code || inner.is_empty() || (kind == Kind::Word && !may_be_one(inner)) {
            continue;
        }
        let out = hidden.get_or_insert_with(String::new);
        out.push_str(&text[copied..start]);
        out.push_str(HIDDEN);
        (at, copied) = (after, end);
    }
    if let Some(out) = hidden {
        *text = Cow::Owned(out + &text[copied..]);
    }
}

/// Whether a word after `password` may be one: it is not short, and not another field.
fn may_be_one(word: &str) -> bool {
    let name = word.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-".contains(c));
    word.len() >= 4 && !(name.len() > 1 && name.starts_with('='))
}

/// Returns what follows `://` without the user. Passwords that nobody escaped have `@` and `/` in them.
fn without_user(text: &str) -> String {
    let authority = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (host, port) = text[..authority].rsplit_once(':').unwrap_or((text, ""));
    let with_password = !host.starts_with('[') && !port.bytes().all(|byte| byte.is_ascii_digit())
        || text[..authority].split_once('@').is_some_and(|(user, _)| user.contains(':'));
    let until = if with_password { text.rfind('@') } else { text[..authority].rfind('@') };
    until.map_or_else(|| text.to_owned(), |at| format!("{HIDDEN}{}", &text[at..]))
}

/// Hides a long word that looks drawn at random; of a path, the parts that do.
fn long(word: &str) -> String {
    let hidden = |part: &str| {
        let hex = part.len() >= 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Names of classes in the middle of words have no digits.
        let mixed = part.len() >= 48 || part.bytes().any(|byte| byte.is_ascii_digit());
        hex || (mixed && looks_secret(part))
    };
    if word.starts_with('/') && !is_dense(word) {
        let parts = word.split('/').map(|part| if hidden(part) { HIDDEN } else { part });
        return parts.collect::<Vec<_>>().join("/");
    }
    if hidden(word) { HIDDEN.to_owned() } else { word.to_owned() }
}

/// Whether small letters, capital ones and digits follow each other more often than in names.
fn is_dense(word: &str) -> bool {
    let class = |byte: u8| (byte.is_ascii_lowercase(), byte.is_ascii_uppercase(), byte.is_ascii_digit());
    let all: Vec<_> = word.bytes().filter(u8::is_ascii_alphanumeric).map(class).collect();
    let changes = all.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let kinds = [(true, false, false), (false, true, false), (false, false, true)];
    all.len() >= 28 && changes * 10 >= all.len() * 3 && kinds.iter().all(|kind| all.contains(kind))
}

#[cfg(test)]
mod tests;
