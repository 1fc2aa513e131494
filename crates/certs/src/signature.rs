//! Signatures by the owners of certificates, and the schemes that are accepted in files.

use rustls::{SignatureScheme, crypto::ring::default_provider};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};

/// The accepted signature schemes, and their names in files.
pub const SCHEMES: [(SignatureScheme, &str); 6] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, "ecdsa-p256-sha256"),
    (SignatureScheme::ECDSA_NISTP384_SHA384, "ecdsa-p384-sha384"),
    (SignatureScheme::ED25519, "ed25519"),
    (SignatureScheme::RSA_PSS_SHA256, "rsa-pss-sha256"),
    (SignatureScheme::RSA_PSS_SHA384, "rsa-pss-sha384"),
    (SignatureScheme::RSA_PSS_SHA512, "rsa-pss-sha512"),
];

/// Returns true if the owner of a certificate signed the message by the scheme with this name. The certificate itself is not verified.
#[must_use]
pub fn is_signature_of_owner(
    leaf: &CertificateDer<'_>,
    scheme: &str,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Some((wanted, _)) = SCHEMES.iter().find(|(_, name)| *name == scheme) else { return false };
    let schemes: &[(SignatureScheme, &[&dyn SignatureVerificationAlgorithm])] =
        default_provider().signature_verification_algorithms.mapping;
    let Ok(parsed) = webpki::EndEntityCert::try_from(leaf) else { return false };
    schemes
        .iter()
        .filter(|(known, _)| known == wanted)
        .flat_map(|(_, algorithms)| algorithms.iter())
        .any(|algorithm| parsed.verify_signature(*algorithm, message, signature).is_ok())
}
