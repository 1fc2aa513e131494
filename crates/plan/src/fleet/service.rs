//! Services in a fleet: the programs that a lab runs on its hosts. Only a lab uses them, because the programs of real hosts are
//! there already.

use std::{collections::BTreeMap, num::NonZeroU16};

use firedrill_wire::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program that a lab runs on the host, under supervision. Only `firedrill lab up` uses it; on a real host nothing is started or
/// changed because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceFile {
    /// Its name, unique on the host; faults and `firedrill lab log` use it.
    pub name: String,
    /// The program and its arguments. The program is one of the machine's; a name without `/` is searched in the directories of
    /// programs (`/usr/bin` and so on). It must stay in the foreground.
    pub argv: Vec<String>,
    /// Environment, in addition to `PATH` and `HOME`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The user as whom it runs: a name in `/etc/passwd`, or `UID:GID`. For programs that refuse to run as root. Default: the
    /// host's root.
    #[serde(default)]
    pub user: Option<String>,
    /// Files that the host has from its first boot on.
    #[serde(default)]
    pub file: Vec<GivenFile>,
    /// The check that tells when it is ready. Default: it is ready when it was started.
    #[serde(default)]
    pub ready: Option<ReadyFile>,
    /// The way to stop it.
    #[serde(default)]
    pub stop: StopFile,
}

/// A file that the host has from its first boot on. What the host changes in it survives reboots of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenFile {
    /// Its path on the host, below `/etc` or `/var`.
    pub path: String,
    /// Its text. Either this or `source` is needed.
    #[serde(default)]
    pub content: Option<String>,
    /// A file of this machine with its text; a path that is not absolute begins at the folder of the fleet's file.
    #[serde(default)]
    pub source: Option<String>,
    /// Its permission bits, in octal digits.
    #[serde(default = "GivenFile::usual_mode")]
    pub mode: String,
}

impl GivenFile {
    fn usual_mode() -> String {
        "0644".to_owned()
    }

    /// Returns the permission bits; `None` if `mode` is invalid.
    #[must_use]
    pub fn bits(&self) -> Option<u32> {
        let digits = !self.mode.is_empty() && self.mode.bytes().all(|byte| byte.is_ascii_digit());
        u32::from_str_radix(&self.mode, 8).ok().filter(|bits| digits && *bits <= 0o7777)
    }
}

/// The check that tells when a service is ready: exactly one of `tcp`, `http` and `argv`. It is repeated from the start of the
/// service on until it holds once; later it is not asked again before the next start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadyFile {
    /// Something on the host listens on this TCP port.
    #[serde(default)]
    pub tcp: Option<NonZeroU16>,
    /// A GET request to this URL (`http://`, from the host itself) is answered with status 200.
    #[serde(default)]
    pub http: Option<String>,
    /// This command exits with code 0. It runs on the host, as the service's user and with its environment.
    #[serde(default)]
    pub argv: Option<Vec<String>>,
    /// Maximum time from the start until it is ready, at most ten minutes. `lab up` fails after it.
    #[serde(default = "ReadyFile::usual_time")]
    pub within: Span,
}

impl ReadyFile {
    /// Maximum of `within`.
    pub(super) const LONGEST: Span = Span::secs(600);

    const fn usual_time() -> Span {
        Span::secs(20)
    }
}

/// The way to stop a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopFile {
    /// The signal that asks it to end.
    #[serde(default)]
    pub signal: StopSignal,
    /// Time after which it is killed if it has not ended, at most ten minutes. Default: it is never killed, as with runit.
    #[serde(default)]
    pub patience: Option<Span>,
}

/// A signal that asks a program to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    /// The usual request to end.
    #[default]
    Term,
    /// As from a terminal's Ctrl-C; PostgreSQL's fast shutdown.
    Int,
    /// nginx's graceful shutdown; other programs quit with a core file.
    Quit,
    /// A lost terminal.
    Hup,
    /// The first signal that programs define themselves; HAProxy's soft stop.
    Usr1,
    /// The second signal that programs define themselves.
    Usr2,
    /// A changed window; Apache's graceful stop.
    Winch,
    /// At once, without a chance to clean up.
    Kill,
}

impl StopSignal {
    /// Returns the name with `SIG`, as in `SIGTERM`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Hup => "SIGHUP",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
            Self::Winch => "SIGWINCH",
            Self::Kill => "SIGKILL",
        }
    }
}

/// The user of a service, as a fleet names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceUser<'t> {
    /// A name in `/etc/passwd`.
    Name(&'t str),
    /// Numbers.
    Ids {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
}

impl<'t> ServiceUser<'t> {
    /// Parses `NAME` or `UID:GID`; `None` if it is neither.
    #[must_use]
    pub fn parse(text: &'t str) -> Option<Self> {
        if let Some((uid, gid)) = text.split_once(':') {
            let id = |text: &str| text.parse::<u32>().ok().filter(|id| *id < u32::MAX);
            return Some(Self::Ids { uid: id(uid)?, gid: id(gid)? });
        }
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (begins && text.chars().all(is_allowed)).then_some(Self::Name(text))
    }
}

/// Splits `http://HOST:PORT/PATH` into `HOST:PORT` and the path with its query; `None` if it is not such a URL.
#[must_use]
pub fn http_parts(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let cut = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(cut);
    let bad = |c: char| c.is_whitespace() || c == '#';
    if authority.is_empty() || authority.contains('@') || rest.contains(bad) {
        return None;
    }
    let after_address = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    let address = match after_address.rsplit_once(':') {
        Some((_, port)) => {
            port.parse::<NonZeroU16>().ok()?;
            authority.to_owned()
        }
        None => format!("{authority}:80"),
    };
    (!address.starts_with(':'))
        .then(|| (address, if path.is_empty() { "/".to_owned() } else { path.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_names_or_numbers() {
        assert_eq!(ServiceUser::parse("postgres"), Some(ServiceUser::Name("postgres")));
        assert_eq!(ServiceUser::parse("101:104"), Some(ServiceUser::Ids { uid: 101, gid: 104 }));
        for bad in ["", "101", "a b", "101:", ":1", "-a", "4294967295:1", "a:b"] {
            assert_eq!(ServiceUser::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn urls_of_checks_are_split() {
        let parts = |url| http_parts(url).map(|(at, path)| format!("{at} {path}"));
        assert_eq!(
            parts("http://127.0.0.1:9090/-/ready?a=b").as_deref(),
            Some("127.0.0.1:9090 /-/ready?a=b")
        );
        assert_eq!(parts("http://localhost").as_deref(), Some("localhost:80 /"));
        assert_eq!(parts("http://[::1]:80/x").as_deref(), Some("[::1]:80 /x"));
        assert_eq!(parts("http://[::1]").as_deref(), Some("[::1]:80 /"));
        for bad in [
            "",
            "https://a/",
            "http://",
            "http:///x",
            "http://a:0/",
            "http://a:b/",
            "http://u@a/",
            "http://a/ b",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn modes_are_octal_digits() {
        let bits = |mode: &str| GivenFile { mode: mode.to_owned(), ..GivenFile::default() }.bits();
        assert_eq!((bits("0640"), bits("755")), (Some(0o640), Some(0o755)));
        for bad in ["", "+644", "8", "0o644", "17777"] {
            assert_eq!(bits(bad), None, "{bad}");
        }
    }
}
