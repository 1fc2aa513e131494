//! A game day after its file was read and checked.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use firedrill_plan::{
    diagnostic::{Item, Place},
    scenario::source::Source,
};
use firedrill_sources::{AlertQuery, SourceKind};
use firedrill_wire::Span;

use crate::{
    closed::Closed,
    file::{GamedayFile, GoNoGo, Requires},
    monkey::Monkey,
    random,
    schedule::{Schedule, Slot},
};

/// For [`Item::place_at`]: the place of a key.
pub(crate) const OF_KEY: bool = true;
/// For [`Item::place_at`]: the place of a value.
pub(crate) const OF_VALUE: bool = false;

/// A game day whose file has no errors. Its scenarios and its fleet have not been read yet.
#[derive(Clone, Debug)]
pub struct Gameday {
    /// The path of its file, as the caller gave it.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// Its scenarios, in order.
    pub drills: Vec<Drill>,
    /// The rules by which a drill is drawn from its only scenario; `None` if its scenarios are run as they are.
    pub monkey: Option<Monkey>,
    /// The file of its fleet.
    pub fleet: PathBuf,
    /// Its schedule.
    pub schedule: Schedule,
    /// The times in which it is not held.
    pub closed: Vec<Closed>,
    /// The times before the start at which it is announced, the longest first.
    pub announce: Vec<Span>,
    /// The names of the channels that get messages.
    pub notify: Vec<String>,
    /// The file of channels.
    pub channels: PathBuf,
    /// Names of people, by role.
    pub roles: BTreeMap<String, String>,
    /// The people who have to agree before the start.
    pub go_no_go: Option<GoNoGo>,
    /// The folder of its standing approvals.
    pub approvals: PathBuf,
    /// The run that must have held before.
    pub requires: Option<Requires>,
    /// The alerts of incidents during which it is not held.
    pub skip_if: Vec<Incident>,
    /// The text of its file, in which secrets are covered.
    pub text: Arc<str>,
    /// The file as it was parsed, with the places of its values.
    pub(crate) item: Item<GamedayFile>,
}

/// An alert of an incident, and the system that is asked for it.
#[derive(Clone, Debug)]
pub struct Incident {
    /// The name of the source.
    pub source: String,
    /// The source.
    pub kind: SourceKind,
    /// Maximum time to wait for an answer of the source.
    pub timeout: Span,
    /// The alert.
    pub query: AlertQuery,
}

/// A scenario of a game day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    /// Its file.
    pub file: PathBuf,
    /// Values of parameters.
    pub params: Vec<(String, String)>,
    /// The seed of random picks; `None` draws a new one for each run.
    pub seed: Option<u64>,
}

impl Gameday {
    /// Returns the reason why a slot is not held; `None` if it is not in a closed time.
    #[must_use]
    pub fn why_closed(&self, slot: &Slot) -> Option<&str> {
        self.closed
            .iter()
            .find(|closed| closed.covers(slot, self.schedule.zone()))
            .map(|closed| closed.why.as_str())
    }

    /// Returns the seed of a start. It is computed from the game day's name and the name of the slot, or of the start by hand.
    #[must_use]
    pub fn seed_of(&self, slot: &str) -> u64 {
        u64::from(random::short("seed", &self.name, slot))
    }

    /// Returns its sources.
    pub fn sources(&self) -> impl Iterator<Item = Item<Source>> + '_ {
        sources(&self.item)
    }

    /// Returns the place of its schedule in the file, for messages.
    #[must_use]
    pub fn place_of_schedule(&self) -> Place {
        self.item.place_at(&["schedule"], OF_KEY)
    }

    /// Returns the place of the scenario with this index.
    #[must_use]
    pub fn place_of_scenario(&self, index: usize) -> Place {
        if self.monkey.is_some() {
            return self.place_of_monkey("scenario");
        }
        self.item.place_at(&["scenarios", &index.to_string()], OF_VALUE)
    }

    /// Returns the place of a value of `[monkey]`; that of the table if the value is not written.
    #[must_use]
    pub fn place_of_monkey(&self, key: &str) -> Place {
        let is_written = self.item.has(&["monkey", key]);
        if is_written {
            self.item.place_at(&["monkey", key], OF_VALUE)
        } else {
            self.item.place_at(&["monkey"], OF_KEY)
        }
    }

    /// Returns the place of the channel with this index.
    #[must_use]
    pub fn place_of_channel(&self, index: usize) -> Place {
        self.item.place_at(&["notify", &index.to_string()], OF_VALUE)
    }

    /// Returns the place of its name.
    #[must_use]
    pub fn place_of_name(&self) -> Place {
        self.item.place_at(&["name"], OF_VALUE)
    }
}

/// Returns the sources of a file.
pub(crate) fn sources(item: &Item<GamedayFile>) -> impl Iterator<Item = Item<Source>> + '_ {
    item.value.sources.iter().map(|(name, source)| item.part(&["sources", name], source.clone()))
}
