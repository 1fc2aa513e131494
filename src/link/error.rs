//! Errors of a link, distinguished by the action that they need.

use std::time::Duration;

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    text::{TEXT_MOST, clean},
};
use rustls::{AlertDescription, CertificateError, Error as Tls};

/// A call to an agent failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no connection and none could be made. The call did not arrive.
    #[error("cannot reach the agent of {host} at {at}: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// Its address, or the program that leads there.
        at: String,
        /// The error.
        why: String,
    },
    /// There is a connection, but no answer came in time. The call may have arrived.
    #[error("the agent of {host} did not answer `{call}` within {}", humantime::format_duration(*limit))]
    TimedOut {
        /// The host.
        host: String,
        /// The call.
        call: String,
        /// The time-out.
        limit: Duration,
    },
    /// One side does not trust the other. The call did not arrive.
    #[error("no trust between this coordinator and the agent of {host} at {at}: {trust}")]
    Tls {
        /// The host.
        host: String,
        /// Its address, or the program that leads there.
        at: String,
        /// The reason.
        trust: Trust,
    },
    /// The agent refused.
    #[error("the agent of {host} refused `{call}`: {} ({}){}", problem.title, problem.code, hint(problem))]
    Refused {
        /// The host.
        host: String,
        /// The call.
        call: String,
        /// The HTTP status.
        status: u16,
        /// Its reason.
        problem: Problem,
    },
    /// The connection broke under the call. It may have arrived.
    #[error("the link to {host} broke during `{call}`: {why}")]
    Broken {
        /// The host.
        host: String,
        /// The call.
        call: String,
        /// The error.
        why: String,
    },
    /// The answer does not conform to the API.
    #[error(
        "the agent of {host} sent an invalid answer to `{call}`: {why}; do the versions of coordinator and agent match?"
    )]
    Protocol {
        /// The host.
        host: String,
        /// The call.
        call: String,
        /// The error.
        why: String,
    },
}

/// Formats the next step of a refusal; empty if there is none.
fn hint(problem: &Problem) -> String {
    if problem.hint.is_empty() { String::new() } else { format!("; {}", problem.hint) }
}

impl LinkError {
    /// Whether the link itself failed, so that a later attempt may succeed. An agent that refuses, or whose answer is
    /// invalid, will do so again.
    #[must_use]
    pub const fn passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken { .. })
    }

    /// Whether the agent refused because too many such calls were in progress. Then another attempt is worthwhile.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.problem().is_some_and(|problem| problem.code == RefusalCode::Busy)
    }

    /// Returns the agent's reason, if it refused.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }
}

/// The reason why one side does not trust the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trust {
    /// The agent's certificate is out of date, and the call may do harm.
    #[error(
        "the agent's certificate has expired or is not valid yet; issue a new one (status and undo work meanwhile)"
    )]
    AgentOutOfDate,
    /// The coordinator's revocation list cannot be used, and the call may do harm.
    #[error(
        "revocations are unknown: {0}; copy a fresh crl.pem there, `firedrill pki crl` writes one (status and undo work meanwhile)"
    )]
    RevocationsUnknown(String),
    /// The agent's certificate is of an authority that this coordinator does not know.
    #[error(
        "the agent's certificate is signed by an unknown authority; is it the right fleet, and the right ca.pem?"
    )]
    AgentUnknown,
    /// The agent's certificate is for another host than the fleet says.
    #[error(
        "the agent's certificate is for another host ({0}); does the fleet's address belong to this host?"
    )]
    WrongName(String),
    /// The agent's certificate was revoked.
    #[error("the agent's certificate was revoked")]
    AgentRevoked,
    /// The agent does not know this coordinator's authority.
    #[error(
        "the agent does not know the authority of this coordinator's certificate; is it the right fleet?"
    )]
    CoordinatorUnknown,
    /// This coordinator's certificate was revoked.
    #[error("this coordinator's certificate was revoked")]
    CoordinatorRevoked,
    /// The agent wanted a certificate.
    #[error("the agent requires a certificate, and none was sent")]
    NoCertificate,
    /// The other side does not speak TLS 1.3, or there was another error.
    #[error("TLS failed: {0}")]
    Other(String),
}

impl Trust {
    /// Returns the reason in an error of a TLS stream; `None` if the error is not one of TLS.
    pub(super) fn of(error: &std::io::Error) -> Option<Self> {
        let tls = error.get_ref()?.downcast_ref::<Tls>()?;
        Some(match tls {
            Tls::InvalidCertificate(error) => match error {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::AgentUnknown,
                CertificateError::NotValidForNameContext { presented, .. } => {
                    Self::WrongName(clean(&presented.join(", "), TEXT_MOST).into_owned())
                }
                CertificateError::NotValidForName => Self::WrongName("it says no name".to_owned()),
                CertificateError::Revoked => Self::AgentRevoked,
                other => Self::Other(clean(&other.to_string(), TEXT_MOST).into_owned()),
            },
            Tls::AlertReceived(alert) => match alert {
                AlertDescription::UnknownCA | AlertDescription::DecryptError => Self::CoordinatorUnknown,
                AlertDescription::CertificateRevoked => Self::CoordinatorRevoked,
                AlertDescription::CertificateRequired => Self::NoCertificate,
                other => Self::Other(format!("the agent says {other:?}")),
            },
            other => Self::Other(other.to_string()),
        })
    }
}
