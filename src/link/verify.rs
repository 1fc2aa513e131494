//! Verifies the certificates of agents: their authority, their name, their revocation and their dates.
//!
//! Authority, name and revocation decide whether a connection is made. Dates do not, because an expired certificate must not
//! prevent healing. Before a call that may do harm, the link checks the dates by [`Verifier::in_date`], and that the revocation
//! list could be read (`Identity::revocations`).

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};

/// Decides at each TLS handshake whether an agent is trusted, whatever the dates of its certificates.
#[derive(Debug)]
pub(super) struct Verifier(Arc<WebPkiServerVerifier>);

impl Verifier {
    /// Returns a verifier that trusts certificates of the authorities `roots`, except those that `crls` revoke.
    pub(super) fn new(
        roots: RootCertStore,
        crls: Vec<CertificateRevocationListDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        // An outdated list still revokes: by default rustls does not check whether a list has expired. A certificate whose issuer
        // has no list is accepted.
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .with_crls(crls)
            .allow_unknown_revocation_status()
            .build()
            .map(Self)
    }

    /// Whether a chain (the agent's own certificate first) is in date.
    ///
    /// # Errors
    /// The reason, other than dates, why the chain is not trusted for the agent's name.
    pub(super) fn in_date(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<bool, Error> {
        let (leaf, rest) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        // Revocation is by list: there is no OCSP response.
        let check = |at| self.0.verify_server_cert(leaf, rest, name, &[], at).map(drop);
        firedrill_certs::in_date(now, check)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        // The result of `in_date` is ignored: a chain that is out of date is accepted here.
        self.in_date(&chain, server_name, now).map(|_in_date| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
