//! Suggestions for words that were probably misspelt.

use firedrill_wire::near::distance;

/// Returns the known word that was probably intended.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = |word: &str| word.chars().count();
    let limit = (length(word) / 3).clamp(1, 3);
    // Most words differ too much in length to be near, so their distance is not computed.
    let known = known.into_iter().filter(|candidate| length(candidate).abs_diff(length(word)) <= 3);
    let scored = known.map(|candidate| (distance(word, candidate), candidate));
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, candidate)| candidate)
}

/// Suggests a correction of an unknown word: the word that was probably intended, or all known words.
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
        1..=40 => format!("known {what}: {}", known.join(", ")),
        more => format!("known {what}: {}, … ({more} in all)", known[..30].join(", ")),
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
