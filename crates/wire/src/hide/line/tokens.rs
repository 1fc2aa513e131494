//! Hides secrets that are recognised by their form: tokens of well-known services, words that look random, and private keys.

use super::{
    ranges::Ranges,
    text::{Text, is_soft},
};
use crate::hide::looks_secret;

/// Beginnings of tokens, and the minimum length of the rest.
const BEGINNINGS: &[(&[u8], usize)] = &[
    (b"sk_live_", 8),
    (b"sk_test_", 8),
    (b"rk_live_", 8),
    (b"whsec_", 8),
    (b"ghp_", 8),
    (b"gho_", 8),
    (b"ghu_", 8),
    (b"ghs_", 8),
    (b"ghr_", 8),
    (b"github_pat_", 8),
    (b"glpat-", 8),
    (b"xoxa-", 8),
    (b"xoxb-", 8),
    (b"xoxp-", 8),
    (b"xoxr-", 8),
    (b"xoxe.", 8),
    (b"xapp-", 8),
    (b"AKIA", 8),
    (b"ASIA", 8),
    (b"AIza", 8),
    (b"ya29.", 8),
    (b"GOCSPX-", 8),
    (b"dop_v1_", 8),
    (b"shpat_", 8),
    (b"dckr_pat_", 8),
    (b"pypi-AgE", 8),
    (b"hvs.", 8),
    (b"AGE-SECRET-KEY-", 8),
    (b"sk-ant-", 8),
    (b"sk-proj-", 8),
    (b"eyJ", 8),
    (b"sk-", 16),
    (b"SG.", 16),
    (b"npm_", 16),
    (b"hf_", 16),
];

/// Beginnings that other words have, too. After these, only a rest with a digit counts as a token.
const COMMON: [&[u8]; 5] = [b"sk-", b"SG.", b"npm_", b"hf_", b"eyJ"];

/// A shorter word does not look random, in bytes.
const WORD_LEAST: usize = 20;
/// The most bytes before a word that are searched for the name of an id.
const NAME_MOST: usize = 40;
/// For [`is_random`]: a part of a path has no name before it.
const NO_ID: bool = false;

/// Whether a byte may be part of a token.
const fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Hides tokens of well-known services.
pub(super) fn services(text: &Text, hide: &mut Ranges) {
    let bytes = &text.bytes;
    let mut at = 0;
    while at < bytes.len() {
        let inside = at > 0 && bytes[at - 1].is_ascii_alphanumeric();
        if inside || !bytes[at].is_ascii_alphabetic() {
            at += 1;
            continue;
        }
        let found = BEGINNINGS.iter().find_map(|(begin, least)| {
            let rest = bytes[at..].strip_prefix(*begin)?;
            let length = rest.iter().take_while(|byte| is_of_token(**byte)).count();
            let part = &rest[..length];
            let common = COMMON.contains(begin);
            let named = common && at > 0 && matches!(bytes[at - 1], b'-' | b'_' | b'.');
            let plain = common && !part.iter().any(u8::is_ascii_digit);
            (length >= *least && !named && !plain).then_some((*begin, at + begin.len() + length))
        });
        let Some((begin, mut end)) = found else {
            at += 1;
            continue;
        };
        let parts = [&b"eyJ"[..], b"SG.", b"hvs.", b"xoxe.", b"ya29."].contains(&begin);
        while parts
            && bytes.get(end) == Some(&b'.')
            && (begin == b"eyJ" || bytes.get(end + 1).is_some_and(|byte| is_of_token(*byte)))
        {
            end += 1;
            end += bytes[end..].iter().take_while(|byte| is_of_token(**byte)).count();
        }
        hide.push(at, end);
        at = end;
    }
}

/// Hides long words that look random, and such parts of paths.
pub(super) fn random(text: &Text, hide: &mut Ranges) {
    let bytes = &text.bytes;
    let of_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-');
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| of_word(**byte)).count();
        if length < WORD_LEAST {
            at += length.max(1);
            continue;
        }
        let padding = bytes[at + length..].iter().take(2).take_while(|byte| **byte == b'=').count();
        let end = at + length + padding;
        let word = std::str::from_utf8(&bytes[at..end]).unwrap_or_default();
        let id = names_id(&bytes[at.saturating_sub(NAME_MOST)..at]);
        let dense = is_dense(word);
        if dense {
            // The first parts in small letters are shown, such as the host of a URL.
            let plain = |part: &&str| part.bytes().all(|byte| byte.is_ascii_lowercase());
            let shown: usize = word
                .split_inclusive('/')
                .take_while(|part| plain(&part.trim_end_matches('/')))
                .map(str::len)
                .sum();
            hide.push(at + if word.starts_with('/') && shown == 1 { 0 } else { shown }, end);
        } else if word.contains('/') {
            let mut start = at;
            for part in word.split('/') {
                if is_random(part, NO_ID) {
                    hide.push(start, start + part.len());
                }
                start += part.len() + 1;
            }
        } else if is_random(word, id) {
            hide.push(at, end);
        }
        at = end;
    }
}

/// Whether a word looks random. `id` says whether the text before the word is the name of an id.
fn is_random(word: &str, id: bool) -> bool {
    let digits = word.bytes().any(|byte| byte.is_ascii_digit());
    let hex = digits && word.split(|c: char| !c.is_ascii_hexdigit()).any(|part| part.len() >= 32);
    // Parts of class names have no digits.
    let mixed = word.len() >= 48 || digits;
    let all_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex || (mixed && looks_secret(word))) && !(id && all_hex) && !is_pod(word) && !is_class(word)
}

/// Whether the text before a word is the name of an id.
fn names_id(before: &[u8]) -> bool {
    const IDS: [&[u8]; 20] = [
        b"trace",
        b"traceid",
        b"trace_id",
        b"trace-id",
        b"spanid",
        b"span_id",
        b"span-id",
        b"requestid",
        b"request_id",
        b"request-id",
        b"correlationid",
        b"correlation_id",
        b"correlation-id",
        b"commit",
        b"revision",
        b"sha",
        b"sha1",
        b"sha256",
        b"sha512",
        b"digest",
    ];
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let end = before.iter().rposition(|byte| of_name(*byte)).map_or(0, |at| at + 1);
    let begin = before[..end].iter().rposition(|byte| !of_name(*byte)).map_or(0, |at| at + 1);
    let (name, between) = (&before[begin..end], &before[end..]);
    between.len() <= 4
        && between.iter().all(|byte| b" :=\"'\\".contains(byte))
        && IDS.iter().any(|id| {
            name.eq_ignore_ascii_case(id)
                || (name.len() > id.len()
                    && name[name.len() - id.len()..].eq_ignore_ascii_case(id)
                    && matches!(name[name.len() - id.len() - 1], b'-' | b'_'))
        })
}

/// Whether a word is the name of a class: it consists mostly of words with a capital letter and at least three small ones.
fn is_class(word: &str) -> bool {
    let bytes = word.as_bytes();
    let (mut at, mut in_words) = (0, 0);
    while at < bytes.len() {
        let small = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        if bytes[at].is_ascii_uppercase() && small >= 3 {
            in_words += small + 1;
        }
        at += small + 1;
    }
    in_words * 10 >= bytes.len() * 6
}

/// Whether a word is the name of a pod, such as `checkout-7d9f8b6c5d-x2x4z`.
fn is_pod(word: &str) -> bool {
    // The pod's namespace may follow after `_`.
    let mut parts = word.split('_').next().unwrap_or(word).rsplit('-');
    let lower = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let end = parts.next().is_some_and(|part| part.len() == 5 && lower(part));
    let hash = parts.next().is_some_and(|part| (8..=10).contains(&part.len()) && lower(part));
    let name: Vec<_> = parts.collect();
    end && hash && !name.is_empty() && name.iter().all(|part| lower(part) && part.len() <= 16)
}

/// Whether small letters, capital ones and digits follow each other more often than in names.
fn is_dense(word: &str) -> bool {
    let class = |byte: u8| (byte.is_ascii_lowercase(), byte.is_ascii_uppercase(), byte.is_ascii_digit());
    let classes: Vec<_> = word.bytes().filter(u8::is_ascii_alphanumeric).map(class).collect();
    let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let kinds = [(true, false, false), (false, true, false), (false, false, true)];
    classes.len() >= 28
        && changes * 10 >= classes.len() * 3
        && kinds.iter().all(|kind| classes.contains(kind))
}

/// Hides private keys, up to their end or the end of the line. A line that only mentions a key is shown.
pub(super) fn keys(text: &Text, hide: &mut Ranges) {
    let bytes = &text.bytes;
    let mut begun = None;
    let mut at = 0;
    while let Some(found) = find(bytes, b"-----", at) {
        let heading = found + 5;
        let Some(close) = find(bytes, b"-----", heading) else { break };
        at = heading;
        if close - heading > 80 || find(&bytes[heading..close], b"PRIVATE KEY", 0).is_none() {
            continue;
        }
        if bytes[heading..].starts_with(b"BEGIN ") {
            at = close + 5;
            begun = begun.or_else(|| follows_key(&bytes[at..]).then_some(at));
        } else if bytes[heading..].starts_with(b"END ") {
            match begun.take() {
                Some(start) => hide.push(start, found),
                None if found > 0 && is_of_key(bytes[found - 1]) => hide.push(0, found),
                None => {}
            }
            at = close + 5;
        }
    }
    if let Some(start) = begun {
        hide.push(start, bytes.len());
    }
}

/// Whether the text after a heading may be a key, and does not begin like the rest of a sentence.
fn follows_key(rest: &[u8]) -> bool {
    let next = rest.iter().find(|byte| !(byte.is_ascii_whitespace() || is_soft(**byte) || **byte == b'\\'));
    next.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+/*".contains(byte))
}

/// Whether a byte may be part of a key.
const fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'+' | b'/' | b'=' | b'*')
        || byte.is_ascii_whitespace()
        || is_soft(byte)
}

/// Returns the place of a part in a text, from a place on; `None` if the text does not contain it there.
fn find(text: &[u8], part: &[u8], from: usize) -> Option<usize> {
    text[from..].windows(part.len()).position(|window| window == part).map(|at| from + at)
}

/// Hides the text after the name of an authentication scheme.
pub(super) fn schemes(text: &Text, hide: &mut Ranges) {
    let bytes = &text.bytes;
    let mut at = 0;
    while at < bytes.len() {
        let word =
            bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let name = &bytes[at..at + word];
        at += word.max(1);
        if !["bearer", "basic", "negotiate", "digest"]
            .iter()
            .any(|scheme| name.eq_ignore_ascii_case(scheme.as_bytes()))
        {
            continue;
        }
        let spaces = bytes[at..].iter().take_while(|byte| super::text::is_space(**byte)).count();
        let start = at + spaces;
        let is_of_value = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.+/=~".contains(byte);
        let length = bytes[start..].iter().take_while(|byte| is_of_value(byte)).count();
        let word = std::str::from_utf8(&bytes[start..start + length]).unwrap_or_default();
        let mixed = word
            .bytes()
            .skip(1)
            .any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"=+".contains(&byte));
        let secret = if name.eq_ignore_ascii_case(b"bearer") {
            length >= 8 && !super::names::is_of_a_sentence(word)
        } else {
            length >= 4
                && mixed
                && word.bytes().any(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if spaces > 0 && secret {
            hide.push(start, start + length);
            at = start + length;
        }
    }
}
