//! The times to detect, to mitigate and to recover, of an attack and of a run as a whole.

use firedrill_judge::score::{Scorecard, attack_times::longest, card::AttackCard};
use serde::{Deserialize, Serialize};

/// Times in microseconds. `None` if a time is not known, or had not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// From the fault's start until alerts fired.
    #[serde(default)]
    pub detected_us: Option<i64>,
    /// From the fault's start until users were served again while the fault was still in force.
    #[serde(default)]
    pub mitigated_us: Option<i64>,
    /// From the heal until users were served again.
    #[serde(default)]
    pub recovered_us: Option<i64>,
}

impl Times {
    /// Returns the times, each with its verb, in their natural order.
    #[must_use]
    pub const fn all(&self) -> [(&'static str, Option<i64>); 3] {
        [("detect", self.detected_us), ("mitigate", self.mitigated_us), ("recover", self.recovered_us)]
    }

    /// Returns the times of an attack.
    pub(crate) fn of_attack(attack: &AttackCard) -> Self {
        Self {
            detected_us: attack.detected_us(),
            mitigated_us: attack.longest(|figure| figure.mitigated_us),
            recovered_us: attack.longest(|figure| figure.recovered_us),
        }
    }

    /// Returns the longest times of all attacks that ran. For the time to detect, only attacks with alerts count. For the other two times, only attacks
    /// with judged probes count. A time is `None` if an attack that counts does not have it.
    pub(crate) fn of_run(card: &Scorecard) -> Self {
        let ran = || card.attacks.iter().filter(|attack| attack.verdict.is_some());
        let probed = || ran().filter(|attack| attack.judged().next().is_some()).map(Self::of_attack);
        Self {
            detected_us: longest(
                ran().filter(|attack| !attack.alerts().is_empty()).map(AttackCard::detected_us),
            ),
            mitigated_us: longest(probed().map(|times| times.mitigated_us)),
            recovered_us: longest(probed().map(|times| times.recovered_us)),
        }
    }
}

#[cfg(test)]
mod tests {
    use firedrill_judge::{
        score::{
            alert_card::{AlertCard, TookCard},
            fold,
        },
        testing::Drill,
    };

    use super::*;

    #[test]
    fn the_longest_time_counts_and_is_unknown_if_an_attack_does_not_have_it() {
        let mut card = fold(&Drill::good().records());
        let before = Times::of_run(&card);
        assert!(before.mitigated_us.is_some() && before.recovered_us.is_some(), "{before:?}");
        assert_eq!(before.detected_us, None, "there are no alerts");
        let alert = |high_us: Option<i64>| {
            Some(Box::new(AlertCard {
                source: "am".to_owned(),
                alert: "Down".to_owned(),
                asked: 9,
                failed: 0,
                detected: high_us.map(|high_us| TookCard { low_us: 0, high_us: Some(high_us) }),
                resolved: None,
                firing: Vec::new(),
            }))
        };
        card.attacks[0].objectives[0].alert = alert(Some(4_000_000));
        assert_eq!(Times::of_run(&card).detected_us, Some(4_000_000), "the other attack has none");
        card.attacks[1].objectives[0].alert = alert(Some(9_000_000));
        assert_eq!(Times::of_run(&card).detected_us, Some(9_000_000));
        card.attacks[1].objectives[0].alert = alert(None);
        assert_eq!(Times::of_run(&card).detected_us, None, "the alert of one attack did not fire");
        let figure = card.attacks[0].figures.iter_mut().find(|figure| figure.counts).unwrap();
        figure.recovered_us = None;
        assert_eq!(Times::of_run(&card).recovered_us, None);
    }
}
