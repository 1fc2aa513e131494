//! Narrow ports to the kernel and to other parts of a host. Only code below here touches the host.

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

/// The host of this agent.
#[derive(Debug)]
pub struct Host {
    /// Its name, from the agent's certificate.
    pub name: String,
    /// Directories.
    pub paths: Paths,
    /// The agent's own listening port, never blocked.
    pub agent_port: u16,
    /// Ports of SSH, never blocked.
    pub ssh: ssh::Ssh,
    /// Its power.
    pub power: Box<dyn power::Power>,
    /// nf_tables, with the socket that owns our tables; opened on first use.
    pub nft: nft::Nft,
    /// iptables, with the gates of the chains that it made.
    pub iptables: iptables::Iptables,
    /// The configured engine of faults on traffic.
    pub firewall: Firewall,
    /// Follows names of peers and cgroups of services while faults hold.
    pub followers: followers::Followers,
    /// Interfaces through which packets take a detour.
    pub ifbs: ifb::Ifbs,
    /// Queues of packets that this process serves.
    pub queues: queue::Queues,
    /// The queue numbers of injections.
    pub queue_numbers: queue_numbers::Numbers,
    /// The owners of packets that faults choose.
    pub packet_owners: packet_owner::PacketOwners,
    /// Connections that this process resets.
    pub resets: resets::Resets,
    /// Interfaces that this process takes down again and again.
    pub flaps: flaps::Flaps,
    /// Values that other crates keep in memory for this host.
    pub kept: kept::Kept,
}

impl Host {
    /// Makes a host. Its ports to the kernel are opened on first use.
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

/// The engine of faults on traffic, by the host's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firewall {
    /// nftables if the kernel has it, else iptables.
    #[default]
    Auto,
    /// nftables, or a refusal.
    Nftables,
    /// iptables, or a refusal.
    Iptables,
}

/// Directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Survives a reboot; holds the journal. `/var/lib/firedrill`.
    pub state: PathBuf,
    /// Emptied by a reboot; holds the list of active injections. `/run/firedrill`.
    pub run: PathBuf,
    /// The directories with runit's service directories, in the order in which they are searched.
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
