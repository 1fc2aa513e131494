//! Compares the targets that a rule names with those that an act touches. Never looks at the host.

use std::path::Path;

use firedrill_wire::{Touches, pattern::like};
use ipnet::IpNet;

use super::rule::Rule;
use crate::secrets::is_plain;

/// Whether an act needs a rule that names what it runs or changes, even if the policy has no other limits.
pub(super) fn needs_naming(touches: &Touches) -> bool {
    let Touches {
        services: _,
        processes: _,
        peers: _,
        interfaces: _,
        // Files and variables that are read are named by `[secrets]`, logs by `policy.logs`.
        reads: _,
        variables: _,
        changes,
        runs,
        everything: _,
    } = touches;
    !changes.is_empty() || !runs.is_empty()
}

/// Returns the clauses of a rule that would allow the programs and files that an act touches, as people write them. The program of a
/// probe needs a user, too.
pub(super) fn clause(touches: &Touches, is_probe: bool) -> String {
    let mut clauses = Vec::new();
    if !touches.runs.is_empty() {
        clauses.push(format!("commands = {:?}", touches.runs));
        if is_probe {
            clauses.push("run_as = \"nobody\"".to_owned());
        }
    }
    if !touches.changes.is_empty() {
        clauses.push(format!("files = {:?}", touches.changes));
    }
    clauses.join(" and ")
}

/// Checks a rule's lists.
pub(super) fn validate(rule: &Rule) -> Result<(), String> {
    let name = &rule.name;
    if let Some(path) = rule.files.iter().find(|path| !is_plain(Path::new(path))) {
        return Err(format!(
            "policy.allow \"{name}\": files: \"{path}\" is not a whole path; write it from / on, without `.` and `..`"
        ));
    }
    let wrong = |words: &&Vec<String>| {
        words.first().is_none_or(|program| !is_plain(Path::new(program)) || program.contains('*'))
    };
    if let Some(words) = rule.commands.iter().find(wrong) {
        return Err(format!(
            "policy.allow \"{name}\": commands: {words:?} does not begin with the whole path of a program, for example \
             [\"/usr/bin/systemctl\", \"reload\", \"*\"]"
        ));
    }
    match &rule.run_as {
        Some(user) if user.is_empty() || user.contains(['\0', ':']) => {
            Err(format!("policy.allow \"{name}\": run_as = {user:?} is no name of a user"))
        }
        Some(_) if rule.commands.is_empty() => Err(format!(
            "policy.allow \"{name}\": run_as is given, and no program: name some by commands = [[…]]"
        )),
        _ => Ok(()),
    }
}

/// Checks that a rule names everything that an act touches. The error says what is missing.
pub(super) fn allows(rule: &Rule, touches: &Touches) -> Result<(), String> {
    let Touches { services, processes, peers, interfaces, reads, variables, changes, runs, everything } =
        touches;
    let lists =
        [&rule.services, &rule.processes, &rule.peers, &rule.interfaces, &rule.files, &rule.variables];
    let names_nothing = lists.into_iter().all(Vec::is_empty) && rule.commands.is_empty();
    // Even a rule without limits has to name programs and files.
    for path in changes {
        is_named("files", &rule.files, path, is_file)?;
    }
    for words in runs {
        if !rule.commands.iter().any(|pattern| is_command(pattern, words)) {
            return Err(format!("has commands = {:?}, here it is {words:?}", rule.commands));
        }
    }
    if names_nothing {
        return Ok(());
    }
    if *everything {
        return Err("names what may be touched, while this touches more than it names".to_owned());
    }
    for service in services {
        is_named("services", &rule.services, service, is_service)?;
    }
    // The processes of a service are allowed with the service.
    if services.is_empty() {
        for process in processes {
            is_named("processes", &rule.processes, process, like)?;
        }
    }
    for interface in interfaces {
        is_named("interfaces", &rule.interfaces, interface, like)?;
    }
    for peer in peers {
        is_named("peers", &rule.peers, peer, within)?;
    }
    for path in reads {
        is_named("files", &rule.files, path, is_file)?;
    }
    for name in variables {
        is_named("variables", &rule.variables, name, like)?;
    }
    Ok(())
}

/// Checks that a list has a pattern that fits a value. `key` is the name of the list in rules.
fn is_named(key: &str, list: &[String], value: &str, fits: fn(&str, &str) -> bool) -> Result<(), String> {
    if list.iter().any(|pattern| fits(pattern, value)) {
        return Ok(());
    }
    Err(format!("has {key} = {list:?}, here it is {value}"))
}

/// Whether a service matches a pattern, with or without its manager's folder and `.service`.
fn is_service(pattern: &str, service: &str) -> bool {
    let last = last(service);
    let with_suffix = if last.contains('.') { last.to_owned() } else { format!("{last}.service") };
    [service, last, bare(last), &with_suffix].into_iter().any(|name| like(pattern, name))
}

/// Whether two names mean the same service.
pub(super) fn same_service(one: &str, other: &str) -> bool {
    bare(last(one)) == bare(last(other))
}

/// Returns the last part of a service's name. The name may be the path of a service directory.
pub(super) fn last(service: &str) -> &str {
    service.rsplit('/').next().unwrap_or(service)
}

/// Returns a service's name without the suffix `.service`.
pub(super) fn bare(service: &str) -> &str {
    service.strip_suffix(".service").unwrap_or(service)
}

/// Whether a file's path matches a pattern. A path with `..` matches none: it could leave the directory that the pattern names.
fn is_file(pattern: &str, path: &str) -> bool {
    is_plain(Path::new(path)) && like(pattern, path)
}

/// Whether an argument vector matches a pattern, word by word. Both have the same number of words, and the program is the same text.
fn is_command(pattern: &[String], words: &[String]) -> bool {
    pattern.len() == words.len()
        && pattern.iter().zip(words).enumerate().all(|(at, (pattern, word))| match at {
            0 => pattern == word,
            _ => like(pattern, word) && (!pattern.contains('*') || stays_below(pattern, word)),
        })
}

/// Whether a word that matches a pattern with a path stays below that path: no part of it leads up.
fn stays_below(pattern: &str, word: &str) -> bool {
    !pattern.contains('/') || !word.split('/').any(|part| part == "..")
}

/// Whether a peer lies in an address or a CIDR, or matches a name.
fn within(pattern: &str, peer: &str) -> bool {
    match (net(pattern), net(peer)) {
        (Some(outer), Some(inner)) => outer.contains(&inner),
        (None, None) => like(pattern, peer),
        _ => pattern == "*",
    }
}

/// Parses a CIDR, or an address as the network of this one address.
fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
}
