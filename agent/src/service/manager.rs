//! The port to a service manager, with its services and their states.

use std::{fmt, time::Duration};

use firedrill_wire::{
    api::Claim,
    fault::{ServiceManager, Signal},
};

use crate::host::{Host, process::Name};

/// A service, identified by its manager's name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its manager; never `Auto`.
    pub manager: ServiceManager,
    /// systemd: the unit's name (`checkout.service`); runit: the absolute path of the service directory.
    pub id: String,
}

impl Unit {
    /// Returns its name for people: without the folder.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or(&self.id)
    }

    /// Returns the key in snapshots and claims, such as `unit:runit/checkout`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("unit:{}/{}", self.manager, self.name())
    }

    /// Returns the claim on it alone.
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

/// The activity of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It is up.
    Up,
    /// It is down.
    Down,
    /// It ended in a way that its manager calls a failure, and is down.
    Failed,
    /// It is starting.
    Starting,
    /// It is stopping (`finish`, TERM sent).
    Stopping,
}

impl Phase {
    /// Returns the word in snapshots.
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

    /// Whether no process of it runs, not even one that is about to end.
    #[must_use]
    pub const fn is_down(self) -> bool {
        matches!(self, Self::Down | Self::Failed)
    }
}

/// The state of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its activity.
    pub phase: Phase,
    /// Whether its manager wants it up.
    pub wanted_up: bool,
    /// The main process, if there is one.
    pub main: Option<i32>,
    /// The id of its present run, which no other run has; `None` if it is down or the manager has no such id.
    pub run: Option<String>,
    /// Whether the state is about to stay: no job is queued, no process has been asked to end, and its processes live.
    pub settled: bool,
    /// A text that changes when somebody acts on the service through its manager. Each manager has a different form of it.
    pub mark: String,
}

impl State {
    /// Whether it is up and about to stay up, in another run than `old_run`, which was asked to end.
    #[must_use]
    pub fn is_back(&self, old_run: Option<&str>) -> bool {
        let is_another_run = old_run.is_none_or(|old_run| self.run.as_deref() != Some(old_run));
        self.phase == Phase::Up && self.wanted_up && self.settled && is_another_run
    }

    /// Describes it for messages.
    #[must_use]
    pub fn sentence(&self) -> String {
        let wanted = if self.wanted_up { "up" } else { "down" };
        match self.main {
            Some(pid) => format!("{} (main process {pid}), wanted {wanted}", self.phase.word()),
            None => format!("{}, wanted {wanted}", self.phase.word()),
        }
    }
}

/// Facts about a service that people should know before it is harmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The reason why it cannot be stopped and started again; `None` if it can.
    pub not_stoppable: Option<String>,
    /// Other units that are up and go down with it.
    pub dependents: Vec<Unit>,
    /// Notes, such as units that would start it again by themselves.
    pub notes: Vec<String>,
}

/// An operation on a service failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The name is not valid.
    #[error("`{service}` cannot be the name of a {manager} service: {why}")]
    Name {
        /// The name.
        service: String,
        /// The manager.
        manager: ServiceManager,
        /// The problem.
        why: &'static str,
    },
    /// The manager does not know the service, or does not know it any more.
    #[error("there is no service `{service}` in {looked}")]
    Unknown {
        /// The name.
        service: String,
        /// The places that were searched.
        looked: String,
    },
    /// The manager does not answer. May be temporary.
    #[error("cannot speak to {manager}: {why}")]
    Unreachable {
        /// The manager.
        manager: ServiceManager,
        /// The attempt and the error.
        why: String,
    },
    /// The operation did not complete in time. It may complete later.
    #[error("{what} took longer than {}; it is {seen}", humantime::format_duration(*.after))]
    Late {
        /// The operation.
        what: String,
        /// The time that was waited.
        after: Duration,
        /// The present state of the service.
        seen: String,
    },
    /// The operation was called off before it completed.
    #[error("{what} was called off; it is {seen}")]
    CalledOff {
        /// The operation that was called off.
        what: String,
        /// The present state of the service.
        seen: String,
    },
    /// The manager refused, or something could not be read.
    #[error("cannot {what}: {why}")]
    Failed {
        /// The attempt and its object.
        what: String,
        /// The error.
        why: String,
    },
}

impl ServiceError {
    /// Makes the error for a stop that was called off.
    pub(super) fn stop_called_off(unit: &Unit, now: &State) -> Self {
        Self::CalledOff { what: format!("stopping {}", unit.id), seen: now.sentence() }
    }

    /// Whether a later try may succeed.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Late { .. } | Self::Failed { .. })
    }
}

/// A service manager. Every call that waits gives up after `at_most`.
pub trait Manager {
    /// Finds a service by the name that people use; `None` if this manager does not know it.
    ///
    /// # Errors
    /// The name is not valid, or the manager could not be asked.
    fn find(&self, service: &str) -> Result<Option<Unit>, ServiceError>;

    /// Returns its state.
    ///
    /// # Errors
    /// It is gone ([`ServiceError::Unknown`]), or its state could not be read.
    fn state(&self, unit: &Unit) -> Result<State, ServiceError>;

    /// Returns facts that people should know before it is harmed.
    ///
    /// # Errors
    /// It could not be read.
    fn about(&self, unit: &Unit) -> Result<About, ServiceError>;

    /// Returns a sentence on whether the manager restarts it after a signal has ended it.
    ///
    /// # Errors
    /// It could not be read.
    fn comeback(&self, unit: &Unit, signal: Signal) -> Result<String, ServiceError>;

    /// Returns all its processes.
    ///
    /// # Errors
    /// They could not be read.
    fn processes(&self, unit: &Unit) -> Result<Vec<Name>, ServiceError>;

    /// Returns the control group that only this service has, as a path from the root of the hierarchy; `None` if the manager makes no
    /// such group or the service is down.
    ///
    /// # Errors
    /// It could not be read.
    fn cgroup(&self, _unit: &Unit) -> Result<Option<String>, ServiceError> {
        Ok(None)
    }

    /// Stops it and waits until it is down, or until this is called off.
    ///
    /// # Errors
    /// It is not down.
    fn stop(
        &self,
        unit: &Unit,
        at_most: Duration,
        called_off: &dyn Fn() -> bool,
    ) -> Result<State, ServiceError>;

    /// Starts it and waits until it is back ([`State::is_back`]). `old_run` is a run that was asked to end.
    ///
    /// # Errors
    /// It is not back.
    fn start(&self, unit: &Unit, at_most: Duration, old_run: Option<&str>) -> Result<State, ServiceError>;

    /// Whether the manager may carry out a command a while after it was sent, even if its sender has died. Until then the state does not
    /// show the command.
    fn commands_lag(&self) -> bool {
        false
    }

    /// Whether the present run was asked to end, and will end.
    fn is_leaving(&self, state: &State) -> bool {
        state.phase == Phase::Stopping
    }

    /// Restarts it, and waits until its present main process has ended.
    ///
    /// # Errors
    /// It was not restarted.
    fn restart(&self, unit: &Unit, at_most: Duration) -> Result<State, ServiceError>;

    /// Returns the services that would be started with it, because it requires them.
    ///
    /// # Errors
    /// It could not be read.
    fn needs(&self, _unit: &Unit) -> Result<Vec<Unit>, ServiceError> {
        Ok(Vec::new())
    }

    /// Asks the manager to keep the values from which a service's marks are made, while it is down. Call this before it
    /// is stopped; lasts until [`Manager::forget`], or until this process ends.
    ///
    /// # Errors
    /// The manager refused; actions of others on the service may go unnoticed then.
    fn remember(&self, _unit: &Unit) -> Result<(), ServiceError> {
        Ok(())
    }

    /// Ends [`Manager::remember`] for a service.
    fn forget(&self, _unit: &Unit) {}

    /// Returns, for people, the act of somebody else on a stopped service since it had that mark; `None` if there was none.
    fn acted_since(&self, mark: &str, now: &State) -> Option<String>;

    /// Returns a mark for the time in which a start by the agent may still be under way. [`Manager::acted_since`] of this
    /// mark does not take the effects of that start for somebody else's act.
    fn mark_while_starting(&self, mark: &str) -> String {
        mark.to_owned()
    }

    /// Returns every service with its phase, and whether the manager wants it up. Stopped services may be missing if the manager forgets
    /// them.
    ///
    /// # Errors
    /// They could not be listed.
    fn list(&self) -> Result<Vec<(Unit, Phase, bool)>, ServiceError>;

    /// Returns the places that it searches, for messages.
    fn looked(&self) -> String;
}

/// A service manager as it is found on a host. Each manager's file has one.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds only a function and a constant")]
pub struct Driver {
    /// Returns it; `None` if this host does not have it.
    pub here: fn(&Host) -> Option<Box<dyn Manager>>,
    /// The command by which people start a service; its id follows.
    pub start_by_hand: &'static str,
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
