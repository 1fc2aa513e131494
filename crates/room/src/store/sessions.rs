//! Sessions. Each has a random cookie, of which only the digest is stored. A session ends after 12 hours without a request, and after 7 days at the latest.

use rusqlite::{OptionalExtension as _, Row, params};

use super::database::Store;
use crate::{error::RoomError, role::Role, secret};

/// Time after the last request at which a session ends, in seconds.
const IDLE_S: i64 = 12 * 3_600;
/// Time after its beginning at which a session ends, in seconds.
const MOST_S: i64 = 7 * 24 * 3_600;
/// The time of the last request is stored again only when the stored time is this old, in seconds. This saves a write for most requests.
const COARSE_S: i64 = 60;
/// Maximum length of the header `User-Agent` that is stored, in characters.
const AGENT_MOST: usize = 120;

/// A session that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its number, which is no secret.
    pub(crate) id: i64,
    /// The person.
    pub(crate) name: String,
    /// The person's role.
    pub(crate) role: Role,
    /// The header `User-Agent` of its browser.
    pub(crate) agent: String,
    /// Its beginning, in seconds since 1970.
    pub(crate) began_s: i64,
    /// The time of the last request, exact to a minute, in seconds since 1970.
    pub(crate) seen_s: i64,
}

/// The columns that [`session`] reads, in its order.
const FIELDS: &str = "id, name, role, agent, began_s, seen_s";
/// The condition in SQL for a session that goes on at the time `?1`. The numbers are [`IDLE_S`] and [`MOST_S`].
const GOES_ON: &str = "seen_s > ?1 - 43200 AND began_s > ?1 - 604800";
const _: () = assert!(IDLE_S == 43_200 && MOST_S == 604_800, "`GOES_ON` has these numbers");

/// Reads a row; `None` if its role is unknown.
fn session(row: &Row<'_>) -> rusqlite::Result<Option<Session>> {
    let Ok(role) = row.get::<_, String>(2)?.parse() else { return Ok(None) };
    let (id, name, agent) = (row.get(0)?, row.get(1)?, row.get(3)?);
    Ok(Some(Session { id, name, role, agent, began_s: row.get(4)?, seen_s: row.get(5)? }))
}

impl Store {
    /// Begins a session, and returns the secret for its cookie. Sessions that have ended are deleted.
    pub(crate) fn begin(
        &self,
        (name, role): (&str, Role),
        agent: &str,
        now_s: i64,
    ) -> Result<String, RoomError> {
        let secret = secret::fresh()?;
        let hash = secret::sha256(secret.as_bytes());
        let agent = firedrill_wire::text::clean(agent, AGENT_MOST);
        self.ask(|on| {
            on.execute(&format!("DELETE FROM sessions WHERE NOT ({GOES_ON})"), params![now_s])?;
            on.execute(
                "INSERT INTO sessions (hash, name, role, agent, began_s, seen_s) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                params![hash, name, role.word(), agent, now_s],
            )
        })?;
        Ok(secret)
    }

    /// Returns the session of a cookie's secret, and stores that the session was used. `None` if there is none, or it has ended.
    pub(crate) fn session(&self, secret: &str, now_s: i64) -> Result<Option<Session>, RoomError> {
        let hash = secret::sha256(secret.as_bytes());
        self.ask(|on| {
            let sql = format!("SELECT {FIELDS} FROM sessions WHERE {GOES_ON} AND hash = ?2");
            let found = on.query_row(&sql, params![now_s, hash], session).optional()?.flatten();
            if let Some(session) = &found
                && now_s.abs_diff(session.seen_s) > COARSE_S.unsigned_abs()
            {
                on.execute("UPDATE sessions SET seen_s = ?2 WHERE id = ?1", params![session.id, now_s])?;
            }
            Ok(found)
        })
    }

    /// Returns true if a session goes on. This does not count as a use of it.
    pub(crate) fn goes_on(&self, id: i64, now_s: i64) -> Result<bool, RoomError> {
        let sql = format!("SELECT 1 FROM sessions WHERE {GOES_ON} AND id = ?2");
        self.ask(|on| Ok(on.query_row(&sql, params![now_s, id], |_| Ok(())).optional()?.is_some()))
    }

    /// Returns the sessions that go on, the newest first.
    pub(crate) fn sessions(&self, now_s: i64) -> Result<Vec<Session>, RoomError> {
        self.ask(|on| {
            let mut all =
                on.prepare(&format!("SELECT {FIELDS} FROM sessions WHERE {GOES_ON} ORDER BY id DESC"))?;
            let rows = all.query_map(params![now_s], session)?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
        })
    }

    /// Ends a session. Returns whether there was one.
    pub(crate) fn end(&self, id: i64) -> Result<bool, RoomError> {
        self.ask(|on| Ok(on.execute("DELETE FROM sessions WHERE id = ?1", params![id])? > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn a_session_ends_when_it_is_idle_and_after_a_week() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cookie = store.begin(("alice", Role::Viewer), "a browser", NOW).unwrap();
        let at = |now| store.session(&cookie, now).unwrap();
        assert_eq!(at(NOW + IDLE_S - 1).map(|session| session.name).as_deref(), Some("alice"));
        assert!(at(NOW + 2 * IDLE_S - 2).is_some(), "it was used meanwhile");
        assert_eq!(at(NOW + 4 * IDLE_S), None, "nobody used it");
        let mut now = NOW;
        while now < NOW + MOST_S - IDLE_S {
            now += IDLE_S - 1;
            store.session(&cookie, now).unwrap();
        }
        assert_eq!(at(NOW + MOST_S), None, "a week is over");
        assert_eq!(store.sessions(NOW + MOST_S).unwrap(), []);
        assert_eq!(store.session("another", NOW).unwrap(), None);
    }

    #[test]
    fn a_session_can_be_ended_before_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cookie = store.begin(("alice", Role::Viewer), "a browser", NOW).unwrap();
        let other = store.begin(("bob", Role::Admin), "\u{1b}[31m", NOW).unwrap();
        // The store is opened again, as after a restart.
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        let sessions = store.sessions(NOW).unwrap();
        assert_eq!(
            sessions.iter().map(|session| session.name.as_str()).collect::<Vec<_>>(),
            ["bob", "alice"]
        );
        assert!(!sessions[0].agent.contains('\u{1b}'));
        assert!(store.goes_on(sessions[1].id, NOW).unwrap());
        assert!(store.end(sessions[1].id).unwrap());
        assert!(!store.end(sessions[1].id).unwrap() && !store.goes_on(sessions[1].id, NOW).unwrap());
        assert_eq!(store.session(&cookie, NOW).unwrap(), None);
        assert!(store.session(&other, NOW).unwrap().is_some());
    }
}
