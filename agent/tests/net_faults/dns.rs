//! DNS answers dropped, delayed, and falsified, from a real server over UDP and TCP.

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

/// A server that answers every question with one address of each of its families: 10.7.7.7 or fd77::7.
fn answer(question: &[u8]) -> Vec<u8> {
    let end = question.iter().skip(12).position(|byte| *byte == 0).unwrap() + 12 + 5;
    let v6 = question[end - 3] == 28;
    let mut answer = question[..end].to_vec();
    (answer[2], answer[3], answer[7]) = (0x85, 0x80, 1);
    let data: Vec<u8> = match "fd77::7".parse::<IpAddr>().unwrap() {
        IpAddr::V6(six) if v6 => six.octets().to_vec(),
        _ => vec![10, 7, 7, 7],
    };
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
            let said = answer(&question);
            stream
                .write_all(&[&u16::try_from(said.len()).unwrap().to_be_bytes()[..], &said].concat())
                .unwrap();
        }
    });
}

fn ask(name: &str, kind: u8) -> Vec<u8> {
    let mut question = vec![9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, kind, 0, 1]);
    question
}

/// The answer: the response code, the last record's data if there is one, and the time that it took.
#[derive(Debug)]
struct Said {
    code: u8,
    data: Option<Vec<u8>>,
    took: Duration,
}

fn read(message: &[u8], began: Instant) -> Said {
    let records = u16::from_be_bytes([message[6], message[7]]);
    let length = if message.get(message.len().wrapping_sub(6)) == Some(&0) && message[message.len() - 5] == 4
    {
        4
    } else {
        16
    };
    let data = (records > 0).then(|| message[message.len() - length..].to_vec());
    Said { code: message[3] & 0xf, data, took: began.elapsed() }
}

/// Returns the response code of a question; `None` if no answer came.
pub(crate) fn code(world: &World, server: SocketAddr) -> Option<u8> {
    over_udp(world, server, "shop.example", 1).map(|said| said.code)
}

/// The time for which an answer is waited for that has to come, and one that must not come.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(1);

fn over_udp(world: &World, server: SocketAddr, name: &str, kind: u8) -> Option<Said> {
    over_udp_within(LONG, world, server, name, kind)
}

fn over_udp_within(
    patience: Duration,
    world: &World,
    server: SocketAddr,
    name: &str,
    kind: u8,
) -> Option<Said> {
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

fn over_tcp(world: &World, server: SocketAddr, name: &str) -> Option<Said> {
    over_tcp_within(LONG, world, server, name)
}

fn over_tcp_within(patience: Duration, world: &World, server: SocketAddr, name: &str) -> Option<Said> {
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
                let said = over_udp(&world, server, "db.shop.test", 1).unwrap();
                assert_eq!((said.code, &said.data), (code, &data), "{how} {server}: {said:?}");
                let other = over_udp(&world, server, "db.workshop.test", 1).unwrap();
                assert_eq!((other.code, other.data.as_deref()), (0, Some(&RIGHT[..])), "{how} {server}");
                let said = over_tcp(&world, server, "shop.test").unwrap();
                assert_eq!(said.code, code, "{how} {server} TCP");
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
    fn the_other_family_gets_its_own_wrong_address_or_none() {
        let world = World::new();
        let servers = servers(&world);
        for (address, expected) in [(r#"["10.1.0.9","fd00:1::9"]"#, Some("fd00:1::9")), (r#"["10.1.0.9"]"#, None)] {
            let json = format!(r#"{{"net-dns":{{"zones":["."],"how":"wrong-address","address":{address}}}}}"#);
            let injection = Injection::make(&world, &fault(&json));
            let said = over_udp(&world, servers[1], "shop.test", 28).unwrap();
            let address = said.data.map(|data| IpAddr::from(<[u8; 16]>::try_from(data).unwrap()).to_string());
            assert_eq!((said.code, address.as_deref()), (0, expected));
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
            let said = over_udp(&world, server, "shop.test", 1).unwrap();
            assert!(said.took >= Duration::from_millis(299) && said.data.as_deref() == Some(&RIGHT[..]), "{said:?}");
            wait_until("the answer for another name is not late", || {
                over_udp(&world, server, "other.test", 1).unwrap().took < Duration::from_millis(250)
            });
        }
        injection.undo();
        // Only the answers of the first server.
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
    fn nobody_asked_is_not_exercised() {
        let world = World::new();
        let servers = servers(&world);
        let injection = Injection::make(&world, &fault(r#"{"net-dns":{"zones":["shop.test"],"how":"nxdomain"}}"#));
        over_udp(&world, servers[0], "other.test", 1).unwrap();
        let evidence = injection.evidence();
        assert_eq!((evidence.in_force, evidence.exercised), (Seen::Yes, Seen::No), "{}", evidence.detail);
        injection.undo();
    }
}
