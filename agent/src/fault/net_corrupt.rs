//! `net-corrupt`: some of the chosen packets arrive with one bit flipped.

use firedrill_wire::fault::NetCorrupt;

use super::net::{chance, shape::Shape, share_notes, share_words};
use crate::host::impair::Impair;

impl Shape for NetCorrupt {
    fn impair(&self) -> Impair {
        Impair { corrupt: chance(self.share, self.correlation), ..Impair::default() }
    }

    fn words(&self) -> (String, String) {
        (format!("flip one bit in {} of", share_words(self.share, self.correlation)), String::new())
    }

    fn notes(&self) -> Vec<String> {
        share_notes(self.share, self.correlation)
    }
}
