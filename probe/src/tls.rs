//! Whom an HTTPS probe trusts. Never trusts everybody: there is no switch for that.

use std::{path::PathBuf, sync::Arc};

use rustls::{ClientConfig, RootCertStore, client::Resumption};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::ProbeError;

/// TLS 1.2 and 1.3, HTTP/1.1. Handshakes are whole ones unless `resume`: new users have no session to resume.
pub(crate) fn config(
    probe: &str,
    ca_file: Option<&str>,
    resume: bool,
) -> Result<Arc<ClientConfig>, ProbeError> {
    let roots = match ca_file {
        Some(path) => from_file(probe, path)?,
        None => of_the_system(probe)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| ProbeError::NoAuthorities { probe: probe.to_owned(), why: why.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

fn from_file(probe: &str, path: &str) -> Result<RootCertStore, ProbeError> {
    let refuse =
        |why: String| ProbeError::Authorities { probe: probe.to_owned(), path: PathBuf::from(path), why };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|why| refuse(why.to_string()))? {
        let certificate = certificate.map_err(|why| refuse(why.to_string()))?;
        roots.add(certificate).map_err(|why| refuse(why.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refuse("there is no certificate in it; a PEM file of authorities is wanted".to_owned()));
    }
    Ok(roots)
}

fn of_the_system(probe: &str) -> Result<RootCertStore, ProbeError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Old systems keep a few that cannot be parsed any more; what can be used is used.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(ProbeError::NoAuthorities { probe: probe.to_owned(), why });
    }
    Ok(roots)
}
