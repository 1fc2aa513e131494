//! People's passkeys: only public keys, and their certificates. So an attacker who controls the server finds no key to sign with.

use rusqlite::{OptionalExtension as _, Row, params};

use super::database::Store;
use crate::{error::RoomError, role::Role};

/// Maximum number of passkeys of one person.
const MOST: i64 = 20;

/// A passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passkey {
    /// Its number. It is no secret, and no other passkey ever gets it.
    pub(crate) id: i64,
    /// The id by which the browser finds it, in base64url.
    pub(crate) credential: String,
    /// The person.
    pub(crate) person: String,
    /// The role of the sessions that begin with it.
    pub(crate) role: Role,
    /// The name that the person gave it.
    pub(crate) name: String,
    /// `SubjectPublicKeyInfo` in DER.
    pub(crate) public_key: Vec<u8>,
    /// The time at which it was added, in seconds since 1970.
    pub(crate) made_s: i64,
    /// Its last use, in seconds since 1970; `None` if it was never used.
    pub(crate) used_s: Option<i64>,
    /// Its certificate in PEM, followed by the intermediate certificates; `None` if none was added.
    pub(crate) certificate: Option<String>,
}

/// A passkey to add; the fields are those of [`Passkey`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewPasskey<'a> {
    pub(crate) credential: &'a str,
    pub(crate) person: &'a str,
    pub(crate) role: Role,
    pub(crate) name: &'a str,
    pub(crate) public_key: &'a [u8],
}

/// The columns that [`passkey`] reads, in its order.
const FIELDS: &str = "id, credential, person, role, name, public_key, made_s, used_s, certificate";

/// Reads a row; `None` if its role is unknown.
fn passkey(row: &Row<'_>) -> rusqlite::Result<Option<Passkey>> {
    let Ok(role) = row.get::<_, String>(3)?.parse() else { return Ok(None) };
    Ok(Some(Passkey {
        id: row.get(0)?,
        credential: row.get(1)?,
        person: row.get(2)?,
        role,
        name: row.get(4)?,
        public_key: row.get(5)?,
        made_s: row.get(6)?,
        used_s: row.get(7)?,
        certificate: row.get(8)?,
    }))
}

impl Store {
    /// Adds a passkey. Returns its number; `None` if there is a passkey with the same credential, or the person already has [`MOST`] passkeys.
    pub(crate) fn add_passkey(&self, new: NewPasskey<'_>, now_s: i64) -> Result<Option<i64>, RoomError> {
        let NewPasskey { credential, person, role, name, public_key } = new;
        self.ask(|on| {
            on.query_row(
                "INSERT INTO passkeys (credential, person, role, name, public_key, made_s)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM passkeys WHERE person = ?2) < ?7
                 ON CONFLICT (credential) DO NOTHING RETURNING id",
                params![credential, person, role.word(), name, public_key, now_s, MOST],
                |row| row.get(0),
            )
            .optional()
        })
    }

    /// Returns the passkey of a credential; `None` if there is none.
    pub(crate) fn passkey(&self, credential: &str) -> Result<Option<Passkey>, RoomError> {
        let sql = format!("SELECT {FIELDS} FROM passkeys WHERE credential = ?1");
        self.ask(|on| Ok(on.query_row(&sql, params![credential], passkey).optional()?.flatten()))
    }

    /// Returns all passkeys, sorted by person and then by number.
    pub(crate) fn passkeys(&self) -> Result<Vec<Passkey>, RoomError> {
        self.ask(|on| {
            let mut all = on.prepare(&format!("SELECT {FIELDS} FROM passkeys ORDER BY person, id"))?;
            let rows = all.query_map([], passkey)?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
        })
    }

    /// Notes that a passkey was used.
    pub(crate) fn passkey_used(&self, id: i64, now_s: i64) -> Result<(), RoomError> {
        self.ask(|on| {
            on.execute("UPDATE passkeys SET used_s = ?2 WHERE id = ?1", params![id, now_s]).map(drop)
        })
    }

    /// Stores the certificate of a passkey.
    pub(crate) fn certify_passkey(&self, id: i64, certificate: &str) -> Result<(), RoomError> {
        self.ask(|on| {
            let sql = "UPDATE passkeys SET certificate = ?2 WHERE id = ?1";
            on.execute(sql, params![id, certificate]).map(drop)
        })
    }

    /// Removes a passkey. Returns whether there was one.
    pub(crate) fn remove_passkey(&self, id: i64) -> Result<bool, RoomError> {
        self.ask(|on| Ok(on.execute("DELETE FROM passkeys WHERE id = ?1", params![id])? > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passkey_is_kept_until_it_is_removed_and_its_number_is_not_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let new = |credential| NewPasskey {
            credential,
            person: "alice",
            role: Role::Operator,
            name: "laptop",
            public_key: &[4; 91],
        };
        let first = store.add_passkey(new("AAAA"), 1_000).unwrap().unwrap();
        assert_eq!(store.add_passkey(new("AAAA"), 1_001).unwrap(), None, "it is there already");
        store.passkey_used(first, 1_100).unwrap();
        store.certify_passkey(first, "PEM").unwrap();
        let found = store.passkey("AAAA").unwrap().unwrap();
        assert_eq!(
            (found.person.as_str(), found.role, found.name.as_str()),
            ("alice", Role::Operator, "laptop")
        );
        assert_eq!(
            (found.made_s, found.used_s, found.certificate.as_deref()),
            (1_000, Some(1_100), Some("PEM"))
        );
        assert_eq!(found.public_key, [4; 91]);
        assert_eq!(store.passkeys().unwrap(), [found]);
        assert!(store.remove_passkey(first).unwrap() && !store.remove_passkey(first).unwrap());
        assert_eq!(store.passkey("AAAA").unwrap(), None);
        assert!(store.add_passkey(new("AAAA"), 1_002).unwrap().unwrap() > first);
        for number in 1..MOST {
            let id = number.to_string();
            let further = NewPasskey { credential: &id, ..new("") };
            assert!(store.add_passkey(further, 1_003).unwrap().is_some());
        }
        assert_eq!(store.add_passkey(new("more"), 1_004).unwrap(), None, "there are too many");
        assert!(store.add_passkey(NewPasskey { person: "bob", ..new("more") }, 1_004).unwrap().is_some());
    }
}
