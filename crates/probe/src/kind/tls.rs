//! A TLS handshake, and the end of the server's certificate.

use std::time::Duration;

use firedrill_wire::probe::{Field, ProbeSpec, Refusal, TlsProbe};
use futures_util::future::BoxFuture;
use rustls::ClientConfig;
use rustls_pki_types::UnixTime;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::client::TlsStream;

use crate::{
    ask::{Ask, Due, Make, Means, resolver},
    connect::Connector,
    handshake::{Handshake, failure},
    outcome::{Cause, Failure, Phases},
    reads::{Reads, Use},
    tls,
};

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// A TLS probe.
struct Tls {
    connector: Connector,
    handshake: Handshake,
    shows_certificate: bool,
    expires_in: Option<Duration>,
}

impl Make for TlsProbe {
    fn make(&self, spec: &ProbeSpec, means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let (host, port, name) = self.checked()?;
        let resolver = resolver(spec, host, port)?;
        let config = config(self, means.reads).map_err(|refusal| vec![refusal])?;
        Ok(Box::new(Tls {
            connector: Connector::new(resolver, spec.rate),
            handshake: Handshake::new(config, name),
            shows_certificate: self.cert_file.is_some(),
            expires_in: self.expires_in.map(Duration::from),
        }))
    }
}

/// Reads authorities, and the client's certificate and key.
fn config(probe: &TlsProbe, reads: &dyn Reads) -> Result<ClientConfig, Refusal> {
    let builder = tls::builder(probe.ca_file.as_deref(), "address", reads)?;
    let (Some(cert_file), Some(key_file)) = (&probe.cert_file, &probe.key_file) else {
        return Ok(builder.with_no_client_auth());
    };
    let refuse = |key: &str, path: &str, why: &str| {
        let what = format!("`{key}` {path} cannot be used: {why}");
        let help = "a PEM file on the machine that the probe runs on; a relative path is taken from where it was started";
        Refusal::new(Field::request(&[key]), what, "cannot be read", help)
    };
    let of_cert = |why: &str| refuse("cert_file", cert_file, why);
    let of_key = |why: &str| refuse("key_file", key_file, why);
    let bytes = reads.file(cert_file, Use::Authorities).map_err(|why| of_cert(&why))?;
    let chain =
        firedrill_certs::certificates(&bytes).map_err(|_| of_cert("there is no certificate in it"))?;
    let bytes = reads.file(key_file, Use::Secret).map_err(|why| of_key(&why))?;
    let key = firedrill_certs::private_key(&bytes).map_err(|_| of_key("there is no private key in it"))?;
    builder.with_client_auth_cert(chain, key).map_err(|_| of_key("it is not the key of `cert_file`"))
}

impl Ask for Tls {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(self.once(until))
    }
}

impl Tls {
    /// Asks once. The request is good once the handshake is over, if the certificate lasts long enough.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let stream = self.connector.open(until, &mut phases).await?;
        let mut stream = self.handshake.over(stream, &mut phases).await?;
        if self.shows_certificate {
            is_accepted(&mut stream).await?;
        }
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let (Some(least), Some(leaf)) = (self.expires_in, leaf) else { return Ok(phases) };
        // The handshake has read it already.
        let end = firedrill_certs::expires(leaf).map_err(|_| Failure::from(Cause::Tls))?;
        match left(end, UnixTime::now(), least) {
            Some(days) => Err(Cause::Expires(days).into()),
            None => Ok(phases),
        }
    }
}

/// Returns the whole days until the end, if the end is too soon.
fn left(end: UnixTime, now: UnixTime, least: Duration) -> Option<u32> {
    let left = Duration::from_secs(end.as_secs().saturating_sub(now.as_secs()));
    (left < least).then(|| u32::try_from(left.as_secs() / DAY).unwrap_or(u32::MAX))
}

/// Ends the connection, and waits for the server to say so too, or to refuse the client's certificate by an alert.
async fn is_accepted(stream: &mut TlsStream<TcpStream>) -> Result<(), Failure> {
    stream.shutdown().await.map_err(|why| failure(&why))?;
    match stream.read(&mut [0; 64]).await {
        // Bytes of the protocol inside are as good as an end.
        Ok(_) => Ok(()),
        Err(why) if why.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
        Err(why) => Err(failure(&why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_too_soon_is_told_in_whole_days() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let least = Duration::from_secs(14 * DAY);
        assert_eq!(left(at(14 * DAY), at(0), least), None);
        assert_eq!(left(at(14 * DAY - 1), at(0), least), Some(13));
        assert_eq!(left(at(DAY - 1), at(0), least), Some(0));
        assert_eq!(left(at(0), at(9), least), Some(0));
        assert_eq!(Cause::Expires(13).to_string(), "certificate expires in 13 days");
    }
}
