//! Faults whose parameters cannot be, or that do not fit their target.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::{
    Fault, Span,
    fault::{Misfit, ProcessMatch, is_service},
};

use crate::{
    alike,
    fleet::{Fleet, values_of},
    plan::{model::Injection, resolve::Draft, timing},
    scenario::{
        Item, LEASE, Scenario,
        attack::Attack,
        diagnose::{Problem, Sink},
        target::Pick,
    },
};

/// A lease was renewed at most so long before a host is cut off.
const RENEWED: Span = Span::secs(2);

pub(super) fn refuse(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let own = &attack.value;
    match (&own.fault, own.faults.is_empty()) {
        (Some(fault), false) => sink.push(
            Problem::error(format!("attack `{}` has both `fault` and `faults`", attack.name))
                .at(attack.place_of(&fault.at), "one fault here")
                .also(attack.place_of_key("faults"), "several here")
                .help("put all of them into `faults`"),
        ),
        (None, true) if !attack.broken => sink.push(
            Problem::error(format!("attack `{}` does nothing", attack.name))
                .at(attack.place(), "has no fault")
                .help(format!("fault.KIND = {{ … }}; kinds: {}", Fault::KINDS.join(", "))),
        ),
        _ => {}
    }
    for part in timing::parts(attack, scenario) {
        let place = attack.place_of(&part.span);
        let wrong = match &part.fault {
            Fault::ServiceStop(fault) => service(&fault.service),
            Fault::ServiceKill(fault) => service(&fault.service),
            Fault::ServiceRestart(fault) => service(&fault.service),
            Fault::ProcessKill(fault) => processes(&fault.which),
            Fault::ProcessPause(fault) => processes(&fault.which),
            Fault::RegionKill(_) => region(attack, scenario),
            Fault::NetBlock(_)
            | Fault::NetPartition(_)
            | Fault::NetSlow(_)
            | Fault::NetLose(_)
            | Fault::NetDuplicate(_)
            | Fault::NetCorrupt(_)
            | Fault::NetReorder(_)
            | Fault::NetThrottle(_)
            | Fault::NetReset(_)
            | Fault::NetDns(_)
            | Fault::NetDown(_)
            | Fault::HostIsolate(_)
            | Fault::HostReboot(_)
            | Fault::HostPoweroff(_) => {
                // What could not be read has been reported, and is not missing as well.
                let misfit =
                    part.fault.misfit().filter(|one| !(attack.broken && one.code == Misfit::NO_LOSS));
                misfit.map(|misfit| (misfit.what.to_owned(), misfit.help))
            }
        };
        if let Some((message, help)) = wrong {
            let kind = part.fault.kind();
            sink.push(
                Problem::error(format!("{kind}: {message}")).at(place.clone(), "this fault").help(help),
            );
        }
        if let (Fault::NetDown(down), Some(hold)) = (&part.fault, part.hold)
            && down.cut_off
        {
            let lease = scenario.lease.as_ref().map_or(LEASE, |lease| lease.value);
            let needed = hold + RENEWED;
            if lease < needed {
                let message = format!(
                    "net-down: nobody can renew the lease of {lease} while the host is cut off for {hold}"
                );
                sink.push(
                    Problem::error(message)
                        .at(place.clone(), "healed too early")
                        .help(format!("lease = \"{needed}\" or more, at the head of the scenario")),
                );
            }
        }
        if !part.fault.reversible() {
            let message = format!("attack `{}`: {} cannot be undone", attack.name, part.fault.kind());
            sink.push(Problem::warning(message).at(place, "irreversible").help(aftermath(&part.fault)));
        }
    }
}

/// What is left behind by what cannot be undone.
const fn aftermath(fault: &Fault) -> &'static str {
    match fault {
        Fault::HostPoweroff(_) | Fault::RegionKill(_) => "somebody has to switch the host on again",
        Fault::HostReboot(_) => {
            "what the host had only in memory is lost; the agent must answer again in time"
        }
        Fault::ServiceKill(_) => "the service's manager is expected to bring it back",
        Fault::NetReset(_) => "whoever was connected is expected to connect again",
        Fault::ProcessKill(_) => "whatever started the processes is expected to start them again",
        _ => "it happens once, and is over",
    }
}

type Wrong = Option<(String, &'static str)>;

fn service(name: &str) -> Wrong {
    (!is_service(name)).then(|| {
        (format!("`{name}` cannot be a service's name"), "for example \"checkout\" or \"checkout.service\"")
    })
}

fn processes(which: &ProcessMatch) -> Wrong {
    let clauses = [&which.name, &which.command, &which.service];
    if clauses.iter().all(|clause| clause.is_none()) {
        return Some(("says not which processes".to_owned(), "give `match` a name, command or service"));
    }
    if clauses.into_iter().chain([&which.user]).flatten().any(String::is_empty) {
        return Some(("an empty text would match every process".to_owned(), "leave the key out"));
    }
    (which.at_most == 0).then(|| ("may match no process at all".to_owned(), "at_most is 1 or more"))
}

fn region(attack: &Item<Attack>, scenario: &Scenario) -> Wrong {
    let Some(target) = scenario.target(&attack.value.on) else {
        let message = format!("`{}` is not a target that selects a region", attack.value.on.value);
        return Some((message, "for example [targets.fremont] where = { region = \"fremont\" }"));
    };
    if !target.value.clauses.contains_key("region") && !target.broken {
        let message = format!("target `{}` does not select by region", target.name);
        return Some((message, "give its `where` a region, or take host-isolate for some hosts"));
    }
    (target.value.pick() != Pick::All).then(|| {
        let message = format!("target `{}` picks only some of the region's hosts", target.name);
        (message, "a region goes as a whole: leave `pick` out, or take host-isolate")
    })
}

pub(super) fn refuse_with_hosts(scenario: &Scenario, fleet: &Fleet, draft: &Draft, sink: &mut Sink) {
    let mut gone: BTreeMap<&str, &str> = BTreeMap::new();
    let mut regions = None;
    for placed in &draft.attacks {
        let item = &scenario.attacks[placed.item];
        let on = item.place_of(&item.value.on.at);
        let hosts: BTreeSet<&str> = placed.attack.injections.iter().map(|one| one.host.as_str()).collect();
        let lost = hosts.into_iter().filter_map(|host| Some((*gone.get(host)?, host)));
        for lost in alike::together(lost, |(by, _)| *by) {
            let by = lost.first().map_or("", |(by, _)| *by);
            let names: Vec<&str> = lost.iter().map(|(_, host)| *host).collect();
            let message = match &names[..] {
                [host] => {
                    format!("host `{host}` was powered off by attack `{by}`, and is not there any more")
                }
                _ => {
                    let names = alike::names(&names);
                    format!("hosts {names} were powered off by attack `{by}`, and are not there any more")
                }
            };
            sink.push(
                Problem::error(message)
                    .at(on.clone(), "nobody is there")
                    .help("firedrill cannot switch a host on: put the power-off last"),
            );
        }
        let off = placed.attack.injections.iter().filter(|one| matches!(one.fault, Fault::HostPoweroff(_)));
        gone.extend(off.map(|one| (one.host.as_str(), placed.attack.name.as_str())));
        together(item, placed, sink);
        spared(item, scenario, fleet, &mut regions, placed, sink);
    }
}

/// Two faults on one host of which one takes the host down while the other holds.
fn together(item: &Item<Attack>, placed: &crate::plan::resolve::Placed, sink: &mut Sink) {
    let all = &placed.attack.injections;
    if !all.iter().any(|one| one.fault.takes_host_down()) {
        return;
    }
    let mut of_host: BTreeMap<&str, Vec<&Injection>> = BTreeMap::new();
    all.iter().for_each(|one| of_host.entry(&one.host).or_default().push(one));
    for down in all.iter().filter(|one| one.fault.takes_host_down()) {
        let others = of_host.get(down.host.as_str()).into_iter().flatten();
        let other =
            others.copied().find(|other| !std::ptr::eq(*other, down) && other.at + other.hold > down.at);
        if let Some(other) = other {
            let message = format!(
                "attack `{}`: {} on host `{}` cannot hold, because {} takes the host down",
                placed.attack.name,
                other.fault.kind(),
                down.host,
                down.fault.kind()
            );
            sink.push(Problem::error(message).at(item.place(), "two faults on one host"));
            return;
        }
    }
}

/// Hosts by their region.
type Regions<'f> = BTreeMap<&'f str, Vec<&'f str>>;

/// Hosts of the region that the target leaves out.
fn spared<'f>(
    item: &Item<Attack>,
    scenario: &Scenario,
    fleet: &'f Fleet,
    regions: &mut Option<Regions<'f>>,
    placed: &crate::plan::resolve::Placed,
    sink: &mut Sink,
) {
    let region_wide = |fault: &Fault| matches!(fault, Fault::RegionKill(_));
    if !timing::parts(item, scenario).iter().any(|part| region_wide(&part.fault)) {
        return;
    }
    let regions = regions.get_or_insert_with(|| {
        let mut all = Regions::new();
        for host in &fleet.hosts {
            values_of(host, "region")
                .into_iter()
                .for_each(|region| all.entry(region).or_default().push(&host.name));
        }
        all
    });
    let hit: BTreeSet<&str> = placed.attack.injections.iter().map(|one| one.host.as_str()).collect();
    let whole: BTreeSet<&str> =
        hit.iter().filter_map(|host| fleet.host(host)).flat_map(|host| values_of(host, "region")).collect();
    let whole = whole.into_iter().filter_map(|region| regions.get(region)).flatten();
    let spared: Vec<&str> = whole.copied().filter(|host| !hit.contains(host)).collect();
    if !spared.is_empty() {
        let message =
            format!("attack `{}` spares some of the region: {}", placed.attack.name, alike::names(&spared));
        sink.push(Problem::warning(message).at(item.place_of(&item.value.on.at), "not the whole region"));
    }
}
