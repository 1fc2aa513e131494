//! Refuses faults with impossible parameters, and faults that do not fit their hosts. Warns of irreversible faults.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::{
    Fault, RefusalCode, Span,
    fault::{End, HostMeanwhile, Scope},
};

use crate::{
    alike,
    diagnostic::{Item, Problem, Sink},
    fleet::{Fleet, values_of},
    plan::{model::Injection, resolve::Draft, timing},
    scenario::{LEASE, Scenario, attack::Attack, target::Pick},
};

/// Maximum age of a lease's last renewal when a host is cut off.
const RENEWED: Span = Span::secs(2);

/// Checks the faults of an attack without its hosts.
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
        let about = part.fault.about();
        // A loss that could not be read has been reported, so it is not reported as missing.
        let invalid =
            part.fault.invalid().filter(|invalid| !(attack.broken && invalid.code == RefusalCode::NoLoss));
        let wrong = match (invalid, &about.scope) {
            (Some(invalid), _) => Some((invalid.what.into_owned(), invalid.help)),
            (None, Scope::Region(_)) => region(attack, scenario),
            (None, Scope::Host) => None,
        };
        if let Some((message, help)) = wrong {
            let kind = part.fault.kind();
            sink.push(
                Problem::error(format!("{kind}: {message}")).at(place.clone(), "this fault").help(help),
            );
        }
        if let (HostMeanwhile::Unreachable, Some(hold)) = (about.host, part.hold) {
            let lease = scenario.lease.as_ref().map_or(LEASE, |lease| lease.value);
            let needed = hold + RENEWED;
            if lease < needed {
                let kind = part.fault.kind();
                let message = format!(
                    "{kind}: nobody can renew the lease of {lease} while the host is cut off for {hold}"
                );
                sink.push(
                    Problem::error(message)
                        .at(place.clone(), "healed too early")
                        .help(format!("lease = \"{needed}\" or more, at the head of the scenario")),
                );
            }
        }
        if let End::Irreversible(aftermath) = about.end {
            let message = format!("attack `{}`: {} cannot be undone", attack.name, part.fault.kind());
            sink.push(Problem::warning(message).at(place, "irreversible").help(aftermath));
        }
    }
}

/// An error and its correction; `None` if there is no error.
type Wrong = Option<(String, &'static str)>;

/// Checks that the target of a fault on a region selects whole regions.
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

/// Checks the faults of all attacks with their hosts.
pub(super) fn refuse_with_hosts(scenario: &Scenario, fleet: &Fleet, draft: &Draft, sink: &mut Sink) {
    // The attack that powered a host off, by the host.
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
        let off = placed.attack.injections.iter().filter(|one| one.fault.powers_off());
        gone.extend(off.map(|one| (one.host.as_str(), placed.attack.name.as_str())));
        together(item, placed, sink);
        spared(item, scenario, fleet, &mut regions, placed, sink);
    }
}

/// Refuses two faults on one host of which one takes the host down while the other holds.
fn together(item: &Item<Attack>, placed: &crate::plan::resolve::Placed, sink: &mut Sink) {
    let injections = &placed.attack.injections;
    if !injections.iter().any(|one| one.fault.takes_host_down()) {
        return;
    }
    let mut by_host: BTreeMap<&str, Vec<&Injection>> = BTreeMap::new();
    injections.iter().for_each(|one| by_host.entry(&one.host).or_default().push(one));
    for down in injections.iter().filter(|one| one.fault.takes_host_down()) {
        let others = by_host.get(down.host.as_str()).into_iter().flatten();
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

/// Warns of hosts that the target leaves out of the regions that it hits. `regions` is filled when it is first needed.
fn spared<'f>(
    item: &Item<Attack>,
    scenario: &Scenario,
    fleet: &'f Fleet,
    regions: &mut Option<Regions<'f>>,
    placed: &crate::plan::resolve::Placed,
    sink: &mut Sink,
) {
    let region_wide = |fault: &Fault| matches!(fault.about().scope, Scope::Region(_));
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
