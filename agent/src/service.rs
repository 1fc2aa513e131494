//! Services, through the manager that the host has. One file a manager; this one picks.
//!
//! Never runs a program, never starts anything by itself: what is started is what an undo names.

pub mod doctor;
mod pick;
pub mod runit;
pub mod systemd;

use std::{collections::BTreeSet, fmt, time::Duration};

use firedrill_wire::{
    api::Claim,
    fault::{ServiceManager, Signal},
};

pub use doctor::findings;
pub use pick::pick;

use crate::host::{Host, process::Name};

/// A service as its manager names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its manager; never `Auto`.
    pub manager: ServiceManager,
    /// systemd: the unit's name (`checkout.service`); runit: the absolute path of the service directory.
    pub id: String,
}

impl Unit {
    /// Its name for people: without the folder.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or(&self.id)
    }

    /// The key under which snapshots and claims know it, such as `unit:runit/checkout`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("unit:{}/{}", self.manager, self.name())
    }

    /// The claim on it alone.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { what: self.key(), shared: false }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.manager)
    }
}

/// What a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It runs.
    Up,
    /// It does not run.
    Down,
    /// It ended in a way that its manager calls a failure, and does not run.
    Failed,
    /// On its way up.
    Starting,
    /// On its way down (`finish`, TERM sent).
    Stopping,
}

impl Phase {
    /// The word, as in snapshots.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Failed => "failed",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
        }
    }

    /// Whether nothing runs and nothing is about to end.
    #[must_use]
    pub const fn is_down(self) -> bool {
        matches!(self, Self::Down | Self::Failed)
    }
}

/// How a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What it is doing.
    pub phase: Phase,
    /// Whether its manager means to have it up.
    pub wanted_up: bool,
    /// The main process, where there is one.
    pub main: Option<i32>,
    /// Which run of it this is, by a name that no other run has; nothing where none lives or the manager does not tell.
    pub run: Option<String>,
    /// Nothing is under way that ends or changes this: no job waits, nothing was told to end, and what runs lives.
    pub settled: bool,
    /// Changes when somebody acts on it through its manager; what it shows differs by manager.
    pub mark: String,
}

impl State {
    /// Whether it is up to stay, in another run than one that was told to end.
    #[must_use]
    pub fn is_back(&self, told: Option<&str>) -> bool {
        let another = told.is_none_or(|told| self.run.as_deref() != Some(told));
        self.phase == Phase::Up && self.wanted_up && self.settled && another
    }

    /// For messages.
    #[must_use]
    pub fn sentence(&self) -> String {
        let wanted = if self.wanted_up { "up" } else { "down" };
        match self.main {
            Some(pid) => format!("{} (main process {pid}), wanted {wanted}", self.phase.word()),
            None => format!("{}, wanted {wanted}", self.phase.word()),
        }
    }
}

/// What people should know about a service before it is harmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Why it cannot be stopped and started again, where it cannot.
    pub not_stoppable: Option<String>,
    /// Other units that go down with it and that are up now.
    pub dependents: Vec<Unit>,
    /// Worth saying: what would start it again by itself, for one.
    pub notes: Vec<String>,
}

/// Something about a service could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The name cannot be one.
    #[error("`{service}` cannot be the name of a {manager} service: {why}")]
    Name {
        /// The name.
        service: String,
        /// Of which manager.
        manager: ServiceManager,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The manager does not know it (any more).
    #[error("there is no service `{service}` in {looked}")]
    Unknown {
        /// The name.
        service: String,
        /// Where was looked.
        looked: String,
    },
    /// The manager cannot be spoken to. May pass.
    #[error("cannot speak to {manager}: {why}")]
    Unreachable {
        /// Which.
        manager: ServiceManager,
        /// What was tried and what is wrong.
        why: String,
    },
    /// It was asked for and did not come about in time. May still come.
    #[error("{what} took longer than {}; it is {seen}", humantime::format_duration(*.after))]
    Late {
        /// What was asked.
        what: String,
        /// How long was waited.
        after: Duration,
        /// How the service is now.
        seen: String,
    },
    /// It was asked for, and is no longer wanted before it came about.
    #[error("{what} was called off; it is {seen}")]
    CalledOff {
        /// The operation that was called off.
        what: String,
        /// How the service is now.
        seen: String,
    },
    /// The manager refused, or something could not be read.
    #[error("cannot {what}: {why}")]
    Failed {
        /// What was tried, on what.
        what: String,
        /// What is wrong.
        why: String,
    },
}

impl ServiceError {
    /// A stop that nobody wants any more.
    fn stop_called_off(unit: &Unit, now: &State) -> Self {
        Self::CalledOff { what: format!("stopping {}", unit.id), seen: now.sentence() }
    }

    /// Whether the same may go well later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Late { .. } | Self::Failed { .. })
    }
}

/// What is asked of a service manager. Every call that waits gives up after `at_most`.
pub trait Manager {
    /// Looks it up by the name that people use. `None`: this manager does not know it.
    ///
    /// # Errors
    /// The name cannot be one, or the manager could not be asked.
    fn find(&self, service: &str) -> Result<Option<Unit>, ServiceError>;

    /// How it is.
    ///
    /// # Errors
    /// It is gone ([`ServiceError::Unknown`]), or its state could not be read.
    fn state(&self, unit: &Unit) -> Result<State, ServiceError>;

    /// What people should know about it.
    ///
    /// # Errors
    /// It could not be read.
    fn about(&self, unit: &Unit) -> Result<About, ServiceError>;

    /// Whether the manager brings it back when a signal has ended it, as a sentence.
    ///
    /// # Errors
    /// It could not be read.
    fn comeback(&self, unit: &Unit, signal: Signal) -> Result<String, ServiceError>;

    /// All its processes.
    ///
    /// # Errors
    /// They could not be read.
    fn processes(&self, unit: &Unit) -> Result<Vec<Name>, ServiceError>;

    /// The control group that is its alone, as a path from the root of the hierarchy, where the manager makes one for
    /// it and it is up.
    ///
    /// # Errors
    /// It could not be read.
    fn cgroup(&self, _unit: &Unit) -> Result<Option<String>, ServiceError> {
        Ok(None)
    }

    /// Stops it and waits until it is down, or until that is called off.
    ///
    /// # Errors
    /// It is not down.
    fn stop(
        &self,
        unit: &Unit,
        at_most: Duration,
        called_off: &dyn Fn() -> bool,
    ) -> Result<State, ServiceError>;

    /// Starts it and waits until it is back ([`State::is_back`]). `told` is a run that was told to end.
    ///
    /// # Errors
    /// It is not back.
    fn start(&self, unit: &Unit, at_most: Duration, told: Option<&str>) -> Result<State, ServiceError>;

    /// Whether a command that was sent may not show in the state yet, even after its sender has died.
    fn commands_lag(&self) -> bool {
        false
    }

    /// Whether the run that there is now was told to end, and will.
    fn is_leaving(&self, state: &State) -> bool {
        state.phase == Phase::Stopping
    }

    /// Restarts it, and waits until the main process that it has now has ended.
    ///
    /// # Errors
    /// It was not restarted.
    fn restart(&self, unit: &Unit, at_most: Duration) -> Result<State, ServiceError>;

    /// What would be started with it, because it cannot be without.
    ///
    /// # Errors
    /// It could not be read.
    fn needs(&self, _unit: &Unit) -> Result<Vec<Unit>, ServiceError> {
        Ok(Vec::new())
    }

    /// Asks the manager not to forget what the marks of a service are made of while it is down. To be called before it
    /// is stopped; lasts until [`Manager::forget`], at most as long as this process.
    ///
    /// # Errors
    /// The manager refused; what others do to the service may then go unnoticed.
    fn remember(&self, _unit: &Unit) -> Result<(), ServiceError> {
        Ok(())
    }

    /// The marks of that service are no longer of interest.
    fn forget(&self, _unit: &Unit) {}

    /// Of a service that is down: what somebody else did to it since it had that mark, or nothing.
    fn acted_since(&self, mark: &str, now: &State) -> Option<String>;

    /// Returns a mark for the time in which a start that we asked for may still be running. By
    /// [`Manager::acted_since`] of it, nothing that this start can do is somebody else's act.
    fn mark_while_starting(&self, mark: &str) -> String {
        mark.to_owned()
    }

    /// Every service, with its state; those that are down may be left out where the manager forgets them.
    ///
    /// # Errors
    /// They could not be listed.
    fn list(&self) -> Result<Vec<(Unit, Phase, bool)>, ServiceError>;

    /// Where it looks, for messages.
    fn looked(&self) -> String;
}

/// The manager of that name; `None` where this host does not have it (and for `Auto`).
#[must_use]
pub fn manager(host: &Host, which: ServiceManager) -> Option<Box<dyn Manager>> {
    match which {
        ServiceManager::Auto => None,
        ServiceManager::Runit => runit::Runit::of(host).map(|runit| Box::new(runit) as Box<dyn Manager>),
        ServiceManager::Systemd => {
            systemd::Systemd::here().map(|systemd| Box::new(systemd) as Box<dyn Manager>)
        }
    }
}

/// All managers that this host has.
pub(crate) fn managers(host: &Host) -> Vec<(ServiceManager, Box<dyn Manager>)> {
    [ServiceManager::Runit, ServiceManager::Systemd]
        .into_iter()
        .filter_map(|which| Some((which, manager(host, which)?)))
        .collect()
}

/// The first service of those wanted by name that one of some processes belongs to.
///
/// # Errors
/// The services, or the processes of one, could not be listed.
pub(crate) fn holder(
    host: &Host,
    processes: &BTreeSet<Name>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Option<Unit>, ServiceError> {
    for (_, manager) in managers(host) {
        for (unit, ..) in manager.list()?.into_iter().filter(|(unit, ..)| wanted(unit.name())) {
            if manager.processes(&unit)?.iter().any(|name| processes.contains(name)) {
                return Ok(Some(unit));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_leave_the_folder_out() {
        let unit = Unit { manager: ServiceManager::Runit, id: "/etc/service/checkout".into() };
        assert_eq!(unit.key(), "unit:runit/checkout");
        assert_eq!(unit.to_string(), "checkout (runit)");
    }
}
