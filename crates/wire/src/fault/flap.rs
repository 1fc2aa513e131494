//! `net-flap`: an interface goes down and comes up again, over and over.

use serde::{Deserialize, Serialize};

use super::{
    About, Effect, End, HostMeanwhile, Invalid, Kind, On, Scope, Trial,
    invalid::{taken_down, wrong},
};
use crate::{RefusalCode, Span, Touches};

/// The shortest time down or up. The kernel's work at each change needs some time.
const SHORTEST: Span = Span::millis(100);
/// The longest time down or up.
const LONGEST: Span = Span::secs(3600);

/// `net-flap`: set a network interface down and up again, over and over; up at the end, with the addresses and routes that the
/// kernel dropped. It begins with down. An interface that carries the agent's connection or an SSH connection is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetFlap {
    /// The interface's name on the host.
    pub interface: String,
    /// Time down in each period, from 100ms to 1h.
    pub down: Span,
    /// Time up in each period, from 100ms to 1h.
    pub up: Span,
}

impl Kind for NetFlap {
    fn about(&self) -> About<'_> {
        About {
            end: End::PutBack,
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Interface, done: "flapping" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        if let Some(invalid) = taken_down(&self.interface) {
            return Some(invalid);
        }
        let fits = |time: Span| (SHORTEST..=LONGEST).contains(&time);
        if !fits(self.down) {
            return wrong(
                RefusalCode::BadPeriod,
                "`down` is not between 100ms and 1h",
                "for example down = \"2s\"; to keep an interface down take net-down",
            );
        }
        if !fits(self.up) {
            return wrong(
                RefusalCode::BadPeriod,
                "`up` is not between 100ms and 1h",
                "for example up = \"10s\"",
            );
        }
        None
    }

    fn touches(&self) -> Touches {
        let Self { interface, down: _, up: _ } = self;
        Touches { interfaces: vec![interface.clone()], ..Touches::default() }
    }
}
