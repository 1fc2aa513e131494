//! Names without a sign before their values: options, and words of a sentence.

use super::{NOT_ENCODED, Pairs, ends_with_word, is_space};
use crate::hide::{
    argv::names_file,
    line::names::{Class, class, is_of_a_sentence, may_be_one},
    value::QUOTES,
};

/// Values of options that are no secrets.
const NO_VALUES: [&str; 8] = ["yes", "no", "true", "false", "on", "off", "none", "***"];

impl Pairs<'_, '_> {
    /// Takes a name without a sign after it: an option, or a word of a sentence. Returns the place at which reading continues.
    pub(super) fn without_sign(&mut self, start: usize, end: usize) -> usize {
        let bytes = &self.text.bytes;
        let dashes = bytes[..start].iter().rev().take(3).take_while(|byte| **byte == b'-').count();
        let begins = start == dashes
            || is_space(bytes[start - dashes - 1])
            || b"\"'`[(,".contains(&bytes[start - dashes - 1]);
        // An option and its value may also be in quotation marks, as two words.
        let marks = bytes[end..].iter().take_while(|byte| b"\"',\\".contains(byte)).count();
        let spaces = bytes[end + marks..].iter().take_while(|byte| is_space(**byte)).count();
        let to = end + marks + spaces;
        let name = self.str(start, end);
        if (1..=2).contains(&dashes) && begins && (spaces > 0 || marks > 2) {
            return self.option(name, to).unwrap_or(end);
        }
        // `password......."x"`
        if name.ends_with("...") && spaces == 0 && class(name) == Class::Secret {
            return self.value(end, NOT_ENCODED).max(end);
        }
        if spaces == 0 || dashes > 0 {
            return end;
        }
        if marks > 0 {
            // `"AUTH" "hunter2"`, as Redis shows commands.
            let redis = name.eq_ignore_ascii_case("auth")
                && start > 0
                && bytes[start - 1] == b'"'
                && bytes.get(to) == Some(&b'"');
            self.quoted &= !redis;
            return if redis { self.rest(to) } else { end };
        }
        self.word(name, end, to)
    }

    /// Hides the value of an option. Returns the place at which reading continues; `None` if the value is no secret.
    pub(super) fn option(&mut self, name: &str, to: usize) -> Option<usize> {
        let bytes = &self.text.bytes;
        let first = *bytes.get(to)?;
        let user = ["u", "user", "proxy-user"].contains(&name);
        let (from, until) = self.look(to);
        let value = self.str(to + from, to + until);
        if user {
            return value.contains(':').then(|| self.value(to, NOT_ENCODED));
        }
        let file = b"/~.".contains(&first) && names_file(name);
        let option = (from == 0 && is_option(value)) || file || NO_VALUES.contains(&value);
        (class(name) != Class::Plain && !option).then(|| self.value(to, NOT_ENCODED))
    }

    /// Takes a word and the value that follows it in a sentence: `the password is hunter2`, `password set to hunter2`. Returns the place at
    /// which reading continues.
    pub(super) fn word(&mut self, name: &str, end: usize, mut to: usize) -> usize {
        let bytes = &self.text.bytes;
        let lower = name.to_ascii_lowercase();
        let last = lower.rsplit(['_', '-', '.']).next().unwrap_or(&lower);
        let is_password =
            ["password", "passwd", "passphrase", "passcode", "passwort", "pwd", "requirepass", "masterauth"]
                .contains(&last)
                || (name == "PASS"
                    && (bytes[..end - 4].ends_with(b"> ") || bytes[..end - 4].ends_with(b"\"")));
        let sql = last == "by" && says_identified(&bytes[..end - name.len()]);
        let is_token = ["token", "secret", "credential", "credentials", "otp", "pin"].contains(&last)
            || (last == "key" && ends_with_word(&bytes[..end - name.len()], b"api"));
        if !(is_password || is_token || sql) {
            return end;
        }
        let mut linked = false;
        for _ in 0..4 {
            let (from, until) = self.look(to);
            let next = self.str(to + from, to + until).to_ascii_lowercase();
            let links = ["for", "is", "was", "set", "changed", "reset", "to", "are", "value", "="];
            let space = bytes.get(to + until).is_some_and(|byte| is_space(*byte));
            if from > 0 || !space || !links.contains(&next.as_str()) {
                break;
            }
            linked |= ["is", "was", "to", "are"].contains(&next.as_str());
            to += until + bytes[to + until..].iter().take_while(|byte| is_space(**byte)).count();
            if next == "for" {
                // The owner of the secret: `password for bob is …`.
                let owner = bytes[to..].iter().take_while(|byte| !is_space(**byte)).count();
                let then =
                    to + owner + bytes[to + owner..].iter().take_while(|byte| is_space(**byte)).count();
                let (_, until) = self.look(then);
                if !["is", "was", "set", "changed"].contains(&self.str(then, then + until)) {
                    return end;
                }
                to = then;
            }
        }
        let marked = bytes.get(to).is_some_and(|byte| QUOTES.contains(byte));
        let (from, until) = self.look(to);
        let next = self.str(to + from, to + until);
        if next.is_empty()
            || next.starts_with(['<', '>', '-', '=', ':', '|', '('])
            || bytes.get(to + until) == Some(&b'=')
        {
            return end;
        }
        let digits = next.bytes().any(|byte| byte.is_ascii_digit());
        let letters = next.bytes().any(|byte| byte.is_ascii_alphabetic());
        let hides = match () {
            () if sql => marked,
            () if is_password && linked => marked || !is_of_a_sentence(next),
            () if is_password => may_be_one(next) || (marked && bytes[to] != b'`' && !is_of_a_sentence(next)),
            () if linked => marked || (digits && next.len() >= 4),
            () => digits && letters && next.len() >= 8 && !next.contains([':', '=', '/', '(']),
        };
        if hides { self.value(to, NOT_ENCODED) } else { end }
    }
}

/// Whether `IDENTIFIED` of SQL comes shortly before the end of a text.
fn says_identified(text: &[u8]) -> bool {
    const WORD: &[u8] = b"identified";
    /// Number of bytes before the end that are searched.
    const NEAR: usize = 60;
    let near = &text[text.len().saturating_sub(NEAR)..];
    near.windows(WORD.len()).any(|part| part.eq_ignore_ascii_case(WORD))
}

/// Whether a word is another option, such as `--user=a`.
fn is_option(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word).trim_start_matches('-');
    word.starts_with('-')
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
