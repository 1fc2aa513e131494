//! The open database: opening it, asking it, and its settings. The other files of `store` have the queries of each table.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::schema;
use crate::error::RoomError;

/// The database's name in the folder of the state.
const FILE: &str = "room.sqlite";
/// Maximum time to wait for the end of another program's transaction.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open database. Several programs may have it open.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Store {
    /// Opens the database in a folder; creates it if needed, and brings it to this version.
    pub(crate) fn open(folder: &Path) -> Result<Self, RoomError> {
        let path = folder.join(FILE);
        let failed = |source| RoomError::Store { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        // FULL syncs each transaction: a link that was used must stay used after a power loss.
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        // WAL: readers and a writer do not wait for each other.
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
            .map_err(failed)?;
        schema::migrate(&mut connection, &path)?;
        Ok(Self { connection: Mutex::new(connection), path })
    }

    /// Calls `ask` with the connection, under its lock.
    pub(super) fn ask<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, RoomError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&connection).map_err(|source| RoomError::Store { path: self.path.clone(), source })
    }

    /// Returns a setting; `None` if it was never set.
    pub(crate) fn setting(&self, name: &str) -> Result<Option<String>, RoomError> {
        self.ask(|on| {
            on.query_row("SELECT value FROM settings WHERE name = ?1", params![name], |row| row.get(0))
                .optional()
        })
    }

    /// Stores a setting in place of its old value.
    pub(crate) fn set(&self, name: &str, value: &str) -> Result<(), RoomError> {
        self.ask(|on| {
            on.execute("INSERT OR REPLACE INTO settings VALUES (?1, ?2)", params![name, value]).map(|_| ())
        })
    }
}
