//! People who watch a run: streams of its page, each read by a thread. A session has six of them at most, so there are many sessions.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use crate::{Failure, room::Room};

/// Number of streams that a session may have.
const EACH: usize = 6;
/// The stack of a viewer's thread, in bytes: small, because there are many.
const STACK: usize = 128 << 10;

/// Streams that are read until this is dropped.
pub(crate) struct Viewers {
    streams: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
    /// Number of states that were read.
    frames: Arc<AtomicU64>,
}

impl Viewers {
    /// Logs in as many people as it takes, and opens their streams.
    pub(crate) fn start(room: &Room, admin: &str, run: &str, count: usize) -> Result<Self, Failure> {
        let frames = Arc::new(AtomicU64::new(0));
        let (mut streams, mut threads) = (Vec::new(), Vec::new());
        let mut cookie = String::new();
        for number in 0..count {
            if number % EACH == 0 {
                cookie = room.invite(admin, &format!("viewer{number}"), "viewer");
            }
            let mut stream = TcpStream::connect(&room.address)?;
            write!(
                stream,
                "GET /runs/{run}/live HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n",
                room.address
            )?;
            streams.push(stream.try_clone()?);
            let frames = Arc::clone(&frames);
            let read = move || {
                let begun = |line: &std::io::Result<String>| {
                    line.as_ref().is_ok_and(|line| line.starts_with("event: state"))
                };
                let lines = BufReader::new(stream).lines().take_while(std::io::Result::is_ok);
                lines.filter(begun).for_each(|_| {
                    frames.fetch_add(1, Ordering::Relaxed);
                });
            };
            threads.push(std::thread::Builder::new().stack_size(STACK).spawn(read)?);
        }
        Ok(Self { streams, threads, frames })
    }

    /// Returns the number of states that the viewers have seen, all together.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        for stream in &self.streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
