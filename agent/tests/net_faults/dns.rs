//! Tests of net-dns: answers of a real server over UDP and TCP that are dropped, delayed, and falsified.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use firedrill_agent::{sandboxed, testing::wait_until};
use firedrill_wire::evidence::Seen;

use super::{
    trip::fault,
    world::{Injection, PEER4, PEER6, World},
};

/// Returns a server's answer to a question: one address of the family that was asked for, 10.7.7.7 or fd77::7.
fn answer(question: &[u8]) -> Vec<u8> {
    let end = question.iter().skip(12).position(|byte| *byte == 0).unwrap() + 12 + 5;
    let v6 = question[end - 3] == 28;
    let mut answer = question[..end].to_vec();
    (answer[2], answer[3], answer[7]) = (0x85, 0x80, 1);
    let data: Vec<u8> = match "fd77::7".parse::<IpAddr>().unwrap() {
        IpAddr::V6(six) if v6 => six.octets().to_vec(),
        _ => vec![10, 7, 7, 7],
    };
    // The name as a pointer to the question, type, class, time to live, and length of the data.
    answer.extend([
        0xc0,
        12,
        0,
        if v6 { 28 } else { 1 },
        0,
        1,
        0,
        0,
        0,
        60,
        0,
        u8::try_from(data.len()).unwrap(),
    ]);
    answer.extend(data);
    answer
}

/// Starts a server at an address.
pub(crate) fn serve(at: SocketAddr) {
    let udp = UdpSocket::bind(at).unwrap();
    let tcp = TcpListener::bind(at).unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut question) {
            udp.send_to(&answer(&question[..length]), from).unwrap();
        }
    });
    thread::spawn(move || {
        for mut stream in tcp.incoming().map_while(Result::ok) {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).unwrap();
            let reply = answer(&question);
            stream
                .write_all(&[&u16::try_from(reply.len()).unwrap().to_be_bytes()[..], &reply].concat())
                .unwrap();
        }
    });
}

/// Returns a question: a name, and the type of its records (1 is IPv4, 28 is IPv6).
fn ask(name: &str, kind: u8) -> Vec<u8> {
    let mut question = vec![9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, kind, 0, 1]);
    question
}

/// An answer.
#[derive(Debug)]
struct Reply {
    /// The response code.
    code: u8,
    /// The data of the last record; `None` if there is no record.
    data: Option<Vec<u8>>,
    /// The time from the question to the answer.
    took: Duration,
}

/// Parses an answer to a question that was sent at `began`.
fn read(message: &[u8], began: Instant) -> Reply {
    let records = u16::from_be_bytes([message[6], message[7]]);
    // The length of the last record's data: an IPv4 address has the length 4 before it.
    let length = if message.get(message.len().wrapping_sub(6)) == Some(&0) && message[message.len() - 5] == 4
    {
        4
    } else {
        16
    };
    let data = (records > 0).then(|| message[message.len() - length..].to_vec());
    Reply { code: message[3] & 0xf, data, took: began.elapsed() }
}

/// Returns the response code of a question; `None` if no answer came.
pub(crate) fn code(world: &World, server: SocketAddr) -> Option<u8> {
    over_udp(world, server, "shop.example", 1).map(|reply| reply.code)
}

/// Maximum time for an answer that has to come.
const LONG: Duration = Duration::from_secs(30);
/// Time without an answer after which none comes.
const SHORT: Duration = Duration::from_secs(1);

fn over_udp(world: &World, server: SocketAddr, name: &str, kind: u8) -> Option<Reply> {
    over_udp_within(LONG, world, server, name, kind)
}

fn over_udp_within(
    patience: Duration,
    world: &World,
    server: SocketAddr,
    name: &str,
    kind: u8,
) -> Option<Reply> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = world.host_ns.run(|| UdpSocket::bind(any)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    let began = Instant::now();
    socket.send(&ask(name, kind)).unwrap();
    let mut message = [0; 512];
    let length = socket.recv(&mut message).ok()?;
    Some(read(&message[..length], began))
}

fn over_tcp(world: &World, server: SocketAddr, name: &str) -> Option<Reply> {
    over_tcp_within(LONG, world, server, name)
}

fn over_tcp_within(patience: Duration, world: &World, server: SocketAddr, name: &str) -> Option<Reply> {
    let mut stream = world.host_ns.run(|| TcpStream::connect(server)).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    let (question, began) = (ask(name, 1), Instant::now());
    stream
        .write_all(&[&u16::try_from(question.len()).unwrap().to_be_bytes()[..], &question].concat())
        .unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(read(&message, began))
}

/// Starts servers on both addresses of the peer, and one on the host itself, like a local resolver.
fn servers(world: &World) -> [SocketAddr; 3] {
    let peers = [PEER4, PEER6].map(|peer| SocketAddr::new(peer.parse().unwrap(), 53));
    let own = SocketAddr::from(([127, 0, 0, 53], 53));
    world.at_peer(|| peers.into_iter().for_each(serve));
    world.host_ns.run(|| serve(own));
    [peers[0], peers[1], own]
}

const RIGHT: [u8; 4] = [10, 7, 7, 7];

sandboxed! {
    fn answers_are_falsified_in_their_zones_only() {
        let world = World::new();
        let servers = servers(&world);
        let before = world.snapshot();
        for (how, code, data) in [
            (r#""how":"nxdomain""#, 3, None),
            (r#""how":"servfail""#, 2, None),
            (r#""how":"wrong-address""#, 0, Some(vec![192, 0, 2, 1])),
            (r#""how":"wrong-address","address":["10.1.0.9","fd00:1::9"]"#, 0, Some(vec![10, 1, 0, 9])),
        ] {
            let injection = Injection::make(&world, &fault(&format!(r#"{{"net-dns":{{"zones":["shop.test"],{how}}}}}"#)));
            for server in servers {
                let reply = over_udp(&world, server, "db.shop.test", 1).unwrap();
                assert_eq!((reply.code, &reply.data), (code, &data), "{how} {server}: {reply:?}");
                let other = over_udp(&world, server, "db.workshop.test", 1).unwrap();
                assert_eq!((other.code, other.data.as_deref()), (0, Some(&RIGHT[..])), "{how} {server}");
                let reply = over_tcp(&world, server, "shop.test").unwrap();
                assert_eq!(reply.code, code, "{how} {server} TCP");
                assert_eq!(over_tcp(&world, server, "test").unwrap().data.as_deref(), Some(&RIGHT[..]));
            }
            let evidence = injection.evidence();
            assert_eq!((evidence.in_force, evidence.exercised, evidence.count), (Seen::Yes, Seen::Yes, Some(6)), "{}", evidence.detail);
            assert!(evidence.detail.contains("6 made to say something else"), "{}", evidence.detail);
            injection.undo();
            assert_eq!(over_udp(&world, servers[0], "db.shop.test", 1).unwrap().data.as_deref(), Some(&RIGHT[..]));
        }
        world.assert_same(&before);
    }
}

sandboxed! {
    fn each_family_gets_its_own_wrong_address_or_none() {
        let world = World::new();
        let servers = servers(&world);
        for (address, expected) in [(r#"["10.1.0.9","fd00:1::9"]"#, Some("fd00:1::9")), (r#"["10.1.0.9"]"#, None)] {
            let json = format!(r#"{{"net-dns":{{"zones":["."],"how":"wrong-address","address":{address}}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            let reply = over_udp(&world, servers[1], "shop.test", 28).unwrap();
            let address = reply.data.map(|data| IpAddr::from(<[u8; 16]>::try_from(data).unwrap()).to_string());
            assert_eq!((reply.code, address.as_deref()), (0, expected));
            injection.undo();
        }
    }
}

sandboxed! {
    fn answers_are_late_or_never_come() {
        let world = World::new();
        let servers = servers(&world);
        let late = fault(r#"{"net-dns":{"zones":["shop.test"],"how":"delay","delay":"300ms"}}"#);
        let injection = Injection::make(&world, &late);
        for server in servers {
            let reply = over_udp(&world, server, "shop.test", 1).unwrap();
            assert!(reply.took >= Duration::from_millis(299) && reply.data.as_deref() == Some(&RIGHT[..]), "{reply:?}");
            wait_until("the answer for another name is not late", || {
                over_udp(&world, server, "other.test", 1).unwrap().took < Duration::from_millis(250)
            });
        }
        injection.undo();
        // Only the answers of the first server are dropped.
        let json = format!(r#"{{"net-dns":{{"zones":["shop.test"],"how":"drop","to":"{PEER4}"}}}}"#);
        let injection = Injection::make(&world, &fault(&json));
        assert!(over_udp_within(SHORT, &world, servers[0], "shop.test", 1).is_none());
        assert!(over_tcp_within(SHORT, &world, servers[0], "shop.test").is_none());
        assert!(over_udp(&world, servers[1], "shop.test", 1).is_some());
        assert!(over_udp(&world, servers[0], "other.test", 1).is_some());
        let evidence = injection.evidence();
        assert_eq!(evidence.exercised, Seen::Yes, "{}", evidence.detail);
        injection.undo();
    }
}

sandboxed! {
    fn a_fault_without_questions_is_not_exercised() {
        let world = World::new();
        let servers = servers(&world);
        let injection = Injection::make(&world, &fault(r#"{"net-dns":{"zones":["shop.test"],"how":"nxdomain"}}"#));
        over_udp(&world, servers[0], "other.test", 1).unwrap();
        let evidence = injection.evidence();
        assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::No), "{}", evidence.detail);
        injection.undo();
    }
}
