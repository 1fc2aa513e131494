//! `net-duplicate`: some of the chosen packets arrive twice.

use firedrill_wire::{
    api::Problem,
    fault::{Direction, NetDuplicate},
};

use super::{
    net::{chance, shape::Shape},
    refuse,
};
use crate::host::impair::Impair;

impl Shape for NetDuplicate {
    fn impair(&self) -> Impair {
        Impair { duplicate: chance(self.share, self.correlation), ..Impair::default() }
    }

    fn words(&self) -> (String, String) {
        (format!("send {} of", self.share), " twice".to_owned())
    }

    fn able(&self) -> Result<(), Problem> {
        if self.direction == Direction::Out {
            return Ok(());
        }
        Err(refuse(
            "engine-unable",
            "net-duplicate: user space (NFQUEUE) can double what this host sends, not what it gets",
            "direction = \"out\", on the peers for what comes from them",
        ))
    }
}
