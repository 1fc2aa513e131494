//! TCP handshakes, each in a separate thread, so that a slow one does not delay the next. Never sends data.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    thread,
    time::Instant,
};

use firedrill_wire::exchange::Exchange;

use super::answer::Answer;

/// Makes all handshakes of an exchange, one after each interval. Every connection is closed once it is established.
pub(super) fn all(ask: &Exchange, port: u16) -> Vec<Answer> {
    let to = SocketAddr::new(ask.to, port);
    let handshake = move |within| {
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
            started.push(thread::Builder::new().spawn_scoped(scope, move || handshake(within)));
        }
        started
            .into_iter()
            .map(|thread| match thread {
                Ok(thread) => {
                    thread.join().unwrap_or_else(|_| Answer::Failed("its thread panicked".to_owned()))
                }
                Err(error) => Answer::Failed(format!("no thread for it: {error}")),
            })
            .collect()
    })
}
