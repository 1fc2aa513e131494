//! `net-down`: an interface goes down, and up again by itself.

use serde::{Deserialize, Serialize};

use super::{
    About, Effect, End, HostMeanwhile, Invalid, Kind, On, PeerSet, Scope, Trial,
    invalid::{taken_down, wrong},
};
use crate::{RefusalCode, Touches};

/// `net-down`: set a network interface down; up again afterwards, with the addresses and routes that the kernel dropped. An interface
/// that carries the agent's connection or an SSH connection is refused, unless `cut_off` allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetDown {
    /// The interface's name on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Peers, as in other faults on traffic: the interface with the route to them is set down. Only without `interface`.
    #[serde(default, skip_serializing_if = "PeerSet::is_empty")]
    #[schemars(with = "super::net::OneOrMany<String>")]
    pub to: PeerSet,
    /// Whether the interface may be set down even if the host cannot be reached then. Its agent sets the interface up again by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_off: bool,
}

impl Kind for NetDown {
    fn about(&self) -> About<'_> {
        About {
            end: End::PutBack,
            host: if self.cut_off { HostMeanwhile::Unreachable } else { HostMeanwhile::Up },
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Interface, done: "down" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        match (self.interface.as_deref(), self.to.is_empty()) {
            (None, true) => wrong(
                RefusalCode::NoInterface,
                "does not say which interface",
                "name one with `interface`, or peers with `to`: the interface with the route to them goes down",
            ),
            (Some(_), false) => wrong(
                RefusalCode::TwoInterfaces,
                "has both `interface` and `to`",
                "one of them: a name, or peers to which the interface has the route",
            ),
            (Some(name), true) => taken_down(name),
            (None, false) => None,
        }
    }

    fn touches(&self) -> Touches {
        let Self { interface, to: _, cut_off: _ } = self;
        match interface {
            Some(name) => Touches { interfaces: vec![name.clone()], ..Touches::default() },
            // Only the host can find the interface that leads to some peers.
            None => Touches::all(),
        }
    }
}
