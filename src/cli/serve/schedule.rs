//! Starts the slots of game days at their time. Each is held by a program of its own (`firedrill gameday start`), which goes on when
//! this server ends.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use firedrill_files::whole::{USUAL, replace};
use firedrill_gameday::{
    Gameday, Slot,
    due::{Fate, due, next},
    record::{self, Event, NotClaimed, OUTPUT, Writer},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZoneDatabase};

use crate::cli::{calendar::found, days};

/// The longest time between two looks at the clock and at the files: a clock that was set, a machine that slept and a changed file
/// are noticed then.
const LOOK: SignedDuration = SignedDuration::from_secs(30);
/// The longest time that is looked back for slots that were missed.
const BACK: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The file in the folder of records that has the time of the last look.
const LOOKED: &str = "looked";
/// This program, also after its file was replaced by an upgrade.
const OWN: &str = "/proc/self/exe";

/// The folders and options with which slots are started.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// The folder of game days.
    pub(super) gamedays: PathBuf,
    /// The directory of runs.
    pub(super) reports: PathBuf,
    /// Further options of `gameday start`: the certificate, the lab.
    pub(super) options: Vec<OsString>,
}

impl Schedule {
    /// Starts slots from now on, in a thread of its own, as long as the process lives.
    pub(super) fn start(self) -> io::Result<()> {
        let path = self.reports.join(record::FOLDER).join(LOOKED);
        fs::create_dir_all(self.reports.join(record::FOLDER))?;
        let now = Timestamp::now();
        // Without a look before, no slot was missed.
        let mut since = looked(&self.reports).unwrap_or(now).max(now.checked_sub(BACK).unwrap_or(now));
        thread::Builder::new().name("schedule".to_owned()).spawn(move || {
            let zones = firedrill_gameday::zones();
            let mut told = String::new();
            loop {
                let now = Timestamp::now();
                let next = self.look(&zones, since, now, &mut told);
                // A clock that was set back makes nothing due again.
                since = since.max(now);
                if let Err(error) = replace(&path, since.to_string().as_bytes(), USUAL) {
                    errln!("warning: {} cannot be written: {error}", path.display());
                }
                let wait = next.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
                thread::sleep(Duration::try_from(wait).unwrap_or_default());
            }
        })?;
        Ok(())
    }

    /// Starts what is due, and returns the time of the next look.
    fn look(
        &self,
        zones: &TimeZoneDatabase,
        since: Timestamp,
        now: Timestamp,
        told: &mut String,
    ) -> Timestamp {
        let mut look = now.checked_add(LOOK).unwrap_or(now);
        let mut wrong = String::new();
        let files = found(std::slice::from_ref(&self.gamedays)).unwrap_or_else(|failure| {
            wrong = format!("{failure}\n");
            Vec::new()
        });
        for file in files {
            let (gameday, report) = days::read(&file, zones, since.min(now));
            if report.failed() {
                wrong += &format!("{} has errors, so none of its slots is started\n", file.display());
            }
            let Some(gameday) = gameday.filter(|_| !report.failed()) else { continue };
            for (slot, fate) in due(&gameday, changed(&file), since, now) {
                self.meet(&gameday, &slot, fate);
            }
            look = next(&gameday, now).map_or(look, |next| look.min(next));
        }
        // The same words are told once.
        if wrong != *told {
            if !wrong.is_empty() {
                errln!("warning: {}", wrong.trim_end());
            }
            *told = wrong;
        }
        look
    }

    fn meet(&self, gameday: &Gameday, slot: &Slot, fate: Fate) {
        let (name, civil) = (gameday.name.clone(), slot.civil_text());
        match fate {
            Fate::Missed(why) => self.missed(&name, &civil, &why),
            Fate::Start => match self.spawn(gameday, &civil) {
                Ok(child) => {
                    errln!("{name} of {civil} starts (process {})", child.id());
                    let waits = self.clone();
                    let waiter = thread::Builder::new().name("gameday".to_owned());
                    // Without a waiter the slot is held all the same, and its record has the end.
                    let _unwatched = waiter.spawn(move || waits.wait(child, &name, &civil));
                }
                Err(error) => self.missed(&name, &civil, &format!("its program cannot be started: {error}")),
            },
        }
    }

    fn spawn(&self, gameday: &Gameday, civil: &str) -> io::Result<Child> {
        let folder = record::folder(&self.reports, &gameday.name, civil).map_err(io::Error::other)?;
        fs::create_dir_all(&folder)?;
        let output = OpenOptions::new().create(true).append(true).open(folder.join(OUTPUT))?;
        let mut command = Command::new(OWN);
        command.args(["gameday", "start"]).arg(&gameday.file).args(["--slot", civil]);
        command.arg("--reports").arg(&self.reports).args(&self.options);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // Signals of this server's terminal are not for it: it ends by itself, or by a halt.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn()
    }

    /// Waits for the program that holds a slot. A slot for which it wrote no record gets one.
    fn wait(&self, mut child: Child, gameday: &str, civil: &str) {
        let ended = child.wait();
        let code = ended.as_ref().ok().and_then(ExitStatus::code);
        let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        errln!("{gameday} of {civil} has ended with {code}");
        if let Ok(None) = record::of_slot(&self.reports, gameday, civil) {
            let why = format!(
                "its program ended with {code} before it began; {OUTPUT} beside the record has its words"
            );
            self.write(gameday, civil, Event::NotHeld { why });
        }
    }

    fn missed(&self, gameday: &str, civil: &str, why: &str) {
        if self.write(gameday, civil, Event::Missed { why: why.to_owned() }) {
            errln!("{gameday} of {civil} was missed: {why}");
        }
    }

    /// Gives a slot a record of one event. Returns `false` if it has one already, or gets none.
    fn write(&self, gameday: &str, civil: &str, event: Event) -> bool {
        let written = match Writer::claim(&self.reports, gameday, civil) {
            Ok(mut record) => record.write(Timestamp::now(), event),
            // Somebody held or skipped it.
            Err(NotClaimed::Taken) => return false,
            Err(NotClaimed::Io { source, .. }) => Err(source),
        };
        if let Err(error) = &written {
            errln!("warning: the record of {gameday} of {civil} cannot be written: {error}");
        }
        written.is_ok()
    }
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
