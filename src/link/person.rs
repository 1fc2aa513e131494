//! The person that a certificate names, and signatures by its owner. Never decides whether a certificate is trusted.

use std::sync::Arc;

use firedrill_certs::SCHEMES;
use firedrill_wire::identity::{Identity, Person};
use rustls::sign::SigningKey;
use rustls_pki_types::CertificateDer;

/// Returns the person that a certificate names.
///
/// # Errors
/// It names no person; with the reason for people.
pub(crate) fn person(leaf: &CertificateDer<'_>) -> Result<Person, String> {
    let names = firedrill_certs::uris(leaf)?;
    match Identity::from_uris(names.iter().map(String::as_str)) {
        Ok(Identity::Person(person)) => Ok(person),
        Ok(Identity::Host(name)) => Err(format!("it is the certificate of host {name}")),
        Err(error) => Err(error.to_string()),
    }
}

/// A person's certificate with its key, to sign with.
#[derive(Debug)]
pub(crate) struct Signer {
    /// The certificate, then the intermediate ones.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
}

impl Signer {
    /// Joins a chain and the key of its first certificate.
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, key: Arc<dyn SigningKey>) -> Self {
        Self { chain, key }
    }

    /// Signs a message; returns the scheme's name and the signature.
    ///
    /// # Errors
    /// The key is of a kind that is not accepted here.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<(&'static str, Vec<u8>), String> {
        let offered = SCHEMES.map(|(scheme, _)| scheme);
        let signer =
            self.key.choose_scheme(&offered).ok_or("the key is of a kind that signs no approvals")?;
        let scheme = signer.scheme();
        let (_, name) =
            SCHEMES.iter().find(|(known, _)| *known == scheme).ok_or("the key chose another scheme")?;
        Ok((name, signer.sign(message).map_err(|error| error.to_string())?))
    }
}
