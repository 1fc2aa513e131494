//! The objects that an act touches, on the host that carries it out and on others. A host's policy decides only by these objects.
//!
//! Each kind of fault and of probe lists its objects beside its parameters, without a wildcard. So a new kind or parameter does not compile
//! until its objects are listed.

use crate::{exchange::Exchange, fault::PeerSet};

/// The objects that an act reads, runs, changes and reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// Services that it stops, kills or restarts, or whose processes it selects.
    pub services: Vec<String>,
    /// Processes that it signals, by program name.
    pub processes: Vec<String>,
    /// Peers that it cuts off, slows down or connects to: addresses, CIDRs, names.
    pub peers: PeerSet,
    /// Interfaces that it sets down.
    pub interfaces: Vec<String>,
    /// Files that it reads.
    pub reads: Vec<String>,
    /// Environment variables of the agent that it reads.
    pub variables: Vec<String>,
    /// Files and directories that it makes, changes or removes.
    pub changes: Vec<String>,
    /// Programs that it runs, each an argument vector.
    pub runs: Vec<Vec<String>>,
    /// Whether it touches the whole host, or objects that no name describes.
    pub everything: bool,
}

impl Touches {
    /// Returns the objects of an act on the whole host.
    pub(crate) fn all() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// Returns the objects of an act on a service.
    pub(crate) fn service(name: &str) -> Self {
        Self { services: vec![name.to_owned()], ..Self::default() }
    }

    /// Returns the objects of an act on peers. Without any, the act is on the whole host.
    pub(crate) fn peers(peers: PeerSet) -> Self {
        // All texts of a list may be left out, so its length does not count.
        let everything = peers.iter().next().is_none();
        Self { everything, peers, ..Self::default() }
    }
}

impl Exchange {
    /// The name of exchanges in policies.
    pub const KIND: &'static str = "exchange";

    /// Returns the peer that the exchange reaches.
    #[must_use]
    pub fn touches(&self) -> Touches {
        let Self { to, way: _, count: _, every: _, within: _ } = self;
        Touches::peers(vec![to.to_string()].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;

    fn touches(json: &str) -> Touches {
        serde_json::from_str::<Fault>(json).expect("parses").touches()
    }

    #[test]
    fn kinds_list_the_objects_that_they_touch() {
        assert_eq!(touches(r#"{"service-kill":{"service":"checkout"}}"#), Touches::service("checkout"));
        assert_eq!(touches(r#"{"net-slow":{"to":"10.0.0.1","delay":"1s"}}"#).peers, ["10.0.0.1"]);
        assert!(touches(r#"{"net-block":{"remote_ports":5432}}"#).everything);
        assert!(touches(r#"{"net-down":{"to":"10.0.0.1"}}"#).everything);
        assert_eq!(touches(r#"{"net-down":{"interface":"eth1"}}"#).interfaces, ["eth1"]);
        assert!(touches(r#"{"process-kill":{"match":{"command":"java"}}}"#).everything);
        assert!(
            touches(r#"{"host-poweroff":{}}"#).everything && touches(r#"{"host-isolate":{}}"#).everything
        );
    }
}
