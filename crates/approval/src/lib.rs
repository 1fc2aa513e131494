//! Approvals: statements that people sign, and their verification by coordinators and agents.
//!
//! Never opens a file, and never decides which certificates are trusted or how many approvals are enough: whoever asks does.

mod signed;
mod statement;
mod tree;

pub use signed::{Opened, open, seal};
pub use statement::{PURPOSE, Requests, Statement};
pub use tree::{Digest, Leaves, Tree, leaf, proves};
