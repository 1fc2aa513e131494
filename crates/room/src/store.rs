//! The state of the control room as a database: login links, sessions, tokens and settings. It has no secret, only digests of them.

mod database;
mod links;
mod schema;
mod sent;
mod sessions;
mod tokens;

pub(crate) use database::Store;
pub(crate) use sessions::Session;
pub(crate) use tokens::{Token, Wanted};
