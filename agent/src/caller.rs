//! The caller of the control API, as the server knows it by its certificate.

use std::{fmt, sync::Arc};

use firedrill_wire::{RefusalCode, RunId, api::Problem};
use rustls_pki_types::CertificateDer;

use crate::injection::refuse;

/// The caller, by the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The certificate's name, such as `alice`.
    pub name: String,
    /// The team, if the certificate names one.
    pub team: Option<String>,
    /// Environments that the certificate is good for; empty means all.
    pub environments: Vec<String>,
    /// Whether the caller may harm (`operator`), or only look and heal (`viewer`).
    pub may_harm: bool,
    /// The certificate; `None` for root on the host.
    pub certificate: Option<Arc<Certificate>>,
}

/// A caller's certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial number in hexadecimal; empty if it could not be read.
    pub serial: String,
    /// The certificate, followed by those between it and the authority.
    pub chain: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {}", self.serial)
    }
}

/// Returns whether a certificate is trusted now; the error gives the reason against.
pub type Trusted<'a> = &'a dyn Fn(&Certificate) -> Result<(), String>;

impl Caller {
    /// Checks that a run belongs to this person.
    ///
    /// # Errors
    /// The run belongs to another person, who is named.
    pub(crate) fn must_be(&self, owner: &str, run: &RunId) -> Result<(), Problem> {
        if owner == self.name {
            return Ok(());
        }
        Err(refuse(
            RefusalCode::NotAllowed,
            format!("run {run} is {owner}'s, and {} may look at it and end it only", self.name),
            "start a run of your own",
        ))
    }
}
