//! The end of a request. Never text from a server: causes are a short, stable set of words.

mod code;

use std::{fmt, io};

/// The reason why an answer was bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// No whole answer within the time-out, counted from when the request was sent.
    Timeout,
    /// The port was closed.
    Refused,
    /// No way to the host, or something on the way said so.
    Unreachable,
    /// The connection was cut before the answer was whole.
    Reset,
    /// The name could not be looked up.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// Another status than the probe wants.
    Status(u16),
    /// The body does not contain what the probe wants.
    Body,
    /// The answer is not HTTP.
    Protocol,
    /// The vantage itself could not send the request. Only writes have it: for other requests it is [`Failure::Vantage`].
    Vantage,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Status(code) => return write!(f, "status {code}"),
            Self::Body => "body",
            Self::Protocol => "protocol",
            Self::Vantage => "vantage",
        })
    }
}

/// A request that had no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The other side's doing, as far as the vantage can tell.
    Bad(Cause),
    /// The vantage itself could not (no free port, no free descriptor, no memory): nothing was measured.
    Vantage,
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self::Bad(cause)
    }
}

/// The duration of each phase of a request, in microseconds; 0 for a phase that it skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Phases {
    /// Looking up the name.
    pub(crate) resolve: u64,
    /// Opening the connection.
    pub(crate) connect: u64,
    /// The TLS handshake.
    pub(crate) tls: u64,
    /// From the request to the head of the answer.
    pub(crate) first_byte: u64,
}

impl Phases {
    /// Adds another request's.
    pub(crate) fn add(&mut self, other: Self) {
        self.resolve += other.resolve;
        self.connect += other.connect;
        self.tls += other.tls;
        self.first_byte += other.first_byte;
    }

    /// Each with its name.
    pub(crate) const fn named(self) -> [(&'static str, u64); 4] {
        [
            ("resolve", self.resolve),
            ("connect", self.connect),
            ("tls", self.tls),
            ("first_byte", self.first_byte),
        ]
    }
}

/// Classifies a socket error as an outcome of the request.
pub(crate) fn of_io(error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    if is_own_limit(error) {
        // Once is enough: it comes with every request while it lasts.
        static SAID: std::sync::Once = std::sync::Once::new();
        SAID.call_once(|| {
            tracing::warn!(%error, "this vantage cannot send a probe's requests; they count as slipped");
        });
        return Failure::Vantage;
    }
    Failure::Bad(match error.kind() {
        Kind::ConnectionRefused => Cause::Refused,
        Kind::TimedOut => Cause::Timeout,
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::UnexpectedEof
        | Kind::NotConnected => Cause::Reset,
        // Rejecting routes and firewalls answer with "permission denied" and "invalid argument" too.
        _ => Cause::Unreachable,
    })
}

/// Whether it is a limit of this machine or process, which says nothing about the other side.
fn is_own_limit(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse | io::ErrorKind::OutOfMemory
    ) || Errno::from_io_error(error).is_some_and(|errno| {
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::AGAIN].contains(&errno)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vantages_own_limits_are_not_blamed_on_the_service() {
        for code in [libc::EMFILE, libc::ENFILE, libc::EADDRNOTAVAIL, libc::ENOBUFS, libc::ENOMEM] {
            assert_eq!(of_io(&io::Error::from_raw_os_error(code)), Failure::Vantage, "{code}");
        }
        assert_eq!(of_io(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), Failure::Bad(Cause::Refused));
        assert_eq!(
            of_io(&io::Error::from_raw_os_error(libc::EHOSTUNREACH)),
            Failure::Bad(Cause::Unreachable)
        );
        assert_eq!(of_io(&io::Error::from_raw_os_error(libc::EACCES)), Failure::Bad(Cause::Unreachable));
    }
}
