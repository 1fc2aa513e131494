//! The ports ([`Wiring`]) of the agent's program: the real fault kinds, kernel and server. Decides nothing.

use std::{path::Path, sync::Arc};

use firedrill_probe::NoStores;
use firedrill_wire::api::Finding;

use crate::{
    doctor, fault,
    host::Host,
    prober::Probes,
    serve, service, snapshot, sweep,
    time::HostTime,
    wiring::{Compared, ServerParts, Snapshot, Wiring},
};

/// Returns the ports of the agent's program, without clients of stores.
#[must_use]
pub fn wiring() -> Wiring {
    Wiring {
        time: &HostTime,
        kinds: |fault| Some(fault::of(fault)),
        apply: |undo, host| undo.apply(host),
        snapshot: &WholeHost,
        prober: |_, stores| Arc::new(Probes::new(stores)),
        stores: &NoStores,
        findings,
        sweep: sweep::sweep,
        server: |parts| Box::pin(serve_control(parts)),
    }
}

/// Takes and compares snapshots of everything on the host that a fault could change.
struct WholeHost;

impl Snapshot for WholeHost {
    fn take(&self, host: &Host) -> Result<serde_json::Value, String> {
        let taken = snapshot::Snapshot::take(host).map_err(|error| error.to_string())?;
        serde_json::to_value(taken).map_err(|error| error.to_string())
    }

    fn compare(
        &self,
        host: &Host,
        before: &serde_json::Value,
        parties: snapshot::Parties<'_>,
    ) -> Result<Compared, String> {
        let before: snapshot::Snapshot = serde_json::from_value(before.clone())
            .map_err(|error| format!("the snapshot from before cannot be read: {error}"))?;
        let after = snapshot::Snapshot::take(host).map_err(|error| error.to_string())?;
        let difference = snapshot::compare_among(&before, &after, parties);
        let snapshot::Difference { ours, foreign, unproven, compared } = difference;
        Ok(Compared { ours, foreign, unproven, compared })
    }
}

/// Returns the findings for `doctor` on the host's capabilities.
fn findings(host: &Host) -> Vec<Finding> {
    let mut findings = doctor::findings(host);
    findings.extend(service::findings(host));
    findings
}

/// Serves the control API with the certificates that the configuration names, until `parts.stop` is cancelled.
async fn serve_control(parts: ServerParts) -> Result<(), String> {
    let crl = parts.config.crl.as_deref().map(Path::to_path_buf);
    let tls = serve::Tls::load(&parts.config.cert, &parts.config.key, &parts.config.ca, crl.as_deref())
        .map_err(|error| error.to_string())?;
    serve::serve(parts.listener, tls, parts.control, parts.stop).await;
    Ok(())
}
