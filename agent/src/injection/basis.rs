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
/// into the fingerprint, so it must not change as long as nothing relevant changes.
///
/// A journal has only the text, and no code reads facts from it: a process that finds an injection there puts it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The processes that the fault is about.
    Processes(Vec<Name>),
    /// The units that are up, the service itself first.
    Units(Vec<Unit>),
    /// The interface that the fault is about.
    Interface {
        /// The index of the interface.
        index: u32,
        /// The name of the interface at `prepare`.
        name: String,
    },
    /// The boot of the host at `prepare`.
    Boot(Boot),
    /// The peers whose connections the fault is about.
    Connections(Peers),
    /// The packets that the fault is about.
    Packets(Packets),
    /// Only the text, as a journal has it.
    Text(String),
}

impl Basis {
    /// Returns the text for the fingerprint and the journal.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Processes(names) => names.iter().map(Name::to_string).collect::<Vec<_>>().join(" "),
            Self::Units(units) => {
                units.iter().map(|unit| format!("{} up", unit.key())).collect::<Vec<_>>().join("\n")
            }
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
    /// The basis has no processes.
    pub fn processes(&self) -> Result<&[Name], InjectError> {
        if let Self::Processes(names) = self { Ok(names) } else { Err(self.lacks("processes")) }
    }

    /// Returns the units, the service itself first.
    ///
    /// # Errors
    /// The basis has no units.
    pub fn units(&self) -> Result<&[Unit], InjectError> {
        if let Self::Units(units) = self { Ok(units) } else { Err(self.lacks("units")) }
    }

    /// Returns the index and the name of the interface.
    ///
    /// # Errors
    /// The basis has no interface.
    pub fn interface(&self) -> Result<(u32, &str), InjectError> {
        if let Self::Interface { index, name } = self {
            Ok((*index, name))
        } else {
            Err(self.lacks("an interface"))
        }
    }

    /// Returns the boot.
    ///
    /// # Errors
    /// The basis has no boot.
    pub fn boot(&self) -> Result<&Boot, InjectError> {
        if let Self::Boot(boot) = self { Ok(boot) } else { Err(self.lacks("a boot")) }
    }

    /// Returns the peers whose connections the fault is about.
    ///
    /// # Errors
    /// The basis has no connections.
    pub fn connections(&self) -> Result<&Peers, InjectError> {
        if let Self::Connections(peers) = self { Ok(peers) } else { Err(self.lacks("connections")) }
    }

    /// Returns the packets.
    ///
    /// # Errors
    /// The basis has no packets.
    pub fn packets(&self) -> Result<&Packets, InjectError> {
        if let Self::Packets(packets) = self { Ok(packets) } else { Err(self.lacks("packets")) }
    }

    /// Returns the error for a basis that is not of the wanted kind, mostly because it comes from a journal.
    fn lacks(&self, wanted: &str) -> InjectError {
        let text = self.text();
        InjectError(format!(
            "this process has not prepared {wanted} for this injection; its recorded basis is \"{text}\""
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
    fn the_text_in_journals_is_fixed_for_each_basis() {
        let name = |pid| Name { pid, start_ticks: 7 };
        let unit = |id: &str| Unit { manager: ServiceManager::Runit, id: id.into() };
        let peers = Peers {
            networks: [("db".to_owned(), vec!["10.0.0.1/32".parse().unwrap()])].into(),
            ..Peers::default()
        };
        let all_fields = Peers {
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
                packets(&all_fields, RuleEngine::Nftables, Some(ShapeEngine::Kernel)),
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
