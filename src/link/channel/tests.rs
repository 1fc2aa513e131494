//! Tests of the channel to an agent.

use std::collections::VecDeque;

use firedrill_wire::api::{Undo, UndoScope};
use http_body_util::BodyExt as _;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};

use super::*;
use crate::{
    link::Agent,
    pki::{HostAsk, PersonAsk, Pki, crl_file},
    plan::model::Host,
};

/// A stream whose answer can be read only after a write has failed. A coordinator sees this order if it is still sending when the agent has
/// answered and closed the connection.
struct Closed {
    /// Number of bytes that can be written.
    room: usize,
    to_read: VecDeque<u8>,
    waker: Option<std::task::Waker>,
    failed: bool,
}

impl AsyncRead for Closed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.failed {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        while to.remaining() > 0
            && let Some(byte) = self.to_read.pop_front()
        {
            to.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Closed {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let Some(room) = self.room.checked_sub(from.len()) else {
            self.failed = true;
            self.waker.take().into_iter().for_each(std::task::Waker::wake);
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        self.room = room;
        Poll::Ready(Ok(from.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_answer_before_the_end_is_read_although_nothing_more_can_be_written() {
    // Three frames of HTTP/2. First empty settings.
    let mut answer = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    // Then the header `:status: 403` as a literal, because it is not in the static table of HPACK.
    answer.extend([0, 0, 5, 1, 4, 0, 0, 0, 1, 0x08, 3, b'4', b'0', b'3']);
    // Then the body, which ends the stream.
    answer.extend([0, 0, 2, 0, 1, 0, 0, 0, 1, b'n', b'o']);
    let stream = Closed { room: 4096, to_read: answer.into(), waker: None, failed: false };
    let first = Arc::new(OnceLock::new());
    let watched = Watched::new(stream, Arc::clone(&first));
    let (mut send, connection) =
        Builder::new(TokioExecutor::new()).handshake::<_, Full<Bytes>>(TokioIo::new(watched)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("https://app-1/").body(Full::new(Bytes::from(vec![b' '; 60_000]))).unwrap();
    let response = send.send_request(request).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "no");
    assert!(matches!(first.get(), None | Some(Cause::Io(_))));
}

/// Serves an agent of `app-1` that answers every call with the answer to an undo. Returns its address.
async fn serve_agent(pki: &Pki) -> String {
    let issued = pki.issue_host(&HostAsk::new("app-1", 9)).unwrap();
    let chain = vec![CertificateDer::from_pem_file(&issued.cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(tls) = acceptor.accept(tcp).await else { continue };
            let answer = hyper::service::service_fn(|_| async {
                let body = Full::new(Bytes::from(r#"{"injections": [], "stuck": []}"#));
                Ok::<_, std::convert::Infallible>(Response::new(body))
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(tls), answer);
            tokio::spawn(serving);
        }
    });
    at
}

#[tokio::test]
async fn a_bad_revocation_list_prevents_harm_but_not_healing() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::init(dir.path()).unwrap();
    pki.issue_person(&PersonAsk::new("olga", firedrill_wire::identity::Role::Operator, 9)).unwrap();
    let at = serve_agent(&pki).await;
    let agent = || {
        let identity = Arc::new(Identity::load_as(dir.path(), "olga").unwrap());
        let (addresses, labels) = (Vec::new(), Default::default());
        let (agent, name) = (Reach::Tcp(at.clone()), "app-1".to_owned());
        let host = Host { name, addresses, labels, roles: Vec::new(), tags: Vec::new(), agent, via: None };
        Agent::new(&host, identity)
    };
    let undo = Undo { scope: UndoScope::All, halt: false };
    agent().release().await.unwrap();

    let crl = crl_file(dir.path());
    // Valid PEM whose content is no list: this error is found later than the others.
    let no_list = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    for content in [Some(""), Some("half a li"), Some(no_list), None] {
        match content {
            Some(text) => std::fs::write(&crl, text).unwrap(),
            None => {
                std::fs::remove_file(&crl).unwrap();
                std::fs::create_dir(&crl).unwrap();
            }
        }
        let agent = agent();
        agent.undo(&undo).await.unwrap();
        let refused = agent.release().await.unwrap_err();
        assert!(
            matches!(&refused, LinkError::Tls { trust: Trust::RevocationsUnknown(why), .. } if why.contains("crl.pem")),
            "{content:?}: {refused}"
        );
    }
    std::fs::remove_dir(&crl).unwrap();
    pki.write_crl(9).unwrap();
    agent().release().await.unwrap();
}
