//! Decides for names in lines of logs whether their values are secrets.

use std::{collections::HashSet, sync::LazyLock};

use super::super::{names_secret, words_of};

/// A set of words.
type Words = HashSet<&'static str>;

/// Returns the words of a text.
fn words(text: &'static str) -> Words {
    text.split(' ').collect()
}

/// The kind of value that a name has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The value is no secret.
    Plain,
    /// The value is a secret.
    Secret,
    /// The value may be a secret: `code`, `key`, `session` and `auth` also name other things.
    Maybe,
}

/// Names of secrets in logs, besides those of requests.
static NAMES: LazyLock<Words> = LazyLock::new(|| {
    words(
        "accesskey cred creds csrf cvc cvv dbpass encryptionkey jsessionid masterauth masterkey mnemonic \
         otp passkey phpsessid pin privatekey psk pw secretkey sessid sessionid sharedkey signingkey ssn \
         totp xsrf",
    )
});

/// Words that name secrets, but also other things.
static MAYBE: LazyLock<Words> = LazyLock::new(|| words("auth code key oauth session sid sig signature"));

/// Words with which `key` names a secret.
static OF_KEYS: LazyLock<Words> = LazyLock::new(|| {
    words("access account api encryption host license master private secret shared signing storage")
});

/// Words with which `key` names an identifier.
static KINDS_OF_KEYS: LazyLock<Words> = LazyLock::new(|| {
    words(
        "cache column foreign group idempotency index lookup map message object order partition primary \
         public record routing row sort",
    )
});

/// Words with which `code` names a number or an error.
static KINDS_OF_CODES: LazyLock<Words> = LazyLock::new(|| {
    words(
        "country currency err error exit fault grpc http language native op postal product reason \
         response result return ret sql status term vendor warning zip",
    )
});

/// Last words of names that have to do with secrets, but whose values are none: amounts, states, files and parts of programs.
static ABOUT: LazyLock<Words> = LazyLock::new(|| {
    words(
        "age attempt attempts bytes closed count counter created disabled duration enabled exists expired \
         expires expiry failed failure failures interval invalid length len lifetime limit max min \
         missing mode ms opened policy rate required requests retries reused seconds size state status \
         timeout total ttl type valid version address audience bucket domain field header host issuer \
         label method name names origin param port prefix realm region scheme source suffix uri url user \
         username c cc class conf config cpp crt cs dir erl ex file go h html java js json jsx kt log mjs \
         mount path pem php pub py rb rs scala scope service slice socket sql target timer toml ts tsx \
         xml yaml yml adapter backend bean broker client controller daemon endpoint error exception \
         factory filter gateway handler helper impl interceptor job listener manager middleware module \
         operator plugin pool processor provider proxy registry repository resolver sample scheduler \
         server servlet store task test utils util validator worker",
    )
});

/// Values that stand for no value.
static NOTHING: LazyLock<Words> = LazyLock::new(|| {
    words(
        "- -- disabled empty enabled false n/a nan nil no none null off ok on true undefined unset yes [] \
         {} () 0x0 <nil> <none> <null> (null) (none) %!s(<nil>)",
    )
});

/// Words about the state of a secret.
static STATES: LazyLock<Words> = LazyLock::new(|| {
    words(
        "a absent already an and are at authentication authorization been but by can cannot cant changed \
         closed connection contains could denied did do does doesn doesnt don dont entry error exceeded \
         expected expired failed failure field for format from generated grant has hash hashes have if in \
         incorrect into invalid is isn key length locked login malformed may method mismatch missing must \
         needed never new no not of on opened or pair policy policies prompt protected provided refused \
         rejected required reset reused revoked rotated rotation should strength that the timed timeout \
         to too type unable unauthorized unavailable unchanged unknown unset unsupported update updated \
         validation value verification was were will with without wrong you your",
    )
});

/// Returns the kind of value that a name has.
pub(super) fn class(name: &str) -> Class {
    let mut words = words_of(name);
    words.retain(|word| !word.is_empty());
    while words.len() > 1 && words.last().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
        words.pop();
    }
    let Some(last) = words.last().cloned() else { return Class::Plain };
    if ABOUT.contains(last.as_str()) {
        return Class::Plain;
    }
    let is = |word: &str| is_secret(word) || word.strip_suffix('s').is_some_and(is_secret);
    if words.iter().any(|word| is(word)) || is(&words.concat()) {
        return Class::Secret;
    }
    let may = |word: &String| {
        MAYBE.contains(word.as_str())
            || word.strip_suffix('s').is_some_and(|singular| MAYBE.contains(singular))
    };
    if !words.iter().any(may) {
        return Class::Plain;
    }
    let has = |set: &Words| words.iter().any(|word| set.contains(word.as_str()));
    if last.starts_with("key") {
        if has(&KINDS_OF_KEYS) {
            return Class::Plain;
        }
        if has(&OF_KEYS) {
            return Class::Secret;
        }
    }
    if last.starts_with("code") && has(&KINDS_OF_CODES) {
        return Class::Plain;
    }
    Class::Maybe
}

/// Whether a word alone names a secret.
fn is_secret(word: &str) -> bool {
    if MAYBE.contains(word) {
        return false;
    }
    let parts = ["passwor", "passwd", "passphrase", "passcode", "secret"];
    let ends = [
        "token",
        "apikey",
        "accesskey",
        "privatekey",
        "sessionid",
        "sessid",
        "csrftoken",
        "credential",
        "cookie",
    ];
    NAMES.contains(word)
        || parts.iter().any(|part| word.contains(part))
        || ends.iter().any(|end| word.ends_with(end))
        || (word.ends_with("pass") && !["bypass", "compass"].contains(&word))
        || names_secret(word)
}

/// A name, and the surroundings of its value.
pub(super) struct Place<'t> {
    pub(super) name: &'t str,
    pub(super) class: Class,
    /// Whether it is in a query, which consists of pairs only.
    pub(super) query: bool,
    /// Whether the value comes after a colon and a space, without quotation marks, so that it may be a sentence.
    pub(super) prose: bool,
    /// Whether the value comes immediately after a colon.
    pub(super) port: bool,
    /// Whether another word follows the value.
    pub(super) goes_on: bool,
}

/// Whether the beginning of a value shows that it is no secret.
pub(super) fn is_harmless(place: &Place<'_>, value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    // Parameters of an SQL statement, such as `$1`.
    let is_parameter = value
        .strip_prefix('$')
        .is_some_and(|number| number.len() <= 2 && number.bytes().all(|byte| byte.is_ascii_digit()));
    if NOTHING.contains(lower.as_str()) || is_parameter || value == "?" || value == "%s" {
        return true;
    }
    let name = place.name.rsplit('.').next().unwrap_or(place.name).to_ascii_lowercase();
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // The value of such a name is the number of tokens, of sessions or of keys.
    let many = ["tokens", "keys", "sessions", "cookies", "secrets", "credentials", "codes"];
    if digits && value.len() <= 9 && many.iter().any(|end| name.ends_with(end)) {
        return true;
    }
    let word = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_lowercase());
    let state = STATES.contains(value) || (place.goes_on && ["secret", "secrets"].contains(&value));
    if place.prose && word && state {
        return true;
    }
    if place.name == "PWD" && value.starts_with('/') {
        return true;
    }
    if name == "pass" && digits && value.len() <= 3 {
        return true;
    }
    if place.class != Class::Maybe {
        return false;
    }
    let short = digits && value.len() <= 5;
    if place.query {
        return short;
    }
    let sentence = place.prose && place.goes_on && value.bytes().all(|byte| byte.is_ascii_alphabetic());
    let before_path = value.split('/').next().unwrap_or_default();
    let port = place.port
        && !before_path.is_empty()
        && before_path.len() <= 5
        && before_path.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = if name.ends_with("code") || name.ends_with("codes") {
        short || is_code(value)
    } else if name.ends_with("key") || name.ends_with("keys") {
        digits && value.len() <= 9 || is_path_of_words(value) || value.starts_with('{')
    } else if name.ends_with("sig") {
        value.starts_with("SIG") || short
    } else {
        digits && value.len() <= 3
    };
    is_plain || sentence || port
}

/// Whether a text is a code of an error, such as `ER_LOCK_DEADLOCK`, `DeadlineExceeded`, `-111`, `42P01`.
fn is_code(value: &str) -> bool {
    let number = value.strip_prefix('-').unwrap_or(value);
    if !number.is_empty() && number.len() <= 5 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    if value
        .strip_prefix("0x")
        .is_some_and(|hex| hex.len() <= 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return true;
    }
    let mut parts = value.split(['_', '-', '.', '/', ':']);
    let joined = parts.clone().count() > 1;
    parts.all(|part| {
        let upper = part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let upper = upper && (joined || digits < part.len());
        (upper && (digits == 0 || part.len() <= 6 || (joined && digits <= 2)))
            || (letters && (part.bytes().all(|byte| byte.is_ascii_lowercase()) || is_in_words(part)))
    })
}

/// Whether a text consists of words that begin with capital letters, such as `DeadlineExceeded`.
fn is_in_words(text: &str) -> bool {
    let words = words_of(text);
    let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).collect();
    text.len() >= words.len() * 4 && words.iter().all(|word| word.len() >= 2)
}

/// Whether a text consists of words and numbers, such as `user:42:profile`.
fn is_path_of_words(value: &str) -> bool {
    let mut parts = value.split([':', '/', '.']);
    let plain = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_digit())
            || part.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(&byte))
    };
    value.contains([':', '/', '.']) && parts.all(plain)
        || (value.len() >= 3 && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
}

/// Whether a word after `password` may be a password: it is not short, and it does not belong to a sentence about a secret.
pub(super) fn may_be_one(word: &str) -> bool {
    let name = word.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-".contains(c));
    word.len() >= 4 && !(name.len() > 1 && name.starts_with(['=', ':'])) && !is_of_a_sentence(word)
}

/// Whether a word belongs to a sentence about a secret.
pub(super) fn is_of_a_sentence(word: &str) -> bool {
    let bare = word.trim_end_matches([',', '.', ':', ';', '!', '?', ')', '\'']);
    let lower = bare.to_ascii_lowercase();
    let letters = bare.bytes().all(|byte| byte.is_ascii_alphabetic() || b"'-".contains(&byte))
        && (bare == lower || bare[..1].to_ascii_uppercase() + &lower[1..] == bare);
    letters
        && (STATES.contains(lower.replace('\'', "").as_str())
            || (lower.len() > 5
                && ["ed", "ing", "tion", "sn't", "n't"].iter().any(|end| lower.ends_with(end))))
}
