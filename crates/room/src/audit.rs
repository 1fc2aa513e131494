//! `audit.jsonl`: what people did in the control room, and how that went. Lines are appended and never changed; each has the SHA-256 of the
//! one before, so that a line that was changed or taken out shows. That the end was cut shows only to whoever remembers a head.

mod append;
mod head;
mod line;
mod verify;

pub(crate) use append::Audit;
pub use head::Head;
pub(crate) use line::Deed;
pub use verify::{Checked, check};
