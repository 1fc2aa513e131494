//! The pages and what can be done on them; a file for each.

pub(crate) mod assets;
pub(crate) mod audit;
pub(crate) mod begin;
pub(crate) mod calendar;
pub(crate) mod decide;
pub(crate) mod findings;
pub(crate) mod fleet;
pub(crate) mod fleets;
pub(crate) mod halt;
pub(crate) mod history;
pub(crate) mod home;
pub(crate) mod login;
pub(crate) mod messages;
pub(crate) mod note;
mod paging;
pub(crate) mod people;
pub(crate) mod report;
pub(crate) mod row;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod scenario;
pub(crate) mod scenarios;
pub(crate) mod state;
pub(crate) mod steer;
pub(crate) mod stream;
pub(crate) mod tokens;
