//! A D-Bus client that calls methods and waits for their answers. It blocks, and needs no runtime and no other thread.
//!
//! It follows the D-Bus Specification 0.43 (<https://dbus.freedesktop.org/doc/dbus-specification.html>). It sends only text arguments, and
//! reads values of every type. It never serves calls, never subscribes to signals, and trusts no length that the other side sends.

mod error;
mod message;
mod value;

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::{
    socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt},
    time::TimeVal,
};

pub use error::DbusError;
pub use message::Target;
pub use value::Value;

use message::{Answer, Call, Header};

/// The bus itself, as a service.
const BUS: Target<'_> = Target {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// A connection to a message bus. When it is closed, services free the resources that they keep for the caller.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    /// The number of the last call.
    serial: u32,
}

impl Connection {
    /// Connects to the bus at a socket's path, as the user of this process.
    ///
    /// # Errors
    /// No process listens there, this user is refused, or no answer came within `at_most`.
    pub fn open(path: &Path, at_most: Duration) -> Result<Self, DbusError> {
        let deadline = Instant::now() + at_most;
        let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(io::Error::from)?;
        // If the bus has many callers in its queue, `connect` blocks. The send timeout limits that, too.
        let seconds = i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX).max(1);
        setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(seconds, 0)).map_err(io::Error::from)?;
        let address = UnixAddr::new(path).map_err(io::Error::from)?;
        connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &address).map_err(io::Error::from)?;
        let mut connection = Self { stream: socket.into(), serial: 0 };
        connection.authenticate(deadline)?;
        connection.call(&BUS, "Hello", &[], deadline.saturating_duration_since(Instant::now()))?;
        Ok(connection)
    }

    /// Calls a method with text arguments, and returns the values of its answer.
    ///
    /// # Errors
    /// The service refused, the connection failed, or no answer came within `at_most`.
    pub fn call(
        &mut self,
        target: &Target<'_>,
        method: &str,
        arguments: &[&str],
        at_most: Duration,
    ) -> Result<Vec<Value>, DbusError> {
        let deadline = Instant::now() + at_most;
        self.serial = self.serial.checked_add(1).unwrap_or(1);
        let call = Call { serial: self.serial, target, method, arguments };
        self.send(&call.encode()?, deadline)?;
        loop {
            match self.receive(deadline)?.answer_to(self.serial)? {
                Some(Answer::Values(values)) => return Ok(values),
                Some(Answer::Error { name, text }) => {
                    let text = text.unwrap_or_else(|| name.clone());
                    return Err(DbusError::Refused { name, text });
                }
                None => {} // a signal, or the answer to an earlier call that was not waited for
            }
        }
    }

    /// Authenticates by the mechanism `EXTERNAL`: the bus asks the kernel for the user at this end of the socket.
    fn authenticate(&mut self, deadline: Instant) -> Result<(), DbusError> {
        let user: String =
            nix::unistd::geteuid().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        self.send(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes(), deadline)?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.fill(&mut byte, deadline)?;
            line.extend(byte);
            if line.len() > 512 {
                return Err(DbusError::Nonsense("a line without an end".to_owned()));
            }
        }
        if !line.starts_with(b"OK ") {
            let reply = String::from_utf8_lossy(&line).trim_end().escape_debug().to_string();
            return Err(DbusError::Nonsense(format!("`{reply}` when asked to let this user in")));
        }
        self.send(b"BEGIN\r\n", deadline)
    }

    /// Receives one message.
    fn receive(&mut self, deadline: Instant) -> Result<message::Message, DbusError> {
        let mut start = [0; Header::LENGTH];
        self.fill(&mut start, deadline)?;
        let header = Header::decode(&start)?;
        let mut rest = vec![0; header.rest];
        self.fill(&mut rest, deadline)?;
        header.complete(rest)
    }

    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), DbusError> {
        self.stream.set_write_timeout(Some(left(deadline)?))?;
        self.stream.write_all(bytes).map_err(in_time)
    }

    /// Reads until all of `bytes` are filled.
    fn fill(&mut self, bytes: &mut [u8], deadline: Instant) -> Result<(), DbusError> {
        let mut filled = 0;
        while filled < bytes.len() {
            self.stream.set_read_timeout(Some(left(deadline)?))?;
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(in_time(error)),
            }
        }
        Ok(())
    }
}

/// Returns the time until the deadline. It is never zero, because sockets take a timeout of zero for no timeout.
///
/// # Errors
/// The deadline has passed.
fn left(deadline: Instant) -> Result<Duration, DbusError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left) }
}

fn late() -> DbusError {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into()
}

/// Converts an error of the socket; a timeout of the socket becomes "no answer in time".
fn in_time(error: io::Error) -> DbusError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => late(),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
