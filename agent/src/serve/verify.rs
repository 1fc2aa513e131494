//! Verifies that a client's certificate is this authority's, and returns its standing.
//!
//! Signature and revocation decide whether a connection is accepted. Dates do not: the owner of an outdated certificate, or of any
//! certificate while the revocation list is outdated, may still look and heal. The [`Standing`] tells which of these it is.

use std::sync::Arc;

use firedrill_certs::{Approvers, NotApprover};
use rustls::{
    CertRevocationListError, CertificateError, DigitallySignedStruct, DistinguishedName, Error,
    RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};

/// The standing of a trusted certificate at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Valid for everything that its names allow.
    Good,
    /// The time is outside the dates of the certificate or of an intermediate.
    OutOfDate,
    /// Its revocation status is unknown: the revocation list is out of date, or from another issuer.
    Unrevised,
}

/// Verifies chains by roots and revocation lists.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Accepts a chain although the revocation list is outdated or missing.
    lenient: Arc<dyn ClientCertVerifier>,
    /// Refuses a chain while the revocation list is outdated or missing.
    strict: Arc<dyn ClientCertVerifier>,
    /// Verifies certificates of passkeys, which TLS refuses.
    approvers: Approvers,
}

impl Verifier {
    pub(super) fn new(
        roots: &Arc<RootCertStore>,
        crls: &[CertificateRevocationListDer<'static>],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let builder = || {
            WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
                .with_crls(crls.iter().cloned())
        };
        Ok(Self {
            lenient: builder().allow_unknown_revocation_status().build()?,
            strict: builder().enforce_revocation_expiration().build()?,
            approvers: Approvers::new(roots.roots.clone(), crls)
                .map_err(|_| CertRevocationListError::ParseError)?,
        })
    }

    /// Checks that a chain (the passkey's own certificate first) is trusted for approvals by passkey at that time.
    ///
    /// # Errors
    /// The reason why it is not.
    pub(super) fn check_passkey(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), NotApprover> {
        self.approvers.check(chain, now)
    }

    /// Returns the standing of a chain (the client's own certificate first) at that time.
    ///
    /// # Errors
    /// It is not trusted at all: it is from another authority, revoked, or not for clients.
    pub(super) fn standing(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Standing, Error> {
        let (leaf, rest) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        if self.strict.verify_client_cert(leaf, rest, now).is_ok() {
            return Ok(Standing::Good);
        }
        // With its revocation status ignored: an error of this is about the certificate itself.
        let lenient = |at| self.lenient.verify_client_cert(leaf, rest, at).map(drop);
        let in_date = firedrill_certs::in_date(now, lenient)?;
        Ok(if in_date { Standing::Unrevised } else { Standing::OutOfDate })
    }
}

/// Returns the URI names of a certificate; none if it cannot be read.
pub(super) fn uris(certificate: &CertificateDer<'_>) -> Vec<String> {
    firedrill_certs::uris(certificate).unwrap_or_default()
}

/// Returns why a certificate is not trusted, for people.
pub(super) fn why(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Revoked) => "it was revoked".to_owned(),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its authority is not trusted any more".to_owned()
        }
        other => other.to_string(),
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.lenient.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        self.standing(&chain, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.lenient.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.lenient.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.lenient.supported_verify_schemes()
    }
}
