//! Files of people and programs: texts are read within bounds, and files are replaced as a whole.
//!
//! Never knows what a file means.

pub mod text;
pub mod whole;
