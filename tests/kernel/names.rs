//! A name server at the peer, and a client on the machine that asks it, for a fault on DNS answers.

use std::{
    fs::File,
    net::UdpSocket,
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::sched::{CloneFlags, setns};

/// The address of the name server.
const SERVER: &str = "10.9.0.2:53";

/// The question for the address of `shop.example`.
const QUESTION: &[u8] =
    b"\x09\x09\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04shop\x07example\x00\x00\x01\x00\x01";

/// The record of the answer: 10.7.7.7, for a minute.
const RECORD: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x07\x07\x07";

/// A client that asks several times a second, until this is dropped.
pub(crate) struct Questions {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Questions {
    /// Starts the name server and the client.
    pub(crate) fn ask() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let [server, client] = [(); 2].map(|()| Arc::clone(&over));
        let threads = vec![thread::spawn(move || serve(&server)), thread::spawn(move || ask(&client))];
        Self { over, threads }
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the name server or its client failed");
        }
    }
}

/// The pause between questions, and the longest wait for a question or an answer.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers questions in the peer's network.
fn serve(over: &AtomicBool) {
    let peer = File::open("/run/netns/peer").expect("the peer's namespace");
    setns(peer.as_fd(), CloneFlags::CLONE_NEWNET).expect("root");
    let socket = UdpSocket::bind(SERVER).expect("a free port");
    socket.set_read_timeout(Some(PAUSE)).expect("a time-out");
    let mut question = [0; 512];
    while !over.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        let mut answer = [&question[..length], RECORD].concat();
        // An authoritative answer with one record.
        (answer[2], answer[3], answer[7]) = (0x85, 0x80, 1);
        // The client asks again if this is lost.
        let _ = socket.send_to(&answer, from);
    }
}

/// Asks again and again.
fn ask(over: &AtomicBool) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect(SERVER).expect("a route");
    socket.set_read_timeout(Some(PAUSE)).expect("a time-out");
    while !over.load(Ordering::Relaxed) {
        // Answers are falsified during a fault, and each question is asked again anyway.
        let _ = socket.send(QUESTION).and_then(|_| socket.recv(&mut [0; 512]));
        thread::sleep(PAUSE);
    }
}
