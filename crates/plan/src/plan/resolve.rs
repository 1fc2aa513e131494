//! Resolves names: targets and vantages become hosts, peers become addresses, groups become attacks of their own.

use std::collections::{BTreeMap, HashSet};

use firedrill_wire::{Fault, Span, fault::NetPartition, logs::LogSpec, probe::ProbeKind};

use super::{
    model::{self, COORDINATOR},
    moving,
    partition::{self, Parted, Unparted},
    peers::{Known, Peers, Resolved, is_dns_name},
    select::{Selected, select},
    timing,
};
use crate::{
    alike,
    diagnostic::{Item, Problem, Sink, nearest},
    fleet::Fleet,
    scenario::{Scenario, attack::Attack, log::Log, probe::Probe, source::Source},
};

/// A scenario with its hosts.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) probes: Vec<model::Probe>,
    pub(crate) sources: Vec<model::Source>,
    pub(crate) logs: Vec<model::Log>,
    pub(crate) moving: Vec<model::Moving>,
    pub(crate) attacks: Vec<Placed>,
}

impl Draft {
    /// Returns the attacks that have a turn: of the attacks on a moving target only the first, because one of them runs.
    pub(crate) fn turns(&self) -> impl Iterator<Item = &Placed> {
        let mut before: Option<&model::Attack> = None;
        self.attacks.iter().filter(move |placed| {
            let is_alternative = before.is_some_and(|before| placed.attack.is_alternative_of(before));
            before = Some(&placed.attack);
            !is_alternative
        })
    }
}

/// An attack with its hosts.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) attack: model::Attack,
    /// Its index in the scenario.
    pub(crate) item: usize,
}

/// Resolves every selector and name. Problems go to `sink`; the unresolved parts are missing in the result.
pub(crate) fn resolve(scenario: &Scenario, fleet: &Fleet, seed: u64, sink: &mut Sink) -> Draft {
    let targets: BTreeMap<String, Selected> = scenario
        .targets
        .iter()
        .map(|target| (target.name.clone(), select(target, fleet, seed, sink)))
        .collect();
    let mut resolver = Resolver { scenario, fleet, targets: &targets, seed, known: Known::default(), sink };
    let probes = scenario.probes.iter().filter_map(|probe| resolver.probe(probe)).collect();
    let sources = scenario.sources.iter().filter_map(|source| resolver.source(source)).collect();
    let logs = scenario.logs.iter().map(|log| resolver.log(log)).collect();
    let mut attacks = Vec::new();
    for (index, item) in scenario.attacks.iter().enumerate() {
        for (name, hosts, leader) in resolver.groups(item) {
            attacks.extend(resolver.attack(item, index, name, &hosts).map(|attack| {
                let attack = model::Attack { leader, ..attack };
                Placed { attack, item: index }
            }));
        }
    }
    // `needs` has the scenario's names of attacks; a run has those of their groups.
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for placed in &attacks {
        names.entry(placed.attack.base.clone()).or_default().push(placed.attack.name.clone());
    }
    for placed in &mut attacks {
        let needs = std::mem::take(&mut placed.attack.needs);
        placed.attack.needs =
            needs.into_iter().flat_map(|base| names.get(&base).cloned().unwrap_or_default()).collect();
    }
    let moving = moving::all(scenario, fleet, &targets);
    Draft { probes, sources, logs, moving, attacks }
}

/// Resolves the items of one scenario.
struct Resolver<'a> {
    scenario: &'a Scenario,
    fleet: &'a Fleet,
    targets: &'a BTreeMap<String, Selected>,
    seed: u64,
    known: Known,
    sink: &'a mut Sink,
}

impl Resolver<'_> {
    /// Returns the hosts of a target; `None` if there is no target with this name.
    fn selected(&self, name: &str) -> Option<&Selected> {
        self.targets.get(name)
    }

    /// Returns the attacks that an item becomes, each with its name and hosts: one, or one for each group, or one for each candidate
    /// of a moving target, with that candidate.
    fn groups(&self, item: &Item<Attack>) -> Vec<(String, Vec<String>, Option<model::Leader>)> {
        let on = item.value.on.as_str();
        match self.selected(on) {
            Some(selected) if item.value.for_each.is_some() => selected
                .groups
                .iter()
                .map(|(group, hosts)| (format!("{} ({group})", item.name), hosts.clone(), None))
                .collect(),
            Some(selected)
                if self.scenario.target(on).is_some_and(|target| target.value.pick_by.is_some()) =>
            {
                let candidate = |host: &str| {
                    let leader = model::Leader { target: on.to_owned(), host: host.to_owned() };
                    (format!("{} ({host})", item.name), vec![host.to_owned()], Some(leader))
                };
                selected.hosts().into_iter().map(candidate).collect()
            }
            Some(selected) => {
                let hosts = selected.hosts().into_iter().map(str::to_owned).collect();
                vec![(item.name.clone(), hosts, None)]
            }
            None if self.fleet.host(on).is_some() => vec![(item.name.clone(), vec![on.to_owned()], None)],
            None => Vec::new(),
        }
    }

    /// Returns an attack of that name on these hosts; `None` without a hold. `index` is that of its item in the scenario.
    fn attack(
        &mut self,
        item: &Item<Attack>,
        index: usize,
        name: String,
        hosts: &[String],
    ) -> Option<model::Attack> {
        let (scenario, own) = (self.scenario, &item.value);
        let defaults = scenario.attack_defaults.as_ref().map(|defaults| &defaults.value);
        let timing = timing::timing(item, scenario);
        let (mut injections, mut means) = (Vec::new(), Vec::new());
        let hosts: Vec<&model::Host> = hosts.iter().filter_map(|name| self.fleet.host(name)).collect();
        for (number, part) in timing::parts(item, scenario).into_iter().enumerate() {
            let hold = part.hold.unwrap_or_default();
            let injection = |host: &model::Host, fault| model::Injection {
                host: host.name.clone(),
                fault,
                at: part.at,
                hold,
                together: None,
            };
            if let Fault::NetPartition(partition) = &part.fault {
                let Some(parted) = self.parted(partition, &hosts, &name, item, &part) else { continue };
                let together = u32::try_from(number).ok();
                let blocks = parted.blocks.into_iter();
                injections.extend(
                    blocks.map(|(at, fault)| model::Injection { together, ..injection(hosts[at], fault) }),
                );
                means.extend(parted.means);
                continue;
            }
            let mut fault = part.fault.clone().on_host();
            let peers = self.peers(&mut fault, item, index);
            for host in &hosts {
                let fault = self.fault_on(fault.clone(), &peers, host, item);
                injections.push(injection(host, fault));
            }
        }
        let approve =
            own.approve.as_ref().or_else(|| defaults.and_then(|defaults| defaults.approve.as_ref()));
        Some(model::Attack {
            name,
            base: item.name.clone(),
            leader: None,
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
            means,
            injections,
        })
    }

    /// Returns a partition of an attack's hosts; `None` if it is impossible, which has been reported.
    fn parted(
        &mut self,
        partition: &NetPartition,
        hosts: &[&model::Host],
        attack: &str,
        item: &Item<Attack>,
        part: &timing::Part,
    ) -> Option<Parted> {
        // An invalid fault has been reported already.
        if hosts.is_empty() || part.fault.invalid().is_some() {
            return None;
        }
        let members = |name: &str| self.members(name);
        match partition::part(partition, hosts, &members, self.seed, attack) {
            Ok(parted) => {
                self.left_out(partition, &parted, hosts, attack, item);
                Some(parted)
            }
            Err(Unparted { name, message, mut help }) => {
                if let Some(name) = name.as_deref().filter(|name| self.members(name).is_none()) {
                    let names = self.fleet.all_names();
                    let targets = self.targets.keys().map(String::as_str);
                    if let Some(near) = nearest(name, targets.chain(names.keys().map(String::as_str))) {
                        help = format!("did you mean `{near}`?");
                    }
                }
                let place = match name.as_deref().filter(|name| *name != NetPartition::REST) {
                    Some(name) => item.place_of_value(name),
                    None => item.place_of(&part.span),
                };
                let message = format!("attack `{attack}`: {message}");
                self.sink.push(Problem::error(message).at(place, "cannot be a partition").help(help));
                None
            }
        }
    }

    /// Returns the hosts that a name of a target, host or role stands for; `None` for other names.
    fn members(&self, name: &str) -> Option<Vec<String>> {
        if let Some(selected) = self.selected(name) {
            return Some(selected.hosts().into_iter().map(str::to_owned).collect());
        }
        if self.fleet.host(name).is_some() {
            return Some(vec![name.to_owned()]);
        }
        let role = self.fleet.hosts.iter().filter(|host| host.roles.iter().any(|role| role == name));
        let members: Vec<String> = role.map(|host| host.name.clone()).collect();
        (!members.is_empty()).then_some(members)
    }

    /// Reports hosts that the file seems to include but does not: hosts of a group that are not in the attack, and
    /// hosts of the attack that are in no group.
    fn left_out(
        &mut self,
        partition: &NetPartition,
        parted: &Parted,
        hosts: &[&model::Host],
        attack: &str,
        item: &Item<Attack>,
    ) {
        let on: HashSet<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        for name in &partition.groups {
            let members = self.members(name).unwrap_or_default();
            let out: Vec<&str> =
                members.iter().map(String::as_str).filter(|member| !on.contains(member)).collect();
            if !out.is_empty() {
                let message = format!(
                    "attack `{attack}` ignores hosts of `{name}` that it does not target: {}",
                    alike::names(&out)
                );
                let problem = Problem::warning(message).at(item.place_of_value(name), "not all of it");
                self.sink.push(problem.help("`on` names all hosts of the partition, of all sides"));
            }
        }
        if !partition.groups.is_empty() && !parted.free.is_empty() {
            let free: Vec<&str> = parted.free.iter().map(|at| hosts[*at].name.as_str()).collect();
            let message =
                format!("attack `{attack}` has hosts on no side, which reach both: {}", alike::names(&free));
            let problem = Problem::warning(message).at(item.place_of_key("groups"), "not in it");
            self.sink
                .push(problem.help("correct if it is a bridge on purpose; otherwise add them, or `rest`"));
        }
    }

    /// Returns the peers that a fault's lists of names stand for, in their order.
    fn peers(&mut self, fault: &mut Fault, item: &Item<Attack>, index: usize) -> Vec<Resolved> {
        let peers = Peers { fleet: self.fleet, targets: self.targets };
        let place = |name: &str| item.place_of_value(name);
        let lists = fault.selectors_mut().into_iter();
        lists.map(|list| peers.resolve(list, index, &mut self.known, &place, self.sink)).collect()
    }

    /// Returns a fault on a host: its lists of names are replaced by `peers`, without the host itself.
    fn fault_on(
        &mut self,
        mut fault: Fault,
        peers: &[Resolved],
        host: &model::Host,
        item: &Item<Attack>,
    ) -> Fault {
        for (list, peers) in fault.selectors_mut().into_iter().zip(peers) {
            match peers.on(host) {
                Some(peers) => *list = peers,
                None => {
                    let name = list.iter().next().cloned().unwrap_or_default();
                    let message = format!("`{name}` is only host `{}` itself", host.name);
                    let place = item.place_of_value(&name);
                    self.sink.push(Problem::error(message).at(place, "no peer is left"));
                }
            }
        }
        fault
    }

    /// Returns a probe with its vantages; `None` without a request.
    fn probe(&mut self, item: &Item<Probe>) -> Option<model::Probe> {
        let kind = item.value.kind()?;
        let mut from: Vec<String> = Vec::new();
        let mut taken: HashSet<String> = HashSet::new();
        for vantage in &item.value.from {
            let names: Vec<String> = match self.selected(vantage) {
                Some(selected) => selected.hosts().into_iter().map(str::to_owned).collect(),
                None => vec![vantage.value.clone()],
            };
            for name in names {
                let there = name == COORDINATOR || self.fleet.host(&name).is_some();
                if there && taken.insert(name.clone()) {
                    from.push(name);
                }
            }
        }
        Some(model::Probe {
            name: item.name.clone(),
            names: self.names(item, &kind),
            kind,
            rate: item.value.rate.value,
            arrivals: item.value.arrivals,
            timeout: item.value.timeout.value,
            connection: item.value.connection,
            from,
        })
    }

    fn log(&self, item: &Item<Log>) -> model::Log {
        let own = &item.value;
        let on = match self.selected(&own.on) {
            Some(selected) => selected.hosts().into_iter().map(str::to_owned).collect(),
            None => self.fleet.host(&own.on).map(|host| host.name.clone()).into_iter().collect(),
        };
        let spec = LogSpec {
            name: item.name.clone(),
            file: own.place().unwrap_or_default(),
            matches: own.matches.value.clone(),
            lines: own.lines.value,
        };
        model::Log { spec, on }
    }

    fn source(&mut self, item: &Item<Source>) -> Option<model::Source> {
        let kind = item.value.kind()?;
        Some(model::Source {
            name: item.name.clone(),
            names: kind.probe().map(|probe| self.names(item, &probe)).unwrap_or_default(),
            kind,
            timeout: item.value.timeout.value,
        })
    }

    /// Returns the fleet's addresses of the names in a request. Warns of other names without a dot.
    fn names<T>(&mut self, item: &Item<T>, kind: &ProbeKind) -> BTreeMap<String, Vec<std::net::IpAddr>> {
        let known = fleet_addresses(kind, self.fleet);
        for host in names_in(kind).filter(|host| !known.contains_key(host) && !host.contains('.')) {
            let text = kind.about().reach.text;
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
        known
    }
}

/// Returns the names that a request goes to.
fn names_in(kind: &ProbeKind) -> impl Iterator<Item = String> {
    kind.destinations().into_iter().map(|(host, _)| host).filter(|host| is_dns_name(host))
}

/// Returns the addresses that a fleet gives to the names in a request; none for names that it does not know.
#[must_use]
pub fn fleet_addresses(kind: &ProbeKind, fleet: &Fleet) -> BTreeMap<String, Vec<std::net::IpAddr>> {
    names_in(kind).filter_map(|host| fleet.addresses(&host).map(|addresses| (host, addresses))).collect()
}

/// Returns the duration of an attack if the system settles at once.
pub(crate) fn length(attack: &model::Attack) -> Span {
    attack.baseline + attack.hold + attack.recovery + attack.settle
}
