//! Files of people and programs: texts are read within bounds, files are replaced as a whole, regular
//! files are opened in folders where others may have put links and pipes, and locks are waited for until a deadline.
//!
//! Never knows what a file means.

pub mod lock;
pub mod regular;
pub mod text;
pub mod whole;
