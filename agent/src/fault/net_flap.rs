//! `net-flap`: sets an interface down and up again, over and over. At the end the interface is up, with the addresses and routes
//! that the kernel dropped.
//!
//! It refuses loopback, any interface that it cannot put back completely, and any interface that carries the connection to this
//! agent or an SSH session. The kernel does not end this fault by itself: the agent does, or its guardian if the agent dies. It
//! never touches an interface that somebody else has set down.

use firedrill_probe::clock;
use firedrill_wire::{
    RefusalCode, Span,
    api::Problem,
    evidence::{Evidence, Seen},
    fault::NetFlap,
};

use super::net::{interface, packet_rules};
use crate::{
    host::{
        Host,
        flaps::{Ended, Flap},
        link,
    },
    injection::{Ask, Basis, Inject, InjectError, Injected, Live, Prepared, once, once::Made, refuse},
    undo::Undo,
};

impl Inject for NetFlap {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let links = link::all().map_err(|error| interface::unreadable(ask, &error))?;
        let link = interface::by_name(ask, &links, &self.interface)?;
        let name = &link.name;
        interface::can_go_down(ask, link)?;
        let control = interface::control_path(host, &links, link);
        if let Some(why) = control.map_err(|error| interface::unreadable(ask, &error))? {
            return Err(refuse(
                RefusalCode::ControlPath,
                format!("net-flap: {why}"),
                "take another interface; net-down with cut_off = true takes this one down once",
            ));
        }
        let was = interface::restorable_state(ask, &links, link)?;
        let mut effects = vec![format!(
            "set interface {name} down for {} and up for {}, over and over, for {}",
            self.down, self.up, ask.hold
        )];
        effects.extend(interface::upper_effects(&was));
        let mut notes = interface::notes(&was);
        notes.push(format!(
            "things that take longer than {} to come back (a carrier, a check for duplicate addresses, advertisements of a \
             router) are missing in the up phases, too",
            self.up
        ));
        Ok(Prepared {
            claims: interface::claims(name),
            effects,
            undo: vec![Undo::EndFlap { injection: ask.id.clone(), was }],
            switches: vec!["guardian".to_owned()],
            notes,
            basis: Basis::Interface { index: link.index, name: name.clone() },
        })
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        once::make(host, live, || {
            let (index, name) = live.prepared.basis.interface()?;
            let now = clock::boot_us();
            // The flapping itself would end a little later than the hold. So the agent ends the fault first, and its last look
            // still finds the interface flapping.
            let hold = live.ask.hold + packet_rules::BEHIND.into();
            let flap = Flap {
                index,
                name: name.to_owned(),
                down: self.down,
                up: self.up,
                lease_until_us: now.saturating_add(live.lease.as_micros()),
                hold_until_us: now.saturating_add(hold.as_micros()),
            };
            match host.flaps.begin(&live.ask.id, flap) {
                Ok(was) => {
                    let detail = format!("interface {name} is down for the first time");
                    let undo = Some(vec![Undo::EndFlap { injection: live.ask.id.clone(), was }]);
                    Ok(Made { injected: Injected { detail, undo }, ..Made::default() })
                }
                // Somebody else has set it down, so the fault must not set it up again, and the undo is dropped.
                Err(Ended::SetDown) => Ok(Made::left_alone(format!(
                    "interface {name} was down already, by somebody else; it is left alone"
                ))),
                Err(ended) => Err(InjectError(format!("interface {name}: {}", why(&ended)))),
            }
        })
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let seen = |in_force, exercised, count, detail| Evidence { in_force, exercised, count, detail };
        if once::before(host, live).is_some_and(|made| made.left_alone) {
            return seen(
                Seen::No,
                Seen::No,
                None,
                "somebody else had set it down before the fault".to_owned(),
            );
        }
        let name = match live.prepared.basis.interface() {
            Ok((_, name)) => name,
            Err(error) => return error.unseen(),
        };
        let flapped = match host.flaps.flapped(&live.ask.id) {
            Ok(Some(flapped)) => flapped,
            Ok(None) => {
                let detail = format!("this process does not let interface {name} flap");
                return seen(Seen::No, Seen::Unknown, None, detail);
            }
            Err(error) => return InjectError(error).unseen(),
        };
        let mut detail = format!("interface {name} went down {} times", flapped.downs);
        match &flapped.link {
            Some(link) => {
                let state = match (link.is_up(), flapped.complete) {
                    (true, true) => "up now, with all that it had",
                    (true, false) => "up now, without some of what it had",
                    (false, _) => "down now",
                };
                detail.push_str(&format!(" and is {state}; {} packets have passed", link.packets));
            }
            None => detail.push_str(" and is gone"),
        }
        if let Some(ended) = &flapped.ended {
            detail.push_str(&format!("; it does not flap any more: {}", why(ended)));
        }
        if let Some(trouble) = &flapped.trouble {
            detail.push_str(&format!("; when it came up last: {trouble}"));
        }
        for change in &flapped.changes {
            detail.push_str(&format!("; by somebody else: {change}"));
        }
        let in_force = if flapped.ended.is_none() { Seen::Yes } else { Seen::No };
        // An interface that never carried a packet is not in use, so nothing was exposed to the flaps.
        let used = match flapped.link {
            Some(link) if link.packets > 0 => Seen::Yes,
            Some(_) => Seen::No,
            None => Seen::Unknown,
        };
        seen(in_force, used, Some(flapped.downs), detail)
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        let until = clock::boot_us().saturating_add(lease.as_micros());
        if host.flaps.renew(&live.ask.id, until) {
            return Ok(());
        }
        Err(InjectError(format!("{}: its lease or hold has ended, or it does not flap", live.ask.id)))
    }
}

/// Describes for people why an interface does not flap any more.
fn why(ended: &Ended) -> &str {
    match ended {
        Ended::Over => "its lease or hold is over",
        Ended::Gone => "somebody removed it",
        Ended::SetDown => "somebody else set it down while it was up",
        Ended::SetUp => "somebody else set it up while it was down",
        Ended::Cannot(error) => error,
    }
}
