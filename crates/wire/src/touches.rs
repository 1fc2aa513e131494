//! The objects that an act names, on the host that carries it out and on others. A host's policy decides by these objects alone.
//!
//! Each kind of fault and of probe lists its objects beside its parameters, without a wildcard. A new kind or a new parameter does not
//! compile before its objects are listed.

use crate::{exchange::Exchange, fault::PeerSet};

/// The objects that an act reads, runs, changes and reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// Services that it stops, kills or restarts, or whose processes it means.
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
    pub(crate) fn all() -> Self {
        Self { everything: true, ..Self::default() }
    }

    pub(crate) fn service(name: &str) -> Self {
        Self { services: vec![name.to_owned()], ..Self::default() }
    }

    pub(crate) fn peers(peers: PeerSet) -> Self {
        // A list of which all is taken out names nobody.
        let everything = peers.iter().next().is_none();
        Self { everything, peers, ..Self::default() }
    }
}

impl Exchange {
    /// Its name in policies.
    pub const KIND: &'static str = "exchange";

    /// Returns the peer that it reaches.
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

    fn of(json: &str) -> Touches {
        serde_json::from_str::<Fault>(json).expect("parses").touches()
    }

    #[test]
    fn kinds_say_what_they_name() {
        assert_eq!(of(r#"{"service-kill":{"service":"checkout"}}"#), Touches::service("checkout"));
        assert_eq!(of(r#"{"net-slow":{"to":"10.0.0.1","delay":"1s"}}"#).peers, ["10.0.0.1"]);
        assert!(of(r#"{"net-block":{"remote_ports":5432}}"#).everything);
        assert!(of(r#"{"net-down":{"to":"10.0.0.1"}}"#).everything);
        assert_eq!(of(r#"{"net-down":{"interface":"eth1"}}"#).interfaces, ["eth1"]);
        assert!(of(r#"{"process-kill":{"match":{"command":"java"}}}"#).everything);
        assert!(of(r#"{"host-poweroff":{}}"#).everything && of(r#"{"host-isolate":{}}"#).everything);
    }
}
