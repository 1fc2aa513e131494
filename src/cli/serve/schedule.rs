//! Starts the slots of game days at their time (`starter.rs`), in a thread that looks at the clock. A slot that was missed gets a record.
//! Holds no game day itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use firedrill_files::whole::{USUAL, replace};
use firedrill_gameday::{
    Gameday, Slot,
    due::{Fate, GRACE, due, next},
    record::{self, Event, Reason},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZoneDatabase};

use super::{
    named::{self, Named},
    starter::{NotBegun, Start, Starter},
};

/// The longest time between two looks at the clock and at the files. After this time a clock that was set, a machine that slept, or a changed
/// file is noticed.
const LOOK: SignedDuration = SignedDuration::from_secs(30);
/// Slots that were missed are searched for at most this time back.
const BACK: SignedDuration = SignedDuration::from_hours(31 * 24);
/// A difference between two clocks up to this time is no reason for a warning.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// The file in the folder of records that has the time of the last look. It cannot be the record of a game day, whose names never begin with
/// a dot.
const LOOKED: &str = ".looked";

/// The folders and options with which slots are started.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// The folder of game days.
    pub(super) gamedays: PathBuf,
    /// Starts the programs.
    pub(super) starter: Starter,
}

/// Prints a warning only when its text changes. Has the last text.
#[derive(Default)]
struct Warning(String);

impl Warning {
    /// Prints the warning, one line each, unless it is the same as the last. An empty text means that nothing is wrong.
    fn tell(&mut self, text: String) {
        if text != self.0 {
            for line in text.lines() {
                errln!("warning: {line}");
            }
            self.0 = text;
        }
    }
}

impl Schedule {
    /// Starts a thread that starts slots from now on, as long as the process lives.
    pub(super) fn start(self) -> io::Result<()> {
        let path = self.starter.reports.join(record::FOLDER).join(LOOKED);
        fs::create_dir_all(self.starter.reports.join(record::FOLDER))?;
        let mut since = self.since(Timestamp::now());
        thread::Builder::new().name("schedule".to_owned()).spawn(move || {
            let zones = firedrill_gameday::zones();
            let (mut files, mut unwritten) = (Warning::default(), Warning::default());
            loop {
                let now = Timestamp::now();
                let next = self.look(&zones, since, now, &mut files);
                // If the clock is set back, slots become due again. They are not started a second time, because they have records.
                since = now;
                let written = replace(&path, since.to_string().as_bytes(), USUAL);
                unwritten.tell(written.err().map_or_else(String::new, |error| {
                    format!(
                        "{} cannot be written: {error}; slots that are missed while no control room runs get no record",
                        path.display()
                    )
                }));
                let wait = next.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
                thread::sleep(Duration::try_from(wait).unwrap_or_default());
            }
        })?;
        Ok(())
    }

    /// Returns the time from which on slots are searched for when the server starts: shortly before the last look of an earlier server.
    fn since(&self, now: Timestamp) -> Timestamp {
        // Without an earlier look, no slot counts as missed.
        let Some(looked) = looked(&self.starter.reports) else { return now };
        if looked.duration_since(now) > AHEAD {
            errln!(
                "warning: the last look for slots, at {looked}, is in the future: this clock or the earlier one is wrong; slots are looked for from now on"
            );
        }
        // A little earlier than the last look: that server may have ended before a program that it started wrote its record.
        let since = looked.min(now).checked_sub(GRACE).unwrap_or(now);
        since.max(now.checked_sub(BACK).unwrap_or(now))
    }

    /// Starts the slots that became due after `since`, sends announcements, and returns the time of the next look. `told` has the problems of
    /// files that were printed.
    fn look(
        &self,
        zones: &TimeZoneDatabase,
        since: Timestamp,
        now: Timestamp,
        told: &mut Warning,
    ) -> Timestamp {
        let read = Named::of(&self.gamedays, zones, since.min(now));
        told.tell(match &read {
            Ok(named) => wrong(named),
            Err(failure) => failure.to_string(),
        });
        let gamedays = read.map_or_else(|_| Vec::new(), |named| named.all);
        let found: Vec<(&Gameday, Slot, Fate)> = gamedays
            .iter()
            .flat_map(|gameday| {
                let due = due(gameday, changed(&gameday.file), since, now).into_iter();
                due.map(move |(slot, fate)| (gameday, slot, fate))
            })
            .collect();
        // Slots that are due are started first. Records of missed ones are written afterwards, because they can wait.
        let (starts, missed): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(_, _, fate)| *fate == Fate::Start);
        for (gameday, slot, fate) in starts.into_iter().chain(missed) {
            self.settle(gameday, &slot, fate);
        }
        self.starter.tellers.announce(&gamedays, since, now);
        let look = now.checked_add(LOOK).unwrap_or(now);
        gamedays.iter().filter_map(|gameday| next(gameday, now)).fold(look, Timestamp::min)
    }

    /// Starts a slot, or writes why it is not held. Does nothing if it has a record.
    fn settle(&self, gameday: &Gameday, slot: &Slot, fate: Fate) {
        let (name, civil) = (gameday.name.clone(), slot.civil_text());
        if let Ok(Some(_)) = record::of_slot(&self.starter.reports, &name, &civil) {
            return;
        }
        if let Some(why) = gameday.why_closed(slot) {
            if self.starter.write(gameday, &civil, Event::not_held(Reason::Closed, why.to_owned())) {
                errln!("{name} of {civil} is not held: {why}");
            }
            return;
        }
        match fate {
            Fate::Missed(why) => self.missed(gameday, &civil, &why),
            Fate::Start => {
                // `NotBegun::Busy` is no error: a program for this slot runs already, and writes the record.
                if let Err(NotBegun::Io(error)) = self.starter.start(gameday, Start::Slot(&civil)) {
                    self.missed(gameday, &civil, &format!("its program cannot be started: {error}"));
                }
            }
        }
    }

    /// Writes that a slot was missed.
    fn missed(&self, gameday: &Gameday, civil: &str, why: &str) {
        if self.starter.write(gameday, civil, Event::Missed { why: why.to_owned() }) {
            errln!("{} of {civil} was missed: {why}", gameday.name);
        }
    }
}

/// Describes the problems of files, one line each; empty if there are none.
fn wrong(named: &Named) -> String {
    let failed = named.failed.iter().map(|file| {
        let file = file.display();
        format!("{file} has errors, so none of its slots is started; `firedrill check {file}` shows them\n")
    });
    let same = named.same.values().map(|files| format!("{}\n", named::told(files)));
    failed.chain(same).collect()
}

/// Returns the time at which a control room last looked for slots to start; `None` if none ever did.
pub(super) fn looked(reports: &Path) -> Option<Timestamp> {
    fs::read_to_string(reports.join(record::FOLDER).join(LOOKED)).ok()?.trim().parse().ok()
}

/// Returns the time at which a file was changed last; the earliest possible time if that is unknown.
fn changed(file: &Path) -> Timestamp {
    let changed = fs::metadata(file).and_then(|meta| meta.modified()).ok();
    changed.and_then(|changed| Timestamp::try_from(changed).ok()).unwrap_or(Timestamp::MIN)
}
