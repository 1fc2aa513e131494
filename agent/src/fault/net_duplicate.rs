//! `net-duplicate`: some of the chosen packets arrive twice. In user space only packets that this host sends can be
//! duplicated.

use firedrill_wire::fault::NetDuplicate;

use super::net::{chance, shape::Shape};
use crate::host::impair::Impair;

impl Shape for NetDuplicate {
    fn impair(&self) -> Impair {
        Impair { duplicate: chance(self.share, self.correlation), ..Impair::default() }
    }

    fn words(&self) -> (String, String) {
        (format!("send {} of", self.share), " twice".to_owned())
    }
}
