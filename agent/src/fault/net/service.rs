//! The service whose packets a fault is about. Its packets are recognised by its cgroup, which must hold only this
//! service.
//!
//! This module only reads. If the service is restarted, its cgroup keeps the path but gets a new number (inode).
//! [`crate::host::followers`] adds the new number to the rules.

use std::{collections::BTreeSet, fmt};

use firedrill_wire::{RefusalCode, api::Problem, fault::ServiceManager};

use crate::{
    host::{
        Host,
        cgroup::{self, Hierarchy},
        process::Stat,
    },
    injection::{Service, refuse},
    service,
};

/// Finds the cgroup of a service that runs.
///
/// # Errors
/// A refusal: the service is not found or does not run, its cgroup also holds other processes, this host or this agent cannot tell cgroups
/// apart, or something cannot be read.
pub fn find(host: &Host, service: &str) -> Result<Service, Problem> {
    let unreadable = |what: &str, error: &dyn fmt::Display| {
        refuse(
            RefusalCode::Unreadable,
            format!("cannot read {what} on {}: {error}", host.name),
            "run the agent as root",
        )
    };
    let hierarchy = Hierarchy::here().map_err(|error| unreadable("the mounts", &error))?.ok_or_else(|| {
        refuse(
            RefusalCode::NoCgroups,
            format!(
                "no cgroup hierarchy of version 2 is mounted on {}, and without it packets of `{service}` cannot be recognised",
                host.name
            ),
            "boot with systemd.unified_cgroup_hierarchy=1, or choose by `user` or ports",
        )
    })?;
    if cgroup::is_namespaced().map_err(|error| unreadable("this agent's cgroup namespace", &error))? {
        return Err(refuse(
            RefusalCode::CgroupNamespace,
            format!(
                "the agent on {} is in a cgroup namespace of its own, where services cannot be told apart",
                host.name
            ),
            "run the agent on the host itself, or its container with the host's cgroup namespace (--cgroupns=host)",
        ));
    }
    let (manager, unit) = service::pick(host, ServiceManager::Auto, service)?;
    let unanswered =
        |error| refuse(RefusalCode::ServiceManager, format!("cannot look at {unit}: {error}"), "");
    let pids = || -> Result<BTreeSet<i32>, Problem> {
        Ok(manager.processes(&unit).map_err(unanswered)?.into_iter().map(|process| process.pid).collect())
    };
    let down = || {
        refuse(
            RefusalCode::ServiceDown,
            format!(
                "{unit} does not run on {}, so it has no cgroup by which its packets could be recognised",
                host.name
            ),
            "start it first; a restart while the fault holds is followed",
        )
    };
    let before = pids()?;
    if before.is_empty() {
        return Err(down());
    }
    let path = match manager.cgroup(&unit).map_err(unanswered)? {
        Some(path) => path,
        // The manager makes no cgroups (runit), so this takes the deepest cgroup that holds all processes of the service. There
        // is none if all of them have ended.
        None => {
            let paths = before.iter().filter_map(|pid| cgroup::of(*pid).transpose());
            let paths =
                paths.collect::<Result<_, _>>().map_err(|error| unreadable("a process's cgroup", &error))?;
            cgroup::common(&paths).ok_or_else(down)?
        }
    };
    let shared = |with: &str| {
        refuse(
            RefusalCode::SharedCgroup,
            format!(
                "{unit} runs in cgroup {path} together with {with}, so its packets cannot be told apart from theirs"
            ),
            "give it a cgroup of its own: systemd does so for each unit; under runit its run script can make one below \
             the mount of cgroup2 and move itself there before exec; or choose by `user` or ports",
        )
    };
    if cgroup::level(&path) == 0 {
        return Err(shared("every process that has no cgroup of its own"));
    }
    let gone = || {
        refuse(
            RefusalCode::NoCgroup,
            format!(
                "cgroup {path} of {unit} is not in the hierarchy of version 2 that is mounted on {}",
                host.name
            ),
            "boot with systemd.unified_cgroup_hierarchy=1, or choose by `user` or ports",
        )
    };
    let folder = hierarchy.folder(&path).ok_or_else(gone)?;
    let members = hierarchy.members(&path).map_err(|error| unreadable(&path, &error))?;
    // Processes that the service has started meanwhile are its own, too, so they are read again.
    let after = pids()?;
    if after.is_empty() {
        return Err(down());
    }
    for stranger in members.difference(&before).filter(|pid| !after.contains(pid)) {
        // The kernel shows 0 for a process that is not in this PID namespace.
        if *stranger == 0 {
            return Err(shared("a process that is not visible from here"));
        }
        match Stat::read(*stranger) {
            Ok(Some(stat)) if !stat.is_dead() => {
                return Err(shared(&format!("process {stranger} ({}), which is not its own", stat.comm)));
            }
            Ok(_) => {}
            Err(error) => return Err(unreadable("a process", &error)),
        }
    }
    let number = cgroup::id(&folder).map_err(|error| unreadable(&path, &error))?.ok_or_else(gone)?;
    Ok(Service { name: unit.name().trim_end_matches(".service").to_owned(), path, folder, number })
}
