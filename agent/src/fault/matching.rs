//! Finds the processes that match a pattern, and refuses patterns that match a process that must never be touched.

use std::{collections::BTreeSet, io};

use firedrill_wire::{
    RefusalCode,
    api::{Claim, Problem},
    fault::{ProcessMatch, ServiceManager},
};

use crate::{
    host::{
        Host,
        process::{Stat, all, command_line, executable, user},
    },
    injection::refuse,
    service,
};

/// Returns the processes that match, by pid.
///
/// # Errors
/// The refusal: no process matches; too many match; or one matches that is never touched.
pub(super) fn find(host: &Host, which: &ProcessMatch) -> Result<Vec<Stat>, Problem> {
    let unreadable = |error: io::Error| {
        refuse(
            RefusalCode::Unreadable,
            format!("cannot look for processes on {}: {error}", host.name),
            "run the agent as root",
        )
    };
    let uid = which.user.as_deref().map(uid).transpose()?;
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
            format!("no process on {} matches {}", host.name, sentence(which)),
            "check the pattern and the target; `name` must be the whole name, `command` a part of the command line",
        ));
    }
    let never = untouchable(&processes);
    if let Some((stat, why)) = found.iter().find_map(|stat| Some((stat, never(stat)?))) {
        return Err(refuse(
            RefusalCode::ProtectedProcess,
            format!("{} also matches process {} ({}), {why}", sentence(which), stat.name.pid, stat.comm),
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
                sentence(which),
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

/// Returns the list for an effect's sentence, `42 (nginx), 43 (nginx)`. Long lists are cut.
pub(super) fn list(found: &[Stat]) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> =
        found.iter().take(SHOWN).map(|stat| format!("{} ({})", stat.name.pid, stat.comm)).collect();
    if found.len() > SHOWN {
        shown.push(format!("and {} more", found.len() - SHOWN));
    }
    shown.join(", ")
}

fn has_name(stat: &Stat, name: &str) -> bool {
    if stat.comm == name {
        return true;
    }
    // The kernel cuts a process's name to 15 bytes, and a program may rename itself, so the executable's file name
    // counts too.
    executable(stat.name.pid).is_some_and(|path| path.file_name().is_some_and(|last| last == name))
}

fn uid(user: &str) -> Result<u32, Problem> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    match nix::unistd::User::from_name(user) {
        Ok(Some(found)) => Ok(found.uid.as_raw()),
        Ok(None) => Err(refuse(
            RefusalCode::NoUser,
            format!("there is no user `{user}` on this host"),
            "name one, or its number",
        )),
        Err(error) => Err(refuse(
            RefusalCode::NoUser,
            format!("cannot look up user `{user}`: {error}"),
            "give its number",
        )),
    }
}

fn sentence(which: &ProcessMatch) -> String {
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

/// Returns a function that says why a process is never touched; `None` for a process that may be touched.
fn untouchable(processes: &[Stat]) -> impl Fn(&Stat) -> Option<&'static str> {
    let of = |pid: i32| processes.iter().find(|stat| stat.name.pid == pid);
    let ours = own(processes);
    let sshd: BTreeSet<i32> = processes
        .iter()
        .filter(|stat| stat.comm == "sshd" && of(stat.ppid).is_none_or(|parent| parent.comm != "sshd"))
        .map(|stat| stat.name.pid)
        .collect();
    move |stat| {
        if stat.name.pid == 1 {
            Some("which is the host's first process")
        } else if stat.is_kernel_thread() {
            Some("which is a thread of the kernel")
        } else if ours.contains(&stat.name.pid) {
            Some("which is the agent itself or what runs it")
        } else if sshd.contains(&stat.name.pid) {
            Some("which is the SSH server by which people would get in")
        } else {
            None
        }
    }
}

/// Returns the agent's own processes and their ancestors.
pub(super) fn own(processes: &[Stat]) -> BTreeSet<i32> {
    let of = |pid: i32| processes.iter().find(|stat| stat.name.pid == pid);
    let me = rustix::process::getpid().as_raw_nonzero().get();
    let about = |pid: i32| (executable(pid), command_line(pid).unwrap_or_default());
    let mine = about(me);
    // Guardian, worker and helper are forks of one program, so they have the same executable and the same command line.
    let is_agent = |pid: i32| pid == me || (mine.0.is_some() && about(pid) == mine);
    let mut ours = BTreeSet::new();
    let mut top = me;
    let mut next = Some(me);
    while let Some(pid) = next {
        if !ours.insert(pid) {
            break;
        }
        if is_agent(pid) {
            top = pid;
        }
        next = of(pid).map(|stat| stat.ppid).filter(|ppid| *ppid > 0);
    }
    let family = crate::host::process::family(top, processes);
    ours.extend(family.into_iter().map(|stat| stat.name.pid).filter(|pid| is_agent(*pid)));
    ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Paths;

    fn refusal(which: &ProcessMatch) -> Problem {
        find(&Host::new("here", Paths::default(), 7790, vec![22]), which).expect_err("refused")
    }

    fn pattern() -> ProcessMatch {
        ProcessMatch { at_most: 8, ..ProcessMatch::default() }
    }

    #[test]
    fn what_is_never_touched_is_refused() {
        let nothing = ProcessMatch { name: Some("no-such-program".into()), ..pattern() };
        assert_eq!(refusal(&nothing).code, RefusalCode::NoProcess);
        let me = command_line(i32::try_from(std::process::id()).expect("a pid")).expect("proc");
        let ourselves = ProcessMatch { command: Some(me), ..pattern() };
        assert_eq!(refusal(&ourselves).code, RefusalCode::ProtectedProcess);
        let nobody = ProcessMatch { name: Some("x".into()), user: Some("no such user".into()), ..pattern() };
        assert_eq!(refusal(&nobody).code, RefusalCode::NoUser);
    }
}
