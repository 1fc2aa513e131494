//! A small certificate authority for users who have none: certificates that name hosts and people.
//!
//! The authority is a directory of PEM files, and its owner. `ca.key` signs, and must not be copied anywhere. A key is overwritten only if
//! the caller asks for that (`renew`), and no key is ever printed.
//!
//! | file | goes to |
//! |---|---|
//! | `ca.pem` | every host and every person |
//! | `ca.key` | nowhere |
//! | `hosts/NAME.pem`, `hosts/NAME.key` | that host |
//! | `people/NAME.pem`, `people/NAME.key` | that person |
//! | `passkeys/NAME-SERIAL.pem` | that person, who gives it to the control room; there is no key |
//! | `crl.pem` | every host, once something was revoked; read again by agents when it changes |
//! | `index.jsonl` | nowhere; what was issued and revoked, one record a line |

mod authority;
mod ca_cert;
mod enrol;
mod files;
mod index;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use firedrill_wire::identity::{IdentityError, Role};

pub use authority::Pki;
pub use index::{Entry, Kind};

/// An error of the authority.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The file exists already.
    #[error("{} is there already; {hint}", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// The action to take.
        hint: &'static str,
    },
    /// There is no authority.
    #[error("{} has no authority ({} is not there); `firedrill pki init` makes one", dir.display(), missing.display())]
    NoAuthority {
        /// The directory.
        dir: PathBuf,
        /// The missing file.
        missing: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// The failed operation.
        what: &'static str,
        /// Its file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The name is invalid in a certificate.
    #[error(transparent)]
    Name(#[from] IdentityError),
    /// The name is no DNS name, so TLS could not verify it.
    #[error("`{0}` is not a DNS name; hosts are checked by it, so use letters, digits, `-` and `.`")]
    NotDns(String),
    /// No certificate can be made of the authority's files or the request.
    #[error("cannot make {what}")]
    Make {
        /// The certificate.
        what: String,
        /// The reason.
        source: rcgen::Error,
    },
    /// The key does not belong to the certificate, so its signatures would be rejected.
    #[error(
        "{} and {} do not belong together: the key is not that of {}; put the pair that `firedrill pki init` made \
         there again",
        key.display(), ca.display(), whose(authorities)
    )]
    Pair {
        /// The authority's certificate.
        ca: PathBuf,
        /// The key.
        key: PathBuf,
        /// The names of all certificates in the file.
        authorities: Vec<String>,
    },
    /// A record cannot be read.
    #[error("{}, line {line}: {why}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The error.
        why: String,
    },
    /// There is no certificate of that name to revoke.
    #[error(
        "there is no certificate of {kind} {name} that is not revoked; `firedrill pki list` shows those there are"
    )]
    Unknown {
        /// Host, person or passkey.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// The file is not that of a passkey that can be enrolled.
    #[error("{} cannot be enrolled: {why}; the page Passkeys of the control room has that file", path.display())]
    Passkey {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// Neither the variable nor a home directory is set.
    #[error("there is no home directory; set FIREDRILL_PKI to the directory of the certificates")]
    NoHome,
}

/// Names the certificates of a file, for the error that none of them belongs to the key.
fn whose(authorities: &[String]) -> String {
    match authorities {
        [only] => format!("\"{only}\""),
        several => {
            format!("any of the {} certificates there (\"{}\")", several.len(), several.join("\", \""))
        }
    }
}

/// The validity of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: SystemTime,
    /// Not after.
    pub until: SystemTime,
}

impl Validity {
    /// Returns a validity of `days` days from now. It begins ten minutes ago, because clocks differ.
    #[must_use]
    pub fn days(days: u32) -> Self {
        let now = SystemTime::now();
        Self {
            from: now - Duration::from_secs(600),
            until: now + Duration::from_secs(u64::from(days) * 86_400),
        }
    }
}

/// The request for a certificate of a host's agent.
#[derive(Clone, Debug)]
pub struct HostAsk {
    /// The host's name in the fleet; coordinators check it.
    pub name: String,
    /// Further DNS names.
    pub dns: Vec<String>,
    /// Addresses, for clients other than Firedrill.
    pub addresses: Vec<IpAddr>,
    /// Its validity.
    pub valid: Validity,
    /// Whether to replace an existing one, with a new key.
    pub renew: bool,
}

impl HostAsk {
    /// Requests a certificate for a host, valid for `days` days, without further names.
    #[must_use]
    pub fn new(name: &str, days: u32) -> Self {
        let valid = Validity::days(days);
        Self { name: name.to_owned(), dns: Vec::new(), addresses: Vec::new(), valid, renew: false }
    }
}

/// The request for a person's certificate.
#[derive(Clone, Debug)]
pub struct PersonAsk {
    /// The person's name.
    pub name: String,
    /// The person's role.
    pub role: Role,
    /// The person's team.
    pub team: Option<String>,
    /// Environments that the certificate is valid for; empty means all.
    pub environments: Vec<String>,
    /// Its validity.
    pub valid: Validity,
    /// Whether to replace an existing one, with a new key.
    pub renew: bool,
}

impl PersonAsk {
    /// Requests a certificate for a person, valid for `days` days in all environments.
    #[must_use]
    pub fn new(name: &str, role: Role, days: u32) -> Self {
        let valid = Validity::days(days);
        Self { name: name.to_owned(), role, team: None, environments: Vec::new(), valid, renew: false }
    }
}

/// The request for a certificate over a person's passkey.
#[derive(Clone, Debug)]
pub struct PasskeyAsk {
    /// The person's name.
    pub name: String,
    /// Environments whose plans the passkey may approve; empty means all.
    pub environments: Vec<String>,
    /// The passkey's public key, a `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
    /// Its validity.
    pub valid: Validity,
}

/// The files of a new certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key, readable only by its owner.
    pub key: PathBuf,
    /// The end of its validity.
    pub until: SystemTime,
}

/// Returns the default directory of certificates: `$FIREDRILL_PKI`, otherwise `firedrill/pki` in `$XDG_CONFIG_HOME` or `~/.config`.
///
/// # Errors
/// There is neither that variable nor a home directory.
pub fn default_dir() -> Result<PathBuf, PkiError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = set("FIREDRILL_PKI") {
        return Ok(dir);
    }
    let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    config.map(|dir| dir.join("firedrill/pki")).ok_or(PkiError::NoHome)
}

/// Returns the path of the authority's certificate in the directory.
#[must_use]
pub fn ca_file(dir: &Path) -> PathBuf {
    dir.join("ca.pem")
}

/// Returns the path of the revocation list in the directory. It exists only after the first revocation.
#[must_use]
pub fn crl_file(dir: &Path) -> PathBuf {
    dir.join("crl.pem")
}
