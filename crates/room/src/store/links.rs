//! Login links. Each is for one person, works once, and is valid for 15 minutes.

use rusqlite::{OptionalExtension as _, params};

use super::database::Store;
use crate::{error::RoomError, role::Role, secret};

/// Time for which a link can be used, in seconds.
const LASTS_S: i64 = 15 * 60;

impl Store {
    /// Makes a link for a person with a role, and returns its secret. Links whose time is over are deleted.
    pub(crate) fn make_link(
        &self,
        (name, role): (&str, Role),
        by: &str,
        now_s: i64,
    ) -> Result<String, RoomError> {
        let secret = secret::fresh()?;
        let hash = secret::sha256(secret.as_bytes());
        self.ask(|on| {
            on.execute("DELETE FROM links WHERE until_s < ?1", params![now_s])?;
            on.execute(
                "INSERT INTO links VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)",
                params![hash, name, role.word(), by, now_s, now_s + LASTS_S],
            )
        })?;
        Ok(secret)
    }

    /// Uses a link up. Returns its person and role; `None` if there is no such link, it was used before, its time is over, or the clock
    /// was set back to a time before the link was made.
    pub(crate) fn use_link(&self, secret: &str, now_s: i64) -> Result<Option<(String, Role)>, RoomError> {
        let hash = secret::sha256(secret.as_bytes());
        let found: Option<(String, String)> = self.ask(|on| {
            on.query_row(
                "UPDATE links SET used_s = ?2 WHERE hash = ?1 AND used_s IS NULL AND until_s > ?2 AND made_s <= ?2
                 RETURNING name, role",
                params![hash, now_s],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
        })?;
        Ok(found.and_then(|(name, role)| Some((name, role.parse().ok()?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_once_and_for_a_quarter_of_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let make = || store.make_link(("alice", Role::Operator), "bob", 1_000).unwrap();
        let link = make();
        let used = store.use_link(&link, 1_001).unwrap();
        assert_eq!(used, Some(("alice".to_owned(), Role::Operator)));
        assert_eq!(store.use_link(&link, 1_002).unwrap(), None, "the second time");
        assert_eq!(store.use_link(&make(), 1_000 + LASTS_S).unwrap(), None, "too late");
        assert_eq!(store.use_link("nothing", 1_001).unwrap(), None);
        let other = store.make_link(("carol", Role::Viewer), "bob", 1_000 + LASTS_S).unwrap();
        assert!(store.use_link(&other, 1_000 + LASTS_S).unwrap().is_some());
    }

    #[test]
    fn no_secret_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let link = store.make_link(("alice", Role::Operator), "bob", 1_000).unwrap();
        drop(store);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(link.len()).any(|window| window == link.as_bytes()));
        }
    }
}
