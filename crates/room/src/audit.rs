//! `audit.jsonl`: what people and their programs did in the control room, and the outcome. Whole lines are never changed. Each line has the SHA-256
//! of the line before, so that a changed or removed line is found. A cut end is found only by comparison with a head that was kept elsewhere.

mod append;
mod head;
mod line;
mod verify;

pub(crate) use append::Audit;
pub use head::Head;
pub(crate) use line::Deed;
pub use verify::{Checked, check};
