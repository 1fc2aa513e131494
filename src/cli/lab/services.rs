//! Turns the services of a fleet's hosts into what a lab runs. Reads the files that they name and this machine's users; starts nothing.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use firedrill_files::text;
use firedrill_lab::{FileSpec, ReadyCheck, ReadySpec, SERVICE_PATH, ServiceSpec, StopSpec, UserSpec};

use crate::{
    cli::failure::{Failure, Result, Wrap as _},
    fleet::{Fleet, GivenFile, ReadyFile, ServiceFile, ServiceUser, http_parts},
};

/// Maximum size of a file that a fleet gives to a host, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Directories that each host has for itself. Whether a program will be there is known only in the host.
const OF_THE_HOST: [&str; 2] = ["/etc", "/var"];
/// Directories that are empty when a host boots.
const EMPTY: [&str; 3] = ["/run", "/tmp", "/root"];

/// The programs and files of a host beside its agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Programs {
    pub(super) services: Vec<ServiceSpec>,
    pub(super) files: Vec<FileSpec>,
}

/// Returns the programs of all hosts that have any, by the host's name. `folder` is the folder of the fleet's file. The error names the
/// service that cannot run here.
pub(super) fn of(fleet: &Fleet, folder: &Path) -> Result<BTreeMap<String, Programs>> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let machine = Machine { folder, passwd: &passwd };
    let mut hosts = BTreeMap::new();
    for (host, services) in &fleet.services {
        let mut programs = Programs::default();
        for service in services {
            let cannot = format!("service `{}` of host `{host}` cannot run in a lab here", service.name);
            let (spec, files) = machine.service(service).wrap(cannot)?;
            programs.services.push(spec);
            programs.files.extend(files);
        }
        hosts.insert(host.clone(), programs);
    }
    Ok(hosts)
}

/// The machine on which the lab runs.
struct Machine<'m> {
    /// The folder of the fleet's file.
    folder: &'m Path,
    /// The text of `/etc/passwd`.
    passwd: &'m str,
}

impl Machine<'_> {
    /// Returns a service as the lab runs it, and the files that it brings.
    fn service(&self, service: &ServiceFile) -> Result<(ServiceSpec, Vec<FileSpec>)> {
        let path = service.env.get("PATH").map_or(SERVICE_PATH, String::as_str);
        check_program(&service.argv, path)?;
        if let Some(argv) = service.ready.as_ref().and_then(|ready| ready.argv.as_ref()) {
            check_program(argv, path)?;
        }
        let files: Result<Vec<FileSpec>> = service.file.iter().map(|file| self.file(file)).collect();
        let spec = ServiceSpec {
            name: service.name.clone(),
            argv: service.argv.clone(),
            env: service.env.clone(),
            down: false,
            user: service.user.as_deref().map(|user| self.user(user)).transpose()?.flatten(),
            ready: service.ready.as_ref().map(ready).transpose()?,
            stop: StopSpec {
                signal: service.stop.signal.name().to_owned(),
                patience_ms: service.stop.patience.map(|patience| patience.as_millis()),
            },
        };
        Ok((spec, files?))
    }

    /// Returns the user; `None` for root, the user of services that name none.
    fn user(&self, text: &str) -> Result<Option<UserSpec>> {
        let found = match ServiceUser::parse(text) {
            Some(ServiceUser::Ids { uid, gid }) => Some((uid, gid)),
            Some(ServiceUser::Name(name)) => ids(self.passwd, name),
            None => None,
        };
        let Some((uid, gid)) = found else {
            let help = "hosts of a lab have this machine's users: install the package that makes it, or name numbers as \"101:104\"";
            return Err(Failure::new(format!("no user `{text}` is in /etc/passwd")).help(help));
        };
        Ok((uid != 0).then_some(UserSpec { uid, gid }))
    }

    /// Returns a file with its content, which is written in the fleet or read from `source`.
    fn file(&self, file: &GivenFile) -> Result<FileSpec> {
        let content = match (&file.content, &file.source) {
            (Some(content), _) => content.clone(),
            (None, Some(source)) => {
                let path = self.folder.join(source);
                let read = text::read(&path, MAX_FILE);
                read.map_err(|why| {
                    Failure::new(format!("{} could not be read for `{}`: {why}", path.display(), file.path))
                        .help("`source` is a text file; a path that is not absolute begins at the folder of the fleet's file")
                })?
                .text
            }
            (None, None) => String::new(),
        };
        Ok(FileSpec { path: PathBuf::from(&file.path), content, mode: file.bits().unwrap_or(0o644) })
    }
}

/// Returns the user id and the group id of a user, by the text of `/etc/passwd`; `None` if there is no such user.
fn ids(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (user, _password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        if user == name { Some((uid.parse().ok()?, gid.parse().ok()?)) } else { None }
    })
}

/// Returns a ready check as the lab runs it.
fn ready(ready: &ReadyFile) -> Result<ReadySpec> {
    let check = match (ready.tcp, &ready.http, &ready.argv) {
        (Some(port), ..) => ReadyCheck::Tcp(port.get()),
        (None, Some(url), _) => {
            let (address, path) =
                http_parts(url).ok_or_else(|| Failure::new(format!("`{url}` cannot be asked")))?;
            ReadyCheck::Http { address, path }
        }
        (None, None, argv) => ReadyCheck::Command(argv.clone().unwrap_or_default()),
    };
    Ok(ReadySpec { check, within_ms: ready.within.as_millis() })
}

/// Refuses a program that hosts will not find. Hosts see the files of this machine, except in directories that they have for themselves.
/// `path` is the search path of the service.
fn check_program(argv: &[String], path: &str) -> Result<()> {
    let Some(name) = argv.first() else { return Ok(()) };
    let is_executable = |file: &Path| {
        fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let file = Path::new(name);
    if let Some(own) = EMPTY.iter().find(|own| file.starts_with(own)) {
        return Err(Failure::new(format!("hosts do not have `{name}`: their {own} is empty when they boot"))
            .help("install the program in another directory, such as /usr/local/bin"));
    }
    let there = if name.contains('/') {
        OF_THE_HOST.iter().any(|own| file.starts_with(own)) || is_executable(file)
    } else {
        path.split(':').any(|folder| is_executable(&Path::new(folder).join(name)))
    };
    if there {
        return Ok(());
    }
    let place = if name.contains('/') { String::new() } else { format!(" in {path}") };
    Err(Failure::new(format!("there is no program `{name}`{place}"))
        .help("hosts of a lab run the programs of this machine: install it, or name its path"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnostic::Sink, fleet::FleetSource};

    /// Reads a fleet with one service, beside a file `given`.
    fn programs(service: &str) -> Result<Programs> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("fleet.toml");
        fs::write(folder.path().join("given"), "text\n").expect("written");
        let host = "[[host]]\nname = \"a\"\naddress = \"10.0.0.1\"\n[[host.service]]\nname = \"s\"\n";
        fs::write(&file, format!("{host}{service}")).expect("written");
        let mut sink = Sink::default();
        let fleet = Fleet::load(&FleetSource::File(file), &mut sink).expect("a fleet");
        assert!(!sink.failed(), "{}", sink.into_report().render(false, 100));
        Ok(of(&fleet, folder.path())?.remove("a").expect("has a service"))
    }

    #[test]
    fn a_service_of_a_fleet_becomes_a_spec_of_the_lab() {
        let made = programs(
            "argv = [\"sh\", \"-c\", \"sleep 1h\"]\nuser = \"7:8\"\nready = { http = \"http://localhost/x\", within = \"3s\" }\n\
             stop = { signal = \"QUIT\", patience = \"1s\" }\n\
             file = [{ path = \"/etc/a\", source = \"given\", mode = \"0600\" }]\n",
        )
        .expect("made");
        assert_eq!(
            made.files,
            [FileSpec { path: "/etc/a".into(), content: "text\n".to_owned(), mode: 0o600 }]
        );
        let service = &made.services[0];
        assert_eq!(service.argv, ["sh", "-c", "sleep 1h"]);
        assert_eq!(service.user, Some(UserSpec { uid: 7, gid: 8 }));
        let check = ReadyCheck::Http { address: "localhost:80".to_owned(), path: "/x".to_owned() };
        assert_eq!(service.ready, Some(ReadySpec { check, within_ms: 3000 }));
        assert_eq!(service.stop, StopSpec { signal: "SIGQUIT".to_owned(), patience_ms: Some(1000) });
        assert_eq!(programs("argv = [\"sh\"]\nuser = \"root\"\n").expect("made").services[0].user, None);
    }

    #[test]
    fn programs_users_and_files_that_this_machine_lacks_are_refused_before_anything_starts() {
        for (service, said) in [
            ("argv = [\"no-such-program\"]\n", "there is no program `no-such-program` in /usr/local/sbin:"),
            ("argv = [\"/no/such\"]\n", "there is no program `/no/such`"),
            ("argv = [\"/root/program\"]\n", "their /root is empty when they boot"),
            ("argv = [\"sh\"]\nready = { argv = [\"/no/such\"] }\n", "there is no program `/no/such`"),
            ("argv = [\"sh\"]\nuser = \"no-such-user\"\n", "no user `no-such-user` is in /etc/passwd"),
            (
                "argv = [\"sh\"]\nfile = [{ path = \"/etc/a\", source = \"gone\" }]\n",
                "gone could not be read for `/etc/a`",
            ),
        ] {
            let failure = programs(service).expect_err("refused").to_string();
            assert!(
                failure.contains("service `s` of host `a`") && failure.contains(said),
                "{service}: {failure}"
            );
        }
        programs("argv = [\"/var/lib/own\"]\n").expect("a host may have it");
    }
}
