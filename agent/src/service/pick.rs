//! Finds the one manager that knows a service by its name. Never guesses: if several managers know the name, it refuses.

use firedrill_wire::{RefusalCode, api::Problem, fault::ServiceManager, near::distance};

use super::{
    manager::{Manager, ServiceError, Unit},
    managers,
};
use crate::{host::Host, injection::refuse};

/// Finds a service for a fault.
///
/// # Errors
/// The refusal: not found (with the places that were searched, and similar names), found twice, or a manager that
/// cannot be asked.
pub fn pick(host: &Host, which: ServiceManager, service: &str) -> Result<(Box<dyn Manager>, Unit), Problem> {
    let asked: Vec<_> = managers(host)
        .into_iter()
        .filter(|(kind, _)| which == ServiceManager::Auto || *kind == which)
        .collect();
    if asked.is_empty() {
        return Err(match which {
            ServiceManager::Auto => refuse(
                RefusalCode::NoServiceManager,
                format!(
                    "cannot find service `{service}`: none of {} was found on {}",
                    all_names(),
                    host.name
                ),
                "runit services are looked for in the folders that the agent's configuration names",
            ),
            wanted => refuse(
                RefusalCode::NoServiceManager,
                format!("cannot find service `{service}`: {wanted} is not running on {}", host.name),
                "leave `manager` out, or name the one that this host has",
            ),
        });
    }
    let mut found = Vec::new();
    let mut looked = Vec::new();
    let mut similar = Vec::new();
    for (kind, manager) in asked {
        let unit = match manager.find(service) {
            // A name that is invalid for one manager may be valid for another.
            Err(ServiceError::Name { .. }) if which == ServiceManager::Auto => Ok(None),
            result => result,
        };
        match unit {
            Ok(Some(unit)) => found.push((manager, unit)),
            Ok(None) => {
                looked.push(manager.looked());
                similar.extend(names_near(service, &*manager));
            }
            Err(error) => {
                return Err(refuse(
                    RefusalCode::ServiceManager,
                    format!("cannot look up service `{service}`: {error}"),
                    format!("see what is wrong with {kind} on {}", host.name),
                ));
            }
        }
    }
    if found.len() > 1 {
        let knowing: Vec<&str> = found.iter().map(|(_, unit)| unit.manager.name()).collect();
        return Err(refuse(
            RefusalCode::AmbiguousService,
            format!("{} know a service `{service}` on {}", knowing.join(" and "), host.name),
            format!("say which with `manager`, such as `manager = \"{}\"`", knowing[0]),
        ));
    }
    found.pop().ok_or_else(|| {
        let hint = if similar.is_empty() {
            "check the name and the target".to_owned()
        } else {
            format!("there is {}", similar.join(", "))
        };
        let looked = looked.join(" and ");
        refuse(
            RefusalCode::NoService,
            format!("there is no service `{service}` on {}: looked in {looked}", host.name),
            hint,
        )
    })
}

/// Returns the names of all managers that the agent knows.
pub(super) fn all_names() -> String {
    ServiceManager::ALL.map(ServiceManager::name).join(", ")
}

/// Returns up to three services with similar names.
fn names_near(service: &str, manager: &dyn Manager) -> Vec<String> {
    let wanted = service.trim_end_matches(".service");
    let mut near: Vec<(usize, String)> = manager
        .list()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(unit, ..)| {
            let name = unit.name().trim_end_matches(".service").to_owned();
            let edits = distance(wanted, &name);
            (edits <= 2 || (wanted.len() > 2 && name.contains(wanted))).then_some((edits, name))
        })
        .collect();
    near.sort();
    near.truncate(3);
    near.into_iter().map(|(_, name)| format!("`{name}`")).collect()
}
