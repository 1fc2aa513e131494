//! The end of a request. Never text from a server: causes are a short, stable set of words.

mod code;
mod ended;
mod told;

use std::{fmt, io};

use firedrill_wire::probe::Rcode;

pub(crate) use ended::Ended;
pub use told::Told;

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
    /// The answer is not of the protocol that the probe speaks.
    Protocol,
    /// The server's certificate is not accepted, for that reason.
    Certificate(Flaw),
    /// The server ended the TLS handshake by an alert.
    Alert,
    /// The certificate is accepted, and expires within so many whole days.
    Expires(u32),
    /// A name server answered with another code than the probe wants.
    Rcode(u8),
    /// A name server's answer has no record of the type.
    NoRecords,
    /// A name server's answer has other records than the probe wants.
    Records,
    /// A call by gRPC ended with that status, which is not 0.
    Grpc(u8),
    /// A health check by gRPC said that serving status, which is not 1.
    Serving(u8),
    /// The connection was closed, or 64 KiB of an answer were read, and what the probe wants was not there.
    Answer,
    /// Something that a store said, or that its role says.
    Store(Told),
    /// The end of a program, or what it printed.
    Program(Ended),
    /// The vantage itself could not send the request. Only writes have it: for other requests it is [`Failure::Vantage`].
    Vantage,
}

/// The reason why a certificate is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYet,
    /// It is of another name.
    Name,
    /// No authority that is trusted has signed it.
    Issuer,
    /// Anything else.
    Other,
}

impl Flaw {
    /// Returns its words, in a cause.
    const fn words(self) -> &'static str {
        match self {
            Self::Expired => "tls: certificate expired",
            Self::NotYet => "tls: certificate not valid yet",
            Self::Name => "tls: certificate of another name",
            Self::Issuer => "tls: unknown issuer",
            Self::Other => "tls: certificate invalid",
        }
    }
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
            Self::Certificate(flaw) => flaw.words(),
            Self::Alert => "tls: refused by the server",
            Self::Expires(0) => "certificate expires within a day",
            Self::Expires(1) => "certificate expires in 1 day",
            Self::Expires(days) => return write!(f, "certificate expires in {days} days"),
            Self::Answer => "answer",
            Self::Rcode(code) => {
                return match Rcode::of(*code) {
                    Some(known) => write!(f, "rcode {known}"),
                    None => write!(f, "rcode {code}"),
                };
            }
            Self::Grpc(status) => {
                return match GRPC.get(usize::from(*status)) {
                    Some(name) => write!(f, "grpc {name}"),
                    None => write!(f, "grpc {status}"),
                };
            }
            Self::Serving(0) => "serving status UNKNOWN",
            Self::Serving(2) => "NOT_SERVING",
            Self::Serving(3) => "SERVICE_UNKNOWN",
            Self::Serving(status) => return write!(f, "serving status {status}"),
            Self::NoRecords => "no records",
            Self::Records => "other records",
            Self::Store(told) => return told.fmt(f),
            Self::Program(ended) => return ended.fmt(f),
            Self::Vantage => "vantage",
        })
    }
}

/// The statuses of calls by gRPC, by their numbers.
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A request that had no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The other side's doing, as far as the vantage can tell.
    Bad(Cause),
    /// The vantage itself could not (no free port, no free descriptor, no memory): nothing was measured.
    Vantage,
}

impl From<Told> for Failure {
    fn from(told: Told) -> Self {
        Self::Bad(Cause::Store(told))
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        Self::Bad(Cause::Program(ended))
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Vantage => Self::Vantage,
            Failure::Bad(cause) => cause,
        }
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self::Bad(cause)
    }
}

/// The duration of each phase of a request, in microseconds; 0 for a phase that it skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Looking up the name.
    pub resolve: u64,
    /// Opening the connection.
    pub connect: u64,
    /// The TLS handshake.
    pub tls: u64,
    /// From the request to the head of the answer.
    pub first_byte: u64,
}

impl Phases {
    /// Adds the phases of another request.
    pub(crate) fn add(&mut self, other: Self) {
        self.resolve += other.resolve;
        self.connect += other.connect;
        self.tls += other.tls;
        self.first_byte += other.first_byte;
    }

    /// Returns the duration of each phase with its name.
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
        // Said once, because the error comes with every request while it lasts.
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

/// Whether an error is a limit of this machine or process. Such an error says nothing about the other side.
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
    fn the_page_on_probes_has_each_cause() {
        let flaws =
            [Flaw::Expired, Flaw::NotYet, Flaw::Name, Flaw::Issuer, Flaw::Other].map(Cause::Certificate);
        let all = [
            Cause::Timeout,
            Cause::Refused,
            Cause::Unreachable,
            Cause::Reset,
            Cause::Dns,
            Cause::Tls,
            Cause::Status(503),
            Cause::Body,
            Cause::Protocol,
            Cause::Alert,
            Cause::Expires(0),
            Cause::Expires(3),
            Cause::Answer,
            Cause::Rcode(3),
            Cause::NoRecords,
            Cause::Records,
            Cause::Grpc(12),
            Cause::Serving(0),
            Cause::Serving(2),
            Cause::Serving(3),
        ];
        let page = include_str!("../../../docs/probes.md");
        let (_, table) = page.split_once("## Causes").expect("a table of causes");
        for cause in all.into_iter().chain(flaws) {
            assert!(table.contains(&format!("`{cause}`")), "docs/probes.md does not explain `{cause}`");
        }
    }

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
