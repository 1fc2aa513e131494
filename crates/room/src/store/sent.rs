//! Remembers the requests of chats that were carried out, so that a repeated request does nothing.

use rusqlite::params;

use super::Store;
use crate::error::RoomError;

/// Time for which a request is remembered after it has become too old, in seconds. Without it, an old request would seem new if the clock were set back.
const MARGIN_S: i64 = 24 * 3600;

impl Store {
    /// Remembers a request. Returns whether it is the first one with this digest. After `until_s` the request is too old to be accepted.
    pub(crate) fn is_first(&self, digest: &str, until_s: i64, now_s: i64) -> Result<bool, RoomError> {
        self.ask(|on| {
            on.execute("DELETE FROM sent WHERE until_s < ?1", params![now_s])?;
            let new = on
                .execute("INSERT OR IGNORE INTO sent VALUES (?1, ?2)", params![digest, until_s + MARGIN_S])?;
            Ok(new == 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_first_only_once_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.is_first("a", 1_300, 1_000).unwrap() && store.is_first("b", 1_300, 1_000).unwrap());
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert!(!store.is_first("a", 1_300, 1_300).unwrap());
        assert!(
            store.is_first("a", 1_300, 1_301 + MARGIN_S).unwrap(),
            "the digest was forgotten; its time alone refuses the request"
        );
    }
}
