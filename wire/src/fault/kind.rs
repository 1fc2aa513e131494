//! What a kind of fault says of itself. Beside the list in [`super`], this is all that goes by kind outside of an agent.
//!
//! Nothing here has a default: a kind that is new does not compile before it has said everything.

use super::{Fault, Invalid, Traffic};
use crate::{Span, Touches};

/// One kind of fault, by its parameters.
pub trait Kind {
    /// Describes it.
    fn about(&self) -> About<'_>;

    /// What is wrong with the parameters, as far as they tell by themselves. The coordinator and the agent both ask.
    fn invalid(&self) -> Option<Invalid>;

    /// The objects that it names, which a host's policy decides by. Takes the parameters apart without `..`, so that a new
    /// parameter does not compile before it is considered.
    fn touches(&self) -> Touches;
}

/// The descriptor of a fault.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// What is left when it is over.
    pub end: End,
    /// What becomes of the host while it holds.
    pub host: HostMeanwhile,
    /// Whom it is about.
    pub scope: Scope,
    /// The longest that making its effect may take: [`About::RAMP_QUICK`] or [`About::RAMP_SERVICE`].
    pub ramp: Span,
    /// Its effect in the story of a report.
    pub effect: Effect,
    /// The delay that packets get by a parameter, if there is one: `check` compares it with the hold and with time-outs.
    pub late: Option<Late>,
    /// How its effect is tried out.
    pub trial: Trial<'a>,
}

impl About<'_> {
    /// The upper limit for kinds that wait for nobody.
    pub const RAMP_QUICK: Span = Span::secs(30);
    /// The upper limit for kinds that wait for a service, which may take its time to stop.
    pub const RAMP_SERVICE: Span = Span::secs(120);
}

/// What is left when a fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing: the agent puts it back.
    PutBack,
    /// It cannot be undone. The text says what is expected of whom, as a clause.
    Irreversible(&'static str),
}

/// What becomes of a host while a fault holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostMeanwhile {
    /// It runs, and its agent can be reached.
    Up,
    /// It runs, and nobody can reach its agent: no lease is renewed.
    Unreachable,
    /// It goes down, agent included, and comes up again by itself.
    Reboots {
        /// Its agent must answer again within this time, which takes the place of the attack's hold.
        back_within: Span,
    },
    /// It goes down, agent included, until somebody switches it on.
    Off,
}

/// Whom a fault is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each host by itself.
    Host,
    /// All hosts of a region, each of which does this for it.
    Region(Box<Fault>),
}

/// What a fault does, in words: `app1 was cut off`, `some traffic of app1 was lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What it acts on.
    pub on: On,
    /// What was done to that, as a participle.
    pub done: &'static str,
}

/// What a fault acts on.
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
    /// How much it scatters.
    pub jitter: Span,
}

/// How a fault's effect is tried out with a few packets over the path that it is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trial<'a> {
    /// Not at all: it is not about traffic that hosts could exchange.
    None,
    /// It is about traffic, but packets of our own cannot show it; says why.
    Impossible(&'static str),
    /// By packets that it chooses.
    Path {
        /// What it chooses.
        traffic: Traffic<'a>,
        /// What is to be seen while it is in force.
        expect: Expect,
        /// The number of exchanges that tell it.
        count: u32,
        /// The longest that it adds to a round trip.
        adds: Span,
    },
}

impl<'a> Trial<'a> {
    /// By packets that are not delayed.
    pub(super) const fn of(traffic: Traffic<'a>, expect: Expect, count: u32) -> Self {
        Self::Path { traffic, expect, count, adds: Span::ZERO }
    }
}

/// What is to be seen of a trial while the fault is in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expect {
    /// Nothing comes back at all.
    Silence,
    /// Nothing is answered; a refusal is what the fault itself may send.
    NoAnswer,
    /// The median round trip takes at least so long, in microseconds, whatever it took before: that can be noise.
    AtLeast(u64),
    /// Each is answered with this chance at most.
    Answers(f64),
    /// Nothing that a few packets could tell.
    Anything,
}
