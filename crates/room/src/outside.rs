//! The trait [`Outside`]: the functions that the control room needs from the program around it, such as the way to runs that go on and to game days.
//! This module has only the trait and its types.

use std::path::Path;

use firedrill_wire::{RunId, Span, api::Signed};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::later::Later;

use crate::inventory::Inventory;

/// The result of an attempt to halt a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted {
    /// The run's coordinator has accepted the halt, and ends the run.
    Ends,
    /// The run was already ending, or has ended.
    Over,
    /// There is no coordinator of this run on this machine that this user can reach.
    Nowhere,
    /// Its coordinator did not answer, for this reason.
    Silent(String),
    /// A program of another user answered. Nothing proves that it is the run's coordinator.
    Claimed {
        /// The user's number.
        user: u32,
        /// True if that program says that it ends the run, false if it says that the run has ended.
        ends: bool,
    },
}

/// A wish of a person about the attacks that a run still has before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A pause before the next attack.
    Pause {
        /// The maximum length of the pause.
        longest: Span,
    },
    /// The end of a pause.
    Resume,
    /// The next attack is skipped.
    Skip {
        /// The index in the plan of the attack that the person saw, from 0. If another attack is next by now, nothing is skipped. `None` skips the
        /// next attack, whichever it is.
        attack: Option<usize>,
    },
    /// A person reports the outcome of the step by hand for which the run waits, or that the step was put back.
    Step {
        /// The index in the plan of the step that the person saw, from 0. If the run waits for another step by now, nothing happens. `None` means
        /// the step for which the run waits.
        step: Option<usize>,
        /// The outcome that the person reports.
        answer: StepAnswer,
        /// A note; may be empty.
        note: String,
    },
}

/// The outcome of a step by hand, as a person reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAnswer {
    /// The step is done.
    Done,
    /// The step could not be done, or could not be put back.
    Failed,
    /// The step is left out. Nothing was done.
    Skip,
    /// The step is put back.
    Back,
}

/// The result of an attempt to send a wish to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The run will do it. The text says what the run does, such as `it skips attack 3, "stop"`.
    Taken(String),
    /// The run refuses, for this reason.
    Refused(String),
    /// The run has received the wish, and has not replied yet.
    Later,
    /// The run has ended.
    Over,
    /// There is no coordinator of this run on this machine that this user can reach.
    Nowhere,
    /// Its coordinator did not answer, for this reason.
    Silent(String),
    /// A program of another user replied. Nothing proves that it is the run's coordinator.
    Claimed {
        /// The user's number.
        user: u32,
        /// Its reply.
        says: String,
    },
}

/// A slot of a game day, as texts for pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// The game day's name.
    pub gameday: String,
    /// Its civil time. Game day and civil time together identify a slot.
    pub slot: String,
    /// Its start in the zone of its schedule, with the offset.
    pub local: String,
    /// Its start in UTC.
    pub utc: String,
    /// The reason why it is skipped, or another remark about it; may be empty.
    pub told: String,
    /// Whether it will be held, as far as is known now.
    pub held: bool,
    /// True if it has no record, because nobody has started or skipped it.
    pub open: bool,
    /// Its start, in seconds since 1970.
    pub starts_s: i64,
    /// The people whose agreement is asked for.
    pub asks: Vec<String>,
    /// The people of `asks` who have agreed.
    pub agreed: Vec<String>,
}

/// One start of a game day, and its result so far. Starts that were missed or not held count as starts, too, and so do
/// starts whose program has written no record yet.
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
    /// Number of message files that cannot be read. It is unknown to which channel they belong.
    pub unreadable: usize,
}

/// The messages of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// The channel's name.
    pub name: String,
    /// Number of messages that wait.
    pub waiting: u32,
    /// Number of failed tries of one waiting message: the one that was tried most often.
    pub tries: u32,
    /// Number of messages that were given up in the last 30 days.
    pub given_up: u32,
    /// Time at which the channel last accepted a message, RFC 3339 UTC.
    pub took: Option<String>,
    /// Time at which a message to the channel was last given up, RFC 3339 UTC. A failed test of the channel counts, too.
    pub failed: Option<String>,
    /// The newest messages that the channel has not accepted, the newest first.
    pub undelivered: Vec<Undelivered>,
}

impl ChannelState {
    /// Maximum number of messages in [`Self::undelivered`].
    pub const MOST: usize = 20;
}

/// A message that a channel has not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The message's time, RFC 3339 UTC.
    pub at: String,
    /// Its title.
    pub title: String,
    /// The run that it is about; `None` if it is about no run.
    pub run: Option<String>,
    /// Number of tries that failed.
    pub tries: u32,
    /// The last failure.
    pub why: String,
    /// True if it is tried again, false if it was given up.
    pub waits: bool,
}

/// The content of a request for approval: the plan of a run as text, and the statement that the person signs.
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
    /// A clause that names the parts that show `***` in place of secrets; `None` if there are none.
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

/// The reason why a game day was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// This server starts no game days.
    Off,
    /// The key is not valid; the text says why.
    Key(String),
    /// The game day is already started by hand, with another key, or with this key but without a record yet. The text is
    /// the name of that start.
    Busy(String),
    /// There is no such game day, or its file has errors; the text says why.
    Unknown(String),
    /// The game day's program cannot be started, or records cannot be read; the text says why.
    Failed(String),
}

/// The reason why files of game days cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotShown {
    /// There is no such game day, or its file has errors; the text says why.
    Unknown(String),
    /// A parameter of the query (`from_s`, `from_day`) is not valid; the text says why.
    Wrong(String),
    /// Something cannot be read; the text says why.
    Failed(String),
}

/// The choice of slots that are shown of a game day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The slots are after this moment, in seconds since 1970; `None` means now.
    pub from_s: Option<i64>,
    /// The first day of the slots, in the time zone of each schedule, such as `2026-12-04`. It takes precedence over `from_s`.
    pub from_day: Option<String>,
    /// Maximum number of slots.
    pub next: usize,
}

/// The next slots of game days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Whether this server starts game days at their time.
    pub starts: bool,
    /// The slots, in the order of their starts.
    pub slots: Vec<Slot>,
    /// The problems of the game days and the conflicts between them, in words; empty if there are none.
    pub problems: String,
    /// The slots that will be held, as iCalendar; `None` if a game day has errors.
    pub ics: Option<String>,
}

/// The functions that the program around the control room offers to it.
pub trait Outside: Send + Sync + 'static {
    /// Asks the coordinator of a run on this machine to end it and to put everything back. `by` names the person. Takes a few seconds at
    /// most.
    fn halt<'a>(&'a self, run: &'a RunId, by: &'a str) -> Later<'a, Halted>;

    /// Sends a wish to the coordinator of a run on this machine. `by` names the person. Takes some seconds at most.
    fn tell<'a>(&'a self, run: &'a RunId, by: &'a str, wants: Wants) -> Later<'a, Told>;

    /// Reads the plan of the run in a folder from its log, and returns the content of a request to approve its attacks.
    ///
    /// # Errors
    /// The log cannot be read; the text says why.
    fn proposal(&self, folder: &Path) -> Result<Proposal, String>;

    /// Writes an approval into the folder of a run, for the run to read. The caller has verified the signature. Returns the approver's name in the
    /// certificate.
    ///
    /// # Errors
    /// The approval is not for this run or not for its plan, or it cannot be written; the text says why.
    fn approve(&self, folder: &Path, signed: &Signed) -> Result<String, String>;

    /// Returns the access to scenarios and fleets.
    fn inventory(&self) -> &dyn Inventory;

    /// Reads the game days and checks them. Blocks, and takes a while for large fleets.
    fn calendar(&self) -> Calendar;

    /// Reads the files of all game days, and returns them with their problems and slots, in the JSON that the program's own client expects. Blocks.
    ///
    /// # Errors
    /// They cannot be read.
    fn gameday_files(&self, slots: &Slots) -> Result<Value, NotShown>;

    /// Reads one game day and checks it. Returns its description, in the JSON that the program's own client expects. Blocks, and takes a while for large
    /// fleets.
    ///
    /// # Errors
    /// There is no such game day, or it cannot be read.
    fn gameday_file(&self, gameday: &str, slots: &Slots) -> Result<Value, NotShown>;

    /// Reads the starts of game days that have a record, the newest first.
    ///
    /// # Errors
    /// They cannot be read; the text says why.
    fn held(&self) -> Result<Vec<HeldSlot>, String>;

    /// Starts a game day outside of its schedule, once for each key. If the key already has a start, no other one begins. Returns the start in its
    /// present state, and whether this call began it. Writes nothing if the key is not valid.
    ///
    /// # Errors
    /// The game day was not started.
    fn start(&self, gameday: &str, key: &str) -> Result<(HeldSlot, bool), NotStarted>;

    /// Reads the record of a slot, or of a start by hand; `None` if there is no record and no program was started for it.
    ///
    /// # Errors
    /// The record cannot be read; the text says why.
    fn held_slot(&self, gameday: &str, slot: &str) -> Result<Option<HeldSlot>, String>;

    /// Returns the time at which this server, or another one with the same directory of runs, last looked for slots to start, in seconds since 1970.
    fn looked_s(&self) -> Option<i64>;

    /// Counts the messages of channels.
    ///
    /// # Errors
    /// They cannot be read; the text says why.
    fn messages(&self) -> Result<Messages, String>;

    /// Posts JSON to the address that a chat named for answers. Takes some seconds at most.
    fn post<'a>(&'a self, url: &'a str, body: String) -> Later<'a, Result<(), String>>;

    /// Records the decision of a person (`by`) about a slot, and returns the state of the slot in words.
    ///
    /// # Errors
    /// The person may not decide this, the slot is over or does not exist, or the decision cannot be written; the text says why.
    fn decide(&self, gameday: &str, slot: &str, by: &str, decision: &Decision) -> Result<String, String>;
}
