//! The error budget of an objective, and the share of it that a drill burns.

use firedrill_wire::{Share, Span};
use serde::{Deserialize, Serialize};

/// The error budget of a service level objective (SLO) over a window of time: the bad requests that its target allows.
///
/// A drill burns of it, by time: `bad · time · affected / ((1 − target) · window)`, where `bad` is the mean share of bad requests over
/// the time of the drill. With traffic that is the same all the time it is the number of the drill's bad requests divided by that of the
/// allowed ones. The burn rate of the SRE Workbook (Beyer et al. 2018, chapter 5, "Alerting on SLOs") is `bad / (1 − target)`, so the
/// burnt share is burn rate · time / window, as in its table of alerts (2 % in one hour of 30 days is a burn rate of 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Share of good requests over the window.
    pub target: Share,
    /// The window.
    pub window: Span,
    /// Share of all users that the drill affects, and whose requests the probe imitates.
    #[serde(default = "Budget::everybody", skip_serializing_if = "Budget::is_everybody")]
    pub affected: Share,
    /// The objective is violated if the drill burns this share of the budget, or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn_below: Option<Share>,
}

impl Budget {
    const fn everybody() -> Share {
        Share::ALL
    }

    fn is_everybody(share: &Share) -> bool {
        *share == Share::ALL
    }

    /// Returns the burnt share of the budget, for a mean share of bad requests over some time.
    #[must_use]
    pub fn burnt(&self, bad: f64, time: Span) -> f64 {
        let allowed = (1.0 - self.target.fraction()) * self.window.as_secs_f64();
        bad * time.as_secs_f64() * self.affected.fraction() / allowed
    }

    /// Describes the budget: `99.9% over 30d`.
    #[must_use]
    pub fn words(&self) -> String {
        let affected = if Self::is_everybody(&self.affected) {
            String::new()
        } else {
            format!(", {} of all users affected", self.affected)
        };
        const DAY: u64 = 86_400;
        let seconds = self.window.as_micros() / 1_000_000;
        let window = if seconds > 0 && seconds.is_multiple_of(DAY) {
            format!("{}d", seconds / DAY)
        } else {
            self.window.to_string()
        };
        format!("{} over {window}{affected}", self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burn_rates_burn_the_shares_of_the_workbooks_table() {
        let budget = Budget {
            target: "99.9%".parse().expect("a share"),
            window: Span::secs(30 * 86_400),
            affected: Share::ALL,
            burn_below: None,
        };
        // 14.4 for an hour are 2 %, 6 for six hours 5 %, 1 for three days 10 %.
        for (rate, hours, burnt) in [(14.4, 1, 0.02), (6.0, 6, 0.05), (1.0, 72, 0.1)] {
            let found = budget.burnt(rate * 0.001, Span::secs(hours * 3600));
            assert!((found - burnt).abs() < 1e-9, "{found}");
        }
        let third = Budget { affected: Share::per_cent(30), ..budget };
        assert!((third.burnt(1.0, Span::secs(60)) - 0.3 * budget.burnt(1.0, Span::secs(60))).abs() < 1e-12);
        assert_eq!(third.words(), "99.9% over 30d, 30% of all users affected");
    }

    #[test]
    fn a_budget_is_read_as_it_was_written() {
        let text = r#"{"target":"99.9%","window":"30days"}"#;
        let budget: Budget = serde_json::from_str(text).expect("a budget");
        assert_eq!((budget.affected, budget.burn_below), (Share::ALL, None));
        assert_eq!(serde_json::to_string(&budget).expect("writes"), text);
    }
}
