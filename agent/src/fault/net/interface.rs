//! The common parts of faults that take an interface down: they find it, refuse what must not go down, and describe what the
//! kernel deletes with it.
//!
//! Only reads; setting interfaces down and up is done elsewhere.

use firedrill_netlink::NetlinkError;
use firedrill_wire::{
    RefusalCode,
    api::{Claim, Problem},
};

use super::rules;
use crate::{
    host::{
        Host,
        link::{
            self, Link,
            link_state::{Class, LinkState},
        },
        sockets::Sockets,
    },
    injection::{Ask, refuse},
};

/// Returns the refusal for a host whose interfaces or connections cannot be read.
pub(in crate::fault) fn unreadable(ask: &Ask, error: &NetlinkError) -> Problem {
    refuse(
        RefusalCode::Unreadable,
        format!("{}: {error}", ask.fault.kind()),
        "the agent needs CAP_NET_ADMIN, and a kernel with inet_diag",
    )
}

/// Returns the interface with this index, even if it was renamed; `None` if it was removed.
pub(in crate::fault) fn by_index(index: u32, links: &[Link]) -> Option<&Link> {
    links.iter().find(|link| link.index == index)
}

/// Returns the interface with this name.
///
/// # Errors
/// The refusal: there is no such interface. Its hint lists the host's interfaces except loopback.
pub(in crate::fault) fn by_name<'l>(ask: &Ask, links: &'l [Link], name: &str) -> Result<&'l Link, Problem> {
    links.iter().find(|link| link.name == name).ok_or_else(|| {
        let names: Vec<_> =
            links.iter().filter(|link| !link.is_loopback()).map(|link| link.name.as_str()).collect();
        let hint = if names.is_empty() {
            "this host has no interface except loopback".to_owned()
        } else {
            format!("this host has {}", names.join(", "))
        };
        let title = format!("{}: there is no interface {name}", ask.fault.kind());
        refuse(RefusalCode::NoInterface, title, hint)
    })
}

/// Checks that a fault may take the interface down.
///
/// # Errors
/// The refusal: it is a loopback interface, or down already.
pub(in crate::fault) fn can_go_down(ask: &Ask, link: &Link) -> Result<(), Problem> {
    let (kind, name) = (ask.fault.kind(), &link.name);
    if link.is_loopback() {
        let title = format!("{kind}: {name} is this host's loopback interface, which is never touched");
        return Err(refuse(RefusalCode::Loopback, title, "take another interface, or peers on other hosts"));
    }
    if !link.is_up() {
        let hint = "somebody may have set it down for a reason; set it up first, or take another";
        let title = format!("{kind}: interface {name} is down already");
        return Err(refuse(RefusalCode::DownAlready, title, hint));
    }
    Ok(())
}

/// Returns the state to restore: the interface, the interfaces made on it, and their addresses, routes and neighbours. It lacks the
/// ends of their lifetimes, which differ each time they are read.
///
/// # Errors
/// The refusal: the state cannot be read, or not be restored completely.
pub(in crate::fault) fn restorable_state(
    ask: &Ask,
    links: &[Link],
    link: &Link,
) -> Result<LinkState, Problem> {
    LinkState::now(&link::with_uppers(links, link.index), false).map_err(|error| {
        let title = format!("{}: interface {}: {error}", ask.fault.kind(), link.name);
        refuse(RefusalCode::NotRestorable, title, "")
    })
}

/// Returns the further effects, as sentences: one for each interface that is made on the interface that goes down, and goes down with
/// it. There is none for an interface that is down already.
pub(in crate::fault) fn upper_effects(was: &LinkState) -> impl Iterator<Item = String> {
    // Each entry has the index, the name, and whether the interface was up. The first one is the interface itself.
    was.links.iter().skip(1).filter(|(_, _, up)| *up).map(move |(_, upper, _)| {
        format!("interface {upper} goes down too, because it depends on {}", was.name())
    })
}

/// Returns the claims on an interface. They are exclusive: no other fault may have it, its addresses or its routes meanwhile.
pub(in crate::fault) fn claims(name: &str) -> Vec<Claim> {
    link::CLAIMED.map(|class| Claim { what: format!("{class}:{name}"), shared: false }).to_vec()
}

/// Returns notes for people: the kernel's own changes when the interface goes down, and changes that others may make then.
pub(in crate::fault) fn notes(was: &LinkState) -> Vec<String> {
    vec![
        format!(
            "the kernel drops IPv6 addresses and routes of an interface that goes down: {} addresses and {} routes are kept \
             in the journal, and put back",
            was.count(Class::Address),
            was.count(Class::Route)
        ),
        "a network manager (NetworkManager, systemd-networkd, dhcpcd) sees the interface go down and may change its addresses and routes"
            .to_owned(),
        "temporary IPv6 addresses are not put back; the kernel makes new ones".to_owned(),
    ]
}

/// Describes one connection of the agent or of SSH that goes over the interface `down`, so that the fault would cut it; `None` if
/// there is none.
///
/// # Errors
/// The connections could not be listed, or the route of one could not be found out.
pub(in crate::fault) fn control_path(
    host: &Host,
    links: &[Link],
    down: &Link,
) -> Result<Option<String>, NetlinkError> {
    host.ssh.look();
    let ports = rules::control_ports(host);
    for connection in Sockets::open()?.connections()? {
        let (local, remote) = (connection.local, connection.remote);
        if !ports.contains(&local.port()) || remote.ip().is_loopback() {
            continue;
        }
        // A connection with a link-local address is bound to an interface. No route tells it, because each interface has a route to
        // all such addresses.
        let route_index = match connection.interface {
            Some(bound) => bound,
            None => match link::towards(remote.ip(), Some(local.ip())) {
                Ok(index) => index,
                // There is no route: the connection is cut already, and not by this fault.
                Err(error) if link::is_no_route(&error) => continue,
                Err(error) => return Err(error),
            },
        };
        if link::rests_on(links, route_index, down.index) {
            let whose = if local.port() == host.agent_port { "the agent's" } else { "an SSH" };
            let over = by_index(route_index, links).map_or("?", |link| link.name.as_str());
            let through = if over == down.name { String::new() } else { format!(", by way of {over}") };
            return Ok(Some(format!(
                "{whose} connection with {} goes over interface {}{through}",
                remote.ip(),
                down.name
            )));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upper_interface_that_is_down_already_is_no_effect() {
        let link = |index, name: &str, up| (index, name.to_owned(), up);
        let links = vec![link(2, "eth0", true), link(3, "eth0.7", true), link(4, "eth0.8", false)];
        let effects: Vec<String> = upper_effects(&LinkState { links, entries: Vec::new() }).collect();
        assert_eq!(effects, ["interface eth0.7 goes down too, because it depends on eth0"]);
    }
}
