//! DNS probes against name servers that answer well, badly, cut, to others or not at all; and echoes.

use std::net::{Ipv4Addr, SocketAddr};

use crate::common::{http, outcome};
use firedrill_wire::probe::{DnsProbe, IcmpProbe, ProbeKind, ProbeSpec};
use simple_dns::{
    CLASS, Packet, PacketFlag, RCODE, ResourceRecord,
    rdata::{A, RData},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

/// A probe of the A records of a name at that server.
fn asks(server: SocketAddr, name: &str, rest: &serde_json::Value) -> ProbeSpec {
    let mut table = serde_json::json!({ "server": server.to_string(), "name": name });
    table.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    ProbeSpec { kind: ProbeKind::Dns(serde_json::from_value::<DnsProbe>(table).unwrap()), ..http("") }
}

fn bad(cause: &str) -> (u64, Vec<String>) {
    (0, vec![cause.to_owned()])
}

async fn good(spec: ProbeSpec) {
    let (good, causes) = outcome(spec).await;
    assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
}

/// The question came by UDP: a value of `by_udp`.
const UDP: bool = true;
/// The question came by TCP: a value of `by_udp`.
const TCP: bool = false;

/// Returns the answer that the first label of the name asks for.
fn answer(query: &[u8], by_udp: bool) -> Vec<u8> {
    let asked = Packet::parse(query).unwrap();
    let name = asked.questions[0].qname.clone();
    let mut reply = Packet::parse(query).unwrap().into_reply();
    let mut add = |last: u8| {
        let data = RData::A(A::from(Ipv4Addr::new(192, 0, 2, last)));
        reply.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 0, data));
    };
    match name.to_string().split('.').next().unwrap() {
        "two" => [1, 2].map(&mut add).len(),
        "cut" if by_udp => {
            reply.set_flags(PacketFlag::TRUNCATION);
            0
        }
        "cut" => [1].map(&mut add).len(),
        "empty" => 0,
        _ => {
            *reply.rcode_mut() = RCODE::NameError;
            0
        }
    };
    reply.build_bytes_vec().unwrap()
}

/// A name server by UDP and TCP at one port. It answers `stranger` with another id first, and `silent` never.
async fn server(host: &str) -> SocketAddr {
    let udp = UdpSocket::bind((host, 0)).await.unwrap();
    let address = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut query).await {
            let query = &query[..length];
            let name = Packet::parse(query).unwrap().questions[0].qname.to_string();
            if name.starts_with("silent") {
                continue;
            }
            let whole = answer(query, UDP);
            if name.starts_with("two") {
                let mut other = answer(query, UDP);
                other[1] ^= 1;
                other[3] |= 2;
                let _ = udp.send_to(&other, from).await;
            }
            let _ = udp.send_to(&whole, from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            tokio::spawn(async move {
                let length = stream.read_u16().await.unwrap();
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.unwrap();
                let answer = answer(&query, TCP);
                stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            });
        }
    });
    address
}

#[tokio::test]
async fn name_servers_are_asked_by_both_transports_and_families() {
    for host in ["127.0.0.1", "::1"] {
        let server = server(host).await;
        let none = &serde_json::json!({});
        for transport in ["udp", "tcp"] {
            let two = |rest: serde_json::Value| {
                let mut all = rest;
                all["transport"] = transport.into();
                asks(server, "Two.example.", &all)
            };
            good(two(none.clone())).await;
            good(two(serde_json::json!({"expect": ["192.0.2.2", "192.0.2.1"], "match": "exact"}))).await;
            assert_eq!(
                outcome(two(serde_json::json!({"expect": ["192.0.2.9"]}))).await,
                bad("other records")
            );
        }
        assert_eq!(outcome(asks(server, "empty.example", none)).await, bad("no records"));
        assert_eq!(outcome(asks(server, "lost.example", none)).await, bad("rcode NXDOMAIN"));
        good(asks(server, "lost.example", &serde_json::json!({"rcode": "NXDOMAIN"}))).await;
        // The whole answer comes by TCP.
        good(asks(server, "cut.example", none)).await;
        assert_eq!(outcome(asks(server, "silent.example", none)).await, bad("timeout"));
    }
}

#[tokio::test]
async fn a_name_server_that_is_not_there_is_refused_at_once() {
    // Bound and dropped: nobody listens there.
    let free = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(outcome(asks(free, "two.example", &serde_json::json!({}))).await, bad("refused"));
}

fn echo(host: &str, size: u16) -> ProbeSpec {
    ProbeSpec { kind: ProbeKind::Icmp(IcmpProbe { host: host.to_owned(), size }), ..http("") }
}

#[tokio::test]
async fn echoes_come_back_in_both_families_and_sizes() {
    for (host, size) in [("127.0.0.1", 56), ("::1", 16), ("127.0.0.1", 8972), ("localhost", 1400)] {
        match firedrill_probe::unreadable(&echo(host, size), &firedrill_probe::NoStores).as_slice() {
            [] => good(echo(host, size)).await,
            // The test's user may have no rights.
            [refusal, ..] => {
                assert!(!rustix::process::geteuid().is_root(), "{refusal}");
                assert!(firedrill_probe::start(vec![echo(host, size)], std::time::Duration::ZERO).is_err());
                eprintln!("skipped: {refusal}");
            }
        }
    }
}
