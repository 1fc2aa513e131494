//! `net-corrupt`: some of the chosen packets arrive with one bit flipped.

use firedrill_wire::fault::{self, NetCorrupt};

use super::net::{chance, shape::Shape};
use crate::host::impair::Impair;

impl Shape for NetCorrupt {
    fn impair(&self) -> Impair {
        Impair { corrupt: chance(self.share, self.correlation), ..Impair::default() }
    }

    fn engine(&self) -> fault::Engine {
        self.engine
    }

    fn words(&self) -> (String, String) {
        (format!("flip one bit in {} of", self.share), String::new())
    }
}
