//! Finds the fleet and the certificate for a command, and enters the network of a lab. Asks no host.

use std::sync::Arc;

use super::{
    args::{FleetArgs, IdentityArgs},
    failure::{Failure, Result},
};
use crate::{fleet::FleetSource, link::Identity};

/// A fleet and the certificate for it. If it is a lab's fleet, this process is in the lab's network.
pub(super) struct Reached {
    pub(super) source: FleetSource,
    pub(super) identity: Arc<Identity>,
    /// The name in the certificate.
    pub(super) operator: String,
}

impl Reached {
    /// Finds fleet and certificate for a command that looks or heals: a revocation list that cannot be used is a
    /// warning. Must be called before any thread exists, because it may enter a lab's network.
    pub(super) fn to_look(fleet: &FleetArgs, identity: &IdentityArgs) -> Result<Self> {
        let reached = Self::found(fleet, identity)?;
        if let Err(why) = reached.identity.revocations() {
            errln!(
                "warning: revocations are unknown, so revoked hosts are not recognized; only commands that look or heal \
                 are possible: {why}"
            );
        }
        Ok(reached)
    }

    /// Like [`Self::to_look`], for a command that may do harm: refuses if revocations are unknown.
    pub(super) fn to_harm(fleet: &FleetArgs, identity: &IdentityArgs) -> Result<Self> {
        let reached = Self::found(fleet, identity)?;
        match reached.identity.revocations() {
            Ok(()) => Ok(reached),
            Err(why) => Err(Failure::new(format!("revocations are unknown: {why}"))
                .help("copy a fresh crl.pem there (`firedrill pki crl` writes one); `status` and `undo` work meanwhile")),
        }
    }

    /// Finds fleet and certificate, whether revocations are known or not.
    fn found(fleet: &FleetArgs, identity: &IdentityArgs) -> Result<Self> {
        #[cfg(feature = "lab")]
        if let Some(name) = &fleet.lab {
            return Self::in_lab(name);
        }
        let source = fleet.needed()?;
        let loaded = identity.load()?;
        Ok(Self { source, operator: loaded.name().to_owned(), identity: Arc::new(loaded) })
    }

    /// Enters a lab's network with the lab's own certificate.
    #[cfg(feature = "lab")]
    pub(super) fn in_lab(name: &str) -> Result<Self> {
        use super::{failure::Wrap as _, lab::files};
        let lab = firedrill_lab::Lab::attach(name)?;
        // The certificate is read before entering, because inside the lab's user namespace files of other users may not be readable.
        let identity = Identity::load_as(&files::folder(name).join("pki"), files::OPERATOR)
            .wrap(format!("lab {name} has no certificate here; `firedrill lab up` makes one"))?;
        lab.enter()?;
        let source = files::fleet_of(name);
        Ok(Self { source, identity: Arc::new(identity), operator: files::OPERATOR.to_owned() })
    }
}
