//! `net-lose`: some of the chosen packets never arrive, each by chance or in bursts.

use firedrill_wire::fault::{GilbertElliott, NetLose};

use super::net::{chance, shape::Shape, share_notes, share_words};
use crate::host::impair::{Impair, Loss};

impl Shape for NetLose {
    fn impair(&self) -> Impair {
        let loss = match (self.share, self.gilbert_elliott) {
            (_, Some(GilbertElliott { to_bad, to_good, in_bad, in_good })) => Loss::GilbertElliott {
                to_bad: to_bad.fraction(),
                to_good: to_good.fraction(),
                in_bad: in_bad.fraction(),
                in_good: in_good.fraction(),
            },
            (Some(share), None) => Loss::Random(chance(share, self.correlation)),
            (None, None) => Loss::None,
        };
        Impair { loss, ..Impair::default() }
    }

    fn words(&self) -> (String, String) {
        match (self.share, self.gilbert_elliott) {
            (Some(share), _) => (format!("lose {} of", share_words(share, self.correlation)), String::new()),
            (None, Some(GilbertElliott { to_bad, to_good, in_bad, in_good })) => (
                "lose".to_owned(),
                format!(
                    " in bursts (begin {to_bad}, end {to_good}; lost {in_bad} within, {in_good} between)"
                ),
            ),
            (None, None) => ("lose none of".to_owned(), String::new()),
        }
    }

    fn notes(&self) -> Vec<String> {
        self.share.map(|share| share_notes(share, self.correlation)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_notes_name_a_correlation_and_its_effect_on_the_share() {
        let lose = |correlation| {
            let json = serde_json::json!({ "to": "10.0.0.1", "share": "5%", "correlation": correlation });
            serde_json::from_value::<NetLose>(json).unwrap()
        };
        let correlated = lose("25%");
        assert_eq!(correlated.words().0, "lose 5% (correlation 25%) of");
        let notes = correlated.notes();
        assert!(
            notes[0].contains("makes 5% about 0.") && notes[0].contains("without `correlation` it stays 5%"),
            "{notes:?}"
        );
        assert!(lose("0%").notes().is_empty() && lose("0%").words().0 == "lose 5% of");
    }
}
