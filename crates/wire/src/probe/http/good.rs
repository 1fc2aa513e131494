//! Conditions for a good answer beside its arrival: statuses, and a value of a JSON body. Decides about values; reads no answer.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::probe::{
    number::{crossed, order},
    refused::{Field, Refusal},
};

/// Statuses: one, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "this is not a status; give a number such as 200, a class such as \"2xx\", or a list of both"
)]
pub enum Statuses {
    /// One.
    One(Status),
    /// Any of them.
    Any(Vec<Status>),
}

/// A status such as 200, or a class such as `"2xx"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "this is not a status; give a number such as 200, or a class such as \"2xx\"")]
pub enum Status {
    /// A number from 200 to 599.
    Number(u16),
    /// A class: `"2xx"`, `"3xx"`, `"4xx"` or `"5xx"`.
    Class(String),
}

impl From<u16> for Statuses {
    fn from(number: u16) -> Self {
        Self::One(Status::Number(number))
    }
}

/// The classes, and the first digit of their statuses.
const CLASSES: [(&str, u16); 4] = [("2xx", 2), ("3xx", 3), ("4xx", 4), ("5xx", 5)];

/// Statuses whose answers have no body.
const WITHOUT_BODY: [u16; 3] = [204, 205, 304];

impl Status {
    /// Whether a status is meant.
    fn has(&self, status: u16) -> bool {
        match self {
            Self::Number(number) => *number == status,
            Self::Class(class) => CLASSES.contains(&(class.as_str(), status / 100)),
        }
    }

    /// The reason why no answer can have it.
    fn flaw(&self) -> Option<String> {
        match self {
            Self::Number(number) if (200..=599).contains(number) => None,
            Self::Number(number) => Some(format!("no answer ends with the status {number}")),
            Self::Class(class) if CLASSES.iter().any(|(name, _)| name == class) => None,
            Self::Class(class) => Some(format!("`{class}` is no class of statuses")),
        }
    }
}

impl Statuses {
    /// Whether an answer of that status is good.
    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.all().iter().any(|one| one.has(status))
    }

    const fn all(&self) -> &[Status] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Any(all) => all.as_slice(),
        }
    }

    /// Refuses statuses that no answer has.
    pub(super) fn refusals(&self) -> Vec<Refusal> {
        let refuse =
            |what: String, help| Refusal::new(Field::request(&["status"]), what, "not a status", help);
        let help = "numbers from 200 to 599, \"2xx\", \"3xx\", \"4xx\" or \"5xx\"; answers of 1xx come before the one that counts";
        if self.all().is_empty() {
            let what = "the list of statuses is empty, so no answer would be good".to_owned();
            return vec![refuse(
                what,
                "name a status, or leave `status` out: any of 200 to 299 is good then",
            )];
        }
        self.all().iter().filter_map(Status::flaw).map(|what| refuse(what, help)).collect()
    }

    /// Returns a status that says that no good answer has a body.
    pub(super) fn without_body(&self) -> Option<u16> {
        let bare = |one: &Status| match one {
            Status::Number(number) => Some(*number).filter(|number| WITHOUT_BODY.contains(number)),
            Status::Class(_) => None,
        };
        self.all().iter().map(bare).collect::<Option<Vec<u16>>>()?.first().copied()
    }
}

/// A value of a JSON body, and its bounds. The body is read whole: one of more than 64 KiB is bad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonBound {
    /// The place of the value as a JSON pointer: `/queue/depth`. An empty text is the whole body.
    pub at: String,
    /// The value is a number, and not more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Number>,
    /// The value is a number, and not less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Number>,
    /// The value is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<JsonEquals>,
}

/// A number, a text, `true` or `false`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "no value is compared with this; give a number, a text, true or false")]
pub enum JsonEquals {
    /// `true` or `false`.
    Truth(bool),
    /// A number: `1` and `1.0` are the same.
    Number(Number),
    /// A text.
    Text(String),
}

impl JsonBound {
    /// Whether a body is JSON that has the value, within its bounds.
    #[must_use]
    pub fn holds(&self, body: &[u8]) -> bool {
        let Self { at, at_most, at_least, equals } = self;
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
        let Some(value) = body.pointer(at) else { return false };
        let ordered = |bound: &Number, allowed: fn(Ordering) -> bool| matches!(value, Value::Number(number) if order(number, bound).is_some_and(allowed));
        at_most.as_ref().is_none_or(|bound| ordered(bound, Ordering::is_le))
            && at_least.as_ref().is_none_or(|bound| ordered(bound, Ordering::is_ge))
            && equals.as_ref().is_none_or(|wanted| match wanted {
                JsonEquals::Truth(wanted) => value == wanted,
                JsonEquals::Number(wanted) => ordered(wanted, Ordering::is_eq),
                JsonEquals::Text(wanted) => value == wanted.as_str(),
            })
    }

    /// Refuses a pointer that is none, and bounds that no value keeps or that say nothing.
    pub(super) fn refusals(&self) -> Vec<Refusal> {
        let Self { at, at_most, at_least, equals } = self;
        let mut wrong = Vec::new();
        if !is_pointer(at) {
            let what = format!("`{at}` is not a JSON pointer");
            let help =
                "it is empty or begins with `/`, such as \"/queue/depth\"; `~0` stands for `~`, `~1` for `/`";
            wrong.push(Refusal::new(Field::request(&["json", "at"]), what, "not a pointer", help));
        }
        let bounded = at_most.is_some() || at_least.is_some();
        let mut refuse = |key: &[&str], what: &str, label, help: &str| {
            wrong.push(Refusal::new(Field::request(key), what, label, help));
        };
        if !bounded && equals.is_none() {
            let what = "`json` names a value and no bound for it";
            refuse(&["json"], what, "no bound", "one of `at_most`, `at_least` and `equals`");
        }
        if bounded && equals.is_some() {
            let what = "`json` has both `equals` and a bound";
            refuse(&["json", "equals"], what, "beside a bound", "leave one of them out");
        }
        wrong.extend(crossed("json", at_least.as_ref(), at_most.as_ref()));
        wrong
    }
}

/// Whether a text is a JSON pointer (RFC 6901).
fn is_pointer(text: &str) -> bool {
    let escaped = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    escaped && (text.is_empty() || text.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(json: &str) -> Statuses {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn a_status_is_a_number_a_class_or_a_list_of_both() {
        for (json, good, bad) in [
            ("201", &[201][..], &[200, 202, 503][..]),
            ("\"4xx\"", &[400, 404, 499], &[399, 500]),
            ("[200, \"3xx\", 404]", &[200, 302, 404], &[201, 403, 500]),
        ] {
            let of = statuses(json);
            assert_eq!(of.refusals(), [], "{json}");
            assert!(good.iter().all(|status| of.has(*status)), "{json}");
            assert!(!bad.iter().any(|status| of.has(*status)), "{json}");
            assert_eq!(serde_json::to_value(&of).unwrap(), serde_json::from_str::<Value>(json).unwrap());
        }
    }

    #[test]
    fn statuses_that_no_answer_has_are_refused_one_by_one() {
        for (json, said) in [
            ("700", &["700"][..]),
            ("[100, 200, \"6xx\"]", &["100", "6xx"]),
            ("\"200\"", &["`200` is no class"]),
            ("[]", &["empty"]),
        ] {
            let refusals = statuses(json).refusals();
            assert_eq!(refusals.len(), said.len(), "{json}: {refusals:?}");
            for (refusal, said) in refusals.iter().zip(said) {
                assert!(refusal.what.contains(said), "{json}: {refusal:?}");
            }
        }
        let error = serde_json::from_str::<Statuses>("true").expect_err("no status").to_string();
        assert!(error.contains("a class such as \"2xx\""), "{error}");
    }

    #[test]
    fn only_statuses_that_all_lack_a_body_say_that_there_is_none() {
        assert_eq!(statuses("[204, 304]").without_body(), Some(204));
        assert_eq!(statuses("[200, 204]").without_body(), None);
        assert_eq!(statuses("\"2xx\"").without_body(), None);
    }

    fn bound(json: &str) -> JsonBound {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn a_value_is_held_against_its_bounds() {
        let body =
            br#"{"queue": {"depth": 7, "big": 18446744073709551615, "name": "a", "on": true}, "a/b": [1.5]}"#;
        for (json, holds) in [
            (r#"{"at": "/queue/depth", "at_most": 7}"#, true),
            (r#"{"at": "/queue/depth", "at_most": 6.9}"#, false),
            (r#"{"at": "/queue/depth", "at_least": 7.5}"#, false),
            (r#"{"at": "/queue/depth", "at_least": 1, "at_most": 9}"#, true),
            (r#"{"at": "/queue/depth", "equals": 7.0}"#, true),
            (r#"{"at": "/queue/depth", "equals": "7"}"#, false),
            (r#"{"at": "/queue/big", "at_most": 18446744073709551614}"#, false),
            (r#"{"at": "/queue/name", "equals": "a"}"#, true),
            (r#"{"at": "/queue/name", "at_most": 7}"#, false),
            (r#"{"at": "/queue/on", "equals": true}"#, true),
            (r#"{"at": "/queue/on", "equals": false}"#, false),
            (r#"{"at": "/a~1b/0", "equals": 1.5}"#, true),
            (r#"{"at": "/queue/width", "at_most": 7}"#, false),
        ] {
            assert_eq!(bound(json).refusals(), [], "{json}");
            assert_eq!(bound(json).holds(body), holds, "{json}");
        }
        let whole = bound(r#"{"at": "", "equals": 3}"#);
        assert!(whole.holds(b" 3\n") && !whole.holds(b"3 3") && !whole.holds(b"") && !whole.holds(b"{"));
    }

    #[test]
    fn what_no_value_can_keep_is_refused() {
        for (json, key) in [
            (r#"{"at": "queue", "at_most": 1}"#, "at"),
            (r#"{"at": "/a~2", "at_most": 1}"#, "at"),
            (r#"{"at": "/a~", "at_most": 1}"#, "at"),
            (r#"{"at": "/a"}"#, "json"),
            (r#"{"at": "/a", "at_most": 1, "equals": 1}"#, "equals"),
            (r#"{"at": "/a", "at_most": 1, "at_least": 1.5}"#, "at_least"),
        ] {
            let refusals = bound(json).refusals();
            assert_eq!(refusals.len(), 1, "{json}: {refusals:?}");
            assert_eq!(refusals[0].field.path("http").last(), Some(&key), "{json}");
        }
    }
}
