//! Makes, lists and revokes tokens, for the command line and for the pages of an admin.

use std::{path::Path, time::Duration};

use firedrill_history::minute;
use firedrill_wire::text::is_simple_name;

use crate::{
    audit::{Audit, Deed},
    clock::now_s,
    error::RoomError,
    role::{Role, person},
    state::{State, written},
    store::{Store, Wanted},
};

/// The shortest time for which a token works, in seconds.
const LEAST_S: u64 = 60;
/// The longest time for which a token works, in days.
const MOST_DAYS: u64 = 366;
/// [`MOST_DAYS`] in seconds.
const MOST_S: u64 = MOST_DAYS * 86_400;

/// Maximum number of game days that a token may start.
const STARTS_MOST: usize = 20;
/// Maximum length of a wrong name in an error, in characters.
const SHOWN_MOST: usize = 80;

/// The checked properties of a token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    name: String,
    role: Role,
    /// The time for which it works, in seconds.
    lasts_s: i64,
    /// The game days that it may start.
    starts: Vec<String>,
}

impl NewToken {
    /// Checks the properties of a token. `lasts` is the time for which it works.
    ///
    /// # Errors
    /// The name is not allowed, the role is that of an admin, or the time is too short or too long.
    pub fn new(name: &str, role: Role, lasts: Duration) -> Result<Self, RoomError> {
        let name = person(name)?;
        if role > Role::Operator {
            return Err(RoomError::TokenRole);
        }
        let fits = (LEAST_S..=MOST_S).contains(&lasts.as_secs());
        let lasts_s = i64::try_from(lasts.as_secs()).ok().filter(|_| fits);
        let lasts_s = lasts_s.ok_or(RoomError::TokenTime { most_days: MOST_DAYS })?;
        Ok(Self { name, role, lasts_s, starts: Vec::new() })
    }

    /// Adds the right to start these game days, and no others.
    ///
    /// # Errors
    /// The token's role is not that of an operator, there are too many game days, or a name is not allowed for a game day.
    pub fn may_start(mut self, gamedays: &[String]) -> Result<Self, RoomError> {
        if !gamedays.is_empty() && self.role < Role::Operator {
            return Err(RoomError::TokenStarts("it takes the role operator".to_owned()));
        }
        if let Some(name) = gamedays.iter().find(|name| !is_simple_name(name)) {
            let name = firedrill_wire::text::clean(name, SHOWN_MOST);
            return Err(RoomError::TokenStarts(format!("`{name}` is no name of a game day")));
        }
        if gamedays.len() > STARTS_MOST {
            return Err(RoomError::TokenStarts(format!("it may start at most {STARTS_MOST}")));
        }
        gamedays.clone_into(&mut self.starts);
        Ok(self)
    }

    /// Makes the token, and returns its secret and its end in words. Before that, `record` writes the deed into the audit log; it gets the token's name
    /// and the outcome.
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
        let starts = match self.starts.as_slice() {
            [] => String::new(),
            some => format!(", may start {}", some.join(", ")),
        };
        // The audit log comes first: if it cannot be written, no token is made.
        record(&self.name, &format!("made, as {}{starts}, until {until} UTC", self.role.word()))?;
        let wanted = Wanted { name: &self.name, role: self.role, starts: &self.starts };
        let secret = store.make_token(wanted, by, (now, until_s))?.ok_or_else(taken)?;
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
    /// The game days that it may start.
    pub starts: Vec<String>,
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
        starts: token.starts,
    };
    Ok(store.tokens()?.into_iter().map(row).collect())
}

/// Writes a deed from the command line into the audit log. The tuple is the action, its object and its outcome.
fn record(audit: &Audit, by: &str, (what, on, outcome): (&'static str, &str, &str)) -> Result<(), RoomError> {
    let via = "command line".to_owned();
    let deed = Deed { by: by.to_owned(), via, what, on: on.to_owned(), outcome: outcome.to_owned() };
    written(audit, &deed).map(|_| ())
}

/// Makes a token in the state of a control room, which need not be running. `by` is the user of this machine who asks for it. Returns its secret,
/// and its end in words.
///
/// # Errors
/// The state cannot be used, no control room has used it yet, or another token has the name.
pub fn make_token(folder: &Path, wanted: &NewToken, by: &str) -> Result<(String, String), RoomError> {
    let (State { store, audit }, _) = State::used(folder)?;
    wanted.make(&store, by, |name, outcome| record(&audit, by, ("token", name, outcome)))
}

/// Returns the tokens in the state of a control room, which need not be running, in the order of their names.
///
/// # Errors
/// The state cannot be used, or no control room has used it yet.
pub fn tokens(folder: &Path) -> Result<Vec<TokenRow>, RoomError> {
    rows(&State::used(folder)?.0.store)
}

/// Revokes a token in the state of a control room. The token does not work any more when this returns.
///
/// # Errors
/// The state cannot be used, or no token has the name.
pub fn revoke_token(folder: &Path, name: &str, by: &str) -> Result<(), RoomError> {
    let (State { store, audit }, _) = State::used(folder)?;
    if !store.revoke(name)? {
        let name = firedrill_wire::text::clean(name, SHOWN_MOST).into_owned();
        return Err(RoomError::NoToken { name });
    }
    record(&audit, by, ("revoke-token", name, "revoked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_viewers_and_operators_and_for_at_most_366_days() {
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

    #[test]
    fn only_an_operators_token_starts_game_days_and_only_those_that_it_names() {
        let day = Duration::from_secs(86_400);
        let may = |role, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            NewToken::new("ci", role, day).unwrap().may_start(&names).map(|token| token.starts.len())
        };
        assert_eq!(may(Role::Operator, &["friday", "chaos-monkey"]).unwrap(), 2);
        assert_eq!(may(Role::Viewer, &[]).unwrap(), 0);
        for (role, bad) in [
            (Role::Viewer, &["friday"][..]),
            (Role::Operator, &["fri\nday"]),
            (Role::Operator, &[""]),
            (Role::Operator, &["Friday"]),
            (Role::Operator, &["-friday"]),
            (Role::Operator, &["a"; 21]),
        ] {
            assert!(matches!(may(role, bad), Err(RoomError::TokenStarts(_))), "{bad:?}");
        }
    }
}
