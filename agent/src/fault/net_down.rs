//! `net-down`: sets an interface down. Afterwards sets it up again and restores the addresses and routes that the
//! kernel dropped.
//!
//! It refuses loopback and any interface that it cannot put back completely. Unless the scenario asks for it, it also
//! refuses an interface that carries the connection to this agent or an SSH session. No switch in the kernel ends this
//! fault: the agent and its guardian do.

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
        let link = self.find(ask, &links)?;
        let name = &link.name;
        interface::can_go_down(ask, link)?;
        let control = interface::control_path(host, &links, link);
        if !self.cut_off
            && let Some(why) = control.map_err(|error| interface::unreadable(ask, &error))?
        {
            return Err(refuse(
                RefusalCode::ControlPath,
                format!("net-down: {why}"),
                "take another interface; host-isolate cuts a host off and keeps the way to its agent; or say cut_off = true \
                 where the host is to be unreachable, with a lease that is longer than the hold",
            ));
        }
        let was = interface::state(ask, &links, link)?;
        let mut effects = vec![format!("set interface {name} down")];
        effects.extend(interface::uppers(&was));
        let mut notes = interface::notes(&was);
        if self.cut_off {
            notes.push(
                "the host may not be reachable meanwhile; its agent sets the interface up by itself"
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
            let link = interface::at(index, &links)
                .ok_or_else(|| InjectError(format!("interface {name} is not there any more")))?;
            let name = &link.name;
            if !link.is_up() {
                // Somebody else set it down, so it is not ours to set up again and the undo is dropped. The evidence
                // will say that nothing landed.
                let detail = format!("interface {name} was down already, by somebody else; it is left alone");
                return Ok(Made::left_alone(detail));
            }
            // The state at this moment, with the lifetimes that its addresses have left.
            let was = LinkState::now(&link::with_uppers(&links, link.index), true)
                .map_err(|error| failed(&error))?;
            link::set(link.index, name, false).map_err(|error| failed(&error))?;
            let detail = format!("interface {name} is down; {} packets had passed", link.packets);
            let undo = Some(vec![Undo::RaiseLink { was }]);
            Ok(Made { injected: Injected { detail, undo }, ..Made::default() })
        })
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let seen = |in_force, exercised, detail| Evidence { in_force, exercised, count: None, detail };
        if once::before(host, live).is_some_and(|made| made.left) {
            return seen(Seen::No, Seen::No, "it was down before the fault, by somebody else".to_owned());
        }
        let links = match link::all() {
            Ok(links) => links,
            Err(error) => return seen(Seen::Unknown, Seen::Unknown, error.to_string()),
        };
        let (index, name) = match live.prepared.basis.interface() {
            Ok(prepared) => prepared,
            Err(error) => return error.unseen(),
        };
        match interface::at(index, &links) {
            None => seen(Seen::No, Seen::Unknown, format!("interface {name} is gone")),
            Some(link) if link.is_up() => {
                seen(Seen::No, Seen::Unknown, format!("interface {} is up", link.name))
            }
            // An interface that is down counts no packets, so the packets before count: if it had never carried one,
            // nobody misses it.
            Some(link) => {
                let used = if link.packets > 0 { Seen::Yes } else { Seen::No };
                let detail =
                    format!("interface {} is down; {} packets had passed before", link.name, link.packets);
                seen(Seen::Yes, used, detail)
            }
        }
    }
}

trait Find {
    /// Returns the interface that the parameters name.
    fn find<'l>(&self, ask: &Ask, links: &'l [Link]) -> Result<&'l Link, Problem>;
}

impl Find for NetDown {
    fn find<'l>(&self, ask: &Ask, links: &'l [Link]) -> Result<&'l Link, Problem> {
        if let Some(name) = &self.interface {
            return interface::named(ask, links, name);
        }
        let peers = peers::find(&self.to)?;
        // A host may lack an address family that the peer has. One route to the peer is enough.
        let (found, none): (Vec<_>, Vec<_>) =
            peers.all().map(|network| link::towards(network.addr(), None)).partition(Result::is_ok);
        let found: BTreeSet<u32> = found.into_iter().flatten().collect();
        if let (true, Some(Err(error))) = (found.is_empty(), none.first()) {
            let hint = "name the interface with `interface`";
            return Err(refuse(RefusalCode::NoRoute, format!("net-down: {error}"), hint));
        }
        let over: Vec<&Link> = links.iter().filter(|link| found.contains(&link.index)).collect();
        match over[..] {
            [one] => Ok(one),
            _ => {
                let names: Vec<_> = over.iter().map(|link| link.name.as_str()).collect();
                let title =
                    format!("net-down: the routes to {} are over {}", peers.describe(), names.join(" and "));
                Err(refuse(
                    RefusalCode::SeveralInterfaces,
                    title,
                    "name one with `interface`; several faults take several",
                ))
            }
        }
    }
}
