//! The kinds of faults and their parameters, as scenarios have them and as agents get them.
//!
//! A fault is externally tagged (`service-stop = { … }`), so that errors have an exact place in the file. In a scenario a peer may be the
//! name of a target; the planner replaces it by addresses before an agent gets the fault.

mod block;
mod corrupt;
mod dns;
mod down;
mod duplicate;
mod flap;
mod host;
mod invalid;
mod kind;
mod lose;
mod net;
mod partition;
mod peers;
mod process;
mod reorder;
mod reset;
mod service;
mod shape;
mod slow;
mod throttle;
mod traffic;

pub use block::NetBlock;
pub use corrupt::NetCorrupt;
pub use dns::{DnsHow, NetDns};
pub use down::NetDown;
pub use duplicate::NetDuplicate;
pub use flap::NetFlap;
pub use host::{HostIsolate, HostPoweroff, HostReboot, RegionKill};
pub use invalid::{Invalid, is_service};
pub use kind::{About, Effect, End, Expect, HostMeanwhile, Kind, Late, On, RegionHow, Scope, Trial};
pub use lose::{GilbertElliott, NetLose};
pub use net::{Connections, Direction, PortRange, PortRangeError, Protocol, Refuse};
pub use partition::{NetPartition, PartitionShape};
pub use peers::{PeerSet, PeerTable, PeersError, list_bytes};
pub use process::{ProcessKill, ProcessMatch, ProcessPause};
pub use reorder::NetReorder;
pub use reset::{NetReset, ResetHow};
pub use service::{ServiceKill, ServiceManager, ServiceRestart, ServiceStop, Signal};
pub use shape::Engine;
pub use slow::{Distribution, NetSlow};
pub use throttle::NetThrottle;
pub use traffic::{OnTraffic, Traffic};

use serde::{Deserialize, Serialize};

use crate::{Span, Touches};

/// Generates the enum, the names, and every match over all kinds from one list.
///
/// An entry is the kind's type, its name in files, its class, and the fields of its parameters that are lists of peers.
/// The class is `traffic` (it selects traffic: [`OnTraffic`]), `paths` (it cuts paths and selects no traffic) or `local`.
/// Everything else is in the kind's descriptor ([`Kind`]).
macro_rules! faults {
    ($($(#[$about:meta])* $kind:ident: $name:literal, $class:ident [$($peers:ident),*];)*) => {
        /// A kind of fault with its parameters.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum Fault {
            $($(#[$about])* #[serde(rename = $name)] $kind($kind),)*
        }

        impl Fault {
            /// The names of all kinds, as files have them.
            pub const KINDS: [&'static str; [$($name),*].len()] = [$($name),*];

            /// Returns the kind's name as files have it, such as `net-block`.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }

            /// Returns the names of kinds that act on paths to peers. A person who may inject one of them may also test the path.
            pub fn on_paths() -> impl Iterator<Item = &'static str> {
                [$(faults!(@on_path $class $name)),*].into_iter().flatten()
            }

            /// Returns the fault's parameters as a [`Kind`].
            #[must_use]
            pub const fn as_kind(&self) -> &dyn Kind {
                match self {
                    $(Self::$kind(kind) => kind,)*
                }
            }

            /// Returns the fault's parameters as those of a kind that selects traffic; `None` for all other kinds.
            #[must_use]
            pub const fn on_traffic(&self) -> Option<&dyn OnTraffic> {
                match self {
                    $(Self::$kind(_kind) => faults!(@on_traffic $class _kind),)*
                }
            }

            /// Returns the lists of peers in the parameters. Their meaning depends on the kind.
            #[must_use]
            pub fn selectors(&self) -> Vec<&PeerSet> {
                match self {
                    $(Self::$kind(_kind) => vec![$(&_kind.$peers),*],)*
                }
            }

            /// Returns the lists of peers in the parameters, for changes.
            pub fn selectors_mut(&mut self) -> Vec<&mut PeerSet> {
                match self {
                    $(Self::$kind(_kind) => vec![$(&mut _kind.$peers),*],)*
                }
            }
        }
    };
    (@on_path local $name:literal) => { None };
    (@on_path paths $name:literal) => { Some($name) };
    (@on_path traffic $name:literal) => { Some($name) };
    (@on_traffic local $kind:ident) => { None };
    (@on_traffic paths $kind:ident) => { None };
    (@on_traffic traffic $kind:ident) => { Some($kind) };
}

faults! {
    /// Stop a service through its manager; started again afterwards.
    ServiceStop: "service-stop", local [];
    /// Kill the processes of a service by signal; its manager is expected to bring it back. Cannot be undone.
    ServiceKill: "service-kill", local [];
    /// Restart a service through its manager. Cannot be undone.
    ServiceRestart: "service-restart", local [];
    /// Kill processes by signal. Cannot be undone.
    ProcessKill: "process-kill", local [];
    /// Freeze processes (SIGSTOP); continued afterwards.
    ProcessPause: "process-pause", local [];
    /// Drop or reject traffic with some peers.
    NetBlock: "net-block", traffic [to, except];
    /// Cut hosts into sides that cannot reach each other.
    NetPartition: "net-partition", paths [];
    /// Delay traffic with some peers.
    NetSlow: "net-slow", traffic [to, except];
    /// Lose some of the traffic with some peers.
    NetLose: "net-lose", traffic [to, except];
    /// Send some of the traffic with some peers twice.
    NetDuplicate: "net-duplicate", traffic [to, except];
    /// Damage some of the traffic with some peers.
    NetCorrupt: "net-corrupt", traffic [to, except];
    /// Let some of the traffic with some peers overtake the rest.
    NetReorder: "net-reorder", traffic [to, except];
    /// Let only so much traffic with some peers through.
    NetThrottle: "net-throttle", traffic [to, except];
    /// Reset live TCP connections with some peers, once or throughout the hold. With `once` it cannot be undone.
    NetReset: "net-reset", traffic [to];
    /// Drop, delay or falsify the DNS answers that the host gets.
    NetDns: "net-dns", traffic [to];
    /// Set a network interface down; up again afterwards.
    NetDown: "net-down", paths [to];
    /// Set a network interface down and up again, over and over; up at the end.
    NetFlap: "net-flap", paths [];
    /// Cut a host off from everything except SSH, the connection to its agent, and the peers in `except`.
    HostIsolate: "host-isolate", paths [except];
    /// Reboot the host. Cannot be undone.
    HostReboot: "host-reboot", local [];
    /// Power the host off. Cannot be undone: somebody has to switch it on.
    HostPoweroff: "host-poweroff", local [];
    /// Take out every host of a region together.
    RegionKill: "region-kill", paths [];
}

/// The least time for making an effect, however short the hold is.
const RAMP_LEAST: Span = Span::secs(5);

impl Fault {
    /// Returns the kind's descriptor.
    #[must_use]
    pub fn about(&self) -> About<'_> {
        self.as_kind().about()
    }

    /// Whether the agent can undo this kind.
    #[must_use]
    pub fn reversible(&self) -> bool {
        matches!(self.about().end, End::PutBack)
    }

    /// Returns the first error in the parameters, as far as it shows without other input; `None` if there is none.
    #[must_use]
    pub fn invalid(&self) -> Option<Invalid> {
        self.as_kind().invalid()
    }

    /// Returns the objects that the fault touches on the host that carries it out.
    #[must_use]
    pub fn touches(&self) -> Touches {
        self.as_kind().touches()
    }

    /// Whether the host goes away under this fault, agent included.
    #[must_use]
    pub fn takes_host_down(&self) -> bool {
        match self.about().host {
            HostMeanwhile::Up | HostMeanwhile::Unreachable => false,
            HostMeanwhile::Reboots { .. } | HostMeanwhile::Off => true,
        }
    }

    /// Whether the host stays down until somebody switches it on.
    #[must_use]
    pub fn powers_off(&self) -> bool {
        matches!(self.about().host, HostMeanwhile::Off)
    }

    /// Returns the hold from the fault's parameters, which replaces the attack's; `None` if they have none.
    #[must_use]
    pub fn own_hold(&self) -> Option<Span> {
        match self.about().host {
            HostMeanwhile::Reboots { back_within } => Some(back_within),
            HostMeanwhile::Up | HostMeanwhile::Unreachable | HostMeanwhile::Off => None,
        }
    }

    /// Returns the longest time that making the effect may take: as long as the hold, but at least `RAMP_LEAST` and at most the kind's
    /// limit. An effect that takes longer fails and is undone. The hold begins when the effect is made.
    #[must_use]
    pub fn ramp(&self, hold: Span) -> Span {
        hold.clamp(RAMP_LEAST, self.about().ramp)
    }

    /// Returns the fault that one host carries out: a fault on a region becomes `host-isolate` or `host-poweroff`. A partition stays a
    /// partition: the task of a host depends on the other hosts.
    #[must_use]
    pub fn on_host(self) -> Self {
        match self.about().scope {
            Scope::Host => self,
            Scope::Region(RegionHow::Isolate) => Self::HostIsolate(HostIsolate::default()),
            Scope::Region(RegionHow::Poweroff) => Self::HostPoweroff(HostPoweroff {}),
        }
    }
}

#[cfg(test)]
mod tests;
