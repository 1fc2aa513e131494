//! The part of the program around the control room that it needs: the way to runs that go on, and to game days.

use std::path::Path;

use firedrill_wire::{RunId, Span, api::Signed};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::later::Later;

use crate::inventory::Inventory;

/// The result of an attempt to halt a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted {
    /// Its coordinator has taken the halt, and ends the run.
    Ends,
    /// The run ends already, or has ended.
    Over,
    /// There is no coordinator of this run on this machine that this user can reach.
    Nowhere,
    /// Its coordinator did not answer.
    Silent(String),
    /// A program of another user answered. Nothing proves that it is the run's coordinator.
    Claimed {
        /// The user's number.
        user: u32,
        /// Whether it says that it ends the run; otherwise it says that the run has ended.
        ends: bool,
    },
}

/// A wish of a person about the attacks that a run still has before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A pause before the next attack.
    Pause {
        /// Its maximum.
        longest: Span,
    },
    /// The end of a pause.
    Resume,
    /// The next attack is skipped.
    Skip {
        /// The place of the attack in the plan that is meant. If another one is next, nothing is skipped.
        attack: Option<usize>,
    },
    /// A person says what became of the step by hand that the run waits for, or of putting it back.
    Step {
        /// The place of the step in the plan that is meant. If the run waits for another one, nothing happens.
        step: Option<usize>,
        /// The outcome, as the person says it.
        answer: StepAnswer,
        /// A note; may be empty.
        note: String,
    },
}

/// The words of a person about a step by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAnswer {
    /// It is done.
    Done,
    /// It could not be done, or not be put back.
    Failed,
    /// It is left out. Nothing was done.
    Skip,
    /// It is put back.
    Back,
}

/// The result of an attempt to tell a run a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It does it: a sentence about the run, which begins with "it".
    Taken(String),
    /// It does nothing, for this reason.
    Refused(String),
    /// It has been told, and has not replied yet.
    Later,
    /// It has ended.
    Over,
    /// There is no coordinator of this run on this machine that this user can reach.
    Nowhere,
    /// Its coordinator did not answer.
    Silent(String),
    /// A program of another user replied. Nothing proves that it is the run's coordinator.
    Claimed {
        /// The user's number.
        user: u32,
        /// Its reply.
        says: String,
    },
}

/// A slot of a game day, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// The game day's name.
    pub gameday: String,
    /// Its civil time, which with the game day's name identifies it.
    pub slot: String,
    /// Its start in the zone of its schedule, with the offset.
    pub local: String,
    /// Its start in UTC.
    pub utc: String,
    /// The reason why it is skipped, or what else there is to know.
    pub told: String,
    /// Whether it is held.
    pub held: bool,
    /// Whether it has no record: nobody has started or skipped it.
    pub open: bool,
    /// Its start, in seconds since 1970.
    pub starts_s: i64,
    /// The people whose agreement is asked for.
    pub asks: Vec<String>,
    /// Those of them who have agreed.
    pub agreed: Vec<String>,
}

/// A start of a game day that has a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldSlot {
    /// The game day's name.
    pub gameday: String,
    /// The civil time of the slot, or the name of a start by hand.
    pub slot: String,
    /// The time of its first event, in UTC.
    pub at: String,
    /// Its result, or the reason why it was not held.
    pub told: String,
    /// Its state in a word: `starting`, `goes-on`, `ended`, `not-held`, `missed`, `died` or `unreadable`.
    pub state: &'static str,
    /// The kind of the reason in a word, if it was not held.
    pub reason: Option<&'static str>,
    /// Its exit code, if it has ended.
    pub exit: Option<u8>,
    /// The folders of its runs.
    pub runs: Vec<String>,
}

/// The messages of channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// The channels that have had a message in the last 30 days, in the order of their names.
    pub channels: Vec<ChannelState>,
    /// Number of files of messages that cannot be read: nobody knows whose messages they are.
    pub unreadable: usize,
}

/// The messages of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// The channel's name.
    pub name: String,
    /// Number of messages that wait.
    pub waiting: u32,
    /// Number of failed tries of the message that was tried most often of those that wait.
    pub tries: u32,
    /// Number of messages that were given up in the last 30 days.
    pub given_up: u32,
    /// Time at which it took a message last, RFC 3339 UTC.
    pub took: Option<String>,
    /// Time at which a message to it was given up last, RFC 3339 UTC. A test of the channel counts too.
    pub failed: Option<String>,
    /// The newest messages that it has not taken, the newest first.
    pub undelivered: Vec<Undelivered>,
}

impl ChannelState {
    /// Maximum number of messages in [`Self::undelivered`].
    pub const MOST: usize = 20;
}

/// A message that a channel has not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The message's time, RFC 3339 UTC.
    pub at: String,
    /// Its title.
    pub title: String,
    /// The run that it is about.
    pub run: Option<String>,
    /// Number of tries that failed.
    pub tries: u32,
    /// The last failure.
    pub why: String,
    /// Whether it is tried again; otherwise it was given up.
    pub waits: bool,
}

/// The approval that a person is asked for: the plan of a run in words, and the statement that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The scenario's name.
    pub name: String,
    /// The run.
    pub run: String,
    /// The plan's seed.
    pub seed: u64,
    /// The plan's digest.
    pub digest: String,
    /// Its attacks, and after them its steps between attacks, a line each.
    pub attacks: Vec<String>,
    /// The whole plan as text.
    pub plan: String,
    /// The parts that show `***` in place of secrets, as a clause.
    pub unseen: Option<String>,
    /// The statement in JSON, from which the challenge is made.
    pub statement: String,
}

/// A decision of a person about a slot that is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The person agrees to the start.
    Agree,
    /// The person takes an agreement back.
    Withdraw,
    /// The slot is not held.
    Skip {
        /// The reason as it was written; may be empty.
        why: String,
    },
}

/// A game day was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// This server starts none.
    Off,
    /// The key is none: in words for people.
    Key(String),
    /// A program holds this start of the game day with another key, or is about to.
    Busy(String),
    /// There is no such game day, or its file has errors: in words for people.
    Unknown(String),
    /// Its program cannot be started, or records cannot be read: in words for people.
    Failed(String),
}

/// Files of game days cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotShown {
    /// There is no such game day, or its file has errors: in words for people.
    Unknown(String),
    /// A key is no moment or day: in words for people.
    Wrong(String),
    /// Something cannot be read: in words for people.
    Failed(String),
}

/// The slots of a game day that are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The moment after which they are, in seconds since 1970; `None` is now.
    pub from_s: Option<i64>,
    /// In its place: the day with which they begin, in the zone of each schedule, such as `2026-12-04`.
    pub from_day: Option<String>,
    /// Their number.
    pub next: usize,
}

/// The next slots of game days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Whether this server starts game days at their time.
    pub starts: bool,
    /// In the order of their starts.
    pub slots: Vec<Slot>,
    /// The problems of the game days, and which of them are in each other's way; empty if nothing is.
    pub problems: String,
    /// The slots that are held, as iCalendar; `None` if a game day is wrong.
    pub ics: Option<String>,
}

/// The program around the control room.
pub trait Outside: Send + Sync + 'static {
    /// Asks the coordinator of a run on this machine to end it and to put everything back. `by` names the person. Takes a few seconds at
    /// most.
    fn halt<'a>(&'a self, run: &'a RunId, by: &'a str) -> Later<'a, Halted>;

    /// Tells the coordinator of a run on this machine a wish. `by` names the person. Takes some seconds at most.
    fn tell<'a>(&'a self, run: &'a RunId, by: &'a str, wants: Wants) -> Later<'a, Told>;

    /// Reads the plan of the run in a folder from its log, and returns what a person signs who approves its attacks.
    ///
    /// # Errors
    /// The log cannot be read: in words for people.
    fn proposal(&self, folder: &Path) -> Result<Proposal, String>;

    /// Gives a run an approval whose signature was verified, in its folder. Returns the approver's name in the certificate.
    ///
    /// # Errors
    /// It is not for this run or not for its plan, or it cannot be written: in words for people.
    fn approve(&self, folder: &Path, signed: &Signed) -> Result<String, String>;

    /// Returns the scenarios and fleets that it knows.
    fn inventory(&self) -> &dyn Inventory;

    /// Reads the game days and checks them. Blocks, and takes a while for large fleets.
    fn calendar(&self) -> Calendar;

    /// Reads the files of game days, each with its problems and slots, as the program's own client reads them. Blocks.
    ///
    /// # Errors
    /// They cannot be read.
    fn gameday_files(&self, slots: &Slots) -> Result<Value, NotShown>;

    /// Reads one game day and checks it, for people, as the program's own client reads it. Blocks, and takes a while for large fleets.
    ///
    /// # Errors
    /// There is no such game day, or it cannot be read.
    fn gameday_file(&self, gameday: &str, slots: &Slots) -> Result<Value, NotShown>;

    /// Reads the starts of game days that have a record, the newest first.
    ///
    /// # Errors
    /// They cannot be read: in words for people.
    fn held(&self) -> Result<Vec<HeldSlot>, String>;

    /// Starts a game day outside of its schedule, once for a key: a start with this key that has a record, or goes on, is not started
    /// again. Returns the start as it is, and whether this call made it. Writes nothing if the key is none.
    ///
    /// # Errors
    /// It was not started.
    fn start(&self, gameday: &str, key: &str) -> Result<(HeldSlot, bool), NotStarted>;

    /// Reads the record of a slot, or of a start by hand; `None` if it has none and no program was started for it.
    ///
    /// # Errors
    /// It cannot be read: in words for people.
    fn held_slot(&self, gameday: &str, slot: &str) -> Result<Option<HeldSlot>, String>;

    /// Returns the time at which this server, or another with this directory of runs, looked last for slots to start, in seconds since 1970.
    fn looked_s(&self) -> Option<i64>;

    /// Counts the messages of channels.
    ///
    /// # Errors
    /// They cannot be read: in words for people.
    fn messages(&self) -> Result<Messages, String>;

    /// Posts JSON to an address that a chat named for answers. Takes some seconds at most.
    fn post<'a>(&'a self, url: &'a str, body: String) -> Later<'a, Result<(), String>>;

    /// Writes what a person decides about a slot, and returns the state of the slot in words.
    ///
    /// # Errors
    /// It is not for this person to decide, the slot is over or does not exist, or it cannot be written: in words for people.
    fn decide(&self, gameday: &str, slot: &str, by: &str, decision: &Decision) -> Result<String, String>;
}
