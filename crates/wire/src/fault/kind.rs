//! The descriptor of a fault kind. Outside of agents, only the descriptors and the list in [`super`] differ by kind.
//!
//! No method has a default, so a new kind compiles only with a complete descriptor.

use serde::{Deserialize, Serialize};

use super::{invalid::Invalid, traffic::Traffic};
use crate::{Span, Touches};

/// A fault kind, implemented by its parameters.
pub trait Kind {
    /// Returns the descriptor of the fault.
    fn about(&self) -> About<'_>;

    /// Returns the first error in the parameters, as far as it shows without other input; `None` if there is none. `check` calls this, and
    /// every agent calls it again before it prepares a fault.
    fn invalid(&self) -> Option<Invalid>;

    /// Returns the objects that the fault touches, by which a host's policy decides. Implementations destructure the parameters without
    /// `..`, so that a new parameter does not compile until it is considered.
    fn touches(&self) -> Touches;
}

/// The descriptor of a fault.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// The state after the fault.
    pub end: End,
    /// The state of the host while the fault holds.
    pub host: HostMeanwhile,
    /// The hosts that it needs together.
    pub scope: Scope,
    /// The longest time that making its effect may take: [`About::RAMP_QUICK`] or [`About::RAMP_SERVICE`].
    pub ramp: Span,
    /// The effect of the fault, for reports.
    pub effect: Effect,
    /// The delay that packets get from a parameter; `None` if there is none. `check` compares it with the hold and with time-outs.
    pub late: Option<Late>,
    /// The trial of its effect.
    pub trial: Trial<'a>,
}

impl<'a> About<'a> {
    /// The limit for kinds that do not wait for any program.
    pub const RAMP_QUICK: Span = Span::secs(30);
    /// The limit for kinds that wait for a service, which may stop slowly.
    pub const RAMP_SERVICE: Span = Span::secs(120);

    /// Returns the descriptor of a kind that changes packets of a host, while the host stays up.
    pub(super) const fn of_packets(done: &'static str, late: Option<Late>, trial: Trial<'a>) -> Self {
        Self {
            end: End::PutBack,
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: Self::RAMP_QUICK,
            effect: Effect { on: On::Traffic, done },
            late,
            trial,
        }
    }
}

/// The state after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The agent undoes the fault.
    PutBack,
    /// The fault cannot be undone. The text says who is expected to repair the rest, as a clause.
    Irreversible(&'static str),
}

/// The state of a host while a fault holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostMeanwhile {
    /// It runs, and its agent can be reached.
    Up,
    /// It runs, and its agent cannot be reached: no lease is renewed.
    Unreachable,
    /// It goes down with its agent, and comes up again by itself.
    Reboots {
        /// The time within which its agent has to answer again. It replaces the attack's hold.
        back_within: Span,
    },
    /// It goes down with its agent until somebody switches it on.
    Off,
}

/// The hosts that a fault needs together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each host by itself.
    Host,
    /// All hosts of a region, each of which is cut off or powered off.
    Region(RegionHow),
}

/// The effect on each host of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegionHow {
    /// Every host is isolated; can be undone.
    #[default]
    Isolate,
    /// Every host is powered off; cannot be undone.
    Poweroff,
}

/// The effect of a fault, in words: `app1 was cut off`, `some traffic of app1 was lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The object.
    pub on: On,
    /// The effect on it, as a participle.
    pub done: &'static str,
}

/// The object of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The host as a whole.
    Host,
    /// A service.
    Service,
    /// Processes.
    Process,
    /// Packets.
    Traffic,
    /// TCP connections.
    Connections,
    /// Answers to DNS queries.
    Answers,
    /// A network interface.
    Interface,
}

/// A delay that packets get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// The mean.
    pub delay: Span,
    /// Its scatter.
    pub jitter: Span,
}

/// The trial of a fault's effect: a few packets over the path that the fault is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trial<'a> {
    /// No trial: the fault is not about traffic that hosts could exchange.
    None,
    /// The fault is about traffic, but packets of our own cannot show its effect. The text is the reason.
    Impossible(&'static str),
    /// A trial with packets that the fault selects.
    Path {
        /// The traffic that the fault selects.
        traffic: Traffic<'a>,
        /// The expected observation while it is in force.
        expect: Expect,
        /// The number of exchanges that this observation needs.
        count: u32,
        /// The longest time that the fault adds to a round trip.
        adds: Span,
    },
}

impl<'a> Trial<'a> {
    /// Number of exchanges that show whether packets pass, or how long they take.
    pub(super) const FEW: u32 = 5;
    /// Number of exchanges on a path whose fault has no expected observation.
    pub(super) const UNCERTAIN: u32 = 10;

    /// Returns a trial whose packets are not delayed.
    pub(super) const fn of(traffic: Traffic<'a>, expect: Expect, count: u32) -> Self {
        Self::Path { traffic, expect, count, adds: Span::ZERO }
    }
}

/// The expected observation of a trial while the fault is in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expect {
    /// No packet is answered or refused.
    Silence,
    /// No packet is answered. The fault itself may send refusals.
    NoAnswer,
    /// The median round trip takes at least this time, in microseconds. The time before the fault does not count: it can be noise.
    AtLeast(u64),
    /// Each packet is answered with this probability at most.
    Answers(f64),
    /// No expectation: a few packets cannot show the effect.
    Anything,
}
