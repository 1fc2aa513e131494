//! The peers of rules that are in force, to which addresses are added while they hold.

use ipnet::IpNet;

/// Adds to the peers of rules that are in force. Never makes rules.
pub trait Adds {
    /// Whether the rules still exist.
    ///
    /// # Errors
    /// They could not be read; the text is for people.
    fn is_there(&self) -> Result<bool, String>;
    /// Adds to the peers.
    ///
    /// # Errors
    /// An address could not be added; the text is for people.
    fn add(&self, networks: &[IpNet]) -> Result<(), String>;
}
