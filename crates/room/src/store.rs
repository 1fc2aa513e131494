//! The state of the control room as a database: login links, sessions and settings. It has no secret, only digests of them.

mod database;
mod links;
mod schema;
mod sessions;

pub(crate) use database::Store;
pub(crate) use sessions::Session;
