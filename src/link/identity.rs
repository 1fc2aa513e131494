//! The identity of this coordinator: a person's certificate and key, and the authority of the agents. Decides whose certificates are trusted,
//! not what a person may do.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use firedrill_certs::{Approvers, NotApprover, PemError, private_key, revocation_lists};
use firedrill_files::text::hex;
use firedrill_wire::{api::Means, identity::Person};
use rustls::{
    CertRevocationListError, CertificateError, ClientConfig, RootCertStore,
    client::{Resumption, VerifierBuilderError},
    crypto::CryptoProvider,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};

use super::{
    person::{Signer, person},
    verify::Verifier,
};
use crate::pki::{ca_file, crl_file};

/// The reason why no identity can be made of the files.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file lacks its expected content.
    #[error("{} has no {wanted} in PEM: {why}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The expected content.
        wanted: &'static str,
        /// The error.
        why: String,
    },
    /// There is no person's certificate.
    #[error(
        "{} has no person's certificate; `firedrill pki issue person NAME --role operator` makes one, or copy yours to people/NAME.pem and people/NAME.key",
        dir.display()
    )]
    Nobody {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory has certificates of several people, and none of them is selected.
    #[error("{} has certificates of {}; set FIREDRILL_AS to the one to use", dir.display(), names.join(", "))]
    Several {
        /// The directory.
        dir: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// The certificate is not one of a person.
    #[error("{} is no person's certificate: {why}; `firedrill pki issue person NAME` makes one", path.display())]
    NoPerson {
        /// The file.
        path: PathBuf,
        /// The kind of certificate that it is.
        why: String,
    },
    /// Certificate, key or authority cannot be used.
    #[error("{} cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
    /// The authority or its revocation list cannot be used.
    #[error("{} cannot be used", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: VerifierBuilderError,
    },
}

/// The identity of this coordinator, and its trust anchors.
#[derive(Debug)]
pub struct Identity {
    name: String,
    /// The person in the certificate.
    person: Option<Person>,
    /// A digest of the authority's certificates.
    authority: String,
    pub(super) config: Arc<ClientConfig>,
    pub(super) verifier: Arc<Verifier>,
    trust: Trust,
    /// The reason why revocations are unknown; `None` if the list was read, or if there is none.
    unlisted: Option<String>,
    provider: Arc<CryptoProvider>,
    pub(crate) signer: Signer,
}

/// The files with trust anchors. They are read again for each approval, because a run may wait for hours.
#[derive(Clone, Debug)]
struct Trust {
    ca: PathBuf,
    crl: Option<PathBuf>,
    /// Whether the revocation list must exist. It must if it existed when the identity was loaded: if a list disappears, revocations are
    /// unknown.
    needs_crl: bool,
}

impl Trust {
    /// Reads the certificates of the authorities.
    fn roots(&self) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
        certificates(&self.ca)
    }

    /// Reads the revocation lists; none if there is no file and none is needed.
    fn crls(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, IdentityError> {
        let Some(path) = self.crl.as_deref().filter(|path| self.needs_crl || is_there(path)) else {
            return Ok(Vec::new());
        };
        // A file that is truncated, or that is being written, is an error: an incomplete list would revoke too few.
        revocation_lists(&read(path)?).map_err(|why| not_pem(path, "revocation list", &why))
    }

    /// Returns an error that names the file because of which no verifier can be made.
    fn unusable(&self, source: VerifierBuilderError) -> IdentityError {
        let path = match (&source, &self.crl) {
            (VerifierBuilderError::InvalidCrl(_), Some(crl)) => crl,
            _ => &self.ca,
        };
        IdentityError::Authority { path: path.clone(), source }
    }

    /// Reads the authorities as trust anchors.
    fn anchors(&self) -> Result<RootCertStore, IdentityError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.roots()? {
            roots
                .add(certificate)
                .map_err(|source| IdentityError::Unusable { path: self.ca.clone(), source })?;
        }
        Ok(roots)
    }

    /// Returns a verifier of certificates over passkeys, made of the current content of the files.
    fn passkeys(&self) -> Result<Approvers, IdentityError> {
        let bad_list = |_| self.unusable(CertRevocationListError::ParseError.into());
        Approvers::new(self.anchors()?.roots, &self.crls()?).map_err(bad_list)
    }

    /// Returns a verifier of people's certificates, made of the current content of the files.
    fn people(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, IdentityError> {
        let roots = self.anchors()?;
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .with_crls(self.crls()?)
            .enforce_revocation_expiration()
            .build()
            .map_err(|source| self.unusable(source))
    }
}

impl Identity {
    /// Loads an identity from a directory of `firedrill pki`: `ca.pem` and one person's `people/NAME.pem` and `.key`,
    /// selected by `FIREDRILL_AS` if there are several. A `crl.pem` in the directory is used. If it cannot be used, this is no error here, but
    /// one of [`Self::revocations`].
    ///
    /// # Errors
    /// There is no person's certificate or more than one, or a file cannot be used.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        let wanted = std::env::var("FIREDRILL_AS").ok().filter(|name| !name.is_empty());
        let name = match wanted {
            Some(name) => name,
            None => only_person(dir)?,
        };
        Self::load_as(dir, &name)
    }

    /// As [`Self::load`], for the person of this name.
    ///
    /// # Errors
    /// A file cannot be used, or the certificate is not a person's.
    pub fn load_as(dir: &Path, name: &str) -> Result<Self, IdentityError> {
        let people = dir.join("people");
        let (cert, key) = (people.join(format!("{name}.pem")), people.join(format!("{name}.key")));
        let crl = crl_file(dir);
        let needs_crl = is_there(&crl);
        let loaded =
            Self::trusting(name, &cert, &key, Trust { ca: ca_file(dir), crl: Some(crl), needs_crl })?;
        match loaded.signer.chain.first().map(person) {
            Some(Err(why)) => Err(IdentityError::NoPerson { path: cert, why }),
            _ => Ok(loaded),
        }
    }

    /// Loads an identity from PEM files. Its name is the one in the certificate. Only if the certificate names no person, `name` is used; all
    /// agents reject such a certificate.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn from_files(
        name: &str,
        cert: &Path,
        key: &Path,
        ca: &Path,
        crl: Option<&Path>,
    ) -> Result<Self, IdentityError> {
        let trust = Trust { ca: ca.into(), crl: crl.map(Into::into), needs_crl: true };
        Self::trusting(name, cert, key, trust)
    }

    /// Loads certificate and key, and makes the verifier of agents from the files of `trust`.
    fn trusting(name: &str, cert: &Path, key: &Path, trust: Trust) -> Result<Self, IdentityError> {
        let ca = trust.ca.as_path();
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Unusable { path, source }
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for certificate in trust.roots()? {
            digest.update(&certificate);
            roots.add(certificate).map_err(unusable(ca))?;
        }
        let authority = |source| trust.unusable(source);
        let listed =
            trust.crls().and_then(|crls| Verifier::new(roots.clone(), crls, &provider).map_err(authority));
        let (verifier, unlisted) = match listed {
            Ok(verifier) => (verifier, None),
            // A bad list must not prevent healing, so this identity goes without. Calls that may do harm are refused later.
            Err(error) => {
                (Verifier::new(roots, Vec::new(), &provider).map_err(authority)?, Some(with_source(&error)))
            }
        };
        let verifier = Arc::new(verifier);
        let chain = certificates(cert)?;
        let owner = chain.first().and_then(|leaf| person(leaf).ok());
        let private = private_key(&read(key)?).map_err(|why| not_pem(key, "private key", &why))?;
        let signing = provider.key_provider.load_private_key(private.clone_key()).map_err(unusable(key))?;
        let name = owner.as_ref().map_or_else(|| name.to_owned(), |person| person.name.clone());
        let signer = Signer::new(chain.clone(), signing);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable(cert))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_client_auth_cert(chain, private)
            .map_err(unusable(key))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Without resumption of sessions, certificates are sent and verified on every connection.
        config.resumption = Resumption::disabled();
        let authority = hex(digest.finish().as_ref());
        let config = Arc::new(config);
        Ok(Self { name, authority, person: owner, config, verifier, trust, unlisted, provider, signer })
    }

    /// Returns a digest of the authority's certificates, which identifies the authority.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the person in the certificate; `None` if it names none.
    #[must_use]
    pub const fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }

    /// Checks that the revocation list could be read, if there is one. Without it, revoked agents are not recognized:
    /// they are still healed, but nothing that may do harm is begun.
    ///
    /// # Errors
    /// The list, and the reason why it cannot be used.
    pub fn revocations(&self) -> Result<(), &str> {
        self.unlisted.as_deref().map_or(Ok(()), Err)
    }

    /// Returns the person of a certificate chain (the person's own certificate first), if the authority has issued it for approvals by `means`,
    /// and it is in date and not revoked. Reads `ca.pem` and `crl.pem` again.
    ///
    /// # Errors
    /// The reason why the chain is not trusted.
    pub(crate) fn trusted_person(
        &self,
        chain: &[CertificateDer<'_>],
        means: Means,
    ) -> Result<Person, String> {
        let (leaf, intermediates) = chain.split_first().ok_or("it has no certificate")?;
        let unknown = |error| format!("certificates cannot be verified now: {}", with_source(&error));
        let revoked = || "the approver's certificate was revoked".to_owned();
        let expired = || {
            "crl.pem has expired, so revocations are unknown; get a fresh one (`firedrill pki crl`)"
                .to_owned()
        };
        let now = UnixTime::now();
        match means {
            Means::Certificate => {
                let people = self.trust.people(&self.provider).map_err(unknown)?;
                people.verify_client_cert(leaf, intermediates, now).map_err(|error| match error {
                    rustls::Error::InvalidCertificate(CertificateError::Revoked) => revoked(),
                    rustls::Error::InvalidCertificate(CertificateError::ExpiredRevocationListContext {
                        ..
                    }) => expired(),
                    error => format!("the approver's certificate is not trusted ({error})"),
                })?;
            }
            Means::Passkey => {
                let passkeys = self.trust.passkeys().map_err(unknown)?;
                passkeys.check(chain, now).map_err(|error| match error {
                    NotApprover::Revoked => revoked(),
                    NotApprover::Unrevised => expired(),
                    error => format!("the certificate over the approver's passkey is not trusted: {error}"),
                })?;
            }
        }
        let found = person(leaf)?;
        if found.flaws.is_empty() { Ok(found) } else { Err(found.flaws.join("; ")) }
    }

    /// Returns the person's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Returns the name of the only person whose certificate is in the directory.
fn only_person(dir: &Path) -> Result<String, IdentityError> {
    let people = dir.join("people");
    let nobody = || IdentityError::Nobody { dir: dir.into() };
    let listed = match fs::read_dir(&people) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(nobody()),
        listed => listed.map_err(|source| IdentityError::Read { path: people.clone(), source })?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let path = entry.map_err(|source| IdentityError::Read { path: people.clone(), source })?.path();
        if path.extension().is_some_and(|extension| extension == "pem")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    match names.len() {
        0 => Err(nobody()),
        1 => Ok(names.remove(0)),
        _ => Err(IdentityError::Several { dir: dir.into(), names }),
    }
}

/// Formats an error with its source on one line.
fn with_source(error: &IdentityError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// Whether the path exists in any form, also as a directory or a dangling link, which cannot be read as a file.
fn is_there(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|source| IdentityError::Read { path: path.into(), source })
}

/// Reads the certificates in a PEM file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    firedrill_certs::certificates(&read(path)?).map_err(|why| not_pem(path, "certificate", &why))
}

fn not_pem(path: &Path, wanted: &'static str, why: &PemError) -> IdentityError {
    IdentityError::Pem { path: path.into(), wanted, why: why.to_string() }
}
