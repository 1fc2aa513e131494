//! runit, through the files in `supervise/` by which `sv` itself controls `runsv`.
//!
//! `status` holds a service's state, and `control` takes single letters. Never runs a program, and never touches the `log` service of a
//! directory.

mod supervise;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use firedrill_wire::fault::{ServiceManager, Signal};

use crate::{
    host::{
        Host,
        process::{self, Name},
    },
    service::manager::{About, Driver, Manager, Phase, ServiceError, State, Unit},
};
use supervise::{Running, Status, is_supervised, open_control};

/// The interval at which `status` is read during a wait; `runsv` offers nothing to wait on.
const LOOK: Duration = Duration::from_millis(10);

/// The driver of runit, for hosts that have a folder of its services.
pub(super) const DRIVER: Driver = Driver {
    here: |host| Runit::of(host).map(|runit| Box::new(runit) as Box<dyn Manager>),
    start_by_hand: "sv up",
};

/// The runit of this host.
#[derive(Debug)]
pub(super) struct Runit {
    /// Folders of service directories, in the order in which they are searched; only existing ones.
    folders: Vec<PathBuf>,
}

impl Runit {
    /// Returns runit if any of the host's configured folders exists.
    fn of(host: &Host) -> Option<Self> {
        let folders: Vec<PathBuf> =
            host.paths.runit.iter().filter(|folder| folder.is_dir()).cloned().collect();
        (!folders.is_empty()).then_some(Self { folders })
    }

    /// Waits until `wanted` is true of the status, and returns the state. `what` is the operation, for the error.
    fn until(
        unit: &Unit,
        what: &str,
        at_most: Duration,
        wanted: impl Fn(&Status) -> Result<bool, ServiceError>,
    ) -> Result<State, ServiceError> {
        let end = Instant::now() + at_most;
        loop {
            let status = Status::of(unit)?;
            if wanted(&status)? {
                return Ok(status.state());
            }
            if Instant::now() >= end {
                let what = format!("{what} {}", unit.id);
                return Err(ServiceError::Late { what, after: at_most, seen: status.state().sentence() });
            }
            thread::sleep(LOOK);
        }
    }
}

impl Manager for Runit {
    fn find(&self, service: &str) -> Result<Option<Unit>, ServiceError> {
        check_name(service)?;
        let found = self.folders.iter().map(|folder| folder.join(service)).find(|dir| is_service(dir));
        Ok(found.and_then(|dir| unit_of(&dir)))
    }

    fn state(&self, unit: &Unit) -> Result<State, ServiceError> {
        // `control` shows whether a runsv supervises it. `status` does not: without a runsv it keeps its last content.
        open_control(unit)?;
        Ok(Status::of(unit)?.state())
    }

    fn about(&self, unit: &Unit) -> Result<About, ServiceError> {
        let status = Status::of(unit)?;
        let mut about = About::default();
        if status.paused {
            about.not_stoppable = Some("it is paused (sv pause), and would not be after a start".into());
        } else if status.pid.is_some() && !status.want_up {
            about.not_stoppable =
                Some("it runs once (sv once), and a start would keep it running for good".into());
        }
        let dir = Path::new(&unit.id);
        if dir.join("down").exists() {
            about.notes.push(format!(
                "{} has a `down` file: a reboot or a new runsv would leave it down",
                unit.name()
            ));
        }
        if dir.join("finish").exists() {
            about.notes.push(format!("{} has a `finish` script, which runs when it ends", unit.name()));
        }
        Ok(about)
    }

    fn comeback(&self, unit: &Unit, signal: Signal) -> Result<String, ServiceError> {
        Ok(if Status::of(unit)?.want_up {
            format!(
                "runsv starts {} again, at the earliest a second after its last start, if {signal} ends it",
                unit.name()
            )
        } else {
            format!("runsv does not start {} again: it is not wanted up", unit.name())
        })
    }

    fn processes(&self, unit: &Unit) -> Result<Vec<Name>, ServiceError> {
        let Some(main) = Status::of(unit)?.pid else { return Ok(Vec::new()) };
        let all = process::all().map_err(|error| ServiceError::Failed {
            what: format!("list the processes of {}", unit.id),
            why: error.to_string(),
        })?;
        // Besides the descendants of the main process: descendants that init has adopted are still in its process group or session.
        let mut names: BTreeSet<Name> =
            process::family(main, &all).into_iter().map(|stat| stat.name).collect();
        names.extend(
            all.iter().filter(|stat| stat.pgrp == main || stat.session == main).map(|stat| stat.name),
        );
        Ok(names.into_iter().collect())
    }

    fn stop(
        &self,
        unit: &Unit,
        at_most: Duration,
        called_off: &dyn Fn() -> bool,
    ) -> Result<State, ServiceError> {
        supervise::send(unit, b"d")?;
        Self::until(unit, "stopping", at_most, |status| {
            let down = status.pid.is_none() && status.run == Running::Nothing && !status.want_up;
            if !down && called_off() {
                return Err(ServiceError::stop_called_off(unit, &status.state()));
            }
            Ok(down)
        })
    }

    fn start(&self, unit: &Unit, at_most: Duration, old_run: Option<&str>) -> Result<State, ServiceError> {
        // runsv rewrites `status` at every command. While the mark is the same, it has not read this command yet, nor one that waits
        // before it.
        let before = Status::of(unit)?.mark;
        supervise::send(unit, b"u")?;
        Self::until(unit, "starting", at_most, |status| {
            Ok(status.mark != before && status.state().is_back(old_run))
        })
    }

    /// Commands wait in a pipe while runsv is busy.
    fn commands_lag(&self) -> bool {
        true
    }

    /// Also true for a service that runs although it is not wanted up: with a script `control/t` or `control/d`, runsv sends no TERM that
    /// `status` could report.
    fn is_leaving(&self, state: &State) -> bool {
        state.phase == Phase::Stopping || (state.main.is_some() && !state.wanted_up)
    }

    fn restart(&self, unit: &Unit, at_most: Duration) -> Result<State, ServiceError> {
        let before = Status::of(unit)?.pid;
        // As `sv restart`: TERM, CONT (a stopped process does not handle TERM), and wanted up.
        supervise::send(unit, b"tcu")?;
        Self::until(unit, "restarting", at_most, |status| Ok(status.pid != before))
    }

    /// runsv rewrites `status` at every command, even at a repeated `d`, so the mark shows any later command. After the agent's own
    /// `u` the service stays wanted up until somebody sends another command.
    fn acted_since(&self, mark: &str, now: &State) -> Option<String> {
        (mark != now.mark && !now.wanted_up)
            .then(|| "somebody sent it a command through runsv since (sv)".to_owned())
    }

    fn list(&self) -> Result<Vec<(Unit, Phase, bool)>, ServiceError> {
        let mut names = BTreeSet::new();
        let mut services = Vec::new();
        for folder in &self.folders {
            let failed = |error: io::Error| ServiceError::Failed {
                what: format!("list {}", folder.display()),
                why: error.to_string(),
            };
            for entry in fs::read_dir(folder).map_err(failed)? {
                let dir = entry.map_err(failed)?.path();
                let Some(unit) = unit_of(&dir).filter(|_| is_service(&dir)) else { continue };
                // Several folders often have the same service, by links. The first one counts, as in `find`.
                if unit.name().starts_with('.') || !names.insert(unit.name().to_owned()) {
                    continue;
                }
                // Packages install service directories even if runit does not run. Services without a runsv are left out.
                if !is_supervised(&unit) {
                    continue;
                }
                match Status::of(&unit) {
                    Ok(status) => {
                        let state = status.state();
                        services.push((unit, state.phase, state.wanted_up));
                    }
                    Err(ServiceError::Unknown { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(services)
    }

    fn looked(&self) -> String {
        let folders: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        format!("runit's {}", folders.join(", "))
    }
}

fn check_name(service: &str) -> Result<(), ServiceError> {
    let why = if service.is_empty() {
        "it is empty"
    } else if service.contains('/') || service.contains('\0') {
        "it is one name, not a path"
    } else if service.starts_with('.') {
        "runsvdir ignores names that begin with a dot"
    } else if service.len() > 255 {
        "it is longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(ServiceError::Name { service: service.to_owned(), manager: ServiceManager::Runit, why })
}

/// Whether a directory is a service directory.
fn is_service(dir: &Path) -> bool {
    dir.join("run").exists() || dir.join("supervise").exists()
}

/// Makes the unit of a directory. Its path stays as found: if an administrator removes a link in it, the unit is gone.
fn unit_of(dir: &Path) -> Option<Unit> {
    let id = std::path::absolute(dir).ok()?.into_os_string().into_string().ok()?;
    Some(Unit { manager: ServiceManager::Runit, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_names_are_accepted() {
        for wrong in ["", "a/b", "..", ".", ".hidden", "/etc/service/x", "a\0b", &"x".repeat(256)] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
        assert!(check_name("checkout-2_x.y@z").is_ok());
    }
}
