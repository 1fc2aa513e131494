//! HTTPS probes, with an authority of their own.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::common::{always, answer, head, http, outcome, part, server};
use firedrill_wire::{
    Span,
    probe::{Connection, ProbeKind, ProbeSpec, TcpProbe, TlsProbe},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

struct Authority {
    pem: tempfile::NamedTempFile,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(pem.path(), params.self_signed(&key).unwrap().pem()).unwrap();
    Authority { pem, issuer: Issuer::new(params, key) }
}

impl Authority {
    /// A TLS server that presents a certificate for `name`.
    fn acceptor(&self, name: &str) -> TlsAcceptor {
        self.acceptor_until(name, std::time::SystemTime::now() + Duration::from_secs(30 * 24 * 3600), None)
    }

    /// A TLS server that presents a certificate for `name` until `end`. With `clients`, it wants certificates of that authority from its clients.
    fn acceptor_until(&self, name: &str, end: std::time::SystemTime, clients: Option<&Self>) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = end.into();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                let pem = std::fs::read(authority.pem.path()).unwrap();
                roots.add(firedrill_certs::certificates(&pem).unwrap().remove(0)).unwrap();
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = config.with_single_cert(vec![leaf.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// A probe that trusts this authority only.
    fn spec(&self, port: u16) -> ProbeSpec {
        let mut spec = http(format!("https://edge.test:{port}/"));
        spec.names = [("edge.test".to_owned(), vec!["127.0.0.1".parse().unwrap()])].into();
        spec.rate = 50.0;
        spec.timeout = firedrill_wire::Span::secs(2);
        part(&mut spec).ca_file = Some(self.pem.path().to_string_lossy().into_owned());
        spec
    }
}

async fn tls_server(acceptor: TlsAcceptor) -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
    let (address, count) = server(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                always(stream, answer("200 OK", "")).await;
            }
        }
    })
    .await;
    (address.port(), count)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted() {
    let ours = authority();
    let (port, count) = tls_server(ours.acceptor("edge.test")).await;
    let mut spec = ours.spec(port);
    for connection in [Connection::New, Connection::Reuse] {
        spec.connection = connection;
        let before = count.load(Ordering::SeqCst);
        let (good, causes) = outcome(spec.clone()).await;
        assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
        if connection == Connection::Reuse {
            assert!(count.load(Ordering::SeqCst) - before < 24);
        }
    }
}

#[tokio::test]
async fn anothers_authority_and_anothers_name_are_not() {
    let (ours, theirs) = (authority(), authority());
    let (stranger, _) = tls_server(theirs.acceptor("edge.test")).await;
    let (misnamed, _) = tls_server(ours.acceptor("other.test")).await;
    let (plain, _) = server(|stream, _| always(stream, answer("200 OK", ""))).await;
    for port in [stranger, misnamed] {
        assert_eq!(outcome(ours.spec(port)).await, (0, vec!["tls".to_owned()]));
    }
    let (hung_up, _) = server(|stream, _| async move { drop(stream) }).await;
    assert_eq!(outcome(ours.spec(hung_up.port())).await, (0, vec!["reset".to_owned()]));
    // One that speaks plain HTTP waits for a head that never comes.
    let mut spec = ours.spec(plain.port());
    spec.timeout = firedrill_wire::Span::millis(400);
    assert_eq!(outcome(spec).await, (0, vec!["timeout".to_owned()]));
}

#[tokio::test]
async fn answers_over_tls_and_the_reason_why_a_certificate_is_not_accepted() {
    let (ours, theirs) = (authority(), authority());
    let (port, _) = tls_server(ours.acceptor("edge.test")).await;
    let (stranger, _) = tls_server(theirs.acceptor("edge.test")).await;
    let (misnamed, _) = tls_server(ours.acceptor("other.test")).await;
    let spec = |port: u16, expect: &str, name: Option<&str>| {
        let probe = TcpProbe {
            send: Some("GET / HTTP/1.1\r\n\r\n".to_owned()),
            expect: Some(expect.to_owned()),
            tls: true,
            ca_file: Some(ours.pem.path().to_string_lossy().into_owned()),
            server_name: name.map(str::to_owned),
            ..TcpProbe::opens(format!("edge.test:{port}"))
        };
        ProbeSpec { kind: ProbeKind::Tcp(probe), ..ours.spec(port) }
    };
    let (good, causes) = outcome(spec(port, "200 OK", None)).await;
    assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
    let (good, causes) = outcome(spec(misnamed, "200 OK", Some("other.test"))).await;
    assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
    assert_eq!(outcome(spec(stranger, "200 OK", None)).await, (0, vec!["tls: unknown issuer".to_owned()]));
    let other = outcome(spec(misnamed, "200 OK", None)).await;
    assert_eq!(other, (0, vec!["tls: certificate of another name".to_owned()]));
}

/// A TLS probe of that port.
fn handshakes(authority: &Authority, port: u16, change: impl FnOnce(&mut TlsProbe)) -> ProbeSpec {
    let mut spec = authority.spec(port);
    let json = serde_json::json!({ "address": format!("edge.test:{port}"), "ca_file": authority.pem.path() });
    let mut probe: TlsProbe = serde_json::from_value(json).unwrap();
    change(&mut probe);
    spec.kind = ProbeKind::Tls(probe);
    spec
}

#[tokio::test]
async fn handshakes_are_good_until_the_certificate_ends_too_soon() {
    let ours = authority();
    let now = std::time::SystemTime::now();
    let days = |days: u64| now + std::time::Duration::from_secs(days * 24 * 3600 + 3600);
    let (soon, _) = tls_server(ours.acceptor_until("edge.test", days(3), None)).await;
    let (over, _) = tls_server(ours.acceptor_until("edge.test", now - Duration::from_secs(3600), None)).await;
    let bad = |cause: &str| (0, vec![cause.to_owned()]);
    let (good, causes) = outcome(handshakes(&ours, soon, |_| {})).await;
    assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
    let least = |days: u64| move |probe: &mut TlsProbe| probe.expires_in = Some(Span::secs(days * 24 * 3600));
    assert_eq!(outcome(handshakes(&ours, soon, least(14))).await, bad("certificate expires in 3 days"));
    let (good, causes) = outcome(handshakes(&ours, soon, least(2))).await;
    assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
    assert_eq!(outcome(handshakes(&ours, over, |_| {})).await, bad("tls: certificate expired"));
    let (garbage, _) = server(|mut stream, _| async move {
        use tokio::io::AsyncWriteExt as _;
        let _ = stream.write_all(b"220 mail ESMTP\r\n").await;
        let _ = head(&mut stream).await;
    })
    .await;
    assert_eq!(outcome(handshakes(&ours, garbage.port(), |_| {})).await, bad("tls"));
}

#[tokio::test]
async fn a_clients_certificate_is_good_only_where_the_server_takes_it() {
    let (ours, theirs) = (authority(), authority());
    let (port, _) = tls_server(ours.acceptor_until(
        "edge.test",
        std::time::SystemTime::now() + Duration::from_secs(30 * 24 * 3600),
        Some(&ours),
    ))
    .await;
    let dir = tempfile::tempdir().unwrap();
    let client = |authority: &Authority, name: &str| {
        let key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &authority.issuer).unwrap();
        let (cert, file) = (dir.path().join(format!("{name}.crt")), dir.path().join(format!("{name}.key")));
        std::fs::write(&cert, leaf.pem()).unwrap();
        std::fs::write(&file, key.serialize_pem()).unwrap();
        let text = |path: std::path::PathBuf| Some(path.to_string_lossy().into_owned());
        move |probe: &mut TlsProbe| (probe.cert_file, probe.key_file) = (text(cert), text(file))
    };
    let (good, causes) = outcome(handshakes(&ours, port, client(&ours, "probe.test"))).await;
    assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
    let refused = outcome(handshakes(&ours, port, client(&theirs, "stranger.test"))).await;
    assert_eq!(refused, (0, vec!["tls: refused by the server".to_owned()]));
    // One key, and the certificate of another.
    let mut swapped = handshakes(&ours, port, client(&ours, "probe.test"));
    let ProbeKind::Tls(probe) = &mut swapped.kind else { unreachable!("made as tls") };
    probe.key_file = Some(dir.path().join("stranger.test.key").to_string_lossy().into_owned());
    let error =
        firedrill_probe::start(vec![swapped], Duration::from_secs(1)).expect_err("no pair").to_string();
    assert!(error.contains("it is not the key of `cert_file`") && !error.contains("BEGIN"), "{error}");
}
