//! Draws a drill for a slot: some attacks of one scenario, chosen by the slot's seed.

use std::path::Path;

use firedrill_plan::{diagnostic::plural, plan::Plan};

use crate::budget::Budget;

/// The rules by which a game day draws its drills from its only scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monkey {
    /// Number of attacks of a drill.
    pub attacks: usize,
    /// The maximum number of drills in a period; `None` allows one in each slot.
    pub at_most: Option<Budget>,
}

/// The reason why nothing can be drawn from a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undrawable {
    /// The key of `[monkey]` that is wrong.
    pub key: &'static str,
    /// The reason, as a clause.
    pub message: String,
    /// The remedy.
    pub help: String,
}

impl Monkey {
    /// Draws a drill from the plan of the whole scenario, by the plan's seed. The caller has checked the plan with all its attacks. `file` is the
    /// game day's file.
    ///
    /// # Errors
    /// The scenario has too few attacks, or an attack that needs another one.
    pub fn draw(&self, file: &Path, whole: Plan) -> Result<Plan, Undrawable> {
        self.refuse(&whole)?;
        Ok(whole.draw(self.attacks, file.display().to_string()))
    }

    /// Checks that a drill can be drawn from a scenario.
    ///
    /// # Errors
    /// As for [`Self::draw`].
    pub fn refuse(&self, whole: &Plan) -> Result<(), Undrawable> {
        let there = whole.attacks.len();
        if there < self.attacks {
            return Err(Undrawable {
                key: "attacks",
                message: format!(
                    "`{}` has {there} attack{}, too few to draw {}",
                    whole.name,
                    plural(there),
                    self.attacks
                ),
                help: format!("at most {there}; each group of an attack with `for_each` counts"),
            });
        }
        let Some(attack) = whole.attacks.iter().find(|attack| !attack.needs.is_empty()) else {
            return Ok(());
        };
        Err(Undrawable {
            key: "scenario",
            message: format!(
                "attack `{}` of `{}` needs another one (`{}`), which may not be drawn with it",
                attack.name,
                whole.name,
                attack.needs.join("`, `")
            ),
            help: "remove `needs` there, or name the scenario in `scenarios`, which runs all of it"
                .to_owned(),
        })
    }
}
