//! The wire to systemd: one short-lived connection a question, made without needing a runtime around it.
//!
//! Never asks over a connection that was kept: a bus that restarts would leave it dead. systemd's private socket, which
//! needs no bus, is not used: what it answers names a sender that the D-Bus library does not accept.

use std::{collections::HashMap, future::Future, time::Duration};

use firedrill_wire::fault::ServiceManager;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant, connection::Builder, fdo};
use zbus_systemd::systemd1::ManagerProxy;

use super::super::ServiceError;

/// The system bus.
const BUS: &str = "/run/dbus/system_bus_socket";
/// A call that takes longer gets no answer any more.
const CALL: Duration = Duration::from_secs(10);

/// A connection to systemd.
pub(super) struct Bus {
    link: Connection,
    /// systemd's manager object.
    pub(super) manager: ManagerProxy<'static>,
}

/// A unit's properties, all read at one moment.
#[derive(Debug, Default)]
pub(super) struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    pub(super) fn text(&self, key: &str) -> String {
        match self.0.get(key).map(|value| &**value) {
            Some(Variant::Str(text)) => text.as_str().to_owned(),
            _ => String::new(),
        }
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(self.0.get(key).map(|value| &**value), Some(Variant::Bool(true)))
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.0.get(key).map(|value| &**value) {
            Some(Variant::U64(number)) => Some(*number),
            Some(Variant::U32(number)) => Some(u64::from(*number)),
            _ => None,
        }
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        match self.0.get(key).map(|value| &**value) {
            Some(Variant::Array(array)) => array
                .iter()
                .filter_map(|one| match one {
                    Variant::Str(text) => Some(text.as_str().to_owned()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Bytes, as hexadecimal digits.
    pub(super) fn hex(&self, key: &str) -> String {
        match self.0.get(key).map(|value| &**value) {
            Some(Variant::Array(array)) => array
                .iter()
                .filter_map(|one| match one {
                    Variant::U8(byte) => Some(format!("{byte:02x}")),
                    _ => None,
                })
                .collect(),
            _ => String::new(),
        }
    }

    /// The job that is queued for a unit, if there is one.
    pub(super) fn job(&self) -> Option<OwnedObjectPath> {
        match self.0.get("Job").map(|value| &**value) {
            Some(Variant::Structure(pair)) => match pair.fields() {
                [Variant::U32(number), Variant::ObjectPath(path)] if *number != 0 => {
                    Some(path.clone().into())
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl Bus {
    async fn connect() -> Result<Self, ServiceError> {
        let build = Builder::address(format!("unix:path={BUS}").as_str()).method_timeout(CALL).build();
        let link = tokio::time::timeout(CALL, build)
            .await
            .map_err(|_| "no answer".to_owned())
            .and_then(|built| built.map_err(|error| error.to_string()))
            .map_err(|why| ServiceError::Unreachable {
                manager: ServiceManager::Systemd,
                why: format!("{BUS}: {why}"),
            })?;
        let manager =
            ManagerProxy::new(&link).await.map_err(|error| of("speak to its manager object", error))?;
        Ok(Self { link, manager })
    }

    /// All properties of an object, of one interface (`Unit`, `Service`, `Job`).
    pub(super) async fn properties(
        &self,
        path: &OwnedObjectPath,
        interface: &str,
    ) -> zbus::Result<Properties> {
        let reply = self
            .link
            .call_method(
                Some("org.freedesktop.systemd1"),
                path,
                Some("org.freedesktop.DBus.Properties"),
                "GetAll",
                &(format!("org.freedesktop.systemd1.{interface}"),),
            )
            .await?;
        Ok(Properties(reply.body().deserialize()?))
    }
}

/// A connection that stays open and on which systemd was asked to keep a unit in memory. Closing it ends that.
pub(super) struct Pin {
    runtime: Option<tokio::runtime::Runtime>,
    _bus: Bus,
}

impl Pin {
    /// Asks for it.
    pub(super) fn new(unit: &str) -> Result<Self, ServiceError> {
        outside_of_runtimes(|| {
            let runtime = runtime()?;
            let bus = runtime.block_on(within(2 * CALL, async {
                let bus = Bus::connect().await?;
                let what = format!("keep {unit} in systemd's memory");
                bus.manager.ref_unit(unit.to_owned()).await.map_err(|error| of(&what, error))?;
                Ok(bus)
            }))?;
            Ok(Self { runtime: Some(runtime), _bus: bus })
        })
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // Any other way to end a runtime may block, which is not allowed everywhere.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Asks systemd something, from any thread that may block. `at_most` bounds all of it.
pub(super) fn ask<T, W>(at_most: Duration, work: W) -> Result<T, ServiceError>
where
    T: Send,
    W: AsyncFnOnce(&Bus) -> Result<T, ServiceError> + Send,
{
    outside_of_runtimes(|| {
        runtime()?.block_on(within(at_most + 2 * CALL, async {
            let bus = Bus::connect().await?;
            work(&bus).await
        }))
    })
}

/// A runtime cannot be entered from within another; elsewhere no thread is made, since a fault may forbid new ones.
fn outside_of_runtimes<T: Send>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send,
) -> Result<T, ServiceError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return work();
    }
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|_| {
            Err(ServiceError::Failed { what: "ask systemd".into(), why: "the asking thread panicked".into() })
        })
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, ServiceError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| ServiceError::Failed {
        what: "ask systemd".into(),
        why: format!("no runtime can be made: {error}"),
    })
}

async fn within<T>(
    at_most: Duration,
    work: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    tokio::time::timeout(at_most, work).await.unwrap_or_else(|_| {
        let why = format!("no answer within {}", humantime::format_duration(at_most));
        Err(ServiceError::Unreachable { manager: ServiceManager::Systemd, why })
    })
}

/// What an error of the bus means.
pub(super) fn of(what: &str, error: zbus::Error) -> ServiceError {
    let unreachable = |why: String| ServiceError::Unreachable { manager: ServiceManager::Systemd, why };
    match error {
        zbus::Error::MethodError(name, text, _) => {
            let text = text.unwrap_or_else(|| name.to_string());
            if name.as_str() == "org.freedesktop.systemd1.NoSuchUnit" {
                ServiceError::Unknown { service: text, looked: "systemd's units".into() }
            } else {
                ServiceError::Failed { what: what.to_owned(), why: text }
            }
        }
        zbus::Error::FDO(error) => match *error {
            fdo::Error::NoReply(why)
            | fdo::Error::Timeout(why)
            | fdo::Error::TimedOut(why)
            | fdo::Error::Disconnected(why)
            | fdo::Error::ServiceUnknown(why)
            | fdo::Error::NameHasNoOwner(why) => unreachable(why),
            other => ServiceError::Failed { what: what.to_owned(), why: other.to_string() },
        },
        other => unreachable(format!("cannot {what}: {other}")),
    }
}
