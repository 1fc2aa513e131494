//! TLS for HTTPS probes and other clients, and the certificate authorities that they trust. There is no switch to trust every certificate.

use std::sync::Arc;

use firedrill_certs::PemError;
use firedrill_wire::probe::{Field, Refusal};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::{Resumption, WantsClientCert},
};
use rustls_pki_types::ServerName;

use crate::{
    handshake::Handshake,
    reads::{Reads, Use},
};

/// For [`config`]: sessions are resumed.
const RESUME: bool = true;
/// For [`config`]: every handshake is a full one.
pub(crate) const FULL: bool = false;

/// Returns the configuration for TLS 1.2 and 1.3 with HTTP/1.1. Unless `resume` is set, every handshake is a full one,
/// because new users have no session to resume.
pub(crate) fn config(
    ca_file: Option<&str>,
    resume: bool,
    reads: &dyn Reads,
) -> Result<Arc<ClientConfig>, Refusal> {
    let mut config = trusting(ca_file, reads)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// Returns a configuration for HTTP/1.1 over TLS that trusts the authorities of this machine.
///
/// # Errors
/// There are none, or they cannot be read. The message says so.
pub fn of_this_machine() -> Result<Arc<ClientConfig>, String> {
    config(None, RESUME, &crate::Anything).map_err(|refusal| refusal.what)
}

/// Returns a configuration without ALPN that trusts the authorities of a PEM file, or of this machine without one.
///
/// # Errors
/// There are none, or they cannot be read. The message says so.
pub fn without_protocol(ca_file: Option<&str>) -> Result<Arc<ClientConfig>, String> {
    trusting(ca_file, &crate::Anything).map(Arc::new).map_err(|refusal| refusal.what)
}

fn trusting(ca_file: Option<&str>, reads: &dyn Reads) -> Result<ClientConfig, Refusal> {
    builder(ca_file, "url", reads).map(|builder| builder.with_no_client_auth())
}

/// Returns the handshake of a probe that has the switch `tls`. `name` is the name that the certificate must have; without one there is no
/// handshake. `protocols` are offered by ALPN.
///
/// # Errors
/// The authorities cannot be read, or there are none.
pub fn handshake(
    name: Option<ServerName<'static>>,
    ca_file: Option<&str>,
    protocols: &[&[u8]],
    reads: &dyn Reads,
) -> Result<Option<Handshake>, Vec<Refusal>> {
    let Some(name) = name else { return Ok(None) };
    let mut config = builder(ca_file, "tls", reads).map_err(|one| vec![one])?.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Some(Handshake::new(config, name)))
}

/// Begins a configuration for TLS 1.2 and 1.3. `place` is the value that asks for TLS; it is named if this machine has no authorities.
///
/// # Errors
/// The authorities cannot be read, or there are none.
pub(crate) fn builder(
    ca_file: Option<&str>,
    place: &str,
    reads: &dyn Reads,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Refusal> {
    let roots = match ca_file {
        Some(path) => from_file(path, reads)?,
        None => of_the_system(place)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| no_authorities(&why.to_string(), place))?
        .with_root_certificates(roots))
}

fn from_file(path: &str, reads: &dyn Reads) -> Result<RootCertStore, Refusal> {
    let refuse = |why: String| {
        let what = format!("failed to read authorities from {path}: {why}");
        let help = "a PEM file on the machine that the probe runs on; a relative path is taken from where it was started";
        Refusal::new(Field::request(&["ca_file"]), what, "cannot be read", help)
    };
    let mut roots = RootCertStore::empty();
    let bytes = reads.file(path, Use::Authorities).map_err(refuse)?;
    let all = firedrill_certs::certificates(&bytes).map_err(|why| {
        refuse(match why {
            PemError::NotPem(why) => why.to_owned(),
            PemError::Nothing => "there is no certificate in it".to_owned(),
        })
    })?;
    for certificate in all {
        roots.add(certificate).map_err(|why| refuse(why.to_string()))?;
    }
    Ok(roots)
}

fn of_the_system(place: &str) -> Result<RootCertStore, Refusal> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Old systems keep a few certificates that cannot be parsed any more. The others are used.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(no_authorities(&why, place));
    }
    Ok(roots)
}

fn no_authorities(why: &str, place: &str) -> Refusal {
    let what = format!("this machine has no certificate authorities ({why})");
    Refusal::new(
        Field::request(&[place]),
        what,
        "nobody to trust",
        "install them (ca-certificates), or set ca_file",
    )
}
