//! `net-reorder`: the chosen packets wait, and some of them overtake the others.

use firedrill_wire::fault::NetReorder;

use super::net::{chance, shape::Shape, share_notes, share_words};
use crate::host::impair::{Impair, Reorder};

impl Shape for NetReorder {
    fn impair(&self) -> Impair {
        let reorder =
            Reorder { chance: chance(self.share, self.correlation), gap: self.gap.unwrap_or_default() };
        Impair { delay: self.delay.into(), reorder, ..Impair::default() }
    }

    fn words(&self) -> (String, String) {
        let candidates = match self.gap {
            Some(gap) if gap > 1 => format!("of every {gap}th"),
            _ => "of them".to_owned(),
        };
        (
            "delay".to_owned(),
            format!(
                " by {}, but let {} {candidates} overtake",
                self.delay,
                share_words(self.share, self.correlation)
            ),
        )
    }

    fn notes(&self) -> Vec<String> {
        share_notes(self.share, self.correlation)
    }
}
