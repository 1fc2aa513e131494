//! What tells an administrator's stop from ours.
//!
//! systemd forgets most of it with the unit; what was forgotten proves nothing.

use super::super::State;

/// What systemd remembers of a unit that is down, as far as it tells that somebody acted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which run was its last (the invocation's id).
    pub(super) run: String,
    /// When it last went down, in microseconds by CLOCK_MONOTONIC.
    pub(super) down_since: String,
    /// `enabled`, `disabled`, `masked`, …
    pub(super) file: String,
}

impl Mark {
    pub(super) fn text(&self) -> String {
        format!("{}:{}:{}", self.run, self.down_since, self.file)
    }

    pub(super) fn read(text: &str) -> Self {
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self { run: next(), down_since: next(), file: next() }
    }
}

/// What somebody did to a unit that is down since it had that mark, or nothing.
pub(super) fn acted_since(mark: &str, now: &State) -> Option<String> {
    if now.wanted_up {
        return None;
    }
    let (then, seen) = (Mark::read(mark), Mark::read(&now.mark));
    if then.file != seen.file && matches!(seen.file.as_str(), "disabled" | "masked" | "masked-runtime") {
        Some(format!("its unit file was made `{}` since", seen.file))
    } else if then.run.is_empty() || seen.run.is_empty() {
        // Forgotten, at one time or the other.
        None
    } else if then.run != seen.run || then.down_since != seen.down_since {
        Some("it was started by somebody else since, and went down again".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Phase;

    #[test]
    fn a_mark_tells_who_acted() {
        let mark = Mark { run: "aa".into(), down_since: "17".into(), file: "enabled".into() };
        let now = |mark: Mark, wanted_up| State {
            phase: Phase::Down,
            wanted_up,
            main: None,
            run: None,
            settled: true,
            mark: mark.text(),
        };
        assert_eq!(acted_since(&mark.text(), &now(mark.clone(), false)), None);
        let again = Mark { down_since: "18".into(), ..mark.clone() };
        assert!(acted_since(&mark.text(), &now(again.clone(), false)).is_some());
        assert_eq!(acted_since(&mark.text(), &now(again, true)), None, "it is on its way up");
        let forgotten = Mark { run: String::new(), down_since: "0".into(), ..mark.clone() };
        assert_eq!(acted_since(&mark.text(), &now(forgotten.clone(), false)), None, "nothing can be told");
        assert_eq!(acted_since(&forgotten.text(), &now(mark.clone(), false)), None, "nothing can be told");
        let masked = Mark { file: "masked".into(), ..mark.clone() };
        assert!(acted_since(&mark.text(), &now(masked, false)).is_some_and(|what| what.contains("masked")));
        let odd = Mark { run: "aa".into(), down_since: "17".into(), file: "a:b".into() };
        assert_eq!(Mark::read(&odd.text()), odd);
    }
}
