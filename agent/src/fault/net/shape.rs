//! Faults that let traffic through but change how it arrives, and the choice of the engine that carries them out.
//!
//! The kinds differ only in how a packet is changed ([`Shape::impair`]) and in the words for it. Engines do the same
//! for the same parameters. An engine that cannot do what is asked refuses; nothing is approximated.

use firedrill_wire::{
    Span,
    api::Problem,
    evidence::Evidence,
    fault::{self, OnTraffic},
};
use serde::{Deserialize, Serialize};

use super::{kernel, peers::Peers, rules::PacketRule, table_fault, user_space, words};
use crate::{
    host::{Firewall, Host, impair::Impair, queue::Look},
    injection::{Ask, Inject, InjectError, Injected, Live, Prepared},
};

/// A kind of fault that lets traffic through but changes how it arrives.
pub trait Shape: OnTraffic + Send + Sync {
    /// Returns how packets are impaired.
    fn impair(&self) -> Impair;
    /// Whether the fault reaches loopback too.
    fn loopback(&self) -> bool {
        false
    }
    /// Returns the function that looks into packets and decides which of them the fault is about. Only the engine in
    /// user space can do so. Without it the fault is about all chosen packets.
    fn look(&self) -> Option<Look> {
        None
    }
    /// Returns the words before and after the description of the packets: `delay`, `by 500ms`.
    fn words(&self) -> (String, String);
    /// Returns notes about this kind that people should read before the run.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The facts that an injection is based on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Basis {
    #[serde(flatten)]
    pub(super) peers: Peers,
    pub(super) engine: Engine,
}

/// The engine that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Engine {
    /// The kernel's qdiscs, on ifbs.
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
        let peers = Peers::of(host, &self.traffic())?;
        let asked = self.engine();
        match (asked, table_fault::chosen(asked, host, ask)?) {
            (fault::Engine::Kernel, _) => kernel::prepare(self, host, ask, peers),
            (fault::Engine::Auto, Firewall::Auto | Firewall::Nftables) => {
                kernel::try_to_prepare(self, host, ask, peers.clone()).or_else(|why| {
                    let mut prepared = user_space::prepare(self, host, ask, peers)?;
                    prepared.notes.push(format!("user space it is, because {why}"));
                    Ok(prepared)
                })
            }
            // For packets that are let through, iptables can only hand them to user space.
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

/// Returns a sentence with the effect and the engine that makes it.
pub(super) fn effect(shape: &(impl Shape + ?Sized), peers: &Peers, by: &str) -> String {
    let (before, after) = shape.words();
    format!("{before} {}{after}, {by}", words::packets(&shape.traffic(), peers))
}

/// Returns the notes that people should read before the run: on the reach, on the service if there is one, on the kind
/// and on the engine.
pub(super) fn notes(
    shape: &(impl Shape + ?Sized),
    peers: &Peers,
    reaches: &str,
    engine: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let service = words::about_service(peers);
    std::iter::once(reaches.to_owned()).chain(service).chain(shape.notes()).chain(engine).collect()
}

/// Prepares the engine and returns the harm for the rules.
fn begin(shape: &impl Shape, host: &Host, live: &Live) -> Result<PacketRule, InjectError> {
    let Basis { peers, engine } = Basis::of(live)?;
    match engine {
        Engine::Kernel => kernel::begin(shape, host, live, &peers),
        Engine::UserSpace { queue } => user_space::begin(shape, host, live, &peers, queue),
    }
}
