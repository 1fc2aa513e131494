//! Somebody who acts in the control room: a person with a session, or a program with a token.

use crate::{
    role::Role,
    store::{Session, Token},
};

/// Somebody who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The name in notes and in logs of runs.
    pub(crate) name: String,
    /// The person who answers for it, in the audit log.
    pub(crate) by: String,
    /// The way, in the audit log.
    pub(crate) via: String,
    /// The role.
    pub(crate) role: Role,
}

impl From<&Session> for Actor {
    fn from(of: &Session) -> Self {
        let via = format!("session {}", of.id);
        Self { name: of.name.clone(), by: of.name.clone(), via, role: of.role }
    }
}

impl From<&Token> for Actor {
    fn from(of: &Token) -> Self {
        let name = format!("token {} of {}", of.name, of.made_by);
        Self { name, by: of.made_by.clone(), via: format!("token {}", of.name), role: of.role }
    }
}

impl From<&Self> for Actor {
    fn from(of: &Self) -> Self {
        of.clone()
    }
}
