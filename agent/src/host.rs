//! Narrow ports to the kernel and to what else a host has. Only code below here touches the host.

pub mod cgroup;
pub mod dbus;
pub mod followers;
pub mod ifb;
pub mod iptables;
pub mod link;
pub mod nft;
pub mod packet_owner;
pub mod probe_kernel;
pub mod process;
pub mod queue_numbers;
pub mod resets;
pub mod sockets;
pub mod ssh;

use std::path::PathBuf;

pub use firedrill_packets::{impair, queue};

/// Ends a hash, in the form in which it is compared and kept.
fn sha256(hash: ring::digest::Context) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(hash.finish().as_ref());
    sum
}

/// The host that this agent is on.
#[derive(Debug)]
pub struct Host {
    /// Its name, from the agent's certificate.
    pub name: String,
    /// Where things lie.
    pub paths: Paths,
    /// The agent's own listening port, never blocked.
    pub agent_port: u16,
    /// Ports of SSH, never blocked.
    pub ssh: ssh::Ssh,
    /// nf_tables, with the socket that owns our tables; opened on first use.
    pub nft: nft::Nft,
    /// iptables, with the gates of what it made.
    pub iptables: iptables::Iptables,
    /// Which of the two faults on traffic are made with.
    pub firewall: Firewall,
    /// Names of peers and cgroups of services that are looked up again while faults hold.
    pub followers: followers::Followers,
    /// Interfaces through which packets take a detour.
    pub ifbs: ifb::Ifbs,
    /// Queues of packets that this process works on.
    pub queues: queue::Queues,
    /// Which injection has which queue.
    pub queue_numbers: queue_numbers::Numbers,
    /// Whose packets faults choose.
    pub packet_owners: packet_owner::PacketOwners,
    /// Connections that this process resets.
    pub resets: resets::Resets,
}

impl Host {
    /// A host with its ports to the kernel, opened on first use.
    #[must_use]
    pub fn new(name: impl Into<String>, paths: Paths, agent_port: u16, ssh_ports: Vec<u16>) -> Self {
        Self {
            name: name.into(),
            paths,
            agent_port,
            ssh: ssh::Ssh::new(ssh_ports),
            nft: nft::Nft::default(),
            iptables: iptables::Iptables::default(),
            firewall: Firewall::default(),
            followers: followers::Followers::default(),
            ifbs: ifb::Ifbs::default(),
            queues: queue::Queues::default(),
            queue_numbers: queue_numbers::Numbers::default(),
            packet_owners: packet_owner::PacketOwners::default(),
            resets: resets::Resets::default(),
        }
    }
}

/// What faults on traffic are made with, as the host's configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firewall {
    /// nftables where the kernel can, else iptables.
    #[default]
    Auto,
    /// nftables, or a refusal.
    Nftables,
    /// iptables, or a refusal.
    Iptables,
}

/// Where things lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Survives a reboot: the journal. `/var/lib/firedrill`.
    pub state: PathBuf,
    /// Gone with a reboot: what is active. `/run/firedrill`.
    pub run: PathBuf,
    /// Where runit's service directories are looked for, in this order.
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
