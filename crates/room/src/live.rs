//! Runs while they go on: their logs are followed, folded to frames on this side, and sent to whoever looks.

pub(crate) mod courses;
pub(crate) mod feed;
pub(crate) mod frame;
pub(crate) mod places;
mod tail;
