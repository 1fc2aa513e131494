//! Faults on services, through the service manager that the host has.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{About, Effect, End, HostMeanwhile, Invalid, Kind, On, Scope, Trial, is_service};
use crate::Touches;

/// Generates the enum and the code for all managers from one list. An entry is a variant and its name in files.
macro_rules! managers {
    ($($(#[$about:meta])* $manager:ident: $name:literal;)*) => {
        /// The service manager that stops and starts a service.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum ServiceManager {
            /// The manager that knows the service; the fault is refused if several do.
            #[default]
            #[serde(rename = "auto")]
            Auto,
            $($(#[$about])* #[serde(rename = $name)] $manager,)*
        }

        impl ServiceManager {
            /// All managers, without `auto`.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$manager),*];

            /// Returns the manager's name as files have it, such as `systemd`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Auto => "auto",
                    $(Self::$manager => $name,)*
                }
            }
        }
    };
}

managers! {
    /// systemd, over D-Bus.
    Systemd: "systemd";
    /// runit, through the control files in `supervise/`.
    Runit: "runit";
}

impl fmt::Display for ServiceManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A signal that ends a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// Ends a process at once, without a chance to clean up.
    #[default]
    Kill,
    /// Requests the end of a process.
    Term,
    /// The signal of a terminal's Ctrl-C.
    Int,
    /// The signal of a crash that leaves a core file.
    Abrt,
    /// The signal of a lost terminal. Many daemons only reload their configuration.
    Hup,
    /// Ends a process with a core file.
    Quit,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "SIGKILL",
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
            Self::Abrt => "SIGABRT",
            Self::Hup => "SIGHUP",
            Self::Quit => "SIGQUIT",
        })
    }
}

/// `service-stop`: stop a service through its manager; started again afterwards, unless it was down before or an administrator stopped it
/// in the meantime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceStop {
    /// The service's name: a systemd unit (`checkout` means `checkout.service`) or a runit service directory.
    pub service: String,
    /// The service manager.
    #[serde(default)]
    pub manager: ServiceManager,
}

impl Kind for ServiceStop {
    fn about(&self) -> About<'_> {
        About {
            end: End::PutBack,
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_SERVICE,
            effect: Effect { on: On::Service, done: "stopped" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        Invalid::of_service(&self.service)
    }

    fn touches(&self) -> Touches {
        let Self { service, manager: _ } = self;
        Touches::service(service)
    }
}

/// `service-kill`: signal every process of the service; its manager is expected to bring it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceKill {
    /// The service's name.
    pub service: String,
    /// The service manager.
    #[serde(default)]
    pub manager: ServiceManager,
    /// The signal.
    #[serde(default)]
    pub signal: Signal,
}

impl Kind for ServiceKill {
    fn about(&self) -> About<'_> {
        About {
            end: End::Irreversible("the service's manager is expected to bring it back"),
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Service, done: "killed" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        Invalid::of_service(&self.service)
    }

    fn touches(&self) -> Touches {
        let Self { service, manager: _, signal: _ } = self;
        Touches::service(service)
    }
}

/// `service-restart`: restart the service through its manager, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceRestart {
    /// The service's name.
    pub service: String,
    /// The service manager.
    #[serde(default)]
    pub manager: ServiceManager,
}

impl Kind for ServiceRestart {
    fn about(&self) -> About<'_> {
        About {
            end: End::Irreversible("it happens once, and is over"),
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_SERVICE,
            effect: Effect { on: On::Service, done: "restarted" },
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        Invalid::of_service(&self.service)
    }

    fn touches(&self) -> Touches {
        let Self { service, manager: _ } = self;
        Touches::service(service)
    }
}

impl Invalid {
    /// Checks a service's name.
    fn of_service(name: &str) -> Option<Self> {
        let what = || format!("`{name}` cannot be a service's name").into();
        (!is_service(name)).then(|| Self { what: what(), ..Self::BAD_SERVICE })
    }
}
