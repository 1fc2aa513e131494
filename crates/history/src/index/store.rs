//! The index as a database: a table of runs (JSON beside the columns that are searched) and one row about the index itself. Never reads a run's
//! folder.

use std::{
    collections::{HashMap, HashSet},
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::Duration,
};

use firedrill_judge::verdict::Verdict;
use firedrill_wire::text::{self, Breaks};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use super::trouble::Trouble;
use crate::{
    entry::Entry,
    filter::{Filter, Shown},
    finding::derive::Seen,
    outcome::Told,
    scan::Stamp,
};

/// The version of the tables. Raise it when [`Entry`], [`Told`], or the way they are computed from a log changes.
const FORMAT: i64 = 7;
/// Maximum time to wait for a transaction of another program.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tables and their indexes.
const SCHEMA: &str = "
    -- changes: counts changes of runs; found: its value when findings were last brought up to date.
    CREATE TABLE index_state (build TEXT NOT NULL, changes INTEGER NOT NULL, found INTEGER NOT NULL);
    -- modified, changed, size: the log's mtime and ctime in ns, and its bytes; at_s: the run's start, in s after 1970.
    -- entry: an Entry as JSON; told: the outcomes that findings need, a Told as JSON.
    CREATE TABLE runs (
        folder TEXT PRIMARY KEY,
        modified INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        size INTEGER NOT NULL,
        at_s INTEGER NOT NULL,
        scenario TEXT,
        verdict TEXT NOT NULL,
        entry TEXT NOT NULL,
        told TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX by_time ON runs (at_s);
    CREATE INDEX by_scenario ON runs (scenario, at_s);
    CREATE INDEX damaged ON runs (verdict) WHERE verdict = 'damaged';
";

/// The reason why an index cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It is damaged, incomplete, or of another version. The caller makes it anew.
    Stale,
    /// Another error, such as a folder that cannot be written. Making the index anew would not help.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Stale } else { Self::Failed(error) }
    }
}

/// Whether an error says that the file is damaged or has other tables than expected.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => true,
        // "no such table": the statements are correct, so the file has other tables.
        Some(ErrorCode::Unknown) => true,
        Some(_) => false,
        // "no such column", a value of another type, a missing row, or a text that is no `Entry` or `Told`.
        None => true,
    }
}

/// Returns a text that identifies this build by its version and the size and time of its file. The index contains verdicts, and another build may judge
/// the same log differently.
fn build_id() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match std::env::current_exe().and_then(std::fs::metadata) {
        Ok(file) => format!("{version} {} {}.{:09}", file.size(), file.mtime(), file.mtime_nsec()),
        Err(_) => version.to_owned(),
    }
}

/// A run to put into the index.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) entry: Entry,
    pub(super) told: Told,
    pub(super) stamp: Stamp,
}

/// An open index.
#[derive(Debug)]
pub(super) struct Store(Connection);

impl Store {
    /// Opens an existing index of this version.
    pub(super) fn open(path: &Path) -> Result<Self, Unusable> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Self(Connection::open_with_flags(path, flags)?);
        store.0.busy_timeout(PATIENCE)?;
        let format: i64 = store.0.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if format != FORMAT {
            return Err(Unusable::Stale);
        }
        let build: String = store.0.query_row("SELECT build FROM index_state", [], |row| row.get(0))?;
        if build == build_id() { Ok(store) } else { Err(Unusable::Stale) }
    }

    /// Creates an index in a file that does not exist.
    pub(super) fn create(path: &Path) -> rusqlite::Result<Self> {
        Self::set_up(Connection::open(path)?)
    }

    /// Creates an index in memory; it is gone when the store is dropped.
    pub(super) fn in_memory() -> rusqlite::Result<Self> {
        Self::set_up(Connection::open_in_memory()?)
    }

    /// Creates the tables of an empty database.
    fn set_up(connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(PATIENCE)?;
        let build = build_id();
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA} INSERT INTO index_state VALUES ('{build}', 1, 0); PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?;
        Ok(Self(connection))
    }

    /// Returns the folders of the index, each with the stored stamp of its log.
    pub(super) fn stamps(&self) -> rusqlite::Result<HashMap<String, Stamp>> {
        let mut statement = self.0.prepare("SELECT folder, modified, changed, size FROM runs")?;
        let rows = statement.query_map([], |row| {
            let stamp = Stamp { modified: row.get(1)?, changed: row.get(2)?, size: row.get(3)? };
            Ok((row.get::<_, String>(0)?, stamp))
        })?;
        rows.collect()
    }

    /// Adds or replaces runs, and deletes the runs of the folders in `remove`, in one transaction.
    pub(super) fn change(&mut self, add: &[Row], remove: &[String]) -> Result<(), Trouble> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction
                .prepare("INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
            for Row { entry, told, stamp } in add {
                insert.execute(params![
                    entry.folder,
                    stamp.modified,
                    stamp.changed,
                    stamp.size,
                    entry.at_s,
                    entry.scenario,
                    entry.word(),
                    serde_json::to_string(entry)?,
                    serde_json::to_string(told)?
                ])?;
            }
            let mut delete = transaction.prepare("DELETE FROM runs WHERE folder = ?1")?;
            for folder in remove {
                delete.execute(params![folder])?;
            }
        }
        transaction.execute("UPDATE index_state SET changes = changes + 1", [])?;
        Ok(transaction.commit()?)
    }

    /// Returns the runs that pass a filter, the newest first. An entry that cannot be parsed counts as damage of the index.
    pub(super) fn select(&self, filter: &Filter) -> rusqlite::Result<Vec<Entry>> {
        let mut statement = self.0.prepare(
            "SELECT entry FROM runs
             WHERE (?1 IS NULL OR scenario = ?1) AND (?2 IS NULL OR verdict = ?2) AND (?3 IS NULL OR at_s >= ?3)
             ORDER BY at_s DESC, folder DESC LIMIT ?4 OFFSET ?5",
        )?;
        let most = filter.limit.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX));
        let shown = filter.shown.map(Shown::word);
        let skip = i64::try_from(filter.skip).unwrap_or(i64::MAX);
        let parameters = params![filter.scenario, shown, filter.since_s, most, skip];
        let rows = statement.query_map(parameters, |row| row.get::<_, String>(0))?;
        rows.map(|json| entry(&json?)).collect()
    }

    /// Returns the run in a folder; `None` if there is none.
    pub(super) fn one(&self, folder: &str) -> rusqlite::Result<Option<Entry>> {
        let sql = "SELECT entry FROM runs WHERE folder = ?1";
        let json = self.0.query_row(sql, [folder], |row| row.get::<_, String>(0)).optional()?;
        json.map(|json| entry(&json)).transpose()
    }

    /// Returns the number of all folders, and that of damaged ones.
    pub(super) fn count(&self) -> rusqlite::Result<(usize, usize)> {
        let number = |sql: &str| self.0.query_row(sql, [], |row| row.get::<_, i64>(0));
        let all = number("SELECT count(*) FROM runs")?;
        let damaged = number("SELECT count(*) FROM runs WHERE verdict = 'damaged'")?;
        Ok((usize::try_from(all).unwrap_or(0), usize::try_from(damaged).unwrap_or(0)))
    }

    /// Returns a number that rises with each change, and its value at the time when the findings were last brought up to date.
    pub(super) fn changes(&self) -> rusqlite::Result<(i64, i64)> {
        self.0.query_row("SELECT changes, found FROM index_state", [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Records that findings are up to date as of this value of `changes`.
    pub(super) fn found(&self, changes: i64) -> rusqlite::Result<()> {
        self.0.execute("UPDATE index_state SET found = ?1", params![changes]).map(|_| ())
    }

    /// Returns the outcomes that findings need: those of objectives (attack, objective) that some run violated or that are in `names`, in runs
    /// of scenarios that some run violated or that are in `scenarios`.
    pub(super) fn seen(
        &self,
        scenarios: &[&str],
        mut names: HashSet<(String, String)>,
    ) -> rusqlite::Result<Vec<Seen>> {
        let scenarios = serde_json::Value::from(scenarios).to_string();
        let mut all_seen = Vec::new();
        // The first pass reads the violated runs, and adds their violated objectives to `names`. All such objectives are found there, because a violated
        // objective makes its run violated. The second pass reads the other runs, and keeps only outcomes in `names`, to save memory: most outcomes are
        // `held` and not needed.
        for is_violated in [true, false] {
            let operator = if is_violated { "=" } else { "<>" };
            let mut statement = self.0.prepare(&format!(
                "SELECT at_s, folder, scenario, told FROM runs WHERE verdict {operator} 'violated' AND scenario IN
                 (SELECT scenario FROM runs WHERE verdict = 'violated' UNION SELECT value FROM json_each(?1))",
            ))?;
            let rows = statement.query_map(params![scenarios], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?))
            })?;
            for row in rows {
                let (at_s, folder, scenario, told): (i64, String, String, String) = row?;
                // A text that cannot be parsed counts as damage, as in `entry`.
                let mut told: Told = text::from_json(told.as_bytes(), Breaks::None)
                    .map_err(|_| rusqlite::Error::InvalidQuery)?;
                if is_violated {
                    let violated =
                        told.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Violated);
                    names.extend(violated.map(|outcome| (outcome.attack.clone(), outcome.objective.clone())));
                } else {
                    told.keep(&names);
                }
                all_seen.push(Seen { at_s, folder, scenario, told });
            }
            if is_violated {
                all_seen.iter_mut().for_each(|seen| seen.told.keep(&names));
            }
        }
        Ok(all_seen)
    }
}

/// Parses an entry. Its texts are cleaned like those of logs, because any program that can write the directory can change the index. The error
/// `InvalidQuery` has no SQLite code, so [`is_damage`] takes it for damage.
fn entry(json: &str) -> rusqlite::Result<Entry> {
    text::from_json(json.as_bytes(), Breaks::None).map_err(|_| rusqlite::Error::InvalidQuery)
}
