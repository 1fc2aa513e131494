//! The burnt shares of error budgets, as serialized in `report.json`.

use serde::{Deserialize, Serialize};

use super::format;
use crate::verdict::Verdict;

/// The burnt share of an error budget. All shares are of the budget of the whole window; at 1 it is used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetCard {
    /// Share of good requests over the window that is promised.
    pub target: f64,
    /// The window, in microseconds.
    pub window_us: u64,
    /// Share of all users that the drill reaches.
    pub affected: f64,
    /// The time that counts, in microseconds.
    pub time_us: i64,
    /// The burnt share; `None` if a part of the time was not measured.
    pub burnt: Option<f64>,
    /// The lower end of its range: it is below this with a probability of at most 2.5 %. What was not measured counts as good.
    pub low: Option<f64>,
    /// The upper end, in the same way; `None` if a part of the time was not measured.
    pub high: Option<f64>,
    /// The objective needs less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The verdict, where there is a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The reason for the verdict, or for an unknown figure, a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// The share of an objective's error budget that a whole run burnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BurntCard {
    /// The objective.
    pub objective: String,
    /// Number of attacks that it was judged in.
    pub attacks: usize,
    /// The sum over those attacks, and the sums of the ends of their ranges.
    #[serde(flatten)]
    pub budget: BudgetCard,
}

impl BurntCard {
    /// Describes it in a sentence: `“users”: 1.3 % (0.9 % to 1.8 %) of its error budget burnt, …`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let together = match self.attacks {
            1 => String::new(),
            attacks => format!("in {attacks} attacks together "),
        };
        format!("“{}”: {together}{}.", self.objective, self.budget.sentence())
    }
}

impl BudgetCard {
    /// Returns the burnt share with its range, for people: `1.3 % (0.9 % to 1.8 %)`, or what is known of it.
    #[must_use]
    pub fn figure(&self) -> String {
        match (self.burnt, self.low, self.high) {
            (Some(burnt), Some(low), Some(high)) => {
                let [burnt, low, high] = [burnt, low, high].map(format::percent);
                if low == high { burnt } else { format!("{burnt} ({low} to {high})") }
            }
            (Some(burnt), ..) => format::percent(burnt),
            (None, Some(low), _) if low > 0.0 => format!("unknown, {} at least", format::percent_down(low)),
            (None, ..) => "unknown".to_owned(),
        }
    }

    /// Describes the figure and the budget: `1.3 % (0.9 % to 1.8 %) of its error budget burnt, which is 99.9 % over 30 days`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let affected = match self.affected {
            all if all >= 1.0 => String::new(),
            part => format!(", with {} of all users affected", format::percent(part)),
        };
        let limit = self
            .limit
            .map_or_else(String::new, |limit| format!("; less than {} wanted", format::percent(limit)));
        format!(
            "{} of its error budget burnt, which is {} over {}{affected}{limit}",
            self.figure(),
            format::percent(self.target),
            format::window(self.window_us)
        )
    }
}
