//! `net-down`: takes an interface down. When the fault ends, it brings the interface up again and restores the addresses and
//! routes that the kernel dropped.
//!
//! It refuses loopback, an interface that is down already, and any interface that it cannot put back completely. Unless the
//! scenario asks for it, it also refuses an interface that carries the connection to this agent or an SSH session. The kernel
//! does not end this fault by itself: the agent does, or its guardian if the agent dies.

use std::collections::BTreeSet;

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    evidence::{Evidence, Seen},
    fault::NetDown,
};

use super::net::{interface, peers};
use crate::{
    host::{
        Host,
        link::{self, Link, link_state::LinkState},
    },
    injection::{Ask, Basis, Inject, InjectError, Injected, Live, Prepared, once, once::Made, refuse},
    undo::Undo,
};

impl Inject for NetDown {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let links = link::all().map_err(|error| interface::unreadable(ask, &error))?;
        let link = find(self, ask, &links)?;
        let name = &link.name;
        interface::can_go_down(ask, link)?;
        let control = interface::control_path(host, &links, link);
        if !self.cut_off
            && let Some(why) = control.map_err(|error| interface::unreadable(ask, &error))?
        {
            return Err(refuse(
                RefusalCode::ControlPath,
                format!("net-down: {why}"),
                "choose another interface; or use host-isolate, which cuts the host off but keeps its agent's connection; or, if \
                 the host should become unreachable, set cut_off = true and a lease that is 2s longer than the hold",
            ));
        }
        let was = interface::restorable_state(ask, &links, link)?;
        let mut effects = vec![format!("set interface {name} down")];
        effects.extend(interface::upper_effects(&was));
        let mut notes = interface::notes(&was);
        if self.cut_off {
            notes.push(
                "while the fault lasts, the host can be unreachable; its agent sets the interface up without being told"
                    .to_owned(),
            );
        }
        Ok(Prepared {
            claims: interface::claims(name),
            effects,
            undo: vec![Undo::RaiseLink { was }],
            switches: vec!["guardian".to_owned()],
            notes,
            basis: Basis::Interface { index: link.index, name: name.clone() },
        })
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        let failed = |error: &dyn std::fmt::Display| InjectError(error.to_string());
        once::make(host, live, || {
            let links = link::all().map_err(|error| failed(&error))?;
            let (index, name) = live.prepared.basis.interface()?;
            let link = interface::by_index(index, &links)
                .ok_or_else(|| InjectError(format!("interface {name} is not there any more")))?;
            let name = &link.name;
            if !link.is_up() {
                // Somebody else has set it down since `prepare`, so the fault must not set it up again: there is nothing to undo. The
                // evidence says that the fault had no effect.
                let detail = format!("interface {name} was down already, by somebody else; it is left alone");
                return Ok(Made::left_alone(detail));
            }
            // The state is read again now; `true` also keeps the lifetimes that its addresses have left.
            let was = LinkState::now(&link::with_uppers(&links, link.index), true)
                .map_err(|error| failed(&error))?;
            link::set(link.index, name, false).map_err(|error| failed(&error))?;
            let detail = format!(
                "interface {name} is down; it had carried {} packets since it was created",
                link.packets
            );
            let undo = Some(vec![Undo::RaiseLink { was }]);
            Ok(Made { injected: Injected { detail, undo }, ..Made::default() })
        })
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let seen = |in_force, exercised, detail| Evidence { in_force, exercised, count: None, detail };
        if once::before(host, live).is_some_and(|made| made.left_alone) {
            return seen(Seen::No, Seen::No, "somebody else had set it down before the fault".to_owned());
        }
        let links = match link::all() {
            Ok(links) => links,
            Err(error) => return seen(Seen::Unknown, Seen::Unknown, error.to_string()),
        };
        let (index, name) = match live.prepared.basis.interface() {
            Ok(prepared) => prepared,
            Err(error) => return error.unseen(),
        };
        match interface::by_index(index, &links) {
            None => seen(Seen::No, Seen::Unknown, format!("interface {name} is gone")),
            Some(link) if link.is_up() => {
                seen(Seen::No, Seen::Unknown, format!("interface {} is up", link.name))
            }
            // While an interface is down, its packet counter stands still. So the fault counts as exercised if the interface has
            // carried any packet since it was created.
            Some(link) => {
                let used = if link.packets > 0 { Seen::Yes } else { Seen::No };
                let detail = format!(
                    "interface {} is down; it had carried {} packets since it was created",
                    link.name, link.packets
                );
                seen(Seen::Yes, used, detail)
            }
        }
    }
}

/// Returns the interface that the parameters name, or over which the routes to their peers go.
///
/// # Errors
/// The refusal: there is no such interface or no route, the routes go over several interfaces, or they cannot be read.
fn find<'l>(down: &NetDown, ask: &Ask, links: &'l [Link]) -> Result<&'l Link, Problem> {
    if let Some(name) = &down.interface {
        return interface::by_name(ask, links, name);
    }
    let peers = peers::find(&down.to)?;
    // One route to any address of any peer is enough. Addresses without a route are left out, because the host may lack IPv4 or
    // IPv6.
    let (mut indexes, mut no_route) = (BTreeSet::new(), None);
    for network in peers.all() {
        match link::towards(network.addr(), None) {
            Ok(index) => _ = indexes.insert(index),
            Err(error) if link::is_no_route(&error) => no_route = no_route.or(Some(error.to_string())),
            Err(error) => return Err(interface::unreadable(ask, &error)),
        }
    }
    let candidates: Vec<&Link> = links.iter().filter(|link| indexes.contains(&link.index)).collect();
    match candidates[..] {
        [link] => Ok(link),
        [] => {
            let why =
                no_route.unwrap_or_else(|| "the interface of the route was removed meanwhile".to_owned());
            let hint = "name the interface with `interface`";
            Err(refuse(RefusalCode::NoRoute, format!("net-down: {why}"), hint))
        }
        _ => {
            let names: Vec<_> = candidates.iter().map(|link| link.name.as_str()).collect();
            let title =
                format!("net-down: the routes to {} are over {}", peers.describe(), names.join(" and "));
            Err(refuse(
                RefusalCode::SeveralInterfaces,
                title,
                "name one with `interface`; to set several interfaces down, write a fault for each",
            ))
        }
    }
}
