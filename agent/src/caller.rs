//! The caller of the control API, as the server knows it by its certificate.

use std::{fmt, sync::Arc};

use firedrill_wire::{RefusalCode, RunId, api::Problem};
use rustls_pki_types::CertificateDer;

use crate::injection::refuse;

/// A caller of the control API: a person or program, by the certificate, or root on the host.
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
    /// The certificate, followed by the intermediate certificates that the caller sent with it.
    pub chain: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {}", self.serial)
    }
}

/// Checks that a certificate is trusted now; the error is the reason why it is not.
pub type Trusted<'a> = &'a dyn Fn(&Certificate) -> Result<(), String>;

impl Caller {
    /// Checks that this caller is the owner of a run.
    ///
    /// # Errors
    /// The run belongs to another person, who is named.
    pub(crate) fn must_be(&self, owner: &str, run: &RunId) -> Result<(), Problem> {
        if owner == self.name {
            return Ok(());
        }
        Err(refuse(
            RefusalCode::NotAllowed,
            format!("run {run} is {owner}'s, and {} may only look at it and end it", self.name),
            "start a run of your own",
        ))
    }
}
