//! Decides whether a rule allows an act. Pure: it knows only the rule and the question.

use firedrill_wire::{Touches, pattern::like};

use super::{act::Act, named, question::Question, rule::Rule};

impl Rule {
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("policy.allow: a rule has no name; give it one, refusals say it".to_owned());
        }
        match self.kinds.iter().find(|kind| !Act::kinds().any(|known| like(kind, known))) {
            Some(kind) => Err(format!(
                "policy.allow \"{}\": there is no kind `{kind}`; there are {}",
                self.name,
                Act::kinds().collect::<Vec<_>>().join(", ")
            )),
            None => named::validate(self),
        }
    }

    /// Checks whether it allows an act.
    ///
    /// # Errors
    /// The number of clauses that the act met (to find the rule that comes nearest), and the reason why the next one refuses it.
    pub(super) fn allows(&self, ask: &Question<'_>, touches: &Touches) -> Result<(), (usize, String)> {
        let team = ask.caller.team.as_deref().unwrap_or_default();
        let kinds = ask.act.names();
        let clauses: [(&[String], &[&str], &str); 4] = [
            (&self.who, &[&ask.caller.name], "who"),
            (&self.teams, &[team], "teams"),
            (&self.environments, &[ask.host_environment.unwrap_or_default()], "environments"),
            (&self.kinds, &kinds, "kinds"),
        ];
        let count = clauses.len();
        for (met, (list, values, key)) in clauses.into_iter().enumerate() {
            let fits = |pattern: &String| values.iter().any(|value| like(pattern, value));
            if !list.is_empty() && !list.iter().any(fits) {
                let value = values.first().filter(|value| !value.is_empty()).unwrap_or(&"none");
                return Err((met, format!("has {key} = {list:?}, here it is {value}")));
            }
        }
        if let (Some(most), Act::Fault { hold, .. }) = (self.max_hold, ask.act)
            && hold > most
        {
            return Err((count, format!("has max_hold = \"{most}\", here it is {hold}")));
        }
        named::allows(self, touches).map_err(|why| (count + 1, why))
    }
}
