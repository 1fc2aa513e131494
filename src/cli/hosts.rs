//! The hosts of a fleet that a command asks, and the errors of the fleet's files.

use super::failure::{Failure, Result};
use crate::{
    diagnostic::{Report, Sink, plural},
    fleet::{Fleet, FleetSource},
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
    /// Entries of the fleet that are no valid host, with their errors.
    pub(super) wrong: Vec<(String, String)>,
}

/// Returns the fleet's hosts, or those in `only`, as far as they are valid: an error in one entry must not keep other
/// hosts from being asked. Errors are printed.
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
    let meant = |name: &String| only.is_empty() || only.contains(name);
    let entries: Vec<_> =
        std::mem::take(&mut fleet.wrong).into_iter().filter(|one| meant(&one.name)).collect();
    let hopeless = |name: &str| {
        entries.iter().any(|one| one.name == name) && !fleet.hosts.iter().any(|host| host.name == name)
    };
    let known: Vec<String> = only.iter().filter(|name| !hopeless(name)).cloned().collect();
    let mut asked = if known.is_empty() && !only.is_empty() { Vec::new() } else { hosts(fleet, &known)? };
    let mut wrong = Vec::new();
    for entry in entries {
        match entry.host {
            Some(host) => asked.push(host),
            None => wrong.push((entry.name, format!("its entry in the fleet is invalid: {}", entry.why))),
        }
    }
    Ok(ToHeal { hosts: asked, wrong })
}

/// Returns all problems of files as one error.
pub(super) fn wrong(report: &Report) -> Failure {
    crate::terminal::err(format_args!("{}", report.render(true, 110)));
    let (errors, _) = report.counts();
    Failure::new(format!("{errors} error{}; nothing was done", plural(errors)))
}

/// Returns the fleet's hosts, or those in `only`.
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
