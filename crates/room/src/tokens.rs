//! Tokens: made, listed and revoked, from the command line and by an admin on a page.

use std::{path::Path, time::Duration};

use firedrill_history::minute;

use crate::{
    audit::{Audit, Deed},
    clock::now_s,
    error::RoomError,
    role::{Role, person},
    state::{State, written},
    store::Store,
};

/// The shortest and the longest time for which a token works, in seconds.
const LEAST_S: u64 = 60;
const MOST_DAYS: u64 = 366;
const MOST_S: u64 = MOST_DAYS * 86_400;

/// A token that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    name: String,
    role: Role,
    lasts_s: i64,
}

impl NewToken {
    /// Checks what is wanted.
    ///
    /// # Errors
    /// The name is none, the role is that of an admin, or the time is too short or too long.
    pub fn new(name: &str, role: Role, lasts: Duration) -> Result<Self, RoomError> {
        let name = person(name)?;
        if role > Role::Operator {
            return Err(RoomError::TokenRole);
        }
        let fits = (LEAST_S..=MOST_S).contains(&lasts.as_secs());
        let lasts_s = i64::try_from(lasts.as_secs()).ok().filter(|_| fits);
        let lasts_s = lasts_s.ok_or(RoomError::TokenTime { most_days: MOST_DAYS })?;
        Ok(Self { name, role, lasts_s })
    }

    /// Makes it, after `record` has written it into the audit log. Returns its secret, and its end in words.
    pub(crate) fn make<E: From<RoomError>>(
        &self,
        store: &Store,
        by: &str,
        record: impl FnOnce(&str, &str) -> Result<(), E>,
    ) -> Result<(String, String), E> {
        let now = now_s();
        let taken = || RoomError::TokenTaken { name: self.name.clone() };
        if store.tokens()?.iter().any(|token| token.name == self.name && token.until_s > now) {
            return Err(taken().into());
        }
        let until_s = now + self.lasts_s;
        let until = minute(until_s);
        // No token works that the audit log does not have.
        record(&self.name, &format!("made, as {}, until {until} UTC", self.role.word()))?;
        let secret = store.make_token((&self.name, self.role), by, (now, until_s))?.ok_or_else(taken)?;
        Ok((secret, until))
    }
}

/// A token in a list, in words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TokenRow {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: &'static str,
    /// The person who made it.
    pub made_by: String,
    /// The time at which it was made, UTC.
    pub made: String,
    /// Its end, UTC.
    pub until: String,
    /// Whether it has ended.
    pub over: bool,
    /// The last use, UTC; empty if it was never used.
    pub used: String,
}

/// Returns all tokens of a store.
pub(crate) fn rows(store: &Store) -> Result<Vec<TokenRow>, RoomError> {
    let now = now_s();
    let row = |token: crate::store::Token| TokenRow {
        role: token.role.word(),
        made: minute(token.made_s),
        until: minute(token.until_s),
        over: token.until_s <= now,
        used: token.used_s.map(minute).unwrap_or_default(),
        name: token.name,
        made_by: token.made_by,
    };
    Ok(store.tokens()?.into_iter().map(row).collect())
}

fn record(audit: &Audit, by: &str, (what, on, outcome): (&'static str, &str, &str)) -> Result<(), RoomError> {
    let via = "command line".to_owned();
    let deed = Deed { by: by.to_owned(), via, what, on: on.to_owned(), outcome: outcome.to_owned() };
    written(audit, &deed).map(|_| ())
}

/// Makes a token in the state of a control room that runs or ran. `by` is the user of this machine who asks for it. Returns its secret, and
/// its end in words.
///
/// # Errors
/// The state cannot be used, no control room ever had it, or another token has the name.
pub fn make_token(folder: &Path, wanted: &NewToken, by: &str) -> Result<(String, String), RoomError> {
    let (State { store, audit }, _) = State::used(folder)?;
    wanted.make(&store, by, |name, outcome| record(&audit, by, ("token", name, outcome)))
}

/// Returns the tokens in the state of a control room that runs or ran, in the order of their names.
///
/// # Errors
/// The state cannot be used, or no control room ever had it.
pub fn tokens(folder: &Path) -> Result<Vec<TokenRow>, RoomError> {
    rows(&State::used(folder)?.0.store)
}

/// Revokes a token. It works no more when this returns.
///
/// # Errors
/// The state cannot be used, or no token has the name.
pub fn revoke_token(folder: &Path, name: &str, by: &str) -> Result<(), RoomError> {
    let (State { store, audit }, _) = State::used(folder)?;
    if !store.revoke(name)? {
        let name = firedrill_wire::text::clean(name, 80).into_owned();
        return Err(RoomError::NoToken { name });
    }
    record(&audit, by, ("revoke-token", name, "revoked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_looking_and_operating_and_not_for_ever() {
        let day = Duration::from_secs(86_400);
        assert!(NewToken::new("ci", Role::Operator, 30 * day).is_ok());
        assert!(matches!(NewToken::new("ci", Role::Admin, day), Err(RoomError::TokenRole)));
        for bad in [Duration::ZERO, Duration::from_secs(59), 367 * day, Duration::MAX] {
            assert!(
                matches!(NewToken::new("ci", Role::Viewer, bad), Err(RoomError::TokenTime { .. })),
                "{bad:?}"
            );
        }
        assert!(NewToken::new("c\ni", Role::Viewer, day).is_err());
    }
}
