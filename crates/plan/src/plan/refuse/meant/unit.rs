//! Units of time that differ by a letter: minutes (`m`), milliseconds (`ms`), months (`M`).

use firedrill_wire::Span;

/// Suggests the same number with a similar unit, if that would be valid.
pub(super) fn alike(text: Option<&str>, fits: impl Fn(Span) -> bool) -> Option<String> {
    let text = text?.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let units: &[&str] = match unit.trim() {
        "m" => &["ms", "s"],
        "M" => &["m", "ms"],
        "ms" => &["s", "m"],
        _ => &[],
    };
    let near = units.iter().map(|unit| format!("{number}{unit}"));
    near.into_iter()
        .find(|text| text.parse().is_ok_and(&fits))
        .map(|text| format!("did you mean \"{text}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Span = Span::secs(1);

    #[test]
    fn a_similar_unit_is_suggested_if_it_fits() {
        let below = |text, most| alike(Some(text), |span| span < Span::secs(most));
        assert_eq!(below("100m", 8).as_deref(), Some("did you mean \"100ms\"?"));
        assert_eq!(below("5M", 400).as_deref(), Some("did you mean \"5m\"?"));
        assert_eq!(below("2h", 8), None);
        assert_eq!(below("1m 30s", 8), None);
        assert_eq!(below("9s", 8), None, "seconds are rarely a mistake");
        assert_eq!(alike(Some("30ms"), |span| span >= SECOND).as_deref(), Some("did you mean \"30s\"?"));
    }
}
