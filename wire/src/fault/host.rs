//! Faults on a whole host, or on all hosts of a region.

use serde::{Deserialize, Serialize};

use super::PeerSet;
use crate::Span;

/// `host-isolate`: cut a host off, in both directions, from everything but the control path and SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostIsolate {
    /// Peers that stay reachable: targets, host names, addresses, CIDRs.
    #[serde(default, skip_serializing_if = "PeerSet::is_empty")]
    #[schemars(with = "super::net::OneOrMany<String>")]
    pub except: PeerSet,
}

/// `host-reboot`: reboot the host, at once and without stopping its services first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostReboot {
    /// The agent must answer again within this time; takes the place of the attack's hold.
    pub back_within: Span,
}

/// `host-poweroff`: power the host off. Firedrill cannot switch it on again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostPoweroff {}

/// How a region goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegionHow {
    /// Every host is isolated; can be undone.
    #[default]
    Isolate,
    /// Every host is powered off; cannot be undone.
    Poweroff,
}

/// `region-kill`: every host that the attack's target has goes at the same instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionKill {
    /// How.
    #[serde(default)]
    pub how: RegionHow,
}
