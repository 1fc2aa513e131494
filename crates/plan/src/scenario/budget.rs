//! `budget` of an objective: the error budget that a drill burns of.

use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{diagnostic::Spot, plan::model};

/// The window, unless the budget sets another.
const WINDOW: Span = Span::secs(30 * 86_400);

/// The error budget of the objective: the share of it that the drill burns is shown, with its range. It counts from the fault's start
/// to the attack's end, and assumes that users see what the probe or metric shows, and come as often as in the rest of the window.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Share of good requests over the window that is promised to users (the SLO).
    pub target: Spot<Share>,
    /// The window.
    #[serde(default = "Budget::window")]
    #[schemars(extend("default" = WINDOW))]
    pub window: Spot<Span>,
    /// Share of all users that the drill reaches, if the probe stands only for those.
    #[serde(default = "Budget::everybody")]
    #[schemars(extend("default" = Share::ALL))]
    pub affected: Spot<Share>,
    /// The objective also needs that each attack, and the drill as a whole, burns less than this share of the budget.
    #[serde(default)]
    pub burn_below: Option<Spot<Share>>,
}

impl Budget {
    fn window() -> Spot<Span> {
        Spot { value: WINDOW, at: 0..0 }
    }

    fn everybody() -> Spot<Share> {
        Spot { value: Share::ALL, at: 0..0 }
    }

    /// Returns it as a plan has it.
    #[must_use]
    pub fn planned(&self) -> model::Budget {
        model::Budget {
            target: self.target.value,
            window: self.window.value,
            affected: self.affected.value,
            burn_below: self.burn_below.as_ref().map(|share| share.value),
        }
    }
}
