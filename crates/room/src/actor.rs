//! Somebody who acts in the control room: a person with a session, or a program with a token.

use crate::{
    role::Role,
    store::{Session, Token},
};

/// The person or the program that acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The name that notes and logs of runs show, such as `alice`, `alice by Slack` or `token NAME of PERSON`.
    pub(crate) name: String,
    /// The person who is responsible; the audit log shows it as `by`. For a token, the person who made the token.
    pub(crate) by: String,
    /// The session, the token or the chat by which the actor came; the audit log shows it as `via`.
    pub(crate) via: String,
    /// The role, which decides what the actor may do.
    pub(crate) role: Role,
}

impl From<&Session> for Actor {
    fn from(session: &Session) -> Self {
        let via = format!("session {}", session.id);
        Self { name: session.name.clone(), by: session.name.clone(), via, role: session.role }
    }
}

impl From<&Token> for Actor {
    fn from(token: &Token) -> Self {
        let name = format!("token {} of {}", token.name, token.made_by);
        Self { name, by: token.made_by.clone(), via: format!("token {}", token.name), role: token.role }
    }
}

impl From<&Self> for Actor {
    fn from(actor: &Self) -> Self {
        actor.clone()
    }
}
