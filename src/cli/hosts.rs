//! Selects the hosts of a fleet that a command asks, and prints the errors of the fleet's files. Asks no host.

use super::failure::{Failure, Result};
use crate::{
    diagnostic::{Report, Sink, plural},
    fleet::{Fleet, FleetSource, Wrong},
    plan::model::Host,
};

/// Reads a fleet, or fails with all its errors.
pub(super) fn fleet(source: &FleetSource) -> Result<Fleet> {
    let mut sink = Sink::default();
    let fleet = Fleet::load(source, &mut sink);
    match fleet {
        Some(fleet) if !sink.failed() => Ok(fleet),
        _ => Err(wrong(&sink.into_report())),
    }
}

/// The hosts to heal.
pub(super) struct ToHeal {
    /// The hosts that are asked.
    pub(super) hosts: Vec<Host>,
    /// The names of entries that cannot be asked, each with the reason.
    pub(super) wrong: Vec<(String, String)>,
}

/// Returns the fleet's hosts, or those that `only` names if it is not empty. Entries with errors are asked if they still tell how to reach
/// the agent, because an error in the fleet must not keep a host from being healed. The errors are printed.
///
/// # Errors
/// The fleet cannot be read at all, it has errors and no host, or `only` names a host that it does not have.
pub(super) fn to_heal(source: &FleetSource, only: &[String]) -> Result<ToHeal> {
    let mut sink = Sink::default();
    let Some(mut fleet) = Fleet::salvage(source, &mut sink) else { return Err(wrong(&sink.into_report())) };
    if sink.failed() {
        let report = sink.into_report();
        if fleet.hosts.is_empty() {
            return Err(wrong(&report));
        }
        crate::terminal::err(format_args!("{}", report.render(true, 110)));
        errln!("the fleet has errors; all hosts that can be read are asked anyway");
    }
    let selected = |name: &String| only.is_empty() || only.contains(name);
    let entries: Vec<_> =
        std::mem::take(&mut fleet.wrong).into_iter().filter(|entry| selected(&entry.name)).collect();
    let is_wrong_only = |name: &str| {
        entries.iter().any(|entry| entry.name == name) && !fleet.hosts.iter().any(|host| host.name == name)
    };
    let valid: Vec<String> = only.iter().filter(|name| !is_wrong_only(name)).cloned().collect();
    // An empty list would select all hosts. So nothing is selected here if all names are those of entries with errors.
    let mut asked = if valid.is_empty() && !only.is_empty() { Vec::new() } else { hosts(fleet, &valid)? };
    let (more, wrong) = reachable(entries);
    asked.extend(more);
    Ok(ToHeal { hosts: asked, wrong })
}

/// Divides entries of a fleet that have errors into hosts that can still be asked, and the names of the others, each with the reason.
pub(super) fn reachable(entries: Vec<Wrong>) -> (Vec<Host>, Vec<(String, String)>) {
    let (mut hosts, mut wrong) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.host {
            Some(host) => hosts.push(host),
            None => wrong.push((entry.name, format!("its entry in the fleet is invalid: {}", entry.why))),
        }
    }
    (hosts, wrong)
}

/// Prints the problems of files, and returns one error that counts them.
pub(super) fn wrong(report: &Report) -> Failure {
    crate::terminal::err(format_args!("{}", report.render(true, 110)));
    let (errors, _) = report.counts();
    Failure::new(format!("{errors} error{}; nothing was done", plural(errors)))
}

/// Returns the fleet's hosts, or those that `only` names if it is not empty. The error is that the fleet does not have a named host.
pub(super) fn hosts(fleet: Fleet, only: &[String]) -> Result<Vec<Host>> {
    let unknown: Vec<&String> =
        only.iter().filter(|name| !fleet.hosts.iter().any(|host| host.name == **name)).collect();
    if let Some(name) = unknown.first() {
        let known: Vec<&str> = fleet.hosts.iter().map(|host| host.name.as_str()).collect();
        return Err(Failure::new(format!("no host `{name}` in the fleet"))
            .help(format!("it has {}", known.join(", "))));
    }
    Ok(fleet.hosts.into_iter().filter(|host| only.is_empty() || only.contains(&host.name)).collect())
}
