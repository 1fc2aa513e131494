//! Carries out a fault that lets traffic through: chooses its engine, and hands each later step to the chosen one.

use firedrill_wire::{Span, api::Problem, evidence::Evidence, fault::Engine};

use super::{Shaper, kernel::KernelQdiscs, user_space::UserSpaceQueue};
use crate::{
    fault::net::{packet_rules, peers, rules::PacketRule, shape::Shape},
    host::{Firewall, Host},
    injection::{Ask, Inject, InjectError, Injected, Live, Packets, Prepared, ShapeEngine},
};

impl<T: Shape> Inject for T {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let peers = peers::resolve(host, &self.traffic())?;
        let asked = self.engine();
        let prepared = match (asked, packet_rules::allowed(asked, host, ask)?) {
            (Engine::Kernel, _) => KernelQdiscs::prepare(self, host, ask, &peers),
            (Engine::Auto, Firewall::Auto | Firewall::Nftables) => {
                KernelQdiscs::prepare(self, host, ask, &peers).or_else(|unable| {
                    let mut prepared = UserSpaceQueue::prepare(self, host, ask, &peers)?;
                    prepared.notes.push(format!("user space is used, because {}", unable.why));
                    Ok(prepared)
                })
            }
            // iptables cannot shape packets. It can only hand them to user space.
            (Engine::Auto | Engine::UserSpace | Engine::Iptables, _) => {
                UserSpaceQueue::prepare(self, host, ask, &peers)
            }
        };
        prepared.map_err(|unable| unable.problem)
    }

    fn stage(&self, host: &Host, live: &Live) -> Result<(), InjectError> {
        packet_rules::stage(host, live, &begin(self, host, live)?)
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        let mut injected = packet_rules::inject(host, live, &|| begin(self, host, live))?;
        injected.detail.push_str(&with(live, |_, shaper| Ok(shaper.detail()))?);
        Ok(injected)
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let rules = packet_rules::evidence(host, live);
        with(live, |_, shaper| Ok(shaper.evidence(self, host, live, rules)))
            .unwrap_or_else(InjectError::unseen)
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        packet_rules::renew(host, live, lease)
    }
}

/// Makes the engine's queue or interfaces, and returns the rule that hands packets to them.
fn begin(shape: &dyn Shape, host: &Host, live: &Live) -> Result<PacketRule, InjectError> {
    with(live, |packets, shaper| shaper.begin(shape, host, live, &packets.peers))
}

/// Calls a closure with the prepared basis and the chosen engine.
///
/// # Errors
/// The injection has another basis, or the closure's error.
fn with<T>(
    live: &Live,
    call: impl FnOnce(&Packets, &dyn Shaper) -> Result<T, InjectError>,
) -> Result<T, InjectError> {
    let packets = live.prepared.basis.packets()?;
    match packets.shaped_by {
        Some(ShapeEngine::Kernel) => call(packets, &KernelQdiscs),
        Some(ShapeEngine::UserSpace { queue }) => call(packets, &UserSpaceQueue(queue)),
        None => Err(InjectError("no engine was prepared that could shape packets".to_owned())),
    }
}
