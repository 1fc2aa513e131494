//! `net-corrupt`: some of the chosen packets arrive with one bit flipped.

use firedrill_wire::fault::NetCorrupt;

use super::net::{chance, shape::Shape};
use crate::host::impair::Impair;

impl Shape for NetCorrupt {
    fn impair(&self) -> Impair {
        Impair { corrupt: chance(self.share, self.correlation), ..Impair::default() }
    }

    fn words(&self) -> (String, String) {
        (format!("flip one bit in {} of", self.share), String::new())
    }
}
