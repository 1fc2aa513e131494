//! The verbs, one file each: parse, call, exit code.

pub mod check;
pub mod schema;
