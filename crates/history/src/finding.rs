//! Findings: objectives that a drill violated, until a later drill shows that they hold.
//!
//! A finding is about one objective of one attack of a scenario in one environment. The first run that violates the objective opens the finding, further
//! such runs are added, and the next run in which the objective holds closes it. A run with an unknown verdict changes nothing. All this is derived
//! from the runs. Only owner, ticket and note are written by people; they exist only in the file, and this code never changes them.

pub(crate) mod derive;
pub(crate) mod file;
#[cfg(test)]
mod tests;

use firedrill_judge::report::Found;
use firedrill_wire::text::{NAME_MOST, TEXT_MOST, clean_lines, cleaned};
use serde::{Deserialize, Serialize};

use crate::time::seconds;

/// The state of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No later run has shown that the objective holds.
    Open,
    /// A later run has shown that the objective holds.
    Closed,
    /// The runs that violated it are judged differently now. The finding is kept for the texts that people wrote.
    Withdrawn,
}

impl State {
    /// Returns the word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// One finding. Times are RFC 3339, UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The id of the finding. It never changes.
    pub id: String,
    /// Its state.
    pub state: State,
    /// The person or team that takes care of it. Written by people.
    #[serde(default)]
    pub owner: String,
    /// The ticket about it. Written by people.
    #[serde(default)]
    pub ticket: String,
    /// A note. Written by people.
    #[serde(default)]
    pub note: String,
    /// The scenario's name.
    pub scenario: String,
    /// The environment of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The attack's name.
    pub attack: String,
    /// The objective's name; empty for the attack as a whole, which a guard ended.
    #[serde(default)]
    pub objective: String,
    /// The goal that the last run missed, in words.
    #[serde(default)]
    pub goal: String,
    /// The figure that the last run measured, in words, or the reason why a guard ended the attack.
    #[serde(default)]
    pub measured: String,
    /// Number of runs that showed it.
    #[serde(default)]
    pub runs: usize,
    /// Start of the first run that showed it.
    pub opened: String,
    /// The first run that showed it.
    pub opened_in: String,
    /// Start of the last run that showed it.
    pub seen: String,
    /// The last run that showed it.
    pub seen_in: String,
    /// Start of the run that closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// The run that closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_in: Option<String>,
    /// The goal that the closing run met, if it differs from the goal that was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by_goal: Option<String>,
    /// Fields that people or a newer version of Firedrill added. They are kept.
    #[serde(flatten)]
    pub more: toml::Table,
}

/// The subject of a finding: scenario, environment, attack, objective. Several findings about it differ in their times.
pub(crate) type Key = (String, Option<String>, String, String);

impl Finding {
    /// Returns the subject for people, such as `stop checkout: users`.
    #[must_use]
    pub fn what(&self) -> String {
        if self.objective.is_empty() {
            format!("{}: ended by a guard", self.attack)
        } else {
            format!("{}: {}", self.attack, self.objective)
        }
    }

    /// Returns the history of the finding in words: the runs that opened it, showed it last, and closed it.
    #[must_use]
    pub fn course(&self) -> String {
        let day = |time: &str| time.get(..10).unwrap_or(time).to_owned();
        let mut text = format!("since {} ({})", day(&self.opened), self.opened_in);
        if self.seen_in != self.opened_in {
            text += &format!(", last on {} ({})", day(&self.seen), self.seen_in);
        }
        if let (Some(at), Some(run)) = (&self.closed, &self.closed_in) {
            text += &format!(", until it held on {} ({run})", day(at));
        }
        if let Some(goal) = &self.closed_by_goal {
            text += &format!("; the goal was “{}”, and by then “{goal}”", self.goal);
        }
        if self.state == State::Withdrawn {
            text += "; the runs are judged otherwise now";
        }
        text
    }

    /// Returns the finding as reports show it.
    #[must_use]
    pub fn shown(&self) -> Found {
        Found {
            id: self.id.clone(),
            state: self.state.word().to_owned(),
            what: self.what(),
            course: self.course(),
            owner: self.owner.clone(),
            ticket: self.ticket.clone(),
            note: self.note.clone(),
        }
    }

    pub(crate) fn key(&self) -> Key {
        (self.scenario.clone(), self.environment.clone(), self.attack.clone(), self.objective.clone())
    }

    /// Whether people wrote something into it that would be lost if it were removed.
    fn has_words(&self) -> bool {
        ![&self.owner, &self.ticket, &self.note].into_iter().all(String::is_empty) || !self.more.is_empty()
    }

    /// Whether the finding was open when a run of a scenario and environment started, at `started` (RFC 3339, UTC), or that run opened or closed it.
    #[must_use]
    pub fn is_about(&self, scenario: &str, environment: Option<&str>, started: &str) -> bool {
        let at = seconds(started);
        self.scenario == scenario
            && self.environment.as_deref() == environment
            && seconds(&self.opened) <= at
            && self.closed.as_deref().is_none_or(|closed| at <= seconds(closed))
    }

    /// Cleans its texts for terminals and pages, because anybody may have edited the file.
    fn clean(&mut self) {
        let names = [&mut self.id, &mut self.owner, &mut self.ticket, &mut self.scenario, &mut self.attack];
        let places =
            [&mut self.objective, &mut self.opened, &mut self.opened_in, &mut self.seen, &mut self.seen_in];
        let rest = [&mut self.environment, &mut self.closed, &mut self.closed_in];
        let short_texts = names.into_iter().chain(places).chain(rest.into_iter().flatten());
        short_texts.for_each(|text| *text = cleaned(std::mem::take(text), NAME_MOST));
        for text in [&mut self.goal, &mut self.measured].into_iter().chain(&mut self.closed_by_goal) {
            *text = cleaned(std::mem::take(text), TEXT_MOST);
        }
        self.note = clean_lines(&self.note);
    }
}
