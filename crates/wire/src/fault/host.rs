//! Faults on a whole host, or on all hosts of a region.

use serde::{Deserialize, Serialize};

use super::{
    About, Direction, Effect, End, HostMeanwhile, Invalid, Kind, On, PeerSet, Scope, Traffic, Trial,
    kind::{Expect, RegionHow},
};
use crate::{Span, Touches};

/// `host-isolate`: cut a host off, in both directions, from everything but the control path and SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostIsolate {
    /// Peers that stay reachable: targets, host names, addresses, CIDRs.
    #[serde(default, skip_serializing_if = "PeerSet::is_empty")]
    #[schemars(with = "super::net::OneOrMany<String>")]
    pub except: PeerSet,
}

impl Kind for HostIsolate {
    fn about(&self) -> About<'_> {
        About {
            end: End::PutBack,
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Host, done: "cut off" },
            late: None,
            trial: Trial::of(
                Traffic { except: &self.except, ..Traffic::all(Direction::Both) },
                Expect::Silence,
                Trial::FEW,
            ),
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        None
    }

    fn touches(&self) -> Touches {
        let Self { except: _ } = self;
        Touches::all()
    }
}

/// `host-reboot`: reboot the host, at once and without stopping its services first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostReboot {
    /// The time within which the agent has to answer again. It replaces the attack's hold.
    pub back_within: Span,
}

impl Kind for HostReboot {
    fn about(&self) -> About<'_> {
        About {
            end: End::Irreversible(
                "what the host had only in memory is lost; the agent must answer again in time",
            ),
            host: HostMeanwhile::Reboots { back_within: self.back_within },
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Host, done: "rebooted" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        None
    }

    fn touches(&self) -> Touches {
        let Self { back_within: _ } = self;
        Touches::all()
    }
}

/// `host-poweroff`: power the host off. Firedrill cannot switch it on again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostPoweroff {}

impl Kind for HostPoweroff {
    fn about(&self) -> About<'_> {
        About {
            end: End::Irreversible("somebody has to switch the host on again"),
            host: HostMeanwhile::Off,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Host, done: "powered off" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        None
    }

    fn touches(&self) -> Touches {
        let Self {} = self;
        Touches::all()
    }
}

/// `region-kill`: every host of the attack's target is cut off or powered off at the same instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionKill {
    /// Whether the hosts are cut off or powered off.
    #[serde(default)]
    pub how: RegionHow,
}

impl Kind for RegionKill {
    fn about(&self) -> About<'_> {
        let (isolated, off) = (HostIsolate::default(), HostPoweroff {});
        let of_host = match self.how {
            RegionHow::Isolate => isolated.about(),
            RegionHow::Poweroff => off.about(),
        };
        let About { end, host, scope: _, ramp, effect, late, trial: _ } = of_host;
        About { end, host, ramp, effect, late, trial: Trial::None, scope: Scope::Region(self.how) }
    }

    fn invalid(&self) -> Option<Invalid> {
        None
    }

    fn touches(&self) -> Touches {
        let Self { how: _ } = self;
        Touches::all()
    }
}
