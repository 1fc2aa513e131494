//! The person that a certificate names, and signatures by its owner. Never decides whether a certificate is trusted.

use std::sync::Arc;

use firedrill_wire::identity::{Identity, Person};
use rustls::{SignatureScheme, crypto::CryptoProvider, sign::SigningKey};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};

/// Returns the person that a certificate names.
///
/// # Errors
/// It names none; the reason in words.
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

/// The accepted signature schemes, and their names in files.
const SCHEMES: [(SignatureScheme, &str); 6] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, "ecdsa-p256-sha256"),
    (SignatureScheme::ECDSA_NISTP384_SHA384, "ecdsa-p384-sha384"),
    (SignatureScheme::ED25519, "ed25519"),
    (SignatureScheme::RSA_PSS_SHA256, "rsa-pss-sha256"),
    (SignatureScheme::RSA_PSS_SHA384, "rsa-pss-sha384"),
    (SignatureScheme::RSA_PSS_SHA512, "rsa-pss-sha512"),
];

impl Signer {
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

/// Whether the owner of a certificate signed the message.
pub(crate) fn signed(
    leaf: &CertificateDer<'_>,
    scheme: &str,
    message: &[u8],
    signature: &[u8],
    provider: &CryptoProvider,
) -> bool {
    let Some((scheme, _)) = SCHEMES.iter().find(|(_, name)| *name == scheme) else { return false };
    let all: &[(SignatureScheme, &[&dyn SignatureVerificationAlgorithm])] =
        provider.signature_verification_algorithms.mapping;
    let Ok(leaf) = webpki::EndEntityCert::try_from(leaf) else { return false };
    all.iter()
        .filter(|(known, _)| known == scheme)
        .flat_map(|(_, algorithms)| algorithms.iter())
        .any(|algorithm| leaf.verify_signature(*algorithm, message, signature).is_ok())
}
