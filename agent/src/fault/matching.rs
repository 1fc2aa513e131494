//! Finds the processes that match a pattern. Refuses patterns that match a protected process, such as the agent's own.

use std::{collections::BTreeSet, io};

use firedrill_wire::{
    RefusalCode,
    api::{Claim, Problem},
    fault::{ProcessMatch, ServiceManager},
};

use super::user::user_id;
use crate::{
    host::{
        Host,
        process::{Stat, all, command_line, executable, user},
    },
    injection::refuse,
    service,
};

/// Returns the processes that match the pattern `which`, in the order of their pids.
///
/// # Errors
/// The refusal: no process matches; too many match; a protected process matches; the user or the service is unknown; or
/// processes cannot be read.
pub(super) fn find(host: &Host, which: &ProcessMatch) -> Result<Vec<Stat>, Problem> {
    let unreadable = |error: io::Error| {
        refuse(
            RefusalCode::Unreadable,
            format!("cannot look for processes on {}: {error}", host.name),
            "run the agent as root",
        )
    };
    let uid = which.user.as_deref().map(user_id).transpose()?;
    let members = match which.service.as_deref() {
        Some(service) => {
            let (manager, unit) = service::pick(host, ServiceManager::Auto, service)?;
            let names = manager.processes(&unit).map_err(|error| {
                refuse(
                    RefusalCode::ServiceManager,
                    format!("cannot find the processes of {unit}: {error}"),
                    "",
                )
            })?;
            Some(names.into_iter().collect::<BTreeSet<_>>())
        }
        None => None,
    };
    let processes = all().map_err(unreadable)?;
    let mut found = Vec::new();
    for stat in &processes {
        let pid = stat.name.pid;
        // The cheap comparisons come first.
        if members.as_ref().is_some_and(|members| !members.contains(&stat.name)) {
            continue;
        }
        if which.name.as_deref().is_some_and(|name| !has_name(stat, name)) {
            continue;
        }
        if let Some(text) = &which.command
            && !command_line(pid).map_err(unreadable)?.contains(text)
        {
            continue;
        }
        if uid.is_some() && user(pid).map_err(unreadable)? != uid {
            continue;
        }
        found.push(stat.clone());
    }
    if found.is_empty() {
        return Err(refuse(
            RefusalCode::NoProcess,
            format!("no process on {} matches {}", host.name, pattern(which)),
            "check the pattern and the target; `name` must be the whole name, `command` a part of the command line",
        ));
    }
    let why_protected = protection(&processes);
    if let Some((stat, why)) = found.iter().find_map(|stat| Some((stat, why_protected(stat)?))) {
        return Err(refuse(
            RefusalCode::ProtectedProcess,
            format!("{} also matches process {} ({}), {why}", pattern(which), stat.name.pid, stat.comm),
            "make the match narrower",
        ));
    }
    if found.len() > usize::try_from(which.at_most).unwrap_or(usize::MAX) {
        return Err(refuse(
            RefusalCode::TooManyProcesses,
            format!(
                "{} processes on {} match {}; at most {} may",
                found.len(),
                host.name,
                pattern(which),
                which.at_most
            ),
            "make the match narrower, or raise `at_most`",
        ));
    }
    Ok(found)
}

/// Returns the claims on these processes.
pub(super) fn claims(found: &[Stat]) -> Vec<Claim> {
    found.iter().map(|stat| Claim { what: format!("process:{}", stat.name), shared: false }).collect()
}

/// Returns the processes as a list for people: `42 (nginx), 43 (nginx)`. A long list ends with the number of the others.
pub(super) fn list(found: &[Stat]) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> =
        found.iter().take(SHOWN).map(|stat| format!("{} ({})", stat.name.pid, stat.comm)).collect();
    if found.len() > SHOWN {
        shown.push(format!("and {} more", found.len() - SHOWN));
    }
    shown.join(", ")
}

/// Whether a process has this name, or its executable has.
fn has_name(stat: &Stat, name: &str) -> bool {
    if stat.comm == name {
        return true;
    }
    // The kernel cuts a process's name to 15 bytes, and a program may rename itself, so the executable's file name
    // counts too.
    executable(stat.name.pid).is_some_and(|path| path.file_name().is_some_and(|last| last == name))
}

/// Returns the pattern for people: ``name = `nginx`, user = `www` ``.
fn pattern(which: &ProcessMatch) -> String {
    let clauses = [
        ("name", &which.name),
        ("command", &which.command),
        ("user", &which.user),
        ("service", &which.service),
    ];
    let given: Vec<_> =
        clauses.iter().filter_map(|(key, value)| Some(format!("{key} = `{}`", value.as_deref()?))).collect();
    given.join(", ")
}

/// Returns the function that says why a process is protected; it returns `None` for a process that may be touched.
fn protection(processes: &[Stat]) -> impl Fn(&Stat) -> Option<&'static str> {
    let by_pid = |pid: i32| processes.iter().find(|stat| stat.name.pid == pid);
    let ours = own(processes);
    // Only the servers themselves. Each session is a child of one, also has the name sshd, and may be touched.
    let sshd: BTreeSet<i32> = processes
        .iter()
        .filter(|stat| stat.comm == "sshd" && by_pid(stat.ppid).is_none_or(|parent| parent.comm != "sshd"))
        .map(|stat| stat.name.pid)
        .collect();
    move |stat| {
        if stat.name.pid == 1 {
            Some("which is the host's first process")
        } else if stat.is_kernel_thread() {
            Some("which is a thread of the kernel")
        } else if ours.contains(&stat.name.pid) {
            Some("which is the agent itself or one of its parents")
        } else if sshd.contains(&stat.name.pid) {
            Some("which is the SSH server that people need to log in")
        } else {
            None
        }
    }
}

/// Returns the pids of the agent's own processes and of their ancestors.
pub(super) fn own(processes: &[Stat]) -> BTreeSet<i32> {
    let by_pid = |pid: i32| processes.iter().find(|stat| stat.name.pid == pid);
    let this_pid = rustix::process::getpid().as_raw_nonzero().get();
    let program = |pid: i32| (executable(pid), command_line(pid).unwrap_or_default());
    let this_program = program(this_pid);
    // Guardian, worker and helper are forks of one program, so they have the same executable and the same command line.
    let is_agent = |pid: i32| pid == this_pid || (this_program.0.is_some() && program(pid) == this_program);
    // Up to the first process of the host. `top` becomes the highest process of the agent.
    let mut ours = BTreeSet::new();
    let mut top = this_pid;
    let mut next = Some(this_pid);
    while let Some(pid) = next {
        // The table is no snapshot, so a reused pid could make a circle in it.
        if !ours.insert(pid) {
            break;
        }
        if is_agent(pid) {
            top = pid;
        }
        next = by_pid(pid).map(|stat| stat.ppid).filter(|ppid| *ppid > 0);
    }
    // Down from there, to the agent's other processes.
    let below_top = crate::host::process::family(top, processes);
    ours.extend(below_top.into_iter().map(|stat| stat.name.pid).filter(|pid| is_agent(*pid)));
    ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Paths;

    fn refusal(which: &ProcessMatch) -> Problem {
        find(&Host::new("here", Paths::default(), 7790, vec![22]), which).expect_err("refused")
    }

    /// A pattern that allows eight processes and has no condition yet.
    fn up_to_eight() -> ProcessMatch {
        ProcessMatch { at_most: 8, ..ProcessMatch::default() }
    }

    #[test]
    fn patterns_for_no_process_for_the_agent_and_for_an_unknown_user_are_refused() {
        let nothing = ProcessMatch { name: Some("no-such-program".into()), ..up_to_eight() };
        assert_eq!(refusal(&nothing).code, RefusalCode::NoProcess);
        let command = command_line(i32::try_from(std::process::id()).expect("a pid")).expect("proc");
        let ourselves = ProcessMatch { command: Some(command), ..up_to_eight() };
        assert_eq!(refusal(&ourselves).code, RefusalCode::ProtectedProcess);
        let user = Some("no such user".into());
        let nobody = ProcessMatch { name: Some("x".into()), user, ..up_to_eight() };
        assert_eq!(refusal(&nobody).code, RefusalCode::NoUser);
    }
}
