//! The connection to systemd: one short-lived connection per question.
//!
//! Never reuses a connection: it would be dead after a restart of the bus.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use firedrill_wire::fault::ServiceManager;

use crate::{
    host::dbus::{Connection, DbusError, Target, Value},
    service::manager::ServiceError,
};

/// The system bus.
const BUS: &str = "/run/dbus/system_bus_socket";
/// Time limit of a call.
const CALL: Duration = Duration::from_secs(10);
const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: Target<'_> = Target {
    destination: SYSTEMD,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// A connection to systemd.
#[derive(Debug)]
pub(super) struct Bus {
    connection: Connection,
    /// The deadline for all answers over this connection.
    deadline: Instant,
}

/// A unit's properties, all read at one moment.
#[derive(Debug, Default)]
pub(super) struct Properties(HashMap<String, Value>);

/// Each function returns an empty or false value for a property that is missing or of another type.
impl Properties {
    pub(super) fn text(&self, key: &str) -> String {
        self.0.get(key).and_then(Value::text).unwrap_or_default().to_owned()
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.0.get(key) == Some(&Value::Bool(true))
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key).and_then(Value::unsigned)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let parts = self.0.get(key).map(Value::parts).unwrap_or_default();
        parts.iter().filter_map(Value::text).map(str::to_owned).collect()
    }

    /// Returns the bytes of a property as hexadecimal digits.
    pub(super) fn hex(&self, key: &str) -> String {
        let parts = self.0.get(key).map(Value::parts).unwrap_or_default();
        let byte = |part: &Value| match part {
            Value::Byte(byte) => Some(format!("{byte:02x}")),
            _ => None,
        };
        parts.iter().filter_map(byte).collect()
    }

    /// Returns the path of the job that is queued for a unit, if there is one.
    pub(super) fn job(&self) -> Option<String> {
        match self.0.get("Job").map(Value::parts) {
            Some([Value::Unsigned(number), Value::Text(path)]) if *number != 0 => Some(path.clone()),
            _ => None,
        }
    }
}

impl Bus {
    fn connect(at_most: Duration) -> Result<Self, ServiceError> {
        let deadline = Instant::now() + at_most;
        let connection =
            Connection::open(Path::new(BUS), CALL).map_err(|error| unreachable(format!("{BUS}: {error}")))?;
        Ok(Self { connection, deadline })
    }

    /// Calls a method of systemd's manager object.
    pub(super) fn manager(&mut self, method: &str, arguments: &[&str]) -> Result<Vec<Value>, DbusError> {
        self.call(&MANAGER, method, arguments)
    }

    /// Returns all properties of an object for one interface (`Unit`, `Service`, `Job`).
    pub(super) fn properties(&mut self, path: &str, interface: &str) -> Result<Properties, DbusError> {
        let target = Target { destination: SYSTEMD, path, interface: "org.freedesktop.DBus.Properties" };
        let values = self.call(&target, "GetAll", &[&format!("{SYSTEMD}.{interface}")])?;
        let mut properties = HashMap::new();
        for entry in values.first().map(Value::parts).unwrap_or_default() {
            if let [Value::Text(key), value] = entry.parts() {
                properties.insert(key.clone(), value.clone());
            }
        }
        Ok(Properties(properties))
    }

    fn call(
        &mut self,
        target: &Target<'_>,
        method: &str,
        arguments: &[&str],
    ) -> Result<Vec<Value>, DbusError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.connection.call(target, method, arguments, left.min(CALL))
    }
}

/// An open connection over which systemd was asked to keep a unit in memory. systemd keeps it until the connection is closed.
#[derive(Debug)]
pub(super) struct Pin(#[expect(dead_code, reason = "it only has to stay open")] Bus);

impl Pin {
    /// Asks systemd to keep a unit.
    pub(super) fn new(unit: &str) -> Result<Self, ServiceError> {
        let mut bus = Bus::connect(2 * CALL)?;
        let what = format!("keep {unit} in systemd's memory");
        bus.manager("RefUnit", &[unit]).map_err(|error| classify(&what, error))?;
        Ok(Self(bus))
    }
}

/// Asks systemd a question, from any thread that may block. All answers have to come within `at_most` and some seconds.
pub(super) fn ask<T>(
    at_most: Duration,
    work: impl FnOnce(&mut Bus) -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    work(&mut Bus::connect(at_most + 2 * CALL)?)
}

pub(super) fn unreachable(why: String) -> ServiceError {
    ServiceError::Unreachable { manager: ServiceManager::Systemd, why }
}

/// Returns the error of a manager for an error of the bus. `what` is the attempt and its object.
pub(super) fn classify(what: &str, error: DbusError) -> ServiceError {
    const NO_ANSWER: [&str; 6] =
        ["NoReply", "Timeout", "TimedOut", "Disconnected", "ServiceUnknown", "NameHasNoOwner"];
    match error {
        DbusError::Refused { name, text } if name == "org.freedesktop.systemd1.NoSuchUnit" => {
            ServiceError::Unknown { service: text, looked: "systemd's units".into() }
        }
        DbusError::Refused { name, text } => match name.strip_prefix("org.freedesktop.DBus.Error.") {
            Some(short) if NO_ANSWER.contains(&short) => unreachable(text),
            _ => ServiceError::Failed { what: what.to_owned(), why: text },
        },
        other => unreachable(format!("cannot {what}: {other}")),
    }
}
