//! Findings: objectives that a drill violated, until a later drill shows that they hold.
//!
//! A finding is about one objective of one attack of a scenario in one environment. The first run that violates the objective opens the finding, further
//! such runs are added, and the next run in which the objective holds closes it. A run with an unknown verdict changes nothing. All this is derived
//! from the runs. Owner, severity, ticket, follow-up and note are written by people; they exist only in the file, and this code never changes them.
//! A person can also write down a finding of a run. Only people close that one.

pub(crate) mod derive;
pub(crate) mod file;
mod id;
mod severity;
#[cfg(test)]
mod tests;

use std::time::{SystemTime, UNIX_EPOCH};

use firedrill_judge::report::Found;
use firedrill_wire::text::{NAME_MOST, TEXT_MOST, clean_lines, cleaned};
use serde::{Deserialize, Serialize};

pub use self::severity::Severity;
use crate::{entry::Entry, time::seconds};

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

/// The reason why a person cannot close a finding: a run found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run found it, so a run in which the objective holds closes it")]
pub struct ByRuns;

/// A new finding that a person reports about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFinding<'a> {
    /// The person.
    pub by: &'a str,
    /// The person's words, one line.
    pub found: &'a str,
    /// The severity, if the person says so.
    pub severity: Option<Severity>,
    /// The person or team that takes care of it; may be empty.
    pub owner: &'a str,
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
    /// The severity. Written by people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The drill that will show whether it is mended: a scenario, or a game day and its slot. Written by people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub follow_up: String,
    /// The person who found it; empty if a run did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The words of that person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
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
    /// The person who closed it, if a person found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    /// The goal that the closing run met, if it differs from the goal that was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by_goal: Option<String>,
    /// Fields that people or a newer version of Firedrill added. They are kept.
    #[serde(flatten)]
    pub more: toml::Table,
}

/// The subject of a finding: scenario, environment, attack, objective. Several findings may have the same subject at different times.
pub(crate) type Key = (String, Option<String>, String, String);

impl Finding {
    /// Returns an open finding whose texts are empty.
    pub(crate) fn empty() -> Self {
        Self {
            id: String::new(),
            state: State::Open,
            owner: String::new(),
            ticket: String::new(),
            note: String::new(),
            severity: None,
            follow_up: String::new(),
            by: String::new(),
            found: String::new(),
            scenario: String::new(),
            environment: None,
            attack: String::new(),
            objective: String::new(),
            goal: String::new(),
            measured: String::new(),
            runs: 0,
            opened: String::new(),
            opened_in: String::new(),
            seen: String::new(),
            seen_in: String::new(),
            closed: None,
            closed_in: None,
            closed_by: None,
            closed_by_goal: None,
            more: toml::Table::new(),
        }
    }

    /// Whether a person found it. Otherwise a run did.
    #[must_use]
    pub const fn is_by_person(&self) -> bool {
        !self.by.is_empty()
    }

    /// Returns the finding that a person reports about a run, without an id; `None` if the run cannot be read.
    pub(crate) fn by_person(entry: &Entry, new: &NewFinding<'_>) -> Option<Self> {
        let (run, started) = (entry.run.clone()?, entry.started.clone()?);
        let mut finding = Self {
            by: new.by.to_owned(),
            found: new.found.to_owned(),
            severity: new.severity,
            owner: new.owner.to_owned(),
            scenario: entry.scenario.clone()?,
            environment: entry.environment.clone(),
            runs: 1,
            opened: started.clone(),
            opened_in: run.clone(),
            seen: started,
            seen_in: run,
            ..Self::empty()
        };
        finding.clean();
        Some(finding)
    }

    /// Gives it an id that none of the others has.
    pub(crate) fn name(&mut self, others: &[Self]) {
        let mut taken = others.iter().map(|other| other.id.clone()).collect();
        self.id = id::id(&[&self.by, &self.found, &self.opened_in], &mut taken);
    }

    /// Closes it, or opens it again, as a person says. A finding of runs stays as it is: runs alone say that an objective holds.
    ///
    /// # Errors
    /// A run found it.
    pub fn set_closed(&mut self, closed: bool, who: &str, now: SystemTime) -> Result<(), ByRuns> {
        if !self.is_by_person() {
            return Err(ByRuns);
        }
        if closed == (self.state == State::Closed) {
            return Ok(());
        }
        self.state = if closed { State::Closed } else { State::Open };
        self.closed = closed.then(|| humantime::format_rfc3339_seconds(now.max(UNIX_EPOCH)).to_string());
        self.closed_by = closed.then(|| who.to_owned());
        Ok(())
    }

    /// Returns the subject for people: `stop checkout: users`, or the words of the person who found it.
    #[must_use]
    pub fn what(&self) -> String {
        if self.is_by_person() {
            self.found.clone()
        } else if self.objective.is_empty() {
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
        if self.is_by_person() {
            text += &format!(", found by {}", self.by);
        }
        if self.seen_in != self.opened_in {
            text += &format!(", last on {} ({})", day(&self.seen), self.seen_in);
        }
        if let (Some(at), Some(run)) = (&self.closed, &self.closed_in) {
            text += &format!(", until it held on {} ({run})", day(at));
        }
        if let (Some(at), Some(who)) = (&self.closed, &self.closed_by) {
            text += &format!(", until {who} closed it on {}", day(at));
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
            severity: self.severity.map(|severity| severity.word().to_owned()).unwrap_or_default(),
            follow_up: self.follow_up.clone(),
        }
    }

    pub(crate) fn key(&self) -> Key {
        (self.scenario.clone(), self.environment.clone(), self.attack.clone(), self.objective.clone())
    }

    /// Whether people wrote something into it that would be lost if it were removed.
    fn has_words(&self) -> bool {
        ![&self.owner, &self.ticket, &self.note, &self.follow_up].into_iter().all(String::is_empty)
            || self.severity.is_some()
            || !self.more.is_empty()
    }

    /// Whether the finding was open when a run started, or that run opened or closed it. `scenario` and `environment` are those of the run; `started`
    /// is its start (RFC 3339, UTC).
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
        let names = names.into_iter().chain([&mut self.follow_up, &mut self.by]);
        let rest = [&mut self.environment, &mut self.closed, &mut self.closed_in, &mut self.closed_by];
        let short_texts = names.into_iter().chain(places).chain(rest.into_iter().flatten());
        short_texts.for_each(|text| *text = cleaned(std::mem::take(text), NAME_MOST));
        for text in
            [&mut self.goal, &mut self.measured, &mut self.found].into_iter().chain(&mut self.closed_by_goal)
        {
            *text = cleaned(std::mem::take(text), TEXT_MOST);
        }
        self.note = clean_lines(&self.note);
    }
}
