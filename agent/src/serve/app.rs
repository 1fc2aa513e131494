//! The state that all calls share, and the parsing of the run's id in a path.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use firedrill_wire::{RefusalCode, RunId};
use rustls_pki_types::UnixTime;
use tokio_util::sync::CancellationToken;

use super::{lanes::Lanes, problem::Refusal, tls::Tls, verify::why};
use crate::control::{Caller, Certificate, Control};

/// The state that all calls share.
pub(super) struct App {
    pub(super) control: Arc<dyn Control>,
    pub(super) lanes: Lanes,
    pub(super) tls: Tls,
    pub(super) stop: CancellationToken,
}

impl App {
    /// Does work that could harm for a caller who was trusted when the call came. If the caller is not trusted any more when
    /// the work is done, the caller's runs are ended.
    pub(super) fn harm<T>(&self, caller: &Caller, work: impl FnOnce() -> T) -> T {
        let done = work();
        if caller.certificate.as_ref().is_some_and(|certificate| self.trusted(certificate).is_err()) {
            self.distrust();
        }
        done
    }

    /// Ends the runs of people who are no longer trusted. Blocks.
    pub(super) fn distrust(&self) {
        self.control.distrust(&|certificate| self.trusted(certificate));
    }

    /// Checks that a certificate is trusted now; the error says why not.
    fn trusted(&self, certificate: &Certificate) -> Result<(), String> {
        let standing = self.tls.loaded().trust.verifier.standing(&certificate.chain, UnixTime::now());
        standing.map(drop).map_err(|error| why(&error))
    }
}

/// The run's id, parsed from the path of a call.
pub(super) struct Run(pub(super) RunId);

impl<S: Send + Sync> FromRequestParts<S> for Run {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let bad = |why: String| Refusal::new(RefusalCode::BadId, why, "");
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| bad(format!("{}: {error}", parts.uri.path())))?;
        text.parse().map(Self).map_err(|error: firedrill_wire::id::IdError| bad(error.to_string()))
    }
}
