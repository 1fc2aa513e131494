//! Faults that let traffic through, but not as it was: the engines that do it, and which of them does.
//!
//! All that differs between the kinds is what becomes of a packet ([`Shape::impair`]) and the words for it. Engines do
//! the same by the same parameters; one that cannot do what is asked refuses, and nothing is approximated.

use firedrill_wire::{
    Span,
    api::Problem,
    evidence::Evidence,
    fault::{self, OnTraffic},
};
use serde::{Deserialize, Serialize};

use super::{kernel, peers::Peers, rules::Harm, table_fault, user_space, words};
use crate::{
    fault::{Ask, Inject, InjectError, Injected, Live, Prepared},
    host::{Firewall, Host, impair::Impair, queue::Look},
};

/// A kind of fault that lets traffic through, but not as it was.
pub trait Shape: OnTraffic + Send + Sync {
    /// What becomes of packets.
    fn impair(&self) -> Impair;
    /// Whether loopback is reached too.
    fn loopback(&self) -> bool {
        false
    }
    /// What looks into packets first, to tell which are meant; only user space can. Without it all are.
    fn look(&self) -> Option<Look> {
        None
    }
    /// The words before and after those for the packets: `delay`, `by 500ms`.
    fn words(&self) -> (String, String);
    /// What people should know beforehand about this kind.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What an injection is based on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Basis {
    #[serde(flatten)]
    pub(super) peers: Peers,
    pub(super) engine: Engine,
}

/// Which engine was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Engine {
    /// Lines with the kernel's qdiscs.
    Kernel,
    /// A queue of this process.
    UserSpace {
        /// The queue's number.
        queue: u16,
    },
}

impl Basis {
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn of(live: &Live) -> Result<Self, InjectError> {
        serde_json::from_str(&live.prepared.basis)
            .map_err(|error| InjectError(format!("could not read what was prepared: {error}")))
    }
}

impl<T: Shape> Inject for T {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        table_fault::check(ask)?;
        let peers = Peers::of(host, &self.traffic())?;
        let asked = self.engine();
        match (asked, table_fault::chosen(asked, host, ask)?) {
            (fault::Engine::Kernel, _) => kernel::prepare(self, host, ask, peers),
            (fault::Engine::Auto, Firewall::Auto | Firewall::Nftables) => {
                kernel::prepare(self, host, ask, peers.clone()).or_else(|unable| {
                    let mut prepared = user_space::prepare(self, host, ask, peers)?;
                    prepared.notes.push(format!("user space it is, because {}", kernel::reason(&unable)));
                    Ok(prepared)
                })
            }
            // What iptables can do to packets that are let through is hand them to user space.
            (fault::Engine::Auto | fault::Engine::UserSpace | fault::Engine::Iptables, _) => {
                user_space::prepare(self, host, ask, peers)
            }
        }
    }

    fn stage(&self, host: &Host, live: &Live) -> Result<(), InjectError> {
        table_fault::stage(host, live, &begin(self, host, live)?)
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        let mut injected = table_fault::inject(host, live, || begin(self, host, live))?;
        injected.detail.push_str(&match Basis::of(live)?.engine {
            Engine::Kernel => ", and the kernel's qdiscs treat the packets".to_owned(),
            Engine::UserSpace { queue } => format!(", and queue {queue} serves in user space"),
        });
        Ok(injected)
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let evidence = table_fault::evidence(host, live);
        match Basis::of(live).map(|basis| basis.engine) {
            Ok(Engine::Kernel) => kernel::evidence(host, live, evidence),
            Ok(Engine::UserSpace { queue }) => user_space::evidence(host, queue, evidence),
            Err(_) => evidence,
        }
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        table_fault::renew(host, live, lease)
    }
}

/// What will happen, and who does it, as a sentence.
pub(super) fn effect(shape: &(impl Shape + ?Sized), peers: &Peers, by: &str) -> String {
    let (before, after) = shape.words();
    format!("{before} {}{after}, {by}", words::packets(&shape.traffic(), peers))
}

/// What people should know beforehand: how far it reaches, about the kind, about the engine.
pub(super) fn notes(
    shape: &(impl Shape + ?Sized),
    peers: &Peers,
    reaches: &str,
    engine: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let service = words::about_service(peers);
    std::iter::once(reaches.to_owned()).chain(service).chain(shape.notes()).chain(engine).collect()
}

/// What is done to packets, with all ready that does it.
fn begin(shape: &impl Shape, host: &Host, live: &Live) -> Result<Harm, InjectError> {
    let Basis { peers, engine } = Basis::of(live)?;
    match engine {
        Engine::Kernel => kernel::begin(shape, host, live, &peers),
        Engine::UserSpace { queue } => user_space::begin(shape, host, live, &peers, queue),
    }
}
