//! Looks at the clock, and starts the slots of game days at their time (`starter.rs`). A slot that nobody can hold any more gets a record.

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

/// The longest time between two looks at the clock and at the files: a clock that was set, a machine that slept and a changed file
/// are noticed then.
const LOOK: SignedDuration = SignedDuration::from_secs(30);
/// The longest time that is looked back for slots that were missed.
const BACK: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The difference between two clocks that is no reason for a warning.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// The file in the folder of records that has the time of the last look. No game day has a name that begins with a dot.
const LOOKED: &str = ".looked";

/// The folders and options with which slots are started.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// The folder of game days.
    pub(super) gamedays: PathBuf,
    /// The way by which slots are started.
    pub(super) starter: Starter,
}

/// Tells a warning once, as long as its words are the same.
#[derive(Default)]
struct Once(String);

impl Once {
    /// Tells what is wrong; nothing is if there are no words.
    fn tell(&mut self, wrong: String) {
        if wrong != self.0 {
            for line in wrong.lines() {
                errln!("warning: {line}");
            }
            self.0 = wrong;
        }
    }
}

impl Schedule {
    /// Starts slots from now on, in a thread of its own, as long as the process lives.
    pub(super) fn start(self) -> io::Result<()> {
        let path = self.starter.reports.join(record::FOLDER).join(LOOKED);
        fs::create_dir_all(self.starter.reports.join(record::FOLDER))?;
        let mut since = self.since(Timestamp::now());
        thread::Builder::new().name("schedule".to_owned()).spawn(move || {
            let zones = firedrill_gameday::zones();
            let (mut files, mut unwritten) = (Once::default(), Once::default());
            loop {
                let now = Timestamp::now();
                let next = self.look(&zones, since, now, &mut files);
                // Where the clock is set back, slots are due again. Their records keep them from a second start.
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

    /// Returns the moment since which slots are looked for at the start of a server.
    fn since(&self, now: Timestamp) -> Timestamp {
        // Without a look before, no slot was missed.
        let Some(looked) = looked(&self.starter.reports) else { return now };
        if looked.duration_since(now) > AHEAD {
            errln!(
                "warning: the last look for slots, at {looked}, is in the future: this clock or the earlier one is wrong; slots are looked for from now on"
            );
        }
        // The server that looked may have ended before the program that it started made the record.
        let since = looked.min(now).checked_sub(GRACE).unwrap_or(now);
        since.max(now.checked_sub(BACK).unwrap_or(now))
    }

    /// Starts what is due, and returns the time of the next look.
    fn look(&self, zones: &TimeZoneDatabase, since: Timestamp, now: Timestamp, told: &mut Once) -> Timestamp {
        let read = Named::of(&self.gamedays, zones, since.min(now));
        told.tell(match &read {
            Ok(named) => wrong(named),
            Err(failure) => failure.to_string(),
        });
        let all = read.map_or_else(|_| Vec::new(), |named| named.all);
        let found: Vec<(&Gameday, Slot, Fate)> = all
            .iter()
            .flat_map(|gameday| {
                let due = due(gameday, changed(&gameday.file), since, now).into_iter();
                due.map(move |(slot, fate)| (gameday, slot, fate))
            })
            .collect();
        // Records of the past wait until all that is due has begun.
        let (starts, missed): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(_, _, fate)| *fate == Fate::Start);
        for (gameday, slot, fate) in starts.into_iter().chain(missed) {
            self.meet(gameday, &slot, fate);
        }
        self.starter.tellers.announce(&all, since, now);
        let look = now.checked_add(LOOK).unwrap_or(now);
        all.iter().filter_map(|gameday| next(gameday, now)).fold(look, Timestamp::min)
    }

    fn meet(&self, gameday: &Gameday, slot: &Slot, fate: Fate) {
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
                // A program that is there already writes the record.
                if let Err(NotBegun::Io(error)) = self.starter.start(gameday, Start::Slot(&civil)) {
                    self.missed(gameday, &civil, &format!("its program cannot be started: {error}"));
                }
            }
        }
    }

    fn missed(&self, gameday: &Gameday, civil: &str, why: &str) {
        if self.starter.write(gameday, civil, Event::Missed { why: why.to_owned() }) {
            errln!("{} of {civil} was missed: {why}", gameday.name);
        }
    }
}

/// Returns what is wrong with files, a line for each problem; nothing is if there is none.
fn wrong(named: &Named) -> String {
    let failed = named.failed.iter().map(|file| {
        let file = file.display();
        format!("{file} has errors, so none of its slots is started; `firedrill check {file}` shows them\n")
    });
    let same = named.same.values().map(|files| format!("{}\n", named::told(files)));
    failed.chain(same).collect()
}

/// Returns the time at which somebody looked last for slots to start.
pub(super) fn looked(reports: &Path) -> Option<Timestamp> {
    fs::read_to_string(reports.join(record::FOLDER).join(LOOKED)).ok()?.trim().parse().ok()
}

/// Returns the time at which a file was changed last.
fn changed(file: &Path) -> Timestamp {
    let changed = fs::metadata(file).and_then(|about| about.modified()).ok();
    changed.and_then(|changed| Timestamp::try_from(changed).ok()).unwrap_or(Timestamp::MIN)
}
