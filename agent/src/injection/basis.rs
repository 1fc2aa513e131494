//! The facts that an injection rests on, from `prepare` to `inject`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    error::InjectError,
    traffic::{Packets, Peers},
};
use crate::{
    host::{power::Boot, process::Name},
    service::Unit,
};

/// The facts that the preparation rests on (pids, unit states, addresses that names resolved to). Their text is hashed
/// into the fingerprint, so it must not change while nothing relevant changes.
///
/// A journal has the text alone, and nobody reads facts from it: a process that finds an injection there puts it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The processes that are meant.
    Processes(Vec<Name>),
    /// The units that are up, the service itself first.
    Units(Vec<Unit>),
    /// An interface.
    Interface {
        /// Its index.
        index: u32,
        /// The name that it had.
        name: String,
    },
    /// The boot that the host is in.
    Boot(Boot),
    /// The peers whose connections are meant.
    Connections(Peers),
    /// Packets that rules choose.
    Packets(Packets),
    /// Only the text, as a journal has it.
    Text(String),
}

impl Basis {
    /// Returns the text for the fingerprint and the journal.
    #[must_use]
    pub fn text(&self) -> String {
        let list = |all: Vec<String>, between| all.join(between);
        match self {
            Self::Processes(names) => list(names.iter().map(Name::to_string).collect(), " "),
            Self::Units(units) => list(units.iter().map(|one| format!("{} up", one.key())).collect(), "\n"),
            Self::Interface { index, name } => format!("{index} {name}"),
            Self::Boot(boot) => boot.to_string(),
            Self::Connections(peers) => serde_json::to_string(peers).unwrap_or_default(),
            Self::Packets(packets) => serde_json::to_string(packets).unwrap_or_default(),
            Self::Text(text) => text.clone(),
        }
    }

    /// Returns the processes.
    ///
    /// # Errors
    /// Something else was prepared.
    pub fn processes(&self) -> Result<&[Name], InjectError> {
        if let Self::Processes(names) = self { Ok(names) } else { Err(self.other("processes")) }
    }

    /// Returns the units, the service itself first.
    ///
    /// # Errors
    /// Something else was prepared.
    pub fn units(&self) -> Result<&[Unit], InjectError> {
        if let Self::Units(units) = self { Ok(units) } else { Err(self.other("units")) }
    }

    /// Returns the index and the name of the interface.
    ///
    /// # Errors
    /// Something else was prepared.
    pub fn interface(&self) -> Result<(u32, &str), InjectError> {
        if let Self::Interface { index, name } = self {
            Ok((*index, name))
        } else {
            Err(self.other("an interface"))
        }
    }

    /// Returns the boot.
    ///
    /// # Errors
    /// Something else was prepared.
    pub fn boot(&self) -> Result<&Boot, InjectError> {
        if let Self::Boot(boot) = self { Ok(boot) } else { Err(self.other("a boot")) }
    }

    /// Returns the peers whose connections are meant.
    ///
    /// # Errors
    /// Something else was prepared.
    pub fn connections(&self) -> Result<&Peers, InjectError> {
        if let Self::Connections(peers) = self { Ok(peers) } else { Err(self.other("connections")) }
    }

    /// Returns the packets.
    ///
    /// # Errors
    /// Something else was prepared.
    pub fn packets(&self) -> Result<&Packets, InjectError> {
        if let Self::Packets(packets) = self { Ok(packets) } else { Err(self.other("packets")) }
    }

    fn other(&self, wanted: &str) -> InjectError {
        let text = self.text();
        InjectError(format!(
            "this process has not prepared {wanted} for it; what is known of it is \"{text}\""
        ))
    }
}

impl Serialize for Basis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Basis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::Text)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use firedrill_wire::fault::ServiceManager;

    use super::{
        super::{
            cgroup::Service,
            traffic::{IptablesChains, RuleEngine, ShapeEngine},
        },
        *,
    };
    use crate::host::iptables::Table;

    #[test]
    fn journals_have_the_text_that_they_always_had() {
        let name = |pid| Name { pid, start_ticks: 7 };
        let unit = |id: &str| Unit { manager: ServiceManager::Runit, id: id.into() };
        let peers = Peers {
            networks: [("db".to_owned(), vec!["10.0.0.1/32".parse().unwrap()])].into(),
            ..Peers::default()
        };
        let whole = Peers {
            except: vec!["10.0.0.9/32".parse().unwrap()],
            user: Some(33),
            service: Some(Service {
                name: "web".into(),
                path: "/system.slice/web".into(),
                folder: PathBuf::from("/sys/fs/cgroup/system.slice/web"),
                number: 196,
            }),
            ..peers.clone()
        };
        let chains = IptablesChains { table: Table::Raw, program: "iptables".into(), families: Vec::new() };
        let packets = |peers: &Peers, rules, shaped_by| {
            Basis::Packets(Packets { peers: peers.clone(), rules, shaped_by })
        };
        for (basis, text) in [
            (Basis::Processes(vec![name(1), name(22)]), "1@7 22@7"),
            (Basis::Units(vec![unit("/service/a"), unit("/service/b")]), "unit:runit/a up\nunit:runit/b up"),
            (Basis::Interface { index: 3, name: "eth0".into() }, "3 eth0"),
            (Basis::Boot(Boot { id: "b".into(), first: name(1) }), "b 1@7"),
            (Basis::Connections(peers.clone()), r#"{"networks":{"db":["10.0.0.1/32"]}}"#),
            (packets(&peers, RuleEngine::Nftables, None), r#"{"networks":{"db":["10.0.0.1/32"]}}"#),
            (
                packets(&whole, RuleEngine::Nftables, Some(ShapeEngine::Kernel)),
                r#"{"networks":{"db":["10.0.0.1/32"]},"except":["10.0.0.9/32"],"user":33,"service":{"name":"web","path":"/system.slice/web","folder":"/sys/fs/cgroup/system.slice/web","number":196},"engine":"kernel"}"#,
            ),
            (
                packets(&peers, RuleEngine::Iptables(chains), Some(ShapeEngine::UserSpace { queue: 9 })),
                r#"{"networks":{"db":["10.0.0.1/32"]},"engine":{"user-space":{"queue":9}}}"#,
            ),
        ] {
            let json = serde_json::to_string(&basis).unwrap();
            assert_eq!(json, serde_json::to_string(text).unwrap());
            let read: Basis = serde_json::from_str(&json).unwrap();
            assert_eq!(read, Basis::Text(text.to_owned()));
            assert!(read.packets().unwrap_err().0.contains("not prepared"));
        }
    }
}
