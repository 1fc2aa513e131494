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

use super::{kernel, packet_rules, peers, rules::PacketRule, user_space, words};
use crate::{
    host::{Firewall, Host, impair::Impair, queue::Look},
    injection::{Ask, Inject, InjectError, Injected, Live, Packets, Peers, Prepared, ShapeEngine},
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

impl<T: Shape> Inject for T {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let peers = peers::resolve(host, &self.traffic())?;
        let asked = self.engine();
        match (asked, packet_rules::allowed(asked, host, ask)?) {
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
        packet_rules::stage(host, live, &begin(self, host, live)?)
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        let mut injected = packet_rules::inject(host, live, &|| begin(self, host, live))?;
        injected.detail.push_str(&match live.prepared.basis.packets()?.shaped_by {
            Some(ShapeEngine::Kernel) => ", and the kernel's qdiscs treat the packets".to_owned(),
            Some(ShapeEngine::UserSpace { queue }) => format!(", and queue {queue} serves in user space"),
            None => String::new(),
        });
        Ok(injected)
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let evidence = packet_rules::evidence(host, live);
        match live.prepared.basis.packets().map(|packets| packets.shaped_by) {
            Ok(Some(ShapeEngine::Kernel)) => kernel::evidence(host, live, evidence),
            Ok(Some(ShapeEngine::UserSpace { queue })) => user_space::evidence(host, queue, evidence),
            Ok(None) | Err(_) => evidence,
        }
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        packet_rules::renew(host, live, lease)
    }
}

/// Returns a sentence with the effect and the engine that makes it.
pub(super) fn effect(shape: &(impl Shape + ?Sized), peers: &Peers, by: &str) -> String {
    let (before, after) = shape.words();
    format!("{before} {}{after}, {by}", words::packets(&shape.traffic(), peers))
}

/// Returns the notes that people should read before the run: on the service if there is one, on the kind
/// and on the engine.
pub(super) fn notes(
    shape: &(impl Shape + ?Sized),
    peers: &Peers,
    engine: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let service = words::about_service(peers);
    service.into_iter().chain(shape.notes()).chain(engine).collect()
}

/// Prepares the engine and returns the harm for the rules.
fn begin(shape: &impl Shape, host: &Host, live: &Live) -> Result<PacketRule, InjectError> {
    let Packets { peers, shaped_by, .. } = live.prepared.basis.packets()?;
    match shaped_by {
        Some(ShapeEngine::Kernel) => kernel::begin(shape, host, live, peers),
        Some(ShapeEngine::UserSpace { queue }) => user_space::begin(shape, host, live, peers, *queue),
        None => Err(InjectError("no engine was prepared that could shape packets".to_owned())),
    }
}
