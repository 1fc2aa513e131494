//! Chooses the clients of data stores that this program was built with (feature `stores`). Code that runs or checks probes gets the
//! clients from here. Connects to nothing.

use firedrill_probe::Stores;

#[cfg(feature = "stores")]
const CLIENTS: &dyn Stores = &firedrill_stores::Clients;
#[cfg(not(feature = "stores"))]
const CLIENTS: &dyn Stores = &firedrill_probe::NoStores;

/// Returns the clients of data stores. Without the feature `stores`, the clients refuse every probe.
#[must_use]
pub const fn clients() -> &'static dyn Stores {
    CLIENTS
}
