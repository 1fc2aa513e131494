//! Waits until the services of a lab are ready. Starts no checks itself; the hosts' supervisors do that.

use std::{collections::BTreeSet, time::Duration};

use crate::{Lab, LabError, LabStatus, ReadyState};

/// Time between two questions for the lab's status.
const LOOK: Duration = Duration::from_millis(20);

/// A service whose ready check did not succeed in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Late {
    /// The host.
    pub host: String,
    /// The service.
    pub service: String,
}

impl Lab {
    /// Waits until all services with a ready check are ready, or until at least one of them is late. This always ends, because each check
    /// has a time limit. Calls `on_ready` with host and service once for each service that is ready. Returns the late services.
    ///
    /// # Errors
    /// The lab is gone.
    pub fn wait_ready(&self, mut on_ready: impl FnMut(&str, &str)) -> Result<Vec<Late>, LabError> {
        let mut reported = BTreeSet::new();
        loop {
            let status = self.status()?;
            for ready in services(&status, ReadyState::Ready) {
                if !reported.contains(&ready) {
                    on_ready(&ready.host, &ready.service);
                    reported.insert(ready);
                }
            }
            let late = services(&status, ReadyState::Late);
            if !late.is_empty() || services(&status, ReadyState::Waiting).is_empty() {
                return Ok(late);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Returns the services in a state, as pairs of host and service.
fn services(status: &LabStatus, state: ReadyState) -> Vec<Late> {
    let all = status.hosts.iter().flat_map(|host| host.services.iter().map(move |service| (host, service)));
    let wanted = all.filter(|(_, service)| service.ready == Some(state));
    wanted.map(|(host, service)| Late { host: host.name.clone(), service: service.name.clone() }).collect()
}
