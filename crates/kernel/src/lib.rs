//! Narrow interfaces to the kernel and to other parts of a host, for the agent. Faults touch the host only by this crate, which never decides
//! to inject or undo a fault.

pub mod cgroup;
pub mod dbus;
pub mod flaps;
pub mod followers;
mod hash;
pub mod ifb;
pub mod iptables;
pub mod kept;
pub mod kinds;
mod leased;
pub mod link;
pub mod nft;
pub mod packet_owner;
pub mod peer_set;
pub mod power;
pub mod process;
pub mod queue_numbers;
pub mod resets;
pub mod sockets;
pub mod ssh;
#[doc(hidden)]
pub mod testing;

use std::path::PathBuf;

pub use firedrill_packets::{impair, queue};

/// The host that the agent runs on, with all state that this process keeps about it.
#[derive(Debug)]
pub struct Host {
    /// The host's name, from the agent's certificate.
    pub name: String,
    /// The directories that the agent uses.
    pub paths: Paths,
    /// The port on which the agent listens. Faults never block it.
    pub agent_port: u16,
    /// The ports of SSH. Faults never block them.
    pub ssh: ssh::Ssh,
    /// The way to restart the host or to switch it off.
    pub power: Box<dyn power::Power>,
    /// nf_tables, with the socket that owns this tool's tables; opened on first use.
    pub nft: nft::Nft,
    /// iptables, with the chains that this process has made and their gates.
    pub iptables: iptables::Iptables,
    /// The configured engine for faults on traffic.
    pub firewall: Firewall,
    /// The threads that follow names of peers and cgroups of services while faults are in force.
    pub followers: followers::Followers,
    /// The interfaces through which chosen packets take a detour.
    pub ifbs: ifb::Ifbs,
    /// Queues of packets that this process serves.
    pub queues: queue::Queues,
    /// The queue numbers of injections.
    pub queue_numbers: queue_numbers::Numbers,
    /// The owners of packets that faults choose.
    pub packet_owners: packet_owner::PacketOwners,
    /// Connections that this process resets.
    pub resets: resets::Resets,
    /// The flapping interfaces, which this process takes down again and again.
    pub flaps: flaps::Flaps,
    /// Values that other crates keep in memory for this host.
    pub kept: kept::Kept,
}

impl Host {
    /// Makes a host. Sockets to the kernel are opened on first use.
    #[must_use]
    pub fn new(name: impl Into<String>, paths: Paths, agent_port: u16, ssh_ports: Vec<u16>) -> Self {
        Self {
            name: name.into(),
            paths,
            agent_port,
            ssh: ssh::Ssh::new(ssh_ports),
            power: Box::new(power::ThisHost),
            nft: nft::Nft::default(),
            iptables: iptables::Iptables::default(),
            firewall: Firewall::default(),
            followers: followers::Followers::default(),
            ifbs: ifb::Ifbs::default(),
            queues: queue::Queues::default(),
            queue_numbers: queue_numbers::Numbers::default(),
            packet_owners: packet_owner::PacketOwners::default(),
            resets: resets::Resets::default(),
            flaps: flaps::Flaps::default(),
            kept: kept::Kept::default(),
        }
    }
}

/// The engine for faults on traffic, as the host's configuration names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firewall {
    /// nftables if the kernel has it, otherwise iptables.
    #[default]
    Auto,
    /// Only nftables. Without it, faults on traffic are refused.
    Nftables,
    /// Only iptables. Without it, faults on traffic are refused.
    Iptables,
}

/// The directories that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The directory that survives a reboot and has the journal. By default `/var/lib/firedrill`.
    pub state: PathBuf,
    /// The directory that a reboot empties and that has the list of active injections. By default `/run/firedrill`.
    pub run: PathBuf,
    /// The directories that may contain runit's service directories, in the order of the search.
    pub runit: Vec<PathBuf>,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            state: "/var/lib/firedrill".into(),
            run: "/run/firedrill".into(),
            runit: [
                "/etc/service",
                "/service",
                "/var/service",
                "/run/service",
                "/etc/runit/runsvdir/current",
            ]
            .map(PathBuf::from)
            .to_vec(),
        }
    }
}
