//! Starts the programs that hold game days (`firedrill gameday start`), and makes sure that each start gets a record. A program goes on when
//! this server ends.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use firedrill_files::regular;
use firedrill_gameday::{
    Gameday,
    record::{self, Event, NotClaimed, OUTPUT, Reason, Writer},
};
use jiff::Timestamp;

use super::{programs::Programs, tellers::Tellers};
use crate::{cli::gameday::held::words, own, told::passed};

/// A start of a game day.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<'a> {
    /// The slot of this civil time.
    Slot(&'a str),
    /// A start outside of the schedule, once for this key.
    Once(&'a str),
}

impl Start<'_> {
    /// Returns the name of the start's record.
    pub(super) fn recorded_as(self) -> String {
        match self {
            Self::Slot(civil) => civil.to_owned(),
            Self::Once(key) => record::once(key),
        }
    }

    /// Returns the options of `gameday start` that name the start.
    fn options(self) -> Vec<OsString> {
        match self {
            Self::Slot(civil) => vec!["--slot".into(), civil.into()],
            Self::Once(key) => vec!["--now".into(), format!("--once={key}").into()],
        }
    }
}

/// The folders and options with which game days are started.
#[derive(Clone, Debug)]
pub(super) struct Starter {
    /// The directory of runs.
    pub(super) reports: PathBuf,
    /// Sends messages to the channels that game days name.
    pub(super) tellers: Tellers,
    /// Further options of `gameday start`: the certificate, the lab.
    pub(super) options: Vec<OsString>,
    /// The programs that hold game days.
    pub(super) programs: Programs,
    /// The names of starts with a key whose programs have not ended, by their game days. A game day has at most one at a time.
    pub(super) live: Arc<Mutex<BTreeMap<String, String>>>,
}

/// The reason why a program was not started.
#[derive(Debug)]
pub(super) enum NotBegun {
    /// A program for the start of this name runs already.
    Busy(String),
    /// The program cannot be started.
    Io(io::Error),
}

impl From<io::Error> for NotBegun {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Starter {
    /// Starts a program that holds a game day. The program writes the record; if it ends without one, this server writes it.
    ///
    /// # Errors
    /// A program for the start, or for another start with a key, runs already; or the program cannot be started.
    pub(super) fn start(&self, gameday: &Gameday, start: Start<'_>) -> Result<(), NotBegun> {
        let name = start.recorded_as();
        let mut live = self.live();
        if let (Start::Once(_), Some(other)) = (start, live.get(&gameday.name)) {
            return Err(NotBegun::Busy(other.clone()));
        }
        let (child, lock) = self.spawn(gameday, start)?;
        if let Start::Once(_) = start {
            live.insert(gameday.name.clone(), name.clone());
        }
        drop(live);
        errln!("{} of {name} starts (process {})", gameday.name, child.id());
        let (starter, gameday_held, slot) = (self.clone(), gameday.clone(), name.clone());
        let thread = thread::Builder::new().name("gameday".to_owned());
        // If the thread cannot be started, the game day is held all the same, and the program writes the end into its record.
        let waiter = thread.spawn(move || starter.wait(child, &gameday_held, &slot, lock));
        if waiter.is_err() {
            self.forget(&gameday.name, &name);
        }
        Ok(())
    }

    /// Removes a start from those whose programs run.
    fn forget(&self, gameday: &str, slot: &str) {
        let mut live = self.live();
        if live.get(gameday).is_some_and(|name| name == slot) {
            live.remove(gameday);
        }
    }

    /// Whether a program for a slot runs: it holds the lock on its output.
    pub(super) fn is_live(&self, gameday: &str, slot: &str) -> bool {
        // The look takes the lock on the output for a moment. `self.live` is locked meanwhile, so that a start does not mistake that for a
        // program that runs.
        let _no_start_meanwhile = self.live();
        is_live(&self.reports, gameday, slot)
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the program. Also returns a descriptor of its output: the output is locked until this one is closed and the program has ended.
    fn spawn(&self, gameday: &Gameday, start: Start<'_>) -> Result<(Child, File), NotBegun> {
        let name = start.recorded_as();
        let folder = record::folder(&self.reports, &gameday.name, &name)?;
        fs::create_dir_all(&folder)?;
        let output = OpenOptions::new().create(true).append(true).open(folder.join(OUTPUT))?;
        match output.try_lock() {
            Ok(()) => {}
            // Another server may have started it.
            Err(TryLockError::WouldBlock) => return Err(NotBegun::Busy(name)),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let lock = output.try_clone()?;
        let mut command = Command::new(own::program());
        command.args(["gameday", "start"]).arg(&gameday.file).args(start.options());
        command.arg("--reports").arg(&self.reports).args(&self.options);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // A process group of its own, so that a Ctrl-C at this server's terminal does not reach the program: it ends by itself, or by a halt.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let begun = self.programs.start(&mut command);
        // If the program was not started, no trace of it stays: `held_slot` takes an output without a record for a program that died.
        let begun = begun.inspect_err(|_| drop(fs::remove_file(folder.join(OUTPUT))))?;
        Ok((begun, lock))
    }

    /// Waits for the end of a program. If it wrote no record, writes one.
    fn wait(&self, mut child: Child, gameday: &Gameday, slot: &str, lock: File) {
        let name = &gameday.name;
        let ended = child.wait();
        let code = ended.as_ref().ok().and_then(ExitStatus::code);
        let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        match record::of_slot(&self.reports, name, slot) {
            Ok(Some(record)) => errln!("{name} of {slot}: {}", words(&record).1),
            Ok(None) => {
                errln!("{name} of {slot} has ended with {code}, without a record");
                let why = format!(
                    "its program ended with {code} before it began; {OUTPUT} beside the record has its words"
                );
                self.write(gameday, slot, Event::not_held(Reason::Other, why));
            }
            Err(error) => {
                errln!("{name} of {slot} has ended with {code}; its record cannot be read: {error}");
            }
        }
        // The lock is released only after the record is written. Otherwise a look in between would find a program that died without a record.
        drop(lock);
        self.forget(name, slot);
    }

    /// Writes a record with one event for a start, and sends a message about it. Returns `false` if the start has a record already, or if the
    /// record cannot be written.
    pub(super) fn write(&self, gameday: &Gameday, slot: &str, event: Event) -> bool {
        let name = &gameday.name;
        let told = passed(gameday, slot, &event);
        let written = match Writer::claim(&self.reports, name, slot) {
            Ok(mut record) => record.write(Timestamp::now(), event),
            // Another program held or skipped it.
            Err(NotClaimed::Taken) => return false,
            Err(NotClaimed::Io { source, .. }) => Err(source),
        };
        if let Err(error) = &written {
            errln!("warning: the record of {name} of {slot} cannot be written: {error}");
        }
        if let Some(message) = told {
            self.tellers.tell(gameday, &message);
        }
        written.is_ok()
    }
}

/// Whether a program holds the lock on the output of a slot.
pub(super) fn is_live(reports: &Path, gameday: &str, slot: &str) -> bool {
    let output = record::folder(reports, gameday, slot).map(|folder| folder.join(OUTPUT));
    let output = output.and_then(|path| regular::open(&path));
    output.is_ok_and(|output| matches!(output.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
