//! `net-duplicate`: some of the chosen packets arrive twice. In user space only packets that this host sends can be
//! duplicated.

use firedrill_wire::fault::NetDuplicate;

use super::net::{chance, shape::Shape, share_notes, share_words};
use crate::host::impair::Impair;

impl Shape for NetDuplicate {
    fn impair(&self) -> Impair {
        Impair { duplicate: chance(self.share, self.correlation), ..Impair::default() }
    }

    fn words(&self) -> (String, String) {
        (format!("send {} of", share_words(self.share, self.correlation)), " twice".to_owned())
    }

    fn notes(&self) -> Vec<String> {
        share_notes(self.share, self.correlation)
    }
}
