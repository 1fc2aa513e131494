//! Checks the drills of a game day: its scenarios, or the rules by which it draws a drill.

use firedrill_plan::diagnostic::Problem;

use super::Reader;
use crate::{
    budget::Budget,
    entry::{ParamValue, ScenarioEntry, Seed},
    gameday::{Drill, OF_KEY},
    monkey::Monkey,
};

/// The help for a game day without scenarios.
const EXAMPLE: &str =
    "scenarios = [\"scenarios/friday.toml\"], or monkey = { scenario = \"scenarios/friday.toml\" }";

impl Reader<'_> {
    /// Returns the scenarios in order. With `[monkey]`, returns only the scenario of `[monkey]`.
    pub(super) fn drills(&mut self) -> Vec<Drill> {
        let file = self.file().clone();
        let has_scenarios = self.item.has(&["scenarios"]);
        if let Some(monkey) = file.monkey {
            if has_scenarios {
                let place = self.item.place_at(&["monkey"], OF_KEY);
                let other = self.item.place_at(&["scenarios"], OF_KEY);
                let problem = Problem::error("the game day has `scenarios` and `monkey`");
                let help = "a monkey draws from one scenario; the scenarios that are run as they are belong into another game day";
                self.sink.push(problem.at(place, "one of them").also(other, "or the other").help(help));
            }
            let seed = None;
            return vec![self.drill(monkey.scenario, monkey.params, seed)];
        }
        if file.scenarios.is_empty() && !self.item.broken {
            let label = if has_scenarios { "an empty list" } else { "needs `scenarios` or `monkey`" };
            self.wrong(&["scenarios"], "a game day without scenarios does nothing", label, EXAMPLE);
        }
        let drill = |ScenarioEntry(entry)| {
            let seed = match entry.seed {
                Seed::Fresh => None,
                Seed::Fixed(seed) => Some(seed),
            };
            self.drill(entry.file, entry.params, seed)
        };
        file.scenarios.into_iter().map(drill).collect()
    }

    /// Returns the drill of a scenario, with the path of its file relative to the base folder.
    fn drill(
        &self,
        file: String,
        params: impl IntoIterator<Item = (String, ParamValue)>,
        seed: Option<u64>,
    ) -> Drill {
        let params = params.into_iter().map(|(name, value)| (name, value.0)).collect();
        Drill { file: self.base.join(file), params, seed }
    }

    /// Checks and returns the rules by which a drill is drawn; `None` without `[monkey]`.
    pub(super) fn monkey(&mut self) -> Option<Monkey> {
        let own = self.file().monkey.clone()?;
        if own.attacks == 0 {
            let message = "a drill without attacks shows nothing";
            self.wrong(&["monkey", "attacks"], message, "at least 1", "attacks = 1");
        }
        let at_most = own.at_most.as_deref().and_then(|text| {
            let budget = Budget::parse(text);
            if budget.is_none() {
                let (message, help) =
                    (format!("`{text}` is no budget"), "\"1 a day\", \"2 a week\", \"3 a month\"");
                self.wrong(&["monkey", "at_most"], message, "not a number of drills in a period", help);
            }
            budget
        });
        let attacks = usize::try_from(own.attacks).unwrap_or(usize::MAX);
        Some(Monkey { attacks, at_most })
    }
}
