//! Bounds of a number that a probe reads. Decides about values; reads no answer.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::refused::{Field, Refusal};

/// The bounds of a number: at least one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberBound {
    /// The number is not more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Number>,
    /// The number is not less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Number>,
}

/// The place of a number beside its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounded {
    /// Within them.
    Within,
    /// Above `at_most`.
    Above,
    /// Below `at_least`.
    Below,
}

impl NumberBound {
    /// Returns the place of a number.
    #[must_use]
    pub fn place(&self, number: &Number) -> Bounded {
        let Self { at_most, at_least } = self;
        let is = |bound: &Number, how| order(number, bound) == Some(how);
        if at_most.as_ref().is_some_and(|most| is(most, Ordering::Greater)) {
            Bounded::Above
        } else if at_least.as_ref().is_some_and(|least| is(least, Ordering::Less)) {
            Bounded::Below
        } else {
            Bounded::Within
        }
    }

    /// Refuses bounds that no number keeps, or that say nothing. `key` is the table's.
    pub(super) fn refusals(&self, key: &str) -> Vec<Refusal> {
        let Self { at_most, at_least } = self;
        if at_most.is_none() && at_least.is_none() {
            let what = format!("`{key}` has no bound");
            return vec![Refusal::new(
                Field::request(&[key]),
                what,
                "no bound",
                "one of `at_most` and `at_least`",
            )];
        }
        crossed(key, at_least.as_ref(), at_most.as_ref()).into_iter().collect()
    }
}

/// Refuses bounds that no number keeps.
pub(super) fn crossed(key: &str, least: Option<&Number>, most: Option<&Number>) -> Option<Refusal> {
    let (least, most) = (least?, most?);
    order(least, most).is_some_and(Ordering::is_gt).then(|| {
        let what = format!("no number is at least {least} and at most {most}");
        let help = "a number that is not above `at_most`";
        Refusal::new(Field::request(&[key, "at_least"]), what, "above `at_most`", help)
    })
}

/// Compares two numbers, whole ones exactly.
pub(super) fn order(one: &Number, other: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bound: &str, number: &str) -> Bounded {
        let bound: NumberBound = serde_json::from_str(bound).expect(bound);
        assert_eq!(bound.refusals("number"), []);
        bound.place(&serde_json::from_str(number).expect(number))
    }

    #[test]
    fn both_bounds_belong_to_what_is_allowed() {
        let both = r#"{"at_least":1,"at_most":5.5}"#;
        for (number, said) in [
            ("1", Bounded::Within),
            ("5.5", Bounded::Within),
            ("5.51", Bounded::Above),
            ("6", Bounded::Above),
            ("0.99", Bounded::Below),
            ("-3", Bounded::Below),
        ] {
            assert_eq!(place(both, number), said, "{number}");
        }
        // As floating-point numbers the two are the same.
        assert_eq!(place(r#"{"at_most":9007199254740992}"#, "9007199254740993"), Bounded::Above);
    }
}
