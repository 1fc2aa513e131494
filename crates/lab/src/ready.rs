//! Waits until the services of a lab are ready.

use std::{collections::BTreeSet, time::Duration};

use crate::{Lab, LabError, LabStatus, ReadyState};

/// The time between two looks at the lab.
const LOOK: Duration = Duration::from_millis(20);

/// A service whose ready check did not hold in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Late {
    /// The host.
    pub host: String,
    /// The service.
    pub service: String,
}

impl Lab {
    /// Waits until all services with a ready check are ready, or until one of them is late: each has a maximum time, so this ends.
    /// Calls `heard` with host and service once for each that is ready. Returns those that are late.
    ///
    /// # Errors
    /// The lab is gone.
    pub fn wait_ready(&self, mut heard: impl FnMut(&str, &str)) -> Result<Vec<Late>, LabError> {
        let mut told = BTreeSet::new();
        loop {
            let status = self.status()?;
            for one in services(&status, ReadyState::Ready) {
                if !told.contains(&one) {
                    heard(&one.host, &one.service);
                    told.insert(one);
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

/// Returns the services in that state.
fn services(status: &LabStatus, state: ReadyState) -> Vec<Late> {
    let all = status.hosts.iter().flat_map(|host| host.services.iter().map(move |service| (host, service)));
    let wanted = all.filter(|(_, service)| service.ready == Some(state));
    wanted.map(|(host, service)| Late { host: host.name.clone(), service: service.name.clone() }).collect()
}
