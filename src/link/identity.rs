//! The person that this coordinator speaks for: certificate, key, and the authority that agents must be of.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use firedrill_wire::identity::{self, Person};
use rustls::{ClientConfig, RootCertStore, client::Resumption, client::VerifierBuilderError, version::TLS13};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject};

use super::verify::Verifier;
use crate::pki::{ca_file, crl_file};

/// The files do not make an identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has not what it should.
    #[error("{} has no {wanted} in PEM: {why}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Nobody is there.
    #[error(
        "{} has no person's certificate; `firedrill pki issue person NAME --role operator` makes one, or copy yours to people/NAME.pem and people/NAME.key",
        dir.display()
    )]
    Nobody {
        /// The directory.
        dir: PathBuf,
    },
    /// Several people are there.
    #[error("{} has certificates of {}; set FIREDRILL_AS to the one to use", dir.display(), names.join(", "))]
    Several {
        /// The directory.
        dir: PathBuf,
        /// Who.
        names: Vec<String>,
    },
    /// Certificate, key or authority cannot be used.
    #[error("{} cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authority cannot be used.
    #[error("{} or the revocation list beside it cannot be used", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
}

/// Who this coordinator is, and whom it trusts.
#[derive(Debug)]
pub struct Identity {
    name: String,
    person: Option<Person>,
    authority: String,
    pub(super) config: Arc<ClientConfig>,
    pub(super) verifier: Arc<Verifier>,
}

impl Identity {
    /// From a directory as `firedrill pki` makes it: `ca.pem` and one person's `people/NAME.pem` and `.key`, where
    /// `FIREDRILL_AS` may say which; a `crl.pem` beside them is heeded.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        let wanted = std::env::var("FIREDRILL_AS").ok().filter(|name| !name.is_empty());
        let name = match wanted {
            Some(name) => name,
            None => only_person(dir)?,
        };
        Self::load_as(dir, &name)
    }

    /// From such a directory, as that person.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load_as(dir: &Path, name: &str) -> Result<Self, IdentityError> {
        let people = dir.join("people");
        let (cert, key) = (people.join(format!("{name}.pem")), people.join(format!("{name}.key")));
        let crl = crl_file(dir);
        Self::from_files(name, &cert, &key, &ca_file(dir), crl.is_file().then_some(crl.as_path()))
    }

    /// From PEM files anywhere; the name is for messages.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn from_files(
        name: &str,
        cert: &Path,
        key: &Path,
        ca: &Path,
        crl: Option<&Path>,
    ) -> Result<Self, IdentityError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Unusable { path, source }
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for certificate in certificates(ca)? {
            digest.update(&certificate);
            roots.add(certificate).map_err(unusable(ca))?;
        }
        let crls = match crl {
            Some(path) => CertificateRevocationListDer::pem_slice_iter(&read(path)?)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|why| not_pem(path, "revocation list", why.to_string()))?,
            None => Vec::new(),
        };
        let verifier = Verifier::new(roots, crls, &provider)
            .map_err(|source| IdentityError::Authority { path: ca.into(), source })?;
        let verifier = Arc::new(verifier);
        let chain = certificates(cert)?;
        let person = chain.first().and_then(person_of);
        let private = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|why| not_pem(key, "private key", why.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable(cert))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_client_auth_cert(chain, private)
            .map_err(unusable(key))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Every connection shows its certificates again.
        config.resumption = Resumption::disabled();
        let authority = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { name: name.to_owned(), authority, person, config: Arc::new(config), verifier })
    }

    /// What tells this fleet's authority from all others: a digest of its certificates.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What the certificate says of the person; `None` where it says nothing that is understood.
    #[must_use]
    pub const fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }

    /// The person's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn person_of(certificate: &CertificateDer<'_>) -> Option<Person> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    match identity::Identity::from_uris(parsed.valid_uri_names()) {
        Ok(identity::Identity::Person(person)) => Some(person),
        _ => None,
    }
}

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

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|source| IdentityError::Read { path: path.into(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| not_pem(path, "certificate", why.to_string()))?;
    if found.is_empty() {
        return Err(not_pem(path, "certificate", "there is none".to_owned()));
    }
    Ok(found)
}

fn not_pem(path: &Path, wanted: &'static str, why: String) -> IdentityError {
    IdentityError::Pem { path: path.into(), wanted, why }
}
