//! Tokens of programs. Each has a name, a role and an end. Only the digest of its secret is stored.

use rusqlite::{OptionalExtension as _, Row, params};

use super::database::Store;
use crate::{error::RoomError, role::Role, secret};

/// The time of the last use is stored again only when the stored time is this old, in seconds. This saves a write for most requests.
const COARSE_S: i64 = 60;

/// A token that was not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its number. It is no secret, and no other token ever gets it.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: Role,
    /// The person who made it.
    pub(crate) made_by: String,
    /// The time at which it was made, in seconds since 1970.
    pub(crate) made_s: i64,
    /// The time at which it ends, in seconds since 1970.
    pub(crate) until_s: i64,
    /// The time of the last use, exact to a minute, in seconds since 1970; `None` if it was never used.
    pub(crate) used_s: Option<i64>,
    /// The game days that it may start.
    pub(crate) starts: Vec<String>,
}

/// A token to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Role,
    /// The game days that it may start.
    pub(crate) starts: &'a [String],
}

/// The columns that [`token`] reads, in its order.
const FIELDS: &str = "id, name, role, made_by, made_s, until_s, used_s, starts";
/// The condition in SQL for a token that is valid at the time `?1`.
const WORKS: &str = "until_s > ?1 AND made_s <= ?1";

/// Reads a row; `None` if its role is unknown.
fn token(row: &Row<'_>) -> rusqlite::Result<Option<Token>> {
    let Ok(role) = row.get::<_, String>(2)?.parse() else { return Ok(None) };
    let (id, name, made_by) = (row.get(0)?, row.get(1)?, row.get(3)?);
    let (made_s, until_s, used_s) = (row.get(4)?, row.get(5)?, row.get(6)?);
    let starts = row.get::<_, String>(7)?.lines().map(str::to_owned).collect();
    Ok(Some(Token { id, name, role, made_by, made_s, until_s, used_s, starts }))
}

impl Store {
    /// Makes a token, and returns its secret; `None` if another token with this name has not ended yet. The times are its beginning and
    /// its end, in seconds since 1970.
    pub(crate) fn make_token(
        &self,
        Wanted { name, role, starts }: Wanted<'_>,
        by: &str,
        (now_s, until_s): (i64, i64),
    ) -> Result<Option<String>, RoomError> {
        let secret = secret::fresh_token()?;
        let hash = secret::sha256(secret.as_bytes());
        let made = self.ask(|on| {
            on.execute("DELETE FROM tokens WHERE name = ?1 AND until_s <= ?2", params![name, now_s])?;
            on.execute(
                "INSERT INTO tokens (hash, name, role, made_by, made_s, until_s, starts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (name) DO NOTHING",
                params![hash, name, role.word(), by, now_s, until_s, starts.join("\n")],
            )
        })?;
        Ok((made > 0).then_some(secret))
    }

    /// Returns the token of a secret if it is valid, and stores that it was used.
    pub(crate) fn token(&self, secret: &str, now_s: i64) -> Result<Option<Token>, RoomError> {
        let hash = secret::sha256(secret.as_bytes());
        self.ask(|on| {
            let sql = format!("SELECT {FIELDS} FROM tokens WHERE {WORKS} AND hash = ?2");
            let found = on.query_row(&sql, params![now_s, hash], token).optional()?.flatten();
            if let Some(token) = &found
                && token.used_s.is_none_or(|used| now_s.abs_diff(used) > COARSE_S.unsigned_abs())
            {
                on.execute("UPDATE tokens SET used_s = ?2 WHERE id = ?1", params![token.id, now_s])?;
            }
            Ok(found)
        })
    }

    /// Returns true if the token with this number is valid.
    pub(crate) fn token_works(&self, id: i64, now_s: i64) -> Result<bool, RoomError> {
        let sql = format!("SELECT 1 FROM tokens WHERE {WORKS} AND id = ?2");
        self.ask(|on| Ok(on.query_row(&sql, params![now_s, id], |_| Ok(())).optional()?.is_some()))
    }

    /// Returns all tokens in the order of their names, also those that have ended.
    pub(crate) fn tokens(&self) -> Result<Vec<Token>, RoomError> {
        self.ask(|on| {
            let mut all = on.prepare(&format!("SELECT {FIELDS} FROM tokens ORDER BY name"))?;
            let rows = all.query_map([], token)?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
        })
    }

    /// Revokes the token with a name. Returns whether there was one.
    pub(crate) fn revoke(&self, name: &str) -> Result<bool, RoomError> {
        self.ask(|on| Ok(on.execute("DELETE FROM tokens WHERE name = ?1", params![name])? > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(role: Role) -> Wanted<'static> {
        Wanted { name: "ci", role, starts: &[] }
    }

    #[test]
    fn a_token_works_until_its_end_or_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let make = |now| store.make_token(wanted(Role::Operator), "alice", (now, now + 100)).unwrap();
        let secret = make(1_000).unwrap();
        let at = |now| store.token(&secret, now).unwrap();
        let token = at(1_099).unwrap();
        assert_eq!(
            (token.name.as_str(), token.role, token.made_by.as_str()),
            ("ci", Role::Operator, "alice")
        );
        assert_eq!(store.tokens().unwrap()[0].used_s, Some(1_099));
        let works = |now| store.token_works(token.id, now).unwrap();
        assert!(works(1_099) && !works(1_100) && !works(999));
        assert!(at(1_100).is_none(), "it has ended");
        assert!(at(999).is_none(), "the clock was set back");
        assert_eq!(make(1_099), None, "the name is taken");
        let next = make(1_100).expect("the one before has ended");
        assert!(at(1_050).is_none() && store.token(&next, 1_101).unwrap().is_some());
        assert!(store.revoke("ci").unwrap() && !store.revoke("ci").unwrap());
        assert_eq!(store.token(&next, 1_101).unwrap(), None);
        assert_eq!(store.token("fdr_guess", 1_101).unwrap(), None);
    }

    #[test]
    fn no_token_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let secret = store.make_token(wanted(Role::Viewer), "alice", (1, 2)).unwrap().unwrap();
        drop(store);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            // The part between `fdr_` and the checksum.
            let random = &secret.as_bytes()[4..47];
            assert!(!bytes.windows(random.len()).any(|window| window == random));
        }
    }
}
