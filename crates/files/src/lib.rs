//! Files of people and programs: reads texts up to a maximum size, replaces files atomically, opens regular files in folders where others
//! may have put links and pipes, and waits for locks until a deadline.
//!
//! This crate knows the meaning of no file.

pub mod lock;
pub mod regular;
pub mod text;
pub mod whole;
