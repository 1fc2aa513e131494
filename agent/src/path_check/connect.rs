//! TCP handshakes, each on a thread of its own so that a slow one does not delay the next.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    thread,
    time::Instant,
};

use firedrill_wire::exchange::Exchange;

use super::answer::Answer;

/// Makes all handshakes; every connection is closed once it is established.
pub(super) fn all(ask: &Exchange, port: u16) -> Vec<Answer> {
    let to = SocketAddr::new(ask.to, port);
    let one = move |within| {
        let began = Instant::now();
        match TcpStream::connect_timeout(&to, within) {
            Ok(_) => Answer::Answered(began.elapsed()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Answer::Refused(began.elapsed()),
            Err(error) if error.kind() == ErrorKind::TimedOut => Answer::Silent,
            Err(error) => Answer::Failed(error.to_string()),
        }
    };
    thread::scope(|scope| {
        let mut started = Vec::new();
        for number in 0..ask.count {
            if number > 0 {
                thread::sleep(ask.every.into());
            }
            let within = ask.within.into();
            started.push(thread::Builder::new().spawn_scoped(scope, move || one(within)));
        }
        let failed = |why: String| Answer::Failed(why);
        started
            .into_iter()
            .map(|thread| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| failed("its thread panicked".to_owned())),
                Err(error) => failed(format!("no thread for it: {error}")),
            })
            .collect()
    })
}
