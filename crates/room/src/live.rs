//! Runs while they go on: the server follows their logs, folds them to frames, and sends the frames to the viewers. It never writes a log.

pub(crate) mod courses;
pub(crate) mod feed;
pub(crate) mod frame;
pub(crate) mod places;
mod tail;
