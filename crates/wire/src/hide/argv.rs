//! Hides secrets in the words of a command, such as a fleet's `connect`, for people. The command that is run is not changed.
//!
//! A word may contain a whole command (`sh -c "…"`, `ProxyCommand=…`), so words are read piece by piece, split at
//! blanks. Hiding a second time changes nothing, even if the words are joined in between. So a plan that was written and read has the same
//! digest.

use super::{HIDDEN, begins_like_a_token, names_secret, url, words_of};

/// Quotation marks of a shell.
const QUOTES: [char; 2] = ['\'', '"'];

/// Values of options that are no secrets, such as `StrictHostKeyChecking=accept-new` of ssh.
const CHOICES: [&str; 5] = ["yes", "no", "ask", "accept-new", "off"];

/// Returns the words of a command without those that are most likely secrets: the values of `--token X`, `--token=X`, `TOKEN=X` and
/// `X-Api-Key: X`, passwords of `sshpass` and `curl`, users and queries of URLs, and tokens of well-known services. A path is shown only if
/// the option's name means a key or another file: the path of a key file is no secret.
#[must_use]
pub fn argv(words: &[String]) -> Vec<String> {
    let mut reader = Reader::default();
    words.iter().map(|word| reader.word(word)).collect()
}

/// Reads a command from left to right.
#[derive(Default)]
struct Reader {
    next: Next,
    program: Program,
}

/// The meaning of the next piece.
#[derive(Clone, Copy, Default, PartialEq)]
enum Next {
    #[default]
    Any,
    /// The value of an option that is named like a secret, unless it is another option, or a path where `file` is set.
    Value { file: bool },
    /// A secret, whatever its form.
    Secret,
    /// The harmless value of an option.
    Harmless,
}

/// A program whose options are known.
#[derive(Clone, Copy, Default, PartialEq)]
enum Program {
    #[default]
    Other,
    Sshpass,
    Curl,
}

/// The rest of a word after a piece.
enum Rest {
    /// It is read piece by piece.
    Read,
    /// It is part of a hidden text up to this quote, or up to the end of the word.
    Hidden(Option<char>),
    /// It is the value of a header, up to the quote or the end of the word.
    Header(Option<char>),
}

impl Reader {
    /// Returns a word without secrets.
    fn word(&mut self, word: &str) -> String {
        if self.next.hides(word) || begins_like_a_token(word) {
            self.next = Next::Any;
            return HIDDEN.to_owned();
        }
        let mut shown = Vec::new();
        let mut rest = Rest::Read;
        for piece in word.split(' ') {
            match rest {
                Rest::Hidden(quote) => {
                    if quote.is_some_and(|quote| piece.contains(quote)) {
                        rest = Rest::Read;
                    }
                }
                Rest::Header(quote) if !piece.is_empty() => {
                    let over = piece.trim_end_matches(QUOTES) == HIDDEN
                        || quote.is_some_and(|quote| piece.contains(quote));
                    rest = if over { Rest::Read } else { Rest::Hidden(quote) };
                    shown.push(HIDDEN.to_owned());
                }
                _ if piece.is_empty() => shown.push(String::new()),
                _ => {
                    let (piece, then) = self.piece(piece);
                    shown.push(piece);
                    rest = then;
                }
            }
        }
        if matches!(rest, Rest::Header(_)) {
            self.next = Next::Secret;
        }
        shown.join(" ")
    }

    /// Returns a piece without secrets, and the meaning of the rest of its word.
    fn piece(&mut self, piece: &str) -> (String, Rest) {
        let next = std::mem::take(&mut self.next);
        if next.hides(piece) {
            return hidden("", piece);
        }
        let quoted = piece.len() - piece.trim_start_matches(QUOTES).len();
        let bare = &piece[quoted..];
        if let Some(length) = self.option(bare, next) {
            let (option, value) = piece.split_at(quoted + length);
            if value.is_empty() {
                self.next = Next::Secret;
                return (piece.to_owned(), Rest::Read);
            }
            return hidden(option, value);
        }
        if let Some(header) = piece.strip_suffix(':')
            && is_secret(header)
        {
            return (piece.to_owned(), Rest::Header(piece.chars().next().filter(|c| QUOTES.contains(c))));
        }
        // Some programs have options such as `-token X`.
        if let Some(name) = bare.strip_prefix('-')
            && name.len() > 1
            && !name.contains('=')
            && is_secret(name)
        {
            self.next = Next::Value { file: names_file(name) };
        }
        hide_piece(piece)
    }

    /// Returns the length of an option whose value is the password of a known program; `None` for anything else. The value may follow in
    /// the same piece.
    fn option(&mut self, piece: &str, now: Next) -> Option<usize> {
        match self.program {
            Program::Sshpass if piece.starts_with("-p") => {
                // Options after the password are those of the command.
                self.program = Program::Other;
                return Some(2);
            }
            Program::Sshpass if ["-P", "-f", "-d"].contains(&piece) => self.next = Next::Harmless,
            Program::Sshpass if !piece.starts_with('-') && now != Next::Harmless => {
                self.program = Program::Other;
            }
            Program::Curl => {
                if let Some(length) = user_option(piece) {
                    return Some(length);
                }
            }
            _ => {}
        }
        match piece.rsplit(['/', '=']).next().map(|name| name.trim_matches(QUOTES)) {
            Some("sshpass") => self.program = Program::Sshpass,
            Some("curl") => self.program = Program::Curl,
            _ => {}
        }
        None
    }
}

impl Next {
    /// Whether a piece with this meaning is hidden.
    fn hides(self, text: &str) -> bool {
        match self {
            Self::Any | Self::Harmless => false,
            Self::Value { file } => !(text.starts_with('-') || (file && is_path(text))),
            Self::Secret => true,
        }
    }
}

/// Hides a value. A value that begins with a quote ends at the next quote.
fn hidden(before: &str, value: &str) -> (String, Rest) {
    let open = value.chars().next().filter(|c| QUOTES.contains(c));
    let rest = match open {
        Some(quote) if value.len() == 1 || !value.ends_with(quote) => Rest::Hidden(open),
        _ => Rest::Read,
    };
    (format!("{before}{HIDDEN}"), rest)
}

/// Returns a piece without secrets that the piece alone shows: tokens, pairs with `=` and URLs.
fn hide_piece(piece: &str) -> (String, Rest) {
    if begins_like_a_token(piece.trim_start_matches(QUOTES)) {
        return hidden("", piece);
    }
    for (at, _) in piece.match_indices('=') {
        let (before, value) = (&piece[..at], &piece[at + 1..]);
        if before.contains("://") {
            break;
        }
        let name = before.rsplit([',', ';', '&', '=']).next().unwrap_or(before);
        let file = is_path(value) && names_file(name);
        let choice = CHOICES.contains(&value.trim_matches(QUOTES));
        if (is_secret(name) && !file && !choice) || begins_like_a_token(value.trim_start_matches(QUOTES)) {
            return hidden(&piece[..=at], value);
        }
    }
    let Some(place) = piece.find("://") else { return (piece.to_owned(), Rest::Read) };
    let scheme = piece[..place].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    // The character before the scheme may have several bytes.
    let scheme = (scheme..=place).find(|at| piece.is_char_boundary(*at)).unwrap_or(place);
    (format!("{}{}", &piece[..scheme], url(&piece[scheme..])), Rest::Read)
}

/// Returns the length of an option of curl that takes a user with a password: `--user`, `-u`, `-sSu`.
fn user_option(piece: &str) -> Option<usize> {
    for long in ["--user", "--proxy-user"] {
        match piece.strip_prefix(long) {
            Some("") => return Some(long.len()),
            Some(rest) if rest.starts_with('=') => return Some(long.len() + 1),
            _ => {}
        }
    }
    let letters = piece.strip_prefix('-')?;
    let user = letters.find(['u', 'U'])?;
    // Letters of options without a value.
    letters[..user].chars().all(|c| "sSfLkvgiIN#46jaO".contains(c)).then_some(user + 2)
}

/// Whether the value of an option, a variable or a header of that name is a secret.
fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    names_secret(name) || ["auth", "sshpass"].iter().any(|end| lower.ends_with(end))
}

/// Whether the value of that name may be a file: `--key`, `--token-file`, but not `--token` or `--api-key`.
pub(super) fn names_file(name: &str) -> bool {
    const FILES: [&str; 12] = [
        "file",
        "path",
        "dir",
        "cert",
        "certificate",
        "pem",
        "identity",
        "keyfile",
        "certfile",
        "sock",
        "socket",
        "jar",
    ];
    let words = words_of(name);
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let key_only = has("key")
        && !["api", "access", "account"].into_iter().any(has)
        && !words.iter().any(|word| word != "key" && names_secret(word));
    key_only || FILES.into_iter().any(has)
}

/// Whether a word begins like a path.
fn is_path(word: &str) -> bool {
    word.starts_with(['/', '~', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &str) -> String {
        let words: Vec<String> = command.split('|').map(str::to_owned).collect();
        argv(&words).join("|")
    }

    #[test]
    fn secrets_in_commands_are_hidden() {
        for (command, expected) in [
            ("tsh|--token|abc|ssh|%h", "tsh|--token|***|ssh|%h"),
            ("tsh|--token=abc|ssh", "tsh|--token=***|ssh"),
            ("env|VAULT_TOKEN=abc|nc|%h|%p", "env|VAULT_TOKEN=***|nc|%h|%p"),
            ("curl|-H|X-Api-Key: abc", "curl|-H|X-Api-Key: ***"),
            ("wstunnel|wss://me:pw@edge/?key=abc", "wstunnel|wss://***@edge/?key=***"),
            ("relay|--to=https://me:pw@edge", "relay|--to=https://***@edge"),
            ("relay|é://a:b@c", "relay|é://***@c"),
            ("relay|ghp_0123456789abcdef", "relay|***"),
            ("relay|--password=nothing", "relay|--password=***"),
            ("sshpass|-p|pw|ssh|-p|22|-W|%h:%p|b", "sshpass|-p|***|ssh|-p|22|-W|%h:%p|b"),
            ("/usr/bin/sshpass|-ppw|ssh|b", "/usr/bin/sshpass|-p***|ssh|b"),
            ("sshpass|-P|word|-p|-pw|ssh|b", "sshpass|-P|word|-p|***|ssh|b"),
            ("env|SSHPASS=pw|sshpass|-e|ssh|b", "env|SSHPASS=***|sshpass|-e|ssh|b"),
            ("curl|-u|me:pw|https://h", "curl|-u|***|https://h"),
            ("curl|-sSume:pw|--proxy-user|me:pw", "curl|-sSu***|--proxy-user|***"),
            ("curl|--user=me:pw|-o|/tmp/out", "curl|--user=***|-o|/tmp/out"),
            ("ssh|-oProxyCommand=sshpass -p x nc|b", "ssh|-oProxyCommand=sshpass -p *** nc|b"),
            ("sh|-c|relay --token abc --to %h", "sh|-c|relay --token *** --to %h"),
            ("sh|-c|relay --token 'a b' --to %h", "sh|-c|relay --token *** --to %h"),
            ("sh|-c|TOKEN=\"a b\" relay %h", "sh|-c|TOKEN=*** relay %h"),
            ("sh|-c|curl -H 'X-Api-Key: a b' h", "sh|-c|curl -H 'X-Api-Key: *** h"),
            ("sh|-c|curl -u me:pw h|--key|/k", "sh|-c|curl -u *** h|--key|/k"),
            ("sh|-c|relay --token|abc", "sh|-c|relay --token|***"),
            ("curl|-H|X-Api-Key: a b c|h", "curl|-H|X-Api-Key: ***|h"),
            ("relay|-token|abc|--password|a b", "relay|-token|***|--password|***"),
            ("relay|--token|/abc|--password=~abc", "relay|--token|***|--password=***"),
            ("relay|--secret|.abc|API_KEY=/abc", "relay|--secret|***|API_KEY=***"),
            ("relay|--key-pass|/abc", "relay|--key-pass|***"),
            ("socat|-|PROXY:p:%h:%p,proxyauth=me:pw", "socat|-|PROXY:p:%h:%p,proxyauth=***"),
        ] {
            assert_eq!(shown(command), expected);
        }
    }

    #[test]
    fn all_other_words_are_shown() {
        for command in [
            "ssh|-o|BatchMode=yes|-i|/root/.ssh/id|-W|%h:%p|me@bastion",
            "ssh|-o|ProxyCommand=nc -x proxy %h %p|bastion",
            "ssh|-o|StrictHostKeyChecking=accept-new|-oPasswordAuthentication=no|bastion",
            "relay|--key|/etc/key.pem|--key=~/key.pem",
            "relay|--token-file|/etc/token|--password-file=./pw|--private-key|~/k|TLS_KEY=/k",
            "env|SSH_AUTH_SOCK=/run/agent.sock|ssh|-p|22|-u|a:b",
            "sshpass|-f|/etc/pw|ssh|-p|22|b",
            "sshpass|-e|ssh|-p|22|b",
            "sh|-c|exec  nc %h %p",
            "docker|exec|-u|0:0|relay",
            "aws|ssm|start-session|--target|i-0123456789abcdef0",
            "relay|--token|--verbose",
            "socat|-|TCP6:[fd00::1]:7070",
        ] {
            assert_eq!(shown(command), command);
        }
    }

    #[test]
    fn hiding_twice_changes_nothing() {
        const PIECES: [&str; 20] = [
            "sshpass",
            "-p",
            "-P",
            "curl",
            "-u",
            "-sSu",
            "--user=a:b",
            "--token",
            "--key",
            "-token",
            "/abc",
            "abc",
            "X-Api-Key:",
            "'X-Api-Key:",
            "'a",
            "b'",
            "TOKEN=\"c",
            "--verbose",
            "https://a:b@c/?d=e",
            "",
        ];
        // All commands of three pieces, in two or three words.
        for number in 0..PIECES.len().pow(3) {
            let piece = |place: u32| PIECES[number / PIECES.len().pow(place) % PIECES.len()];
            let pieces = [piece(0), piece(1), piece(2)];
            for words in [
                vec![pieces[0].to_owned(), pieces[1..].join(" ")],
                vec![pieces[..2].join(" "), pieces[2..].join(" ")],
                pieces.map(str::to_owned).to_vec(),
            ] {
                let once = argv(&words);
                assert_eq!(argv(&once), once, "{words:?}");
                let text = once.join(" ");
                assert_eq!(argv(std::slice::from_ref(&text)), [text.as_str()], "{words:?}");
            }
        }
    }
}
