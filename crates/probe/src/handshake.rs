//! TLS over a connection that is open: the handshake, its time, and its failure as an outcome of the request.

use std::{io, sync::Arc};

use rustls::{CertificateError, ClientConfig, Error, client::Resumption};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    clock::boot_us,
    outcome::{Cause, Failure, Flaw, Phases, of_io},
};

/// Handshakes with one server.
#[expect(missing_debug_implementations, reason = "a connector of TLS has none")]
pub struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Handshake {
    /// Returns handshakes by a configuration. Each is a full one, because new users have no session to resume. `name` is the name that the
    /// certificate must have.
    #[must_use]
    pub fn new(mut config: ClientConfig, name: ServerName<'static>) -> Self {
        config.resumption = Resumption::disabled();
        Self { connector: TlsConnector::from(Arc::new(config)), name }
    }

    /// Makes a handshake over an open connection.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn over(
        &self,
        stream: TcpStream,
        phases: &mut Phases,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let begun = boot_us();
        let stream = self.connector.connect(self.name.clone(), stream).await.map_err(|why| failure(&why))?;
        phases.tls = boot_us() - begun;
        Ok(stream)
    }
}

/// Classifies an error of a connection over TLS as an outcome of the request.
#[must_use]
pub fn failure(error: &io::Error) -> Failure {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    of_tls.map_or_else(|| of_io(error), |why| cause(why).into())
}

fn cause(error: &Error) -> Cause {
    use CertificateError as Why;
    match error {
        Error::InvalidCertificate(why) => Cause::Certificate(match why {
            Why::Expired | Why::ExpiredContext { .. } => Flaw::Expired,
            Why::NotValidYet | Why::NotValidYetContext { .. } => Flaw::NotYet,
            Why::NotValidForName | Why::NotValidForNameContext { .. } => Flaw::Name,
            // Another authority of the same name signed it.
            Why::UnknownIssuer | Why::BadSignature => Flaw::Issuer,
            _ => Flaw::Other,
        }),
        Error::AlertReceived(_) => Cause::Alert,
        _ => Cause::Tls,
    }
}
