//! The figures of an attack as a whole: those of the probes that it judges, at the vantages that count, and of its alerts.

use super::{
    alert_card::AlertCard,
    card::{AttackCard, FigureCard},
};

impl AttackCard {
    /// Whether an objective of this attack judges a probe.
    #[must_use]
    pub fn judges(&self, probe: &str) -> bool {
        self.objectives.iter().any(|one| one.probe == probe)
    }

    /// Returns the figures of judged probes at vantages that count.
    pub fn judged(&self) -> impl Iterator<Item = &FigureCard> + Clone {
        self.figures.iter().filter(|figure| figure.counts && self.judges(&figure.probe))
    }

    /// Returns the longest of a time of all judged figures; `None` if one of them is not known, or if there are none.
    #[must_use]
    pub fn longest(&self, time_us: impl Fn(&FigureCard) -> Option<i64>) -> Option<i64> {
        longest(self.judged().map(time_us))
    }

    /// Returns the cards of the attack's alerts, each alert once.
    #[must_use]
    pub fn alerts(&self) -> Vec<&AlertCard> {
        let mut cards: Vec<&AlertCard> = Vec::new();
        for card in self.objectives.iter().filter_map(|one| one.alert.as_deref()) {
            if !cards.iter().any(|other| (&other.alert, &other.source) == (&card.alert, &card.source)) {
                cards.push(card);
            }
        }
        cards
    }

    /// Returns the attack's time to detect, in microseconds: the longest of its alerts, by the upper ends of their ranges. `None` if one
    /// of them is not known, or if there are none.
    #[must_use]
    pub fn detected_us(&self) -> Option<i64> {
        longest(self.alerts().into_iter().map(|card| card.detected?.high_us))
    }
}

/// Returns the longest of some times; `None` if one of them is not known, or if there are none.
#[must_use]
pub fn longest(times_us: impl IntoIterator<Item = Option<i64>>) -> Option<i64> {
    times_us.into_iter().collect::<Option<Vec<i64>>>()?.into_iter().max()
}
