//! The interface by which peers are added to rules that are in force, for nftables and iptables alike. Has no way to remove a peer.

use ipnet::IpNet;

/// Adds peers to the rules of one injection that is in force.
pub trait Adds {
    /// Whether the rules still exist.
    ///
    /// # Errors
    /// The rules could not be read; the text is for people.
    fn is_there(&self) -> Result<bool, String>;
    /// Adds networks to the peers.
    ///
    /// # Errors
    /// An address could not be added; the text is for people.
    fn add(&self, networks: &[IpNet]) -> Result<(), String>;
}
