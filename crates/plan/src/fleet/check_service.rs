//! Checks the services of a host, each problem with its place in the file. Nothing is started or looked for on this machine.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

use firedrill_wire::Span;

use super::{
    file::HostFile,
    service::{GivenFile, ReadyFile, ServiceFile, ServiceUser, http_parts},
};
use crate::diagnostic::{Item, Place, Problem, Sink};

/// The service that a lab adds to every host.
const AGENT: &str = "firedrill-agent";
/// Files that a lab makes itself.
const OF_THE_LAB: [&str; 4] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/machine-id"];
/// The directory of the agent's files.
const OF_THE_AGENT: &str = "/etc/firedrill";

/// Reports all problems of a host's services. `broken` says that parts of the host could not be read.
pub(super) fn check(host: &HostFile, item: Option<&Item<HostFile>>, broken: bool, sink: &mut Sink) {
    let mut names: BTreeMap<&str, Option<Place>> = BTreeMap::new();
    let mut paths: BTreeMap<&str, Option<Place>> = BTreeMap::new();
    for (number, service) in host.service.iter().enumerate() {
        let mut here = Here { host, service, item, number: number.to_string(), broken, sink };
        here.name(&mut names);
        here.argv(&["argv"], &service.argv);
        here.env();
        here.user();
        here.files(&mut paths);
        if let Some(ready) = &service.ready {
            here.ready(ready);
        }
        if let Some(patience) = service.stop.patience {
            here.time(&["stop", "patience"], patience);
        }
    }
}

/// One service, with its place in the file.
struct Here<'a, 's> {
    host: &'a HostFile,
    service: &'a ServiceFile,
    item: Option<&'a Item<HostFile>>,
    /// Its index among the services of the host.
    number: String,
    /// Whether parts of the host could not be read, so that keys may be missing only for that reason.
    broken: bool,
    sink: &'s mut Sink,
}

/// Whether the file has as many entries at a path as were read. With fewer, indexes of entries are not those of the file.
fn all_read(item: &Item<HostFile>, list: &[&str], read: usize) -> bool {
    let entry = |path: &[String]| {
        path.len() == list.len() + 1 && path.iter().zip(list).all(|(step, key)| step == key)
    };
    item.words.iter().filter(|word| !word.key && entry(&word.path)).count() == read
}

impl<'a> Here<'a, '_> {
    /// Returns the place of a value of the service, or of the key `service` where the entry is unknown.
    fn place(&self, path: &[&str]) -> Option<Place> {
        let item = self.item?;
        if !all_read(item, &["service"], self.host.service.len()) {
            return Some(item.place_of_key("service"));
        }
        if let ["file", _, ..] = path
            && !all_read(item, &["service", self.number.as_str(), "file"], self.service.file.len())
        {
            return Some(item.place_at(&["service", self.number.as_str(), "file"], true));
        }
        let whole: Vec<&str> =
            ["service", self.number.as_str()].into_iter().chain(path.iter().copied()).collect();
        Some(item.place_at(&whole, false))
    }

    /// Reports an error at a path of the service.
    fn wrong(&mut self, path: &[&str], message: &str, label: &str, help: &str) {
        let message = format!("service `{}` of host `{}`: {message}", self.service.name, self.host.name);
        let problem = Problem::error(message).help(help);
        let place = self.place(path);
        self.sink.push(match place {
            Some(place) => problem.at(place, label),
            None => problem,
        });
    }

    /// Reports a value that the host has twice. `what` is its kind, for the message.
    fn once(
        &mut self,
        seen: &mut BTreeMap<&'a str, Option<Place>>,
        text: &'a str,
        path: &[&str],
        what: &str,
    ) {
        let place = self.place(path);
        let Some(first) = seen.insert(text, place.clone()) else { return };
        let mut problem = Problem::error(format!("host `{}` has {what} `{text}` twice", self.host.name));
        if let Some(place) = place {
            problem = problem.at(place, "again here");
        }
        if let Some(first) = first {
            problem = problem.also(first, "first here");
        }
        self.sink.push(problem);
    }

    /// Checks the name of the service.
    fn name(&mut self, names: &mut BTreeMap<&'a str, Option<Place>>) {
        let name = self.service.name.as_str();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !name.chars().all(is_allowed)
            || name.len() > 64
        {
            let help = "at most 64 letters, digits, `-`, `_` and `.`, starting with a letter or digit";
            self.wrong(&["name"], "this cannot be a service's name", "not a name", help);
        } else if name == AGENT {
            let help = "choose another name; every host of a lab has an agent without being told to";
            self.wrong(&["name"], "the lab's own agent has this name", "taken", help);
        }
        self.once(names, name, &["name"], "the service");
    }

    /// Checks that a command has a program.
    fn argv(&mut self, path: &[&str], argv: &[String]) {
        if argv.first().is_none_or(String::is_empty) {
            let help = "name the program and its arguments: argv = [\"python3\", \"-m\", \"http.server\"]";
            self.wrong(path, "there is nothing to run", "no program", help);
        }
    }

    /// Checks the names of variables.
    fn env(&mut self) {
        for name in self.service.env.keys().filter(|name| name.is_empty() || name.contains('=')) {
            let message = format!("`{name}` cannot be the name of a variable");
            self.wrong(
                &["env", name.as_str()],
                &message,
                "of this name",
                "a name is not empty and has no `=`",
            );
        }
    }

    /// Checks the user.
    fn user(&mut self) {
        let Some(user) = &self.service.user else { return };
        if ServiceUser::parse(user).is_none() {
            let help = "the name of a user in /etc/passwd, such as \"postgres\", or numbers as \"101:104\"";
            self.wrong(&["user"], &format!("`{user}` is not a user"), "neither a name nor UID:GID", help);
        }
    }

    /// Checks all files of the service.
    fn files(&mut self, paths: &mut BTreeMap<&'a str, Option<Place>>) {
        let service = self.service;
        for (number, file) in service.file.iter().enumerate() {
            let number = number.to_string();
            self.file(&number, file);
            self.once(paths, &file.path, &["file", &number, "path"], "the file");
        }
    }

    fn file(&mut self, number: &str, file: &GivenFile) {
        let path = Path::new(&file.path);
        let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
        let below = |top: &str| path.strip_prefix(top).is_ok_and(|rest| rest.file_name().is_some());
        if !plain || !(below("/etc") || below("/var")) {
            let message = format!("the file `{}` is not below /etc or /var", file.path);
            let help = "an absolute path below /etc or /var, without `..`; other directories of a host are the machine's, \
                        which are not changed, or are emptied at each boot";
            self.wrong(&["file", number, "path"], &message, "this path", help);
        } else if OF_THE_LAB.contains(&file.path.as_str()) || path.starts_with(OF_THE_AGENT) {
            let message = format!("the lab makes `{}` itself", file.path);
            self.wrong(&["file", number, "path"], &message, "this path", "choose another path");
        }
        match (&file.content, &file.source) {
            (Some(_), Some(_)) => {
                let message = format!("the file `{}` has both `content` and `source`", file.path);
                self.wrong(&["file", number, "source"], &message, "one too many", "keep one of them");
            }
            (None, None) if !self.broken => {
                let message = format!("the file `{}` has neither `content` nor `source`", file.path);
                let help = "content = \"the text\", or source = \"a path beside the fleet's file\"";
                self.wrong(&["file", number], &message, "this file", help);
            }
            _ => {}
        }
        if file.bits().is_none() {
            let message = format!("`{}` is not the mode of a file", file.mode);
            self.wrong(&["file", number, "mode"], &message, "not octal digits", "for example \"0640\"");
        }
    }

    /// Checks the condition under which the service is ready.
    fn ready(&mut self, ready: &ReadyFile) {
        let ways = [ready.tcp.is_some(), ready.http.is_some(), ready.argv.is_some()];
        let given = ways.iter().filter(|given| **given).count();
        if given > 1 || (given == 0 && !self.broken) {
            let message = match given {
                0 => "`ready` says no check",
                _ => "`ready` says more than one check",
            };
            let help =
                "exactly one of: tcp = PORT, http = \"http://127.0.0.1:PORT/PATH\", argv = [\"PROGRAM\", …]";
            self.wrong(&["ready"], message, "one check is needed", help);
        }
        if let Some(url) = &ready.http
            && http_parts(url).is_none()
        {
            let message = format!("`{url}` is not a URL that a ready check can ask");
            let help = "http://HOST:PORT/PATH, without user and fragment; for anything else use argv, for example with curl";
            self.wrong(&["ready", "http"], &message, "not such a URL", help);
        }
        if let Some(argv) = &ready.argv {
            self.argv(&["ready", "argv"], argv);
        }
        self.time(&["ready", "within"], ready.within);
    }

    fn time(&mut self, path: &[&str], time: Span) {
        if time.is_zero() || time > ReadyFile::LONGEST {
            let message = format!("`{time}` is out of bounds");
            self.wrong(
                path,
                &message,
                "this time",
                &format!("more than no time, and at most {}", ReadyFile::LONGEST),
            );
        }
    }
}
