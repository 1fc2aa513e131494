//! The state of the control room as a database: login links, sessions, passkeys, tokens, requests of chats that were carried out, and settings. It
//! stores no secret, only digests of secrets.

mod database;
mod links;
mod passkeys;
mod schema;
mod sent;
mod sessions;
mod tokens;

pub(crate) use database::Store;
pub(crate) use passkeys::{NewPasskey, Passkey};
pub(crate) use sessions::Session;
pub(crate) use tokens::{Token, Wanted};
