//! The API for programs, `/api/v1`: what pages show and do, as JSON, by tokens.

mod bearer;
mod openapi;
mod query;
mod runs;
pub(crate) mod table;
mod token;
