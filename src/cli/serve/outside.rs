//! The part of the control room that only this program can do: sends halts and wishes to runs by their sockets, and reads, starts and decides
//! about game days. Serves no page.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use firedrill_gameday::{
    Gameday, ics,
    record::{self, Event, NotClaimed, OUTPUT, Record, State, Writer},
};
use firedrill_room::{
    Calendar, Decision, Halted, HeldSlot, Inventory, Later, Messages, NotShown, NotStarted, Outside,
    Proposal, Slot, Slots, StepAnswer, Told, Wants,
};
use firedrill_wire::{
    RunId,
    api::Signed,
    text::{NAME_MOST, TEXT_MOST, clean, cleaned},
};
use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    approvals,
    inventory::Stock,
    messages::Counted,
    named::{self, Named},
    schedule::looked,
    starter::{self, NotBegun, Start, Starter},
    tellers::Tellers,
};
use crate::{
    cli::{
        calendar::{events, found},
        days::{self, Day},
        failure::Failure,
        gameday::{held::words, list::Listing, show::Shown},
        post::{SMALL, Sent, Server},
        slots::{self, From, cells},
    },
    run,
    told::passed,
};

/// Number of slots of each game day that a page shows.
const SHOWN: usize = 5;
/// Number of slots of each game day in the calendar for other programs (iCalendar).
const IN_CALENDAR: usize = 26;
/// Maximum length of the name of a slot in a message, in characters.
const SLOT_MOST: usize = 40;
/// The state of a start whose program has written no record yet.
const STARTING: &str = "starting";
/// The state of a start whose program has ended without a record, or with one that has no end.
const DIED: &str = "died";
/// Number of records that are shown.
const RECORDS: usize = 20;

/// This program as the control room uses it.
#[derive(Debug)]
pub(super) struct Program {
    /// The folder of game days.
    pub(super) gamedays: PathBuf,
    /// The directory of runs, which has the records of game days.
    pub(super) reports: PathBuf,
    /// Starts game days; `None` if this server does not.
    pub(super) starter: Option<Starter>,
    /// Sends messages to the channels that game days name.
    pub(super) tellers: Tellers,
    /// Counts the messages to channels.
    pub(super) messages: Counted,
    /// The scenarios and fleets.
    pub(super) stock: Stock,
}

impl Outside for Program {
    fn halt<'a>(&'a self, run: &'a RunId, by: &'a str) -> Later<'a, Halted> {
        Box::pin(async move {
            match run::halt(run, by).await {
                run::Halted::Ends => Halted::Ends,
                run::Halted::Over => Halted::Over,
                run::Halted::Nowhere => Halted::Nowhere,
                run::Halted::Silent(why) => Halted::Silent(why),
                run::Halted::Claimed { user, ends } => Halted::Claimed { user, ends },
            }
        })
    }

    fn tell<'a>(&'a self, run: &'a RunId, by: &'a str, wants: Wants) -> Later<'a, Told> {
        let wants = match wants {
            Wants::Pause { longest } => run::Wants::Pause { longest },
            Wants::Resume => run::Wants::Resume,
            Wants::Skip { attack } => run::Wants::Skip { attack },
            Wants::Step { step, answer, note } => {
                let answer = match answer {
                    StepAnswer::Done => run::StepAnswer::Done,
                    StepAnswer::Failed => run::StepAnswer::Failed,
                    StepAnswer::Skip => run::StepAnswer::Skip,
                    StepAnswer::Back => run::StepAnswer::Back,
                };
                run::Wants::Step { step, answer, note }
            }
        };
        Box::pin(async move {
            match run::request(run, &run::Wish { by: by.to_owned(), wants }).await {
                run::Requested::Replied(run::Reply::Taken(text)) => Told::Taken(text),
                run::Requested::Replied(run::Reply::Refused(why)) => Told::Refused(why),
                run::Requested::Replied(run::Reply::Later) => Told::Later,
                run::Requested::Replied(run::Reply::Over) => Told::Over,
                run::Requested::Nowhere => Told::Nowhere,
                run::Requested::Silent(why) => Told::Silent(why),
                run::Requested::Claimed { user, reply } => Told::Claimed { user, says: reply.words() },
            }
        })
    }

    fn proposal(&self, folder: &Path) -> Result<Proposal, String> {
        approvals::proposal(folder)
    }

    fn approve(&self, folder: &Path, signed: &Signed) -> Result<String, String> {
        approvals::approve(folder, signed)
    }

    fn inventory(&self) -> &dyn Inventory {
        &self.stock
    }

    fn calendar(&self) -> Calendar {
        let now = Timestamp::now();
        let empty = Calendar { starts: self.starter.is_some(), ..Calendar::default() };
        let files = match found(std::slice::from_ref(&self.gamedays)) {
            Ok(files) => files,
            Err(failure) => return Calendar { problems: failure.to_string(), ..empty },
        };
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let days = days::inspect(&files, None, now);
        let mut told = HashSet::new();
        let problems = days.iter().map(|day| day.plain(&mut told)).collect();
        let held: Vec<ics::Event> =
            days.iter().flat_map(|day| events(day, From::Moment(now), IN_CALENDAR)).collect();
        let ics = (!days.iter().any(Day::failed)).then(|| ics::calendar(&held, now));
        Calendar { slots: self.slots(&days, now), problems, ics, ..empty }
    }

    fn gameday_files(&self, slots: &Slots) -> Result<Value, NotShown> {
        let failed = |failure: Failure| NotShown::Failed(failure.to_string());
        // The error may be that there is no folder of game days, so it is not one of the server.
        let files = found(std::slice::from_ref(&self.gamedays))
            .map_err(|failure| NotShown::Unknown(failure.to_string()))?;
        let listing = Listing::of(&files, begin(slots)?, slots.next, false).map_err(failed)?;
        serde_json::to_value(listing).map_err(|error| NotShown::Failed(error.to_string()))
    }

    fn gameday_file(&self, gameday: &str, slots: &Slots) -> Result<Value, NotShown> {
        let found = self.gameday(gameday, Timestamp::now()).map_err(NotShown::Unknown)?;
        let shown = Shown::of(&found.file, (begin(slots)?, slots.next), &self.reports, false)
            .map_err(|failure| NotShown::Failed(failure.to_string()))?;
        serde_json::to_value(shown).map_err(|error| NotShown::Failed(error.to_string()))
    }

    fn held(&self) -> Result<Vec<HeldSlot>, String> {
        let records = record::all(&self.reports, RECORDS)
            .map_err(|error| format!("the records of game days cannot be read: {error}"))?;
        Ok(records.into_iter().map(held).collect())
    }

    fn held_slot(&self, gameday: &str, slot: &str) -> Result<Option<HeldSlot>, String> {
        // The error says that no record can have this name.
        let Ok(folder) = record::folder(&self.reports, gameday, slot) else { return Ok(None) };
        let record = record::of_slot(&self.reports, gameday, slot)
            .map_err(|error| format!("the record cannot be read: {error}"))?;
        if let Some(record) = record {
            return Ok(Some(held(record)));
        }
        let is_live = match &self.starter {
            Some(starter) => starter.is_live(gameday, slot),
            None => starter::is_live(&self.reports, gameday, slot),
        };
        Ok(if is_live {
            Some(starting(gameday, slot))
        } else if folder.join(OUTPUT).exists() {
            let told = "its program ended before it wrote a record, so it touched nothing";
            Some(unrecorded(gameday, slot, DIED, told))
        } else {
            None
        })
    }

    fn start(&self, gameday: &str, key: &str) -> Result<(HeldSlot, bool), NotStarted> {
        let Some(starter) = &self.starter else { return Err(NotStarted::Off) };
        record::check_key(key).map_err(NotStarted::Key)?;
        let slot = record::once(key);
        let existing = || self.held_slot(gameday, &slot).map_err(NotStarted::Failed);
        if let Some(held) = existing()? {
            // A start whose program died before it wrote a record touched nothing, so it is made again.
            let has_record = !matches!(record::of_slot(&self.reports, gameday, &slot), Ok(None));
            if held.state != DIED || has_record {
                return Ok((held, false));
            }
        }
        let found = self.gameday(gameday, Timestamp::now()).map_err(NotStarted::Unknown)?;
        match starter.start(&found, Start::Once(key)) {
            Ok(()) => Ok((starting(gameday, &slot), true)),
            Err(NotBegun::Busy(other)) if other == slot => {
                existing()?.map(|held| (held, false)).ok_or(NotStarted::Busy(other))
            }
            Err(NotBegun::Busy(other)) => Err(NotStarted::Busy(other)),
            Err(NotBegun::Io(error)) => {
                Err(NotStarted::Failed(format!("its program cannot be started: {error}")))
            }
        }
    }

    fn looked_s(&self) -> Option<i64> {
        Some(looked(&self.reports)?.as_second())
    }

    fn messages(&self) -> Result<Messages, String> {
        self.messages.now()
    }

    fn post<'a>(&'a self, url: &'a str, body: String) -> Later<'a, Result<(), String>> {
        let url = url.to_owned();
        Box::pin(async move {
            let posted = tokio::task::spawn_blocking(move || post(&url, body)).await;
            posted.unwrap_or_else(|error| Err(error.to_string()))
        })
    }

    fn decide(&self, gameday: &str, slot: &str, by: &str, decision: &Decision) -> Result<String, String> {
        let now = Timestamp::now();
        let gameday = self.gameday(gameday, now)?;
        let missing = || format!("{} has no slot {}", gameday.name, clean(slot, SLOT_MOST));
        let found = gameday.schedule.slot(slot).ok_or_else(missing)?;
        let starts = found.starts().timestamp();
        if starts < now {
            return Err(format!("the slot {slot} of {} is over", gameday.name));
        }
        match decision {
            Decision::Agree | Decision::Withdraw => {
                let agrees = *decision == Decision::Agree;
                record::agreed_by(&self.reports, &gameday, (slot, starts), (by, agrees), now)
            }
            Decision::Skip { why } => {
                let failed = |error: std::io::Error| format!("the record cannot be written: {error}");
                let mut record =
                    Writer::claim(&self.reports, &gameday.name, slot).map_err(|error| match error {
                        NotClaimed::Taken => "it has begun, or was skipped already".to_owned(),
                        NotClaimed::Io { source, .. } => failed(source),
                    })?;
                let skipped = Event::skipped(by, why);
                let message = passed(&gameday, slot, &skipped);
                record.write(now, skipped).map_err(failed)?;
                if let Some(message) = message {
                    self.tellers.tell(&gameday, &message);
                }
                Ok("skipped".to_owned())
            }
        }
    }
}

/// Returns the day or the time from which on slots are asked for; by default now. The error says that it is invalid.
fn begin(slots: &Slots) -> Result<From, NotShown> {
    match (&slots.from_day, slots.from_s) {
        (Some(day), _) => slots::from(day).map_err(NotShown::Wrong),
        (None, Some(at)) => {
            Timestamp::from_second(at).map(From::Moment).map_err(|error| NotShown::Wrong(error.to_string()))
        }
        (None, None) => Ok(From::Moment(Timestamp::now())),
    }
}

/// Posts JSON to an address that a chat named. Everybody who knows the address can write to the chat, so no error contains it, nor the
/// content of an answer.
fn post(url: &str, body: String) -> Result<(), String> {
    let server = Server::parse(url, "`response_url` is no http or https address")?;
    if !server.is_private() {
        return Err("`response_url` is without TLS".to_owned());
    }
    let sent = Sent {
        method: Method::POST,
        path: server.path.clone(),
        content_type: "application/json",
        headers: Vec::new(),
        body: body.into_bytes(),
        most: SMALL,
    };
    let answer = server.send(sent).map_err(|failure| failure.to_string())?;
    if answer.status.is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status)) }
}

/// Describes a start whose program has not written its record yet.
fn starting(gameday: &str, slot: &str) -> HeldSlot {
    unrecorded(gameday, slot, STARTING, "its program was started, and has not begun yet")
}

/// Describes a start that has no record.
fn unrecorded(gameday: &str, slot: &str, state: &'static str, told: &str) -> HeldSlot {
    HeldSlot {
        gameday: gameday.to_owned(),
        slot: slot.to_owned(),
        at: String::new(),
        told: told.to_owned(),
        state,
        reason: None,
        exit: None,
        runs: Vec::new(),
    }
}

/// Describes a record.
fn held(record: Record) -> HeldSlot {
    let (state, told) = words(&record);
    HeldSlot {
        state,
        told,
        exit: record.exit(),
        reason: record.reason().map(record::Reason::word),
        runs: record.runs().map(str::to_owned).collect(),
        at: record.at().get(..16).unwrap_or_default().replace('T', " "),
        gameday: record.gameday,
        slot: record.slot,
    }
}

impl Program {
    /// Reads the game day of that name. The error says that there is none without errors, or that several files have the name.
    fn gameday(&self, name: &str, now: Timestamp) -> Result<Gameday, String> {
        let zones = firedrill_gameday::zones();
        let read = Named::of(&self.gamedays, &zones, now).map_err(|failure| failure.to_string())?;
        if let Some(files) = read.same.get(name) {
            return Err(named::told(files));
        }
        let missing = || format!("no game day of that name is without errors: {}", clean(name, NAME_MOST));
        read.all.into_iter().find(|gameday| gameday.name == name).ok_or_else(missing)
    }

    /// Returns the next slots of all game days, in the order of their starts.
    fn slots(&self, days: &[Day], now: Timestamp) -> Vec<Slot> {
        let gamedays = days.iter().filter_map(|day| day.gameday.as_ref());
        let upcoming = gamedays
            .flat_map(|gameday| gameday.schedule.upcoming(now).take(SHOWN).map(move |slot| (gameday, slot)));
        let mut upcoming: Vec<_> = upcoming.collect();
        upcoming.sort_by_key(|(_, slot)| slot.starts().timestamp());
        upcoming.iter().map(|(gameday, slot)| self.slot(gameday, slot)).collect()
    }

    /// Describes a slot, with its record, or with the agreements that it needs.
    fn slot(&self, gameday: &Gameday, slot: &firedrill_gameday::Slot) -> Slot {
        let [local, utc, mut told] = cells(gameday, slot);
        let (civil, starts_s) = (slot.civil_text(), slot.starts().timestamp().as_second());
        let mut add = |text: &str| {
            if !told.is_empty() {
                told.push_str("; ");
            }
            told.push_str(text);
        };
        let mut held = gameday.why_closed(slot).is_none();
        let record = record::of_slot(&self.reports, &gameday.name, &civil);
        let (mut asks, mut agreed) = (Vec::new(), Vec::new());
        match (&record, &gameday.go_no_go) {
            (Ok(Some(record)), _) => {
                add(&words(record).1);
                held = matches!(record.state, State::GoesOn | State::Ended(_));
            }
            (Err(error), _) => add(&format!("its record cannot be read: {error}")),
            (Ok(None), Some(wanted)) => match record::agreements(&self.reports, &gameday.name, &civil) {
                Ok(given) => {
                    let go = record::go(wanted, &gameday.roles, &given, slot.starts().timestamp());
                    add(&go.words());
                    asks = wanted.of.iter().filter_map(|role| gameday.roles.get(role).cloned()).collect();
                    agreed = go.agreed;
                }
                Err(error) => add(&format!("its agreements cannot be read: {error}")),
            },
            (Ok(None), None) => {}
        }
        Slot {
            gameday: gameday.name.clone(),
            slot: civil,
            local,
            utc,
            told: cleaned(told, TEXT_MOST),
            held,
            open: matches!(record, Ok(None)),
            starts_s,
            asks,
            agreed,
        }
    }
}
