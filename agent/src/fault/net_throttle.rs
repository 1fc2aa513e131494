//! `net-throttle`: limits the rate of the chosen traffic. Packets beyond the rate wait.

use firedrill_wire::fault::NetThrottle;

use super::net::shape::Shape;
use crate::host::impair::{Impair, Rate};

impl Shape for NetThrottle {
    fn impair(&self) -> Impair {
        let burst = u32::try_from(self.burst.unwrap_or(Self::BURST).0).unwrap_or(u32::MAX);
        Impair { rate: Some(Rate { bits: self.rate.0, burst }), ..Impair::default() }
    }

    fn words(&self) -> (String, String) {
        let burst = self.burst.unwrap_or(Self::BURST);
        ("pass".to_owned(), format!(" at {} a second, {burst} at once after a pause", self.rate))
    }

    fn notes(&self) -> Vec<String> {
        vec!["the rate is for all chosen traffic together".to_owned()]
    }
}
