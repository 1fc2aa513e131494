//! The kinds of probes, each in a file of its own.

mod by_clients;
mod dns;
mod exec;
mod grpc_health;
pub(crate) mod http;
mod icmp;
pub(crate) mod stores;
mod tcp;
mod tls;
mod writes;

use firedrill_wire::probe::ProbeKind;

use crate::ask::Make;

/// Returns the code that makes a probe: the `impl Make` of its parameters. A new kind adds its line here.
pub(crate) const fn of(kind: &ProbeKind) -> &dyn Make {
    match kind {
        ProbeKind::Http(kind) => kind,
        ProbeKind::Tcp(kind) => kind,
        ProbeKind::Tls(kind) => kind,
        ProbeKind::Dns(kind) => kind,
        ProbeKind::Icmp(kind) => kind,
        ProbeKind::GrpcHealth(kind) => kind,
        ProbeKind::Postgres(kind) => kind,
        ProbeKind::Mysql(kind) => kind,
        ProbeKind::Redis(kind) => kind,
        ProbeKind::Exec(kind) => kind,
        ProbeKind::Writes(kind) => kind,
    }
}
