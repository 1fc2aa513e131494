//! The kinds of harm and their parameters, as they stand in a scenario and as an agent gets them.
//!
//! Externally tagged (`service-stop = { … }`), so that errors point at the exact spot. In a scenario a peer may be
//! the name of a target; the planner puts addresses in its place before an agent sees it.

mod dns;
mod down;
mod host;
mod misfit;
mod net;
mod partition;
mod peers;
mod process;
mod reset;
mod service;
mod shape;
mod traffic;

pub use dns::{DnsHow, NetDns};
pub use down::NetDown;
pub use host::{HostIsolate, HostPoweroff, HostReboot, RegionHow, RegionKill};
pub use misfit::{Misfit, is_service};
pub use net::{Connections, Direction, NetBlock, PortRange, PortRangeError, Protocol, Refuse};
pub use partition::{NetPartition, PartitionShape};
pub use peers::{PeerSet, PeerTable, PeersError, list_bytes};
pub use process::{ProcessKill, ProcessMatch, ProcessPause};
pub use reset::{NetReset, ResetHow};
pub use service::{ServiceKill, ServiceManager, ServiceRestart, ServiceStop, Signal};
pub use shape::{
    Distribution, Engine, GilbertElliott, NetCorrupt, NetDuplicate, NetLose, NetReorder, NetSlow, NetThrottle,
};
pub use traffic::{OnTraffic, Traffic};

use serde::{Deserialize, Serialize};

use crate::Span;

/// Making an effect is given the hold, within these limits; a service may take its time to stop.
const RAMP: (Span, Span) = (Span::secs(5), Span::secs(120));
/// The upper limit for kinds that wait for nobody.
const RAMP_QUICK: Span = Span::secs(30);

/// One kind of harm with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Fault {
    /// Stop a service through its manager; started again afterwards.
    ServiceStop(ServiceStop),
    /// Kill the processes of a service by signal; its manager is expected to bring it back. Cannot be undone.
    ServiceKill(ServiceKill),
    /// Restart a service through its manager. Cannot be undone.
    ServiceRestart(ServiceRestart),
    /// Kill processes by signal. Cannot be undone.
    ProcessKill(ProcessKill),
    /// Freeze processes (SIGSTOP); continued afterwards.
    ProcessPause(ProcessPause),
    /// Drop or reject traffic with some peers.
    NetBlock(NetBlock),
    /// Cut hosts into sides that cannot reach each other.
    NetPartition(NetPartition),
    /// Delay traffic with some peers.
    NetSlow(NetSlow),
    /// Lose some of the traffic with some peers.
    NetLose(NetLose),
    /// Send some of the traffic with some peers twice.
    NetDuplicate(NetDuplicate),
    /// Damage some of the traffic with some peers.
    NetCorrupt(NetCorrupt),
    /// Let some of the traffic with some peers overtake the rest.
    NetReorder(NetReorder),
    /// Let only so much traffic with some peers through.
    NetThrottle(NetThrottle),
    /// Reset live TCP connections with some peers. Done once, it cannot be undone.
    NetReset(NetReset),
    /// Drop, delay or falsify the DNS answers that the host gets.
    NetDns(NetDns),
    /// Set a network interface down; up again afterwards.
    NetDown(NetDown),
    /// Cut a host off from everything but its agent and SSH.
    HostIsolate(HostIsolate),
    /// Reboot the host. Cannot be undone.
    HostReboot(HostReboot),
    /// Power the host off. Cannot be undone: somebody has to switch it on.
    HostPoweroff(HostPoweroff),
    /// Take out every host of a region together.
    RegionKill(RegionKill),
}

impl Fault {
    /// The kind's name as it stands in files, such as `net-block`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ServiceStop(_) => "service-stop",
            Self::ServiceKill(_) => "service-kill",
            Self::ServiceRestart(_) => "service-restart",
            Self::ProcessKill(_) => "process-kill",
            Self::ProcessPause(_) => "process-pause",
            Self::NetBlock(_) => "net-block",
            Self::NetPartition(_) => "net-partition",
            Self::NetSlow(_) => "net-slow",
            Self::NetLose(_) => "net-lose",
            Self::NetDuplicate(_) => "net-duplicate",
            Self::NetCorrupt(_) => "net-corrupt",
            Self::NetReorder(_) => "net-reorder",
            Self::NetThrottle(_) => "net-throttle",
            Self::NetReset(_) => "net-reset",
            Self::NetDns(_) => "net-dns",
            Self::NetDown(_) => "net-down",
            Self::HostIsolate(_) => "host-isolate",
            Self::HostReboot(_) => "host-reboot",
            Self::HostPoweroff(_) => "host-poweroff",
            Self::RegionKill(_) => "region-kill",
        }
    }

    /// All kinds' names.
    pub const KINDS: [&'static str; 20] = [
        "service-stop",
        "service-kill",
        "service-restart",
        "process-kill",
        "process-pause",
        "net-block",
        "net-partition",
        "net-slow",
        "net-lose",
        "net-duplicate",
        "net-corrupt",
        "net-reorder",
        "net-throttle",
        "net-reset",
        "net-dns",
        "net-down",
        "host-isolate",
        "host-reboot",
        "host-poweroff",
        "region-kill",
    ];

    /// Whether the agent can put back what this kind does.
    #[must_use]
    pub const fn reversible(&self) -> bool {
        match self {
            Self::ServiceStop(_)
            | Self::ProcessPause(_)
            | Self::NetBlock(_)
            | Self::NetPartition(_)
            | Self::NetSlow(_)
            | Self::NetLose(_)
            | Self::NetDuplicate(_)
            | Self::NetCorrupt(_)
            | Self::NetReorder(_)
            | Self::NetThrottle(_)
            | Self::NetDns(_)
            | Self::NetDown(_)
            | Self::HostIsolate(_) => true,
            Self::NetReset(reset) => matches!(reset.how, ResetHow::Throughout),
            Self::RegionKill(kill) => matches!(kill.how, RegionHow::Isolate),
            Self::ServiceKill(_)
            | Self::ServiceRestart(_)
            | Self::ProcessKill(_)
            | Self::HostReboot(_)
            | Self::HostPoweroff(_) => false,
        }
    }

    /// Whether the host goes away under this fault, agent included.
    #[must_use]
    pub const fn takes_host_down(&self) -> bool {
        match self {
            Self::HostReboot(_) | Self::HostPoweroff(_) => true,
            Self::RegionKill(kill) => matches!(kill.how, RegionHow::Poweroff),
            _ => false,
        }
    }

    /// How long the fault stays by its own parameters, where that takes the place of the attack's hold.
    #[must_use]
    pub const fn own_hold(&self) -> Option<Span> {
        match self {
            Self::HostReboot(reboot) => Some(reboot.back_within),
            _ => None,
        }
    }

    /// The longest that making the effect may take. What takes longer fails and is put back. The hold is counted from the
    /// moment at which the effect is made.
    #[must_use]
    pub fn ramp(&self, hold: Span) -> Span {
        let (least, most) = RAMP;
        match self {
            Self::ServiceStop(_) | Self::ServiceRestart(_) => hold.clamp(least, most),
            _ => hold.clamp(least, RAMP_QUICK),
        }
    }

    /// What one host has to do for it: a fault on a region becomes the same fault on each of its hosts. A partition
    /// stays one: what a host has to do for it depends on who the others are.
    #[must_use]
    pub fn on_host(self) -> Self {
        match self {
            Self::RegionKill(RegionKill { how: RegionHow::Isolate }) => {
                Self::HostIsolate(HostIsolate::default())
            }
            Self::RegionKill(RegionKill { how: RegionHow::Poweroff }) => Self::HostPoweroff(HostPoweroff {}),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_in_files() {
        let fault: Fault =
            serde_json::from_str(r#"{"service-stop":{"service":"checkout"}}"#).expect("parses");
        assert_eq!(fault.kind(), "service-stop");
        assert!(Fault::KINDS.contains(&fault.kind()));
        assert!(fault.reversible() && !fault.takes_host_down());
        let region: Fault = serde_json::from_str(r#"{"region-kill":{"how":"isolate"}}"#).expect("parses");
        assert_eq!(region.on_host().kind(), "host-isolate");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<Fault>(r#"{"net-block":{"too":["db"]}}"#).expect_err("typo");
        assert!(error.to_string().contains("too"), "{error}");
    }
}
