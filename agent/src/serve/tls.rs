//! The agent's own certificate and the authorities that it trusts, read from files and read again when these change.
//!
//! Unusable files never replace usable ones. The authorities and revocation lists are one part, the agent's own certificate and key
//! the other. A valid part is used although the other part has an error: a revocation does not wait for a
//! valid certificate, nor a renewed certificate for a valid revocation list.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use firedrill_certs::{PemError, private_key, revocation_lists};
use firedrill_wire::identity::{Identity, IdentityError};
use ring::digest::{Context, Digest, SHA256};
use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, VerifierBuilderError},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;

use super::verify::{Verifier, uris};
use crate::{active, mutex::lock};

/// The default name of the revocation list, as `firedrill pki` names it.
pub(crate) const CRL_FILE: &str = "crl.pem";

/// The files are not usable for a server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file lacks something.
    #[error("{} has no {wanted} in PEM: {why}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The item that is missing.
        wanted: &'static str,
        /// The problem.
        why: String,
    },
    /// The authority's certificate cannot be used.
    #[error("{} cannot be used as an authority", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
    /// The authority or its revocation list cannot be used.
    #[error("{} or its revocation list cannot be used", path.display())]
    Verifier {
        /// The authority's file.
        path: PathBuf,
        /// The reason.
        source: VerifierBuilderError,
    },
    /// Certificate and key cannot be used together.
    #[error("{} and {} do not belong together or cannot be used", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
    /// The certificate names no host.
    #[error("{} is not the certificate of a host: {why}; `firedrill pki issue host NAME` makes one", path.display())]
    NoHost {
        /// The certificate's file.
        path: PathBuf,
        /// The names that it has instead.
        why: String,
    },
    /// TLS 1.3 is not available.
    #[error("TLS 1.3 cannot be used")]
    Version(#[source] rustls::Error),
}

impl TlsError {
    /// Returns the error with its causes, in one line.
    pub(crate) fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }
}

/// The server's TLS. Cheap to clone; all clones see a reload.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Files,
    loaded: ArcSwap<Loaded>,
    /// The files as they were last read; locked while they are read.
    stamps: Mutex<Known>,
    /// The number of changes of authorities and revocations since the start.
    changes: watch::Sender<u64>,
}

/// Identifies a version of a file: device, inode, size, and time of the inode's last change (seconds, nanoseconds). `None` if the file
/// does not exist or cannot be examined.
type Stamp = Option<(u64, u64, u64, i64, i64)>;
/// The stamps in the order of [`Files::all`].
type Stamps = [Stamp; 4];

/// The stamps of the files at earlier reads.
#[derive(Debug, Default)]
struct Known {
    /// Their stamps when all of them were last read, whether their content was valid or not.
    read: Stamps,
    /// Their stamps when an error in them was last logged; `None` since they were last valid.
    complained: Option<Stamps>,
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    crl: PathBuf,
    /// Whether a revocation list was configured or has existed. Then a missing list is an error, and no new authorities are trusted.
    crl_needed: AtomicBool,
}

/// The configuration built from the files at one time.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    pub(super) trust: Trust,
    own: Arc<Own>,
}

/// The authorities and revocation lists, as they were read.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) verifier: Arc<Verifier>,
    /// The digest of the files from which the verifier was built.
    digest: Digest,
}

/// The agent's own certificate, with its intermediates, and its key.
#[derive(Debug)]
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    host: String,
}

impl Tls {
    /// Reads PEM files: the host's certificate (with its intermediates, if any), its key, the authorities to trust, and
    /// their revocation lists. A configured list must exist; the default is `crl.pem` beside the authorities, once it
    /// exists.
    ///
    /// # Errors
    /// Names the file and its problem.
    pub fn load(cert: &Path, key: &Path, ca: &Path, crl: Option<&Path>) -> Result<Self, TlsError> {
        let files = Files {
            cert: cert.into(),
            key: key.into(),
            ca: ca.into(),
            crl: crl.map_or_else(|| ca.with_file_name(CRL_FILE), Path::to_path_buf),
            crl_needed: AtomicBool::new(crl.is_some()),
        };
        let known = Known { read: files.stamps(), complained: None };
        let trust = files.trust()?;
        let loaded = files.server(&trust, Arc::new(files.own()?))?;
        Ok(Self(Arc::new(Inner {
            files,
            loaded: ArcSwap::from_pointee(loaded),
            stamps: Mutex::new(known),
            changes: watch::Sender::new(0),
        })))
    }

    /// Returns the host's name, from its certificate.
    #[must_use]
    pub fn host(&self) -> String {
        self.0.loaded.load().own.host.clone()
    }

    /// Reads the files again. New connections use them; connections of peers that are no longer trusted are closed.
    ///
    /// # Errors
    /// Names the first file that cannot be used and the problem. The part to which it belongs stays as it was: trust, or
    /// the agent's own certificate. The other part is used as read.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.read_again(&mut lock(&self.0.stamps))
    }

    /// Reads the files again if one of them has changed since they were last read. Returns whether one has changed.
    ///
    /// # Errors
    /// The same as for [`Self::reload`].
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let mut known = lock(&self.0.stamps);
        let now = self.0.files.stamps();
        if known.read == now {
            return Ok(false);
        }
        let changed: Vec<String> = (self.0.files.all().iter().zip(known.read.iter().zip(&now)))
            .filter(|(_, (before, now))| before != now)
            .map(|(path, _)| path.display().to_string())
            .collect();
        let changed = changed.join(", ");
        if let Err(error) = self.read_again(&mut known) {
            // An error is logged once for the same versions of the files, even if they are read many times.
            if known.complained.replace(now) != Some(now) {
                let line = format!(
                    "{changed} changed and cannot all be used ({}); in its place, what was read before stays in use",
                    error.chain()
                );
                tracing::error!("{line}");
                active::syslog(&line);
            }
            return Err(error);
        }
        let line = format!("{changed} changed and is in use from now on");
        tracing::info!("{line}");
        active::syslog(&line);
        Ok(true)
    }

    /// Reads changed files. An error is logged; only the part that could be read is replaced.
    pub(super) fn look_again(&self) {
        let _ = self.reload_if_changed();
    }

    /// Returns the paths of the files.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.0.files.all().map(Path::to_path_buf).to_vec()
    }

    fn read_again(&self, known: &mut Known) -> Result<(), TlsError> {
        let files = &self.0.files;
        let stamps = files.stamps();
        let before = Arc::clone(&self.loaded());
        let mut wrong = Vec::new();
        let trust = files.trust().unwrap_or_else(|error| {
            wrong.push(error);
            before.trust.clone()
        });
        let loaded = match files.own().and_then(|own| files.server(&trust, Arc::new(own))) {
            Ok(loaded) => loaded,
            Err(error) => {
                wrong.push(error);
                files.server(&trust, Arc::clone(&before.own))?
            }
        };
        let trusts_others = loaded.trust.digest.as_ref() != before.trust.digest.as_ref();
        self.0.loaded.store(Arc::new(loaded));
        // Makes every connection verify its peer again.
        if trusts_others {
            self.0.changes.send_modify(|generation| *generation += 1);
        }
        // Files with invalid contents are read again once they have changed. While a file cannot be read, it is tried each time.
        if !wrong.iter().any(|error| matches!(error, TlsError::Read { .. })) {
            known.read = stamps;
        }
        match wrong.into_iter().next() {
            None => {
                known.complained = None;
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    pub(super) fn loaded(&self) -> arc_swap::Guard<Arc<Loaded>> {
        self.0.loaded.load()
    }

    /// Returns a receiver that is notified of changes of authorities and revocation lists.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }
}

impl Files {
    fn all(&self) -> [&Path; 4] {
        [&self.cert, &self.key, &self.ca, &self.crl]
    }

    fn stamps(&self) -> Stamps {
        self.all().map(|path| {
            let data = fs::metadata(path).ok()?;
            Some((data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
        })
    }

    /// Reads the authorities and revocations.
    fn trust(&self) -> Result<Trust, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authority = |source| TlsError::Authority { path: self.ca.clone(), source };
        let mut roots = RootCertStore::empty();
        let mut hash = Context::new(&SHA256);
        let ca = read(&self.ca)?;
        hash.update(&ca.len().to_le_bytes());
        hash.update(&ca);
        for certificate in certificates(&self.ca, &ca)? {
            roots.add(certificate).map_err(authority)?;
        }
        let crls = match read(&self.crl) {
            Ok(pem) => {
                hash.update(&pem);
                // A file without a list is an error: it may have been cut or is being written, and would revoke nobody.
                revocation_lists(&pem).map_err(|why| not_pem(&self.crl, "revocation list", &why))?
            }
            Err(TlsError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound && !self.crl_needed.load(Relaxed) =>
            {
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let verifier = Verifier::new(&Arc::new(roots), &crls, &provider)
            .map_err(|source| TlsError::Verifier { path: self.ca.clone(), source })?;
        self.crl_needed.fetch_or(!crls.is_empty(), Relaxed);
        Ok(Trust { verifier: Arc::new(verifier), digest: hash.finish() })
    }

    /// Reads the agent's own certificate and key.
    fn own(&self) -> Result<Own, TlsError> {
        let chain = certificates(&self.cert, &read(&self.cert)?)?;
        let host = host_of(&chain)
            .map_err(|why| TlsError::NoHost { path: self.cert.clone(), why: why.to_string() })?;
        let key = private_key(&read(&self.key)?).map_err(|why| not_pem(&self.key, "private key", &why))?;
        Ok(Own { chain, key, host })
    }

    /// Builds the configuration that the server uses from now on.
    fn server(&self, trust: &Trust, own: Arc<Own>) -> Result<Loaded, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Version)?
            .with_client_cert_verifier(Arc::clone(&trust.verifier) as _)
            .with_single_cert(own.chain.clone(), own.key.clone_key())
            .map_err(|source| TlsError::Pair { cert: self.cert.clone(), key: self.key.clone(), source })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would bypass the verifier, and with it revocation and expiry.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Loaded { config: Arc::new(config), trust: trust.clone(), own })
    }
}

/// Returns the name of the host in a chain's first certificate.
fn host_of(chain: &[CertificateDer<'_>]) -> Result<String, IdentityError> {
    let leaf = chain.first().ok_or(IdentityError::Nobody)?;
    match Identity::from_uris(uris(leaf).iter().map(String::as_str))? {
        Identity::Host(name) => Ok(name),
        Identity::Person(_) => Err(IdentityError::Nobody),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    firedrill_certs::certificates(pem).map_err(|why| not_pem(path, "certificate", &why))
}

fn not_pem(path: &Path, wanted: &'static str, why: &PemError) -> TlsError {
    TlsError::Pem { path: path.into(), wanted, why: why.to_string() }
}

#[cfg(test)]
mod tests;
