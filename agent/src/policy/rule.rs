//! One rule: who may do which kinds of harm to what.

use firedrill_wire::{
    Fault, Span,
    fault::{NetDown, ProcessMatch},
};
use ipnet::IpNet;
use serde::Deserialize;

use super::Question;

/// A rule that allows. Every clause that is given must hold; lists mean any of them, and `*` stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Its name; refusals say it.
    pub name: String,
    /// Certificate names.
    pub who: Vec<String>,
    /// Teams.
    pub teams: Vec<String>,
    /// The scenario's environments.
    pub environments: Vec<String>,
    /// Fault kinds.
    pub kinds: Vec<String>,
    /// Services that may be touched. Where one of these lists is given, nothing else may be touched.
    pub services: Vec<String>,
    /// Processes that may be touched, by program name.
    pub processes: Vec<String>,
    /// Peers that may be cut off: addresses, CIDRs, names.
    pub peers: Vec<String>,
    /// Interfaces that may be set down, by name.
    pub interfaces: Vec<String>,
    /// At most so long.
    pub max_hold: Option<Span>,
}

/// What a fault names.
#[derive(Debug, Default)]
pub(super) struct Touches {
    pub(super) services: Vec<String>,
    processes: Vec<String>,
    peers: Vec<String>,
    interfaces: Vec<String>,
    /// All of the host, or something that names nothing.
    everything: bool,
}

impl Touches {
    pub(super) fn of(fault: &Fault) -> Self {
        let mut all = Self::default();
        let mut processes = |which: &ProcessMatch| {
            all.services.extend(which.service.clone());
            all.processes.extend(which.name.clone());
            all.everything = which.service.is_none() && which.name.is_none();
        };
        match fault {
            Fault::ServiceStop(fault) => all.services.push(fault.service.clone()),
            Fault::ServiceKill(fault) => all.services.push(fault.service.clone()),
            Fault::ServiceRestart(fault) => all.services.push(fault.service.clone()),
            Fault::ProcessKill(fault) => processes(&fault.which),
            Fault::ProcessPause(fault) => processes(&fault.which),
            // Which interface leads to some peers is not known before the host has looked.
            Fault::NetDown(NetDown { interface: Some(name), .. }) => all.interfaces.push(name.clone()),
            other => match other.on_traffic() {
                Some(kind) => {
                    all.peers = kind.traffic().to.to_vec();
                    all.everything = all.peers.is_empty();
                }
                None => all.everything = true,
            },
        }
        all
    }
}

impl Rule {
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("policy.allow: a rule has no name; give it one, refusals say it".to_owned());
        }
        match self.kinds.iter().find(|kind| !Fault::KINDS.iter().any(|known| like(kind, known))) {
            Some(kind) => Err(format!(
                "policy.allow \"{}\": there is no kind `{kind}`; there are {}",
                self.name,
                Fault::KINDS.join(", ")
            )),
            None => Ok(()),
        }
    }

    /// Whether it allows; if not, how far it matched (for the nearest rule) and why not.
    pub(super) fn allows(&self, ask: &Question<'_>, touches: &Touches) -> Result<(), (usize, String)> {
        let team = ask.caller.team.as_deref().unwrap_or_default();
        let clauses: [(&[String], &str, &str); 4] = [
            (&self.who, &ask.caller.name, "who"),
            (&self.teams, team, "teams"),
            (&self.environments, ask.environment.unwrap_or_default(), "environments"),
            (&self.kinds, ask.fault.kind(), "kinds"),
        ];
        for (depth, (list, value, key)) in clauses.into_iter().enumerate() {
            if !list.is_empty() && !list.iter().any(|pattern| like(pattern, value)) {
                let value = if value.is_empty() { "none" } else { value };
                return Err((depth, format!("has {key} = {list:?}, here it is {value}")));
            }
        }
        if let Some(most) = self.max_hold
            && ask.hold > most
        {
            return Err((4, format!("has max_hold = \"{most}\", here it is {}", ask.hold)));
        }
        self.targets(touches).map_err(|why| (5, why))
    }

    fn targets(&self, touches: &Touches) -> Result<(), String> {
        let named = [&self.services, &self.processes, &self.peers, &self.interfaces];
        if named.into_iter().all(Vec::is_empty) {
            return Ok(());
        }
        if touches.everything {
            return Err("names what may be touched, while this fault touches more than it names".to_owned());
        }
        let known = |list: &[String], value: &String| list.iter().any(|pattern| like(pattern, value));
        for service in &touches.services {
            if !known(&self.services, service) {
                return Err(format!("has services = {:?}, here it is {service}", self.services));
            }
        }
        for process in &touches.processes {
            // A service that may be touched may have its processes touched.
            if touches.services.is_empty() && !known(&self.processes, process) {
                return Err(format!("has processes = {:?}, here it is {process}", self.processes));
            }
        }
        for interface in &touches.interfaces {
            if !known(&self.interfaces, interface) {
                return Err(format!("has interfaces = {:?}, here it is {interface}", self.interfaces));
            }
        }
        for peer in &touches.peers {
            if !self.peers.iter().any(|pattern| within(pattern, peer)) {
                return Err(format!("has peers = {:?}, here it is {peer}", self.peers));
            }
        }
        Ok(())
    }
}

/// Whether a peer lies in an address, a CIDR, or is like a name.
fn within(pattern: &str, peer: &str) -> bool {
    match (net(pattern), net(peer)) {
        (Some(outer), Some(inner)) => outer.contains(&inner),
        (None, None) => like(pattern, peer),
        _ => pattern == "*",
    }
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}

/// Whether a text is like a pattern in which `*` stands for any text.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
