//! The clients of stores that this program was built with, feature `stores`. Whoever runs or checks probes hands them on.

use firedrill_probe::Stores;

#[cfg(feature = "stores")]
const CLIENTS: &dyn Stores = &firedrill_stores::Clients;
#[cfg(not(feature = "stores"))]
const CLIENTS: &dyn Stores = &firedrill_probe::NoStores;

/// Returns the clients of stores; without the feature, those that refuse each probe.
#[must_use]
pub const fn clients() -> &'static dyn Stores {
    CLIENTS
}
