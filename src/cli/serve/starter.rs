//! Starts programs that hold game days (`firedrill gameday start`), and sees to it that each start gets a record. Each goes on when this
//! server ends.

use std::{
    env,
    ffi::OsString,
    fs::{self, OpenOptions},
    io,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use firedrill_gameday::{
    Gameday,
    record::{self, Event, NotClaimed, OUTPUT, Reason, Writer},
};
use jiff::Timestamp;

use super::{programs::Programs, tellers::Tellers};
use crate::{cli::gameday::held::words, told::passed};

/// This program, where its file was replaced by an upgrade.
const OWN: &str = "/proc/self/exe";

/// A start of a game day.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<'a> {
    /// The slot of this civil time.
    Slot(&'a str),
    /// A start outside of the schedule, once for this key.
    Once(&'a str),
}

impl Start<'_> {
    /// Returns the name of its record.
    pub(super) fn recorded_as(self) -> String {
        match self {
            Self::Slot(civil) => civil.to_owned(),
            Self::Once(key) => record::once(key),
        }
    }

    /// Returns the options of `gameday start`.
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
    /// The ways to the channels that game days name.
    pub(super) tellers: Tellers,
    /// Further options of `gameday start`: the certificate, the lab.
    pub(super) options: Vec<OsString>,
    /// The programs that hold game days.
    pub(super) programs: Programs,
}

impl Starter {
    /// Starts a program that holds a game day. It writes the record; if it ends without one, this server does.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(&self, gameday: &Gameday, start: Start<'_>) -> io::Result<()> {
        let name = start.recorded_as();
        let child = self.spawn(gameday, start)?;
        errln!("{} of {name} starts (process {})", gameday.name, child.id());
        let (waits, gameday) = (self.clone(), gameday.clone());
        let waiter = thread::Builder::new().name("gameday".to_owned());
        // Without a waiter the game day is held all the same, and its record has the end.
        let _unwatched = waiter.spawn(move || waits.wait(child, &gameday, &name));
        Ok(())
    }

    fn spawn(&self, gameday: &Gameday, start: Start<'_>) -> io::Result<Child> {
        let folder = record::folder(&self.reports, &gameday.name, &start.recorded_as())?;
        fs::create_dir_all(&folder)?;
        let output = OpenOptions::new().create(true).append(true).open(folder.join(OUTPUT))?;
        let mut command = Command::new(own());
        command.args(["gameday", "start"]).arg(&gameday.file).args(start.options());
        command.arg("--reports").arg(&self.reports).args(&self.options);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // Signals of this server's terminal are not for it: it ends by itself, or by a halt.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        self.programs.start(&mut command)
    }

    /// Waits for the program that holds a start. One for which it wrote no record gets one.
    fn wait(&self, mut child: Child, gameday: &Gameday, slot: &str) {
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
    }

    /// Gives a start a record of one event, and tells of it. Returns `false` if it has one already, or gets none.
    pub(super) fn write(&self, gameday: &Gameday, slot: &str, event: Event) -> bool {
        let name = &gameday.name;
        let told = passed(gameday, slot, &event);
        let written = match Writer::claim(&self.reports, name, slot) {
            Ok(mut record) => record.write(Timestamp::now(), event),
            // Somebody held or skipped it.
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

/// Returns the file of this program, by its own name, which lists of processes show.
fn own() -> PathBuf {
    env::current_exe().ok().filter(|file| file.is_file()).unwrap_or_else(|| OWN.into())
}
