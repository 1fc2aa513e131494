//! `host-isolate`: cuts the host off in both directions from everything but the control path and SSH.
//!
//! It makes one nftables table or one set of iptables chains, whose rules have gates that the kernel closes by itself. It
//! touches no interface, no route and no rule of others.

use firedrill_wire::{
    Span,
    api::Problem,
    evidence::Evidence,
    fault::{Engine, HostIsolate},
};

use super::net::{
    packet_rules::{self, Wanted},
    peers,
    rules::{Action, PacketRule, Selector},
};
use crate::{
    host::Host,
    injection::{Ask, Inject, InjectError, Injected, Live, Peers, Prepared},
};

impl Inject for HostIsolate {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let except = peers::find(&self.except)?;
        let mut effect = "drop all packets that the host sends, gets and forwards".to_owned();
        if !self.except.is_empty() {
            effect.push_str(&format!(", except with {}", except.describe()));
        }
        let notes = vec![
            "containers, guests and routed traffic are cut off too; ARP and other traffic that is not IP goes on"
                .to_owned(),
            "connections to the agent and to SSH on this host stay open, and new ones can be made".to_owned(),
        ];
        let wanted = Wanted {
            ask,
            rule: &rule(&except),
            // This kind has no peers, so its exceptions are kept in their place.
            peers: &except,
            effect: &effect,
            notes,
            shaped_by: None,
            reach: None,
        };
        packet_rules::prepare(Engine::Auto, host, &wanted)
    }

    fn stage(&self, host: &Host, live: &Live) -> Result<(), InjectError> {
        packet_rules::stage(host, live, &rule(packet_rules::peers(live)?))
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        packet_rules::inject(host, live, &|| Ok(rule(packet_rules::peers(live)?)))
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        packet_rules::evidence(host, live)
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        packet_rules::renew(host, live, lease)
    }
}

/// Returns the rule that drops all packets except those from and to these peers.
fn rule(except: &Peers) -> PacketRule {
    PacketRule {
        selector: Selector::default(),
        except: except.all().collect(),
        loopback: false,
        action: Action::Drop,
    }
}
