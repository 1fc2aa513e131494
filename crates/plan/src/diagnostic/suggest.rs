//! Suggestions for words that were probably misspelt.

use firedrill_wire::near::distance;

/// Returns the known word that was probably intended.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = |word: &str| word.chars().count();
    let limit = (length(word) / 3).clamp(1, 3);
    // The distance is at least the difference in length, so that of most words need not be computed.
    let known = known.into_iter().filter(|candidate| length(candidate).abs_diff(length(word)) <= limit);
    let scored = known.map(|candidate| (distance(word, candidate), candidate));
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, candidate)| candidate)
}

/// Maximum number of known words that are all listed.
const LISTED: usize = 40;
/// Number of known words that are listed where there are more than `LISTED`.
const LISTED_OF_MANY: usize = 30;

/// Suggests a correction of an unknown word: the word that was probably intended, or the known words. `what` is their kind,
/// in the plural.
#[must_use]
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, what: &str) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    known.sort_unstable();
    known.dedup();
    match known.len() {
        0 => format!("there are no {what}"),
        1..=LISTED => format!("known {what}: {}", known.join(", ")),
        more => format!("known {what}: {}, … ({more} in all)", known[..LISTED_OF_MANY].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        assert_eq!(nearest("bsaeline", ["baseline", "hold"]), Some("baseline"));
        assert_eq!(nearest("service_stop", ["service-stop", "service-kill"]), Some("service-stop"));
        assert_eq!(nearest("zebra", ["baseline", "hold"]), None);
        assert_eq!(nearest("", ["baseline"]), None);
    }
}
