//! Drills that are drawn: some attacks of one scenario, by the seed of a slot.

use std::path::Path;

use firedrill_plan::{diagnostic::plural, plan::Plan};

use crate::budget::Budget;

/// The rules by which a game day draws its drill. The scenario is its only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monkey {
    /// Number of attacks of a drill.
    pub attacks: usize,
    /// The number of drills in a period; without it, each slot has one.
    pub at_most: Option<Budget>,
}

/// A reason why nothing can be drawn from a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undrawable {
    /// The key of `[monkey]` that it is about.
    pub key: &'static str,
    /// The reason, a sentence.
    pub message: String,
    /// The remedy.
    pub help: String,
}

impl Monkey {
    /// Draws a drill from the plan of the whole scenario, by the plan's seed. The plan was checked with all its attacks; `file` is that of
    /// the game day.
    ///
    /// # Errors
    /// The scenario has too few attacks, or attacks that cannot stand alone.
    pub fn draw(&self, file: &Path, whole: Plan) -> Result<Plan, Undrawable> {
        self.refuse(&whole)?;
        Ok(whole.draw(self.attacks, file.display().to_string()))
    }

    /// Refuses a scenario from which nothing can be drawn.
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
