//! Checks the announcements of a game day, its people, their agreement, and the promotion.

use std::collections::BTreeSet;

use firedrill_plan::diagnostic::{Problem, suggest};
use firedrill_wire::Span;

use super::Reader;
use crate::gameday::OF_KEY;

impl Reader<'_> {
    /// Checks the times of announcements, and returns them sorted, the longest first.
    pub(super) fn announce(&mut self) -> Vec<Span> {
        let mut times = self.file().announce.clone();
        for (index, time) in times.iter().enumerate() {
            let path = ["announce", &index.to_string()];
            if time.is_zero() {
                self.wrong(
                    &path,
                    "an announcement at the start comes too late",
                    "no time before",
                    "for example \"15m\"",
                );
            } else if times[..index].contains(time) {
                self.wrong(&path, format!("`{time}` is listed twice"), "again here", "remove one of them");
            }
        }
        times.sort_unstable_by(|left, right| right.cmp(left));
        times
    }

    /// Reports roles and people whose name is empty.
    pub(super) fn roles(&mut self) {
        for (role, person) in self.file().roles.clone() {
            let path = ["roles", role.as_str()];
            if role.trim().is_empty() {
                let place = self.item.place_at(&path, OF_KEY);
                let problem = Problem::error("a role has no name").at(place, "empty");
                self.sink.push(problem.help("roles = { commander = \"alice\" }"));
            }
            if person.trim().is_empty() {
                let message = format!("the role `{role}` is held by nobody: the name is empty");
                self.wrong(&path, message, "empty", format!("{role} = \"alice\", or leave the role out"));
            }
        }
    }

    /// Checks that the agreement can be reached: its roles are known, and enough people have them.
    pub(super) fn go_no_go(&mut self) {
        let Some(own) = self.file().go_no_go.clone() else { return };
        let roles = self.file().roles.clone();
        if own.expires.is_zero() {
            self.wrong(
                &["go_no_go", "expires"],
                "nobody can agree within no time",
                "no time",
                "for example \"30m\"",
            );
        }
        let mut people = BTreeSet::new();
        let mut all_known = true;
        for (index, role) in own.of.iter().enumerate() {
            let index = index.to_string();
            match roles.get(role) {
                Some(person) => _ = people.insert(person.as_str()),
                None => {
                    all_known = false;
                    let help = suggest(role, roles.keys().map(String::as_str), "roles");
                    let help =
                        if roles.is_empty() { format!("roles = {{ {role} = \"alice\" }}") } else { help };
                    let message = format!("nobody has the role `{role}`");
                    self.wrong(&["go_no_go", "of", &index], message, "not in `roles`", help);
                }
            }
        }
        let wanted = usize::try_from(own.people).unwrap_or(usize::MAX);
        if wanted == 0 {
            self.wrong(
                &["go_no_go", "people"],
                "`people` is 0, so nobody has to agree",
                "at least 1",
                "or leave `go_no_go` out",
            );
        } else if all_known && people.len() < wanted {
            let there = people.iter().copied().collect::<Vec<_>>().join(", ");
            let there = if there.is_empty() { "nobody".to_owned() } else { there };
            let message = format!(
                "{wanted} people have to agree, and the roles in `of` are held by {}: {there}",
                people.len()
            );
            let help = "somebody with two roles is one person; name more roles in `of`, or give one to somebody else";
            self.wrong(&["go_no_go", "people"], message, "more than there are", help);
        }
    }

    /// Checks the conditions of the promotion (`requires`).
    pub(super) fn requires(&mut self) {
        let Some(own) = self.file().requires.clone() else { return };
        if own.held_within.is_zero() {
            self.wrong(
                &["requires", "held_within"],
                "no run can have begun within no time",
                "no time",
                "for example \"14d\"",
            );
        }
        if own.environment.trim().is_empty() {
            self.wrong(
                &["requires", "environment"],
                "the environment has no name",
                "empty",
                "for example \"staging\"",
            );
        }
    }
}
