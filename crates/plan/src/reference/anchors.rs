//! Links inside a page. Anchors follow the rule by which GitHub and others derive them from headings.

/// Returns the anchor of a heading: in lower case, with hyphens for blanks, without punctuation.
#[must_use]
pub fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns a link to a heading of the same page.
pub(super) fn link(words: &str, heading: &str) -> String {
    format!("[{words}](#{})", anchor(heading))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_headings() {
        assert_eq!(anchor("[[attack.faults]]"), "attackfaults");
        assert_eq!(link("packets", "Which packets"), "[packets](#which-packets)");
    }
}
