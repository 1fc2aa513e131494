//! `net-reset`: resets live TCP connections. Either it resets once the connections that exist at the start, or throughout
//! the hold also new ones.
//!
//! It destroys sockets over sock_diag. It makes no rule and sends no packet itself, so it can leave nothing behind.
//! Never touches connections that [`super::net::rules`] exempts, nor listening sockets.

use firedrill_probe::clock;
use firedrill_wire::{
    RefusalCode, Span,
    api::{Claim, Problem},
    evidence::{Evidence, Seen},
    fault::{NetReset, OnTraffic as _, PortRange, ResetHow},
};

use super::net::{packet_rules, peers, rules, words};
use crate::{
    host::{
        Host,
        resets::{Choice, EVERY},
        sockets::Sockets,
    },
    injection::{Ask, Basis, Inject, InjectError, Injected, Live, Peers, Prepared, refuse},
    undo::Undo,
};

/// The switch of this fault, for people. The resets are made by a thread of the agent.
const SWITCH: &str = "the agent itself: the resets end with its process, and at the end of lease or hold";

impl Inject for NetReset {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let peers = peers::resolve(host, &self.traffic())?;
        host.ssh.look();
        let connections = |mut sockets: Sockets| sockets.able().and_then(|()| sockets.connections());
        let connections = Sockets::open().and_then(connections).map_err(|error| {
            refuse(
                RefusalCode::NoSockDestroy,
                format!("net-reset: this kernel cannot reset connections: {error}"),
                "load inet_diag and tcp_diag, or take a kernel with CONFIG_INET_DIAG_DESTROY; net-block with how = \"reject\" \
                 resets connections too, when they are next used",
            )
        })?;
        if self.service.is_some() && connections.iter().any(|connection| connection.cgroup.is_none()) {
            return Err(refuse(
                RefusalCode::NoServiceMatch,
                "net-reset: this kernel does not tell which connections belong to a service",
                "Linux 5.8 can; or choose by ports",
            ));
        }
        let when = match self.how {
            ResetHow::Once => ", once".to_owned(),
            ResetHow::Throughout => format!(", and those that come, for {}", ask.hold),
        };
        let whom = if self.to.is_empty() { "all peers".to_owned() } else { peers.describe() };
        let mut which = words::ports(&self.traffic());
        let mut notes = vec![rules::exempt(host, false)];
        if let Some(service) = &peers.service {
            which.push_str(&format!(", {service}"));
            notes.push(
                "the service's connections are found by the cgroup in which their socket was made; connections that came in on a \
                 socket that systemd opened for the service (socket activation) are not reset"
                    .to_owned(),
            );
        }
        notes.push(
            "only connections of this host's own network are reset; those of containers, and forwarded ones, stay"
                .to_owned(),
        );
        let (undo, switches) = match self.how {
            ResetHow::Once => {
                notes.push("connections that come later are left alone".to_owned());
                (Vec::new(), Vec::new())
            }
            ResetHow::Throughout => {
                notes.push(format!(
                    "a new connection lives {} at most, or longer where there are so many that looking at them takes long",
                    Span::from(EVERY)
                ));
                (vec![Undo::StopResets { injection: ask.id.clone() }], vec![SWITCH.to_owned()])
            }
        };
        Ok(Prepared {
            claims: vec![Claim { what: "tcp:connections".to_owned(), shared: true }],
            effects: vec![format!("reset the TCP connections with {whom}{which}{when}")],
            undo,
            switches,
            notes,
            basis: Basis::Connections(peers),
        })
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        let now = clock::boot_us();
        if live.ends_boot_us <= now {
            return Err(InjectError(format!("{} would end before it begins: its hold is over", live.ask.id)));
        }
        let choice = choice(self, host, live.prepared.basis.connections()?);
        let reset = match self.how {
            ResetHow::Once => {
                let reset = host.resets.once(&live.ask.id, &choice, live.ends_boot_us);
                reset.map_err(|error| InjectError(error.to_string()))?
            }
            ResetHow::Throughout => {
                let lease = now.saturating_add(live.lease.as_micros());
                // The resets themselves would end a little later than the hold. So the agent ends the fault first, and its
                // last look still finds the resets running.
                let hold = live.ask.hold + packet_rules::BEHIND.into();
                let until = now.saturating_add(hold.as_micros());
                let reset = host.resets.throughout(&live.ask.id, choice, lease, until);
                reset.map_err(InjectError)?
            }
        };
        Ok(Injected { detail: format!("reset {reset} TCP connections"), undo: None })
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let Some(tallied) = host.resets.tallied(&live.ask.id) else {
            let detail = "this process has reset nothing for it".to_owned();
            // An earlier process of the agent may have reset connections once. Their number went with it.
            let seen = if self.how == ResetHow::Once { Seen::Unknown } else { Seen::No };
            return Evidence { in_force: seen, exercised: Seen::Unknown, count: None, detail };
        };
        let any_reset = if tallied.reset > 0 { Seen::Yes } else { Seen::No };
        let mut detail = match self.how {
            ResetHow::Once => format!("{} TCP connections were reset", tallied.reset),
            ResetHow::Throughout => {
                format!("{} TCP connections were reset in {} looks", tallied.reset, tallied.sweeps)
            }
        };
        if let Some(failed) = &tallied.failed {
            detail.push_str(&format!("; the last look failed: {failed}"));
        }
        let in_force = match self.how {
            ResetHow::Once => any_reset,
            ResetHow::Throughout if tallied.running => Seen::Yes,
            ResetHow::Throughout => Seen::No,
        };
        Evidence { in_force, exercised: any_reset, count: Some(tallied.reset), detail }
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        let until = clock::boot_us().saturating_add(lease.as_micros());
        if self.how == ResetHow::Once || host.resets.renew(&live.ask.id, until) {
            return Ok(());
        }
        Err(InjectError(format!("{}: its lease or hold has ended, or it does not run", live.ask.id)))
    }
}

/// Returns the conditions by which connections are chosen. They spare the traffic that no fault touches.
fn choice(reset: &NetReset, host: &Host, peers: &Peers) -> Choice {
    let pairs = |ports: &[PortRange]| -> Vec<(u16, u16)> {
        ports.iter().map(|range| (range.first, range.last)).collect()
    };
    let chosen = Choice::new(peers.all(), &pairs(&reset.local_ports), &pairs(&reset.remote_ports));
    chosen.of_service(peers.service.as_ref().map(|service| service.folder.clone())).sparing(
        rules::control_ports(host),
        host.agent_port,
        rules::METADATA.to_vec(),
    )
}
