//! Users and passwords before hosts: `postgres://app:pw@db`, `app:pw@tcp(db:3306)`.

use super::{
    ranges::Ranges,
    text::{Text, is_space},
};
use crate::hide::value::QUOTES;

/// The signs between the scheme of a URL and its authority.
const AFTER_SCHEME: &[u8] = b"://";

/// Labels before an address, as in `from:bob@example`. They are no users.
const LABELS: &[&str] = &[
    "account",
    "author",
    "bcc",
    "by",
    "cc",
    "contact",
    "email",
    "error",
    "from",
    "info",
    "level",
    "login",
    "mail",
    "mailto",
    "member",
    "owner",
    "principal",
    "rcpt",
    "recipient",
    "reply-to",
    "sender",
    "sip",
    "sips",
    "smtp",
    "to",
    "user",
    "userid",
    "username",
    "warn",
    "workspace",
    "xmpp",
];

/// Hides the users in all words of a line.
pub(super) fn users(text: &Text, hide: &mut Ranges) {
    let bytes = &text.bytes;
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().position(u8::is_ascii_whitespace);
        let end = length.map_or(bytes.len(), |length| start + length);
        let word = &bytes[start..end];
        if word.contains(&b'@') {
            match find(word, AFTER_SCHEME) {
                Some(at) => {
                    fields(&bytes[..start + at], start, hide);
                    url(bytes, (start, start + at + AFTER_SCHEME.len(), end), hide);
                }
                None => fields(&bytes[..end], start, hide),
            }
        }
        start = end + 1;
    }
}

/// Hides users in the fields of a word, which are separated by `|` and are no URLs.
fn fields(bytes: &[u8], mut start: usize, hide: &mut Ranges) {
    for field in bytes[start..].split(|byte| *byte == b'|') {
        let end = start + field.len();
        outside(&bytes[..end], start, hide);
        start = end + 1;
    }
}

/// Returns the place of a part in a text; `None` if the text does not contain it.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Hides the user of a URL whose authority begins at `start`. The word that contains the URL begins at `word` and ends at `end`.
fn url(bytes: &[u8], (word, start, end): (usize, usize, usize), hide: &mut Ranges) {
    let scheme = bytes[word..start - AFTER_SCHEME.len()]
        .rsplit(|byte| !byte.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    let web = [&b"http"[..], b"https", b"ws", b"wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    // The URL ends at the mark that closes the text around it. A password may contain marks, too, so the next byte counts as well.
    let closes = |at: usize| {
        let byte = bytes[at];
        let next = bytes.get(at + 1).copied();
        (QUOTES.contains(&byte) || b"<>".contains(&byte) || is_space(byte))
            && next.is_none_or(|next| is_space(next) || b",;:.)]}>\\\"'".contains(&next))
            || (byte == b',' && next.is_some_and(|next| b"\"'\\{[".contains(&next)))
    };
    let end = (start..end).find(|at| closes(*at)).unwrap_or(end);
    let rest = &bytes[start..end];
    let authority = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let last_at =
        |part: &[u8]| (0..part.len()).rev().find(|at| part[*at] == b'@' && !is_digest(&part[at + 1..]));
    let colon = rest[..authority].iter().rposition(|byte| *byte == b':');
    let port = colon.map(|colon| &rest[colon + 1..authority]);
    // A password that is not escaped may contain `@` and `/`.
    let with_password = !rest.starts_with(b"[")
        && port.is_some_and(|port| port.is_empty() || !port.iter().all(u8::is_ascii_digit))
        || find(&rest[..authority], b"@").is_some_and(|user| rest[..user].contains(&b':'));
    let until =
        if with_password || !web && colon.is_some() { last_at(rest) } else { last_at(&rest[..authority]) };
    if let Some(until) = until.filter(|until| *until > 0) {
        hide.push(start, start + until);
    }
}

/// Whether the text after an `@` is the digest of an image.
fn is_digest(after: &[u8]) -> bool {
    after.starts_with(b"sha256:") || after.starts_with(b"sha512:")
}

/// Hides a user before an address without a scheme, in the word from `start` to the end.
fn outside(bytes: &[u8], start: usize, hide: &mut Ranges) {
    let word = &bytes[start..];
    let Some(until) = word.iter().rposition(|byte| *byte == b'@') else { return };
    let after = &word[until + 1..];
    if !after.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"([".contains(byte))
        || is_digest(after)
    {
        return;
    }
    let host = after.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte)).count();
    let (host, then) = after.split_at(host);
    // `react-dom@18.2.0` and `Object@1a2b3c4d`.
    let number = host.first().is_some_and(u8::is_ascii_digit)
        && host.iter().filter(|byte| **byte == b'.').count() == 2;
    let sure = matches!(then, [b'(' | b'[', ..])
        || (then.first() == Some(&b':') && then.get(1).is_some_and(u8::is_ascii_digit));
    let likely = sure || then.first() == Some(&b'/');
    let mut begin = word[..until]
        .iter()
        .rposition(|byte| QUOTES.contains(byte) || b"<>(=".contains(byte) || is_space(*byte))
        .map_or(0, |at| at + 1);
    let user_length = |begin: usize| {
        let part = &word[begin..until];
        let user =
            part.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_.-%+".contains(byte)).count();
        (user > 0 && part.get(user) == Some(&b':') && part.len() > user + 1).then_some(user)
    };
    let email = host.contains(&b'.') && !likely;
    if let Some(comma) = word[begin..until].iter().rposition(|byte| b",;".contains(byte)) {
        let next = begin + comma + 1;
        if user_length(next).is_some() || email {
            begin = next;
        }
    }
    // Labels before the user are shown.
    while let Some(user) = user_length(begin) {
        let label = String::from_utf8_lossy(&word[begin..begin + user]).to_ascii_lowercase();
        let local = &word[begin + user + 1..until];
        let rest = local.contains(&b':');
        if !(rest && user_length(begin + user + 1).is_some() || email || !likely)
            || !LABELS.contains(&label.as_str())
        {
            break;
        }
        begin += user + 1;
    }
    let Some(user) = user_length(begin) else { return };
    let secret = &word[begin + user + 1..until];
    let ported = secret.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let registry = ported > 0 && secret.get(ported) == Some(&b'/');
    let object = host.len() >= 5
        && host.iter().all(u8::is_ascii_hexdigit)
        && host.iter().any(u8::is_ascii_digit)
        && then.is_empty();
    if secret[0].is_ascii_whitespace()
        || b"/=,".contains(&secret[0])
        || registry
        || (number && !likely)
        || object
    {
        return;
    }
    hide.push(start + begin, start + until);
}
