//! A refusal reaches the caller even if it comes before the whole request was sent.

use std::{sync::Arc, time::Duration};

use firedrill::{
    link::{Agent, Identity, LinkError, Trust},
    plan::model::Reach,
};
use firedrill_wire::{api::Prepare, identity::Role};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    frames::{
        ACK, CANCEL, CONNECTION, DATA, END_STREAM, FIRST, Frame, HEADERS, INTERNAL_ERROR, NO_FLAGS, PING,
        PREFACE, RESET, STREAM_CLOSED,
    },
    house::{HOST, House, Served, agent, client_config, prepare, run},
};

/// Returns a request that takes long to send.
fn long() -> Prepare {
    Prepare { plan_digest: "d".repeat(900_000), ..prepare() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_ends_after_its_request_so_that_no_stream_is_reset() {
    let house = House::new();
    let served = house.serve().await;
    house.person("vera", Role::Viewer);
    let config = client_config(&house, Some("vera"));
    let tcp = TcpStream::connect(served.at).await.unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut tls = tls.connect(HOST.try_into().unwrap(), tcp).await.unwrap();
    tls.write_all(PREFACE).await.unwrap();
    Frame::settings().send(&mut tls).await;
    let head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/v1/runs/friday-1/prepare"),
        ("content-length", "40000"),
    ];
    Frame::head(NO_FLAGS, FIRST, &head).send(&mut tls).await;
    Frame::new(DATA, NO_FLAGS, FIRST, vec![b' '; 10_000]).send(&mut tls).await;
    // The answer comes while the request is still being sent.
    let (mut ended, mut resets, mut said) = (false, 0, Vec::new());
    while !String::from_utf8_lossy(&said).contains("not-allowed") {
        let frame = Frame::read(&mut tls).await.unwrap();
        match (frame.kind, frame.stream) {
            (DATA, FIRST) => said.extend(frame.body),
            (RESET, FIRST) => resets += 1,
            _ => {}
        }
        ended |=
            frame.stream == FIRST && [DATA, HEADERS].contains(&frame.kind) && frame.flags & END_STREAM != 0;
    }
    assert!(!ended, "the answer ended before its request, which then has to be reset");
    Frame::new(DATA, NO_FLAGS, FIRST, vec![b' '; 15_000]).send(&mut tls).await;
    Frame::new(DATA, END_STREAM, FIRST, vec![b' '; 15_000]).send(&mut tls).await;
    Frame::new(PING, NO_FLAGS, CONNECTION, [7; 8]).send(&mut tls).await;
    let mut answered = false;
    while !(answered && ended) && resets == 0 {
        let frame = Frame::read(&mut tls).await.unwrap();
        match (frame.kind, frame.stream) {
            (RESET, FIRST) => resets += 1,
            (PING, CONNECTION) if frame.flags == ACK => answered = true,
            (DATA, FIRST) => ended |= frame.flags & END_STREAM != 0,
            _ => {}
        }
    }
    assert_eq!(resets, 0);
}

/// Starts an agent that answers the first request with these frames, and closes the connection without reading the rest of the request.
async fn by_hand(house: &House, frames: Vec<Frame>) -> Reach {
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let cert = house.dir.path().join("hosts").join(format!("{HOST}.pem"));
    let chain = vec![CertificateDer::from_pem_file(&cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(cert.with_extension("key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        // Without this option the kernel could hold data back, which would be lost when the connection is closed.
        tcp.set_nodelay(true).unwrap();
        let mut tls = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
        let mut preface = [0; PREFACE.len()];
        tls.read_exact(&mut preface).await.unwrap();
        Frame::settings().send(&mut tls).await;
        while Frame::read(&mut tls).await.unwrap().kind != HEADERS {}
        // All frames are written at once, so that the client receives them together.
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        tls.write_all(&bytes).await.unwrap();
        tls.flush().await.unwrap();
    });
    Reach::Tcp(at.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_read_even_if_its_stream_breaks() {
    let house = House::new();
    let olga = house.person("olga", Role::Operator);
    let reason = r#"{"code":"not-allowed","title":"policy says no","hint":""}"#;
    let length = reason.len().to_string();
    let head = || Frame::head(NO_FLAGS, FIRST, &[(":status", "403"), ("content-length", &length)]);
    let without_length = || Frame::head(NO_FLAGS, FIRST, &[(":status", "403")]);
    let body = |text: &str| Frame::new(DATA, NO_FLAGS, FIRST, text.as_bytes());
    let last = |text: &str| Frame::new(DATA, END_STREAM, FIRST, text.as_bytes());
    let reset = |code| Frame::reset(FIRST, code);
    for (what, frames, code) in [
        ("reset by an error", vec![head(), body(reason), reset(INTERNAL_ERROR)], "not-allowed"),
        ("ended, then reset", vec![head(), last(reason), reset(STREAM_CLOSED)], "not-allowed"),
        ("no length given", vec![without_length(), body(reason), reset(CANCEL)], "not-allowed"),
        ("cut, and closed", vec![head(), body(reason)], "not-allowed"),
        ("a part, then reset", vec![head(), body(&reason[..20]), reset(INTERNAL_ERROR)], "unread"),
        ("no reason at all", vec![head(), reset(INTERNAL_ERROR)], "unread"),
    ] {
        let agent = agent(HOST, by_hand(&house, frames).await, &olga);
        match agent.prepare(&run(), &long()).await {
            Err(LinkError::Refused { status: 403, problem, .. }) => {
                assert_eq!(problem.code.as_str(), code, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// Starts a relay to the agent with small buffers and a low rate, 64 KiB/s for each link.
async fn slowly(served: &Served) -> Reach {
    let (listener, at) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), served.at);
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from_near, mut to_near) = near.into_split();
                let (mut from_far, mut to_far) = TcpStream::connect(at).await.unwrap().into_split();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = from_near.read(&mut buffer).await {
                        if to_far.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(62)).await;
                    }
                });
                let _ = tokio::io::copy(&mut from_far, &mut to_near).await;
            });
        }
    });
    Reach::Tcp(here.to_string())
}

/// Sends [`long`] as a person.
async fn ask(reach: &Reach, who: &Arc<Identity>) -> Result<(), LinkError> {
    let agent: Agent = agent(HOST, reach.clone(), who);
    agent.prepare(&run(), &long()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_come_over_slow_links_to_many_callers_at_once() {
    let house = House::new();
    let served = house.serve().await;
    let viewer = house.person("vera", Role::Viewer);
    let stranger = {
        let other = House::new();
        other.person("mallory", Role::Operator);
        let people = other.dir.path().join("people");
        let (cert, key) = (people.join("mallory.pem"), people.join("mallory.key"));
        Arc::new(Identity::from_files("mallory", &cert, &key, &house.ca(), None).unwrap())
    };
    let fast = Reach::Tcp(served.at.to_string());
    for reach in [slowly(&served).await, fast] {
        for answer in join_all((0..10).map(|_| ask(&reach, &viewer))).await {
            assert!(matches!(answer, Err(LinkError::Refused { status: 403, .. })), "{answer:?}");
        }
        for answer in join_all((0..10).map(|_| ask(&reach, &stranger))).await {
            let known = matches!(&answer, Err(LinkError::Tls { trust: Trust::CoordinatorUnknown, .. }));
            assert!(known, "{answer:?}");
        }
    }
}
