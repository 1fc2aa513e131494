//! What the control room can do only through this program.

use firedrill_room::{Halted, Later, Outside};
use firedrill_wire::RunId;

use crate::run;

/// This program, for the control room.
#[derive(Debug)]
pub(super) struct Program;

impl Outside for Program {
    fn halt<'a>(&'a self, run: &'a RunId, by: &'a str) -> Later<'a, Halted> {
        Box::pin(async move {
            match run::halt(run, by).await {
                run::Halted::Ends => Halted::Ends,
                run::Halted::Over => Halted::Over,
                run::Halted::Nowhere => Halted::Nowhere,
                run::Halted::Silent(why) => Halted::Silent(why),
            }
        })
    }
}
