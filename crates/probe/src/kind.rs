//! The kinds of probes, each in a file of its own.

pub(crate) mod http;
mod tcp;
mod writes;

use firedrill_wire::probe::ProbeKind;

use crate::ask::Make;

/// Returns the code that makes a probe: the `impl Make` of its parameters. A new kind adds its line here.
pub(crate) const fn of(kind: &ProbeKind) -> &dyn Make {
    match kind {
        ProbeKind::Http(kind) => kind,
        ProbeKind::Tcp(kind) => kind,
        ProbeKind::Writes(kind) => kind,
    }
}
