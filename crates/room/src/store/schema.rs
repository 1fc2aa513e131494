//! The tables, and the steps by which a database of an earlier version becomes one of this version.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::RoomError;

/// The steps, in order. `PRAGMA user_version` is the number of steps that a database has had. A released step is never changed; new ones are added at
/// the end.
const STEPS: [&str; 5] = [
    "
    CREATE TABLE links (
        hash TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_s INTEGER NOT NULL,
        until_s INTEGER NOT NULL,
        used_s INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        hash TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        agent TEXT NOT NULL,
        began_s INTEGER NOT NULL,
        seen_s INTEGER NOT NULL
    );
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
",
    "
    CREATE TABLE tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        hash TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_s INTEGER NOT NULL,
        until_s INTEGER NOT NULL,
        used_s INTEGER
    );
",
    // The names of game days, a line each.
    "
    ALTER TABLE tokens ADD COLUMN starts TEXT NOT NULL DEFAULT '';
",
    "
    CREATE TABLE passkeys (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        credential TEXT NOT NULL UNIQUE,
        person TEXT NOT NULL,
        role TEXT NOT NULL,
        name TEXT NOT NULL,
        public_key BLOB NOT NULL,
        made_s INTEGER NOT NULL,
        used_s INTEGER,
        certificate TEXT
    );
",
    // Requests of chats that were already carried out.
    "
    CREATE TABLE sent (digest TEXT PRIMARY KEY, until_s INTEGER NOT NULL) WITHOUT ROWID;
",
];

/// Brings a database to this version. Each step is one transaction.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), RoomError> {
    let failed = |source| RoomError::Store { path: path.to_owned(), source };
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    loop {
        // The version is read inside the transaction, because two programs may migrate at the same time.
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found: i64 = step.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        let Some(sql) = usize::try_from(found).ok().and_then(|done| STEPS.get(done)) else {
            if found == known {
                return Ok(());
            }
            return Err(RoomError::Later { path: path.to_owned(), found, known });
        };
        step.execute_batch(&format!("{sql}; PRAGMA user_version = {};", found + 1)).map_err(failed)?;
        step.commit().map_err(failed)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_a_later_version_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("room.sqlite")).unwrap();
        migrate(&mut connection, Path::new("room.sqlite")).unwrap();
        connection.execute_batch("PRAGMA user_version = 99").unwrap();
        let told = migrate(&mut connection, Path::new("room.sqlite")).unwrap_err().to_string();
        assert!(told.contains("later version of firedrill (format 99)"), "{told}");
    }
}
