//! Who, exactly: targets become hosts, vantages too, peers become addresses, groups become attacks of their own.

use std::collections::BTreeMap;

use firedrill_wire::{Fault, Span, probe::ProbeKind};

use super::{
    model::{self, COORDINATOR},
    peers::{Peers, is_dns_name},
    select::{Selected, select},
    timing,
};
use crate::{
    fleet::Fleet,
    scenario::{
        Item, Scenario,
        attack::Attack,
        diagnose::{Problem, Sink, nearest},
        probe::Probe,
    },
};

/// A scenario with its hosts.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) probes: Vec<model::Probe>,
    pub(crate) attacks: Vec<Placed>,
}

/// An attack with its hosts.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) attack: model::Attack,
    /// Its place in the scenario.
    pub(crate) item: usize,
}

/// Looks up every selector and name. What is wrong goes to `sink`, and is then missing in the answer.
pub(crate) fn resolve(scenario: &Scenario, fleet: &Fleet, seed: u64, sink: &mut Sink) -> Draft {
    let targets: Vec<(String, Selected)> = scenario
        .targets
        .iter()
        .map(|target| (target.name.clone(), select(target, fleet, seed, sink)))
        .collect();
    let mut resolver = Resolver { scenario, fleet, targets: &targets, sink };
    let probes = scenario.probes.iter().filter_map(|probe| resolver.probe(probe)).collect();
    let mut attacks = Vec::new();
    for (index, item) in scenario.attacks.iter().enumerate() {
        for (name, hosts) in resolver.groups(item) {
            attacks.extend(resolver.attack(item, name, &hosts).map(|attack| Placed { attack, item: index }));
        }
    }
    // Names in `needs` are those of the scenario; a run knows the groups' names.
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for placed in &attacks {
        names.entry(placed.attack.base.clone()).or_default().push(placed.attack.name.clone());
    }
    for placed in &mut attacks {
        let needs = std::mem::take(&mut placed.attack.needs);
        placed.attack.needs =
            needs.into_iter().flat_map(|base| names.get(&base).cloned().unwrap_or_default()).collect();
    }
    Draft { probes, attacks }
}

struct Resolver<'a> {
    scenario: &'a Scenario,
    fleet: &'a Fleet,
    targets: &'a [(String, Selected)],
    sink: &'a mut Sink,
}

impl Resolver<'_> {
    fn selected(&self, name: &str) -> Option<&Selected> {
        self.targets.iter().find(|(target, _)| target == name).map(|(_, selected)| selected)
    }

    /// Names of attacks and their hosts: one, or one for each group.
    fn groups(&self, item: &Item<Attack>) -> Vec<(String, Vec<String>)> {
        let on = item.value.on.as_str();
        match self.selected(on) {
            Some(selected) if item.value.for_each.is_some() => selected
                .groups
                .iter()
                .map(|(group, hosts)| (format!("{} ({group})", item.name), hosts.clone()))
                .collect(),
            Some(selected) => {
                let hosts = selected.hosts().into_iter().map(str::to_owned).collect();
                vec![(item.name.clone(), hosts)]
            }
            None if self.fleet.host(on).is_some() => vec![(item.name.clone(), vec![on.to_owned()])],
            None => Vec::new(),
        }
    }

    fn attack(&mut self, item: &Item<Attack>, name: String, hosts: &[String]) -> Option<model::Attack> {
        let (scenario, own) = (self.scenario, &item.value);
        let defaults = scenario.attack_defaults.as_ref().map(|defaults| &defaults.value);
        let timing = timing::timing(item, scenario);
        let mut injections = Vec::new();
        for part in timing::parts(item, scenario) {
            for host in hosts.iter().filter_map(|name| self.fleet.host(name)) {
                let fault = self.fault_on(part.fault.clone().on_host(), host, item);
                let hold = part.hold.unwrap_or_default();
                injections.push(model::Injection { host: host.name.clone(), fault, at: part.at, hold });
            }
        }
        let approve =
            own.approve.as_ref().or_else(|| defaults.and_then(|defaults| defaults.approve.as_ref()));
        Some(model::Attack {
            name,
            base: item.name.clone(),
            baseline: timing.baseline,
            hold: timing.hold?,
            recovery: timing.recovery,
            settle: timing.settle,
            settle_within: timing.settle_within,
            judge: timing::judged(item, scenario).into_iter().map(str::to_owned).collect(),
            needs: own.needs.iter().map(|name| name.value.clone()).collect(),
            on_violated: own.on_violated.or_else(|| defaults.and_then(|d| d.on_violated)).unwrap_or_default(),
            on_unknown: own.on_unknown.or_else(|| defaults.and_then(|d| d.on_unknown)).unwrap_or_default(),
            approve: approve.map(|approve| approve.value.clone()),
            injections,
        })
    }

    fn fault_on(&mut self, mut fault: Fault, host: &model::Host, item: &Item<Attack>) -> Fault {
        let peers = Peers { fleet: self.fleet, targets: self.targets };
        let place = |name: &str| item.place_of_value(name);
        if let Some(list) = fault.peers_mut() {
            *list = peers.resolve(list, host, &place, self.sink);
        }
        fault
    }

    fn probe(&mut self, item: &Item<Probe>) -> Option<model::Probe> {
        let kind = item.value.kind()?;
        let mut from: Vec<String> = Vec::new();
        for vantage in &item.value.from {
            let names: Vec<String> = match self.selected(vantage) {
                Some(selected) => selected.hosts().into_iter().map(str::to_owned).collect(),
                None => vec![vantage.value.clone()],
            };
            for name in names {
                let there = name == COORDINATOR || self.fleet.host(&name).is_some();
                if there && !from.contains(&name) {
                    from.push(name);
                }
            }
        }
        Some(model::Probe {
            name: item.name.clone(),
            names: self.names(item, &kind),
            kind,
            rate: item.value.rate.value,
            timeout: item.value.timeout.value,
            connection: item.value.connection,
            from,
        })
    }

    /// The fleet's addresses of the name that a probe asks.
    fn names(&mut self, item: &Item<Probe>, kind: &ProbeKind) -> BTreeMap<String, Vec<std::net::IpAddr>> {
        let (text, host) = match kind {
            ProbeKind::Http(http) => (&http.url, url_host(&http.url).map(|(_, host)| host)),
            ProbeKind::Tcp(tcp) => (&tcp.address, address_host(&tcp.address)),
        };
        let Some(host) = host.filter(|host| is_dns_name(host)) else { return BTreeMap::new() };
        if let Some(addresses) = self.fleet.addresses(&host) {
            return BTreeMap::from([(host, addresses)]);
        }
        if !host.contains('.') {
            let names = self.fleet.all_names();
            let near = nearest(&host, names.keys().map(String::as_str));
            let message = format!("`{host}` is not in the fleet: the vantages will look it up as a DNS name");
            let problem =
                Problem::warning(message).at(item.place_of_value(text), "looked up by the vantages");
            self.sink.push(match near {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        BTreeMap::new()
    }
}

/// Scheme and host of an `http://` or `https://` URL.
pub(crate) fn url_host(url: &str) -> Option<(&'static str, String)> {
    let uri: http::Uri = url.parse().ok()?;
    let scheme = match uri.scheme_str()? {
        "http" => "http",
        "https" => "https",
        _ => return None,
    };
    let host = uri.host().filter(|host| !host.is_empty())?;
    Some((scheme, host.trim_start_matches('[').trim_end_matches(']').to_owned()))
}

/// Host of a `host:port`.
pub(crate) fn address_host(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok().map(|_| v6)?,
        None => Some(host).filter(|host| !host.is_empty() && !host.contains(':'))?,
    };
    Some(host.to_owned())
}

/// How long an attack takes if the system settles at once.
pub(crate) fn length(attack: &model::Attack) -> Span {
    attack.baseline + attack.hold + attack.recovery + attack.settle
}
