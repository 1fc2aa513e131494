//! Many connections of strangers, and invalid input of people with certificates: the agent's memory stays small, and it goes on serving.

use std::time::Duration;

use bytes::Bytes;
use firedrill_wire::identity::Role;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::{Request, body::Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::house::{HOST, House, Served, client_config, until};

/// Returns the resident memory of this process (client and server together) in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Whether the test has to run in this process. It needs a separate process, because it measures the memory of the whole process. If this
/// returns false, the test has run in another process already.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "FIREDRILL_TEST_ALONE";
    if std::env::var(ALONE).is_ok_and(|alone| alone == test) {
        return true;
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let output = again.args([test, "--exact", "--nocapture"]).env(ALONE, test).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

/// Returns the number of connections that this process may open, at most `wanted`. Both ends of each are in this process. Counts three files for
/// each, and leaves 300 files for everything else.
fn room_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let room = getrlimit(Resource::Nofile)
        .current
        .map_or(wanted, |limit| usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(300) / 3);
    if room < wanted {
        eprintln!("only {room} connections instead of {wanted}: the limit of open files allows no more");
    }
    room.min(wanted)
}

/// Opens a connection of a stranger.
async fn open(served: &Served) -> TcpStream {
    TcpStream::connect(served.at).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_strangers_do_not_lock_people_out() {
    if !is_alone("flood::thousands_of_idle_strangers_do_not_lock_people_out") {
        return;
    }
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Viewer);
    served.agent(&olga).status().await.unwrap();
    let before = resident_kib();
    let mut idle = Vec::new();
    for number in 0..room_for(2_000) {
        let mut tcp = open(&served).await;
        if number % 2 == 0 {
            // Only the beginning of a handshake is sent.
            let _ = tcp.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).await;
        }
        idle.push(tcp);
        if number % 250 == 0 {
            served.agent(&olga).status().await.expect("a person with a certificate gets in");
        }
    }
    for _ in 0..20 {
        served.agent(&olga).status().await.expect("a person with a certificate gets in");
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more for {} idle connections", idle.len());
    // The agent has closed all but a few of them, so reading from them ends.
    let count = idle.len();
    let (mut ended, mut buffer) = (0, [0; 64]);
    for tcp in &mut idle {
        if let Ok(Ok(0) | Err(_)) =
            tokio::time::timeout(Duration::from_millis(1), tcp.read(&mut buffer)).await
        {
            ended += 1;
        }
    }
    // 100 may be open.
    assert!(ended + 100 >= count, "only {ended} of {count} were closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_does_not_stop_the_server() {
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Viewer);
    let mut seed = 0x2545_f491_u32;
    for length in [0, 1, 5, 100, 5_000, 200_000] {
        let garbage: Vec<u8> = std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed.to_le_bytes()[0]
        })
        .take(length)
        .collect();
        for start in [&[][..], &[0x16, 0x03, 0x01, 0x40, 0x00], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut tcp = open(&served).await;
            let _ = tcp.write_all(start).await;
            let _ = tcp.write_all(&garbage).await;
        }
        served.agent(&olga).status().await.expect("it serves on");
    }
    // Garbage inside a TLS connection, from a person with a certificate.
    let config = std::sync::Arc::new(client_config(&house, Some("olga")));
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096]] {
        let name = ServerName::try_from(HOST).unwrap();
        let tls = tokio_rustls::TlsConnector::from(config.clone()).connect(name, open(&served).await).await;
        let mut tls = tls.unwrap();
        tls.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), tls.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "the agent does not close the connection");
    }
    served.agent(&olga).status().await.expect("it serves on");
    assert!(!served.task.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handshake_is_ended() {
    let house = House::new();
    let served = house.serve().await;
    let mut tcp = open(&served).await;
    let slow = async {
        // The client sends a record byte by byte, with long pauses.
        for byte in [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03].into_iter().cycle() {
            if tcp.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), slow).await.expect("a handshake has an end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_leaves_connections_open_does_not_lock_others_out() {
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Viewer);
    house.person("clumsy", Role::Viewer);
    let mut forgotten = Vec::new();
    // The agent allows 256 connections.
    let count = room_for(300);
    if count < 300 {
        return eprintln!("skipped: the agent's limit of connections cannot be reached with so few files");
    }
    for _ in 0..count {
        let mut bare = served.bare(&house, "clumsy").await;
        let request = Request::get("https://app-1/v1/clock").body(Full::<Bytes>::default()).unwrap();
        bare.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        forgotten.push(bare);
    }
    served.agent(&olga).status().await.expect("others get in");
    until("the oldest were closed", || forgotten.iter().filter(|bare| bare.is_closed()).count() >= 40).await;
    assert!(!forgotten.last().unwrap().is_closed(), "the newest connection was closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_an_end_is_refused_at_its_limit() {
    if !is_alone("flood::a_body_without_an_end_is_refused_at_its_limit") {
        return;
    }
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Operator);
    let name = ServerName::try_from(HOST).unwrap();
    let config = std::sync::Arc::new(client_config(&house, Some("olga")));
    let tls = tokio_rustls::TlsConnector::from(config).connect(name, open(&served).await).await.unwrap();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
    tokio::spawn(connection);
    let before = resident_kib();
    for path in ["/v1/undo", "/v1/release", "/v1/runs/a/prepare", "/v1/runs/a/renew", "/v1/runs/a/probes"] {
        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(&[b' '; 8192])))
        });
        let request = Request::post(format!("https://app-1{path}")).body(StreamBody::new(endless)).unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(20), send.send_request(request)).await.unwrap();
        assert_eq!(answer.unwrap().status(), 413, "{path}");
    }
    assert!(resident_kib().saturating_sub(before) < 64 * 1024);
    served.agent(&olga).status().await.expect("it serves on");
    assert_eq!(served.control.taken(), ["status"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_whose_connections_are_all_busy_does_not_prevent_healing() {
    let house = House::new();
    let served = house.serve().await;
    let vera = house.person("vera", Role::Viewer);
    house.person("busy", Role::Viewer);
    let mut streams = Vec::new();
    for _ in 0..room_for(260) {
        let mut bare = served.bare(&house, "busy").await;
        let request = Request::get("https://app-1/v1/events").body(Full::<Bytes>::default()).unwrap();
        let answer = bare.send_request(request).await.unwrap();
        streams.push((bare, answer));
    }
    served.agent(&vera).undo(&super::house::undo_all()).await.expect("healing gets in");
}
