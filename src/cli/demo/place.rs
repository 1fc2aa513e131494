//! The folder of `demo --serve`: a fleet, a scenario and a game day, as a team would write them, with the runs and the control room's state.
//! Never overwrites a file that somebody changed, except for the time of the game day.

use std::{
    fs,
    path::{Path, PathBuf},
};

use firedrill_files::whole::{USUAL, replace};
use firedrill_wire::Span;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use crate::cli::{
    calendar::FOLDER,
    failure::{Failure, Result, Wrap as _},
    lab::builtin::{DEMO, FLEET, SHOP},
    runs::REPORTS,
};

/// The game day, in the folder of game days.
const FRIDAY: &str = "friday.toml";
/// The files and the texts with which they are made.
const FILES: [(&str, &str); 4] = [
    ("fleet.toml", FLEET),
    ("scenarios/demo.toml", DEMO),
    ("scenarios/lib/shop.toml", SHOP),
    ("gamedays/friday.toml", include_str!("friday.toml")),
];
/// The file that marks a demo's folder. Nothing is written into a folder that has files but not this one.
const MARK: &str = ".firedrill-demo";
/// The start of the line that sets the game day's time.
const ONCE: &str = "schedule = { once = ";
/// The beginning of the first attack that waits for an approval, in a folder made for that.
const ATTACK: &str = "[[attack]]\nname = \"freeze checkout\"\n";
/// The longest time from now to the game day that --in accepts.
const MOST: Span = Span::secs(12 * 60 * 60);

/// The folder of a demo.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    /// Creates the files that are not there. Existing files stay as they are. `approve` is the origin of the control room's pages, or `None`:
    /// with an origin, an attack of a new scenario waits for an approval, and a new fleet counts approvals by passkeys of these pages.
    pub(super) fn fill(folder: &Path, approve: Option<&str>) -> Result<Self> {
        if !is_ours(folder)? {
            return Err(Failure::new(format!(
                "{} has files and is no demo's folder; nothing was written",
                folder.display()
            ))
            .help("name a new folder with --folder"));
        }
        for (name, text) in [(MARK, "")].iter().chain(&FILES) {
            let path = folder.join(name);
            if !path.exists() {
                let made = path.parent().map_or(Ok(()), fs::create_dir_all);
                let text = match approve {
                    Some(origin) => with_approval(name, text, origin),
                    None => (*text).to_owned(),
                };
                let written = made.and_then(|()| fs::write(&path, text));
                written.wrap(format!("cannot write {}", path.display()))?;
            }
        }
        Ok(Self(folder.to_owned()))
    }

    /// Sets the time of the game day. Returns `false`, and changes nothing, if its file no longer has a schedule with `once`.
    pub(super) fn set_time(&self, slot: Timestamp) -> Result<bool> {
        let path = self.gameday();
        let read = fs::read_to_string(&path).wrap(format!("cannot read {}", path.display()))?;
        let Some(text) = with_time(&read, slot) else { return Ok(false) };
        replace(&path, text.as_bytes(), USUAL).wrap(format!("cannot write {}", path.display()))?;
        Ok(true)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn fleet(&self) -> PathBuf {
        self.0.join("fleet.toml")
    }

    pub(super) fn gamedays(&self) -> PathBuf {
        self.0.join(FOLDER)
    }

    pub(super) fn gameday(&self) -> PathBuf {
        self.gamedays().join(FRIDAY)
    }

    pub(super) fn reports(&self) -> PathBuf {
        self.0.join(REPORTS)
    }

    pub(super) fn room(&self) -> PathBuf {
        self.0.join("room")
    }
}

/// Returns the text of a file for a folder in which an attack waits for an approval by passkey on pages of `origin`.
fn with_approval(name: &str, text: &str, origin: &str) -> String {
    match name {
        "fleet.toml" => text.replacen(
            "\n[defaults]\n",
            &format!(
                "\n# Passkeys of these pages count as approvals.\n[approval]\norigins = [\"{origin}\"]\n\n[defaults]\n"
            ),
            1,
        ),
        "scenarios/demo.toml" => text.replacen(
            ATTACK,
            &format!(
                "{ATTACK}# A second person reads the plan and approves it before this attack.\napprove = {{ people = 1, expires = \"15m\" }}\n"
            ),
            1,
        ),
        _ => text.to_owned(),
    }
}

/// Whether a folder is a demo's, is empty, or does not exist.
fn is_ours(folder: &Path) -> Result<bool> {
    if folder.join(MARK).is_file() {
        return Ok(true);
    }
    match fs::read_dir(folder) {
        Ok(mut files) => Ok(files.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Failure::from(error).wrap(format!("cannot look into {}", folder.display()))),
    }
}

/// Returns a game day's text with the time `slot`; `None` if it has no line with a schedule of [`ONCE`].
fn with_time(text: &str, slot: Timestamp) -> Option<String> {
    let schedule = format!("{ONCE}\"{}\", zone = \"UTC\" }}", slot.strftime("%Y-%m-%dT%H:%M"));
    text.lines().any(|line| line.starts_with(ONCE)).then(|| {
        let lines = text.lines().map(|line| if line.starts_with(ONCE) { schedule.as_str() } else { line });
        lines.map(|line| format!("{line}\n")).collect()
    })
}

/// Returns the first full minute that is at least `ahead` after `now`. Game days begin at full minutes.
pub(super) fn minute(now: Timestamp, ahead: Span) -> Timestamp {
    let up = TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Ceil);
    now.checked_add(ahead.0).and_then(|at| at.round(up)).unwrap_or(now)
}

/// Reads the time from now to the game day. The error says that it is no length of time, or too long.
pub(super) fn ahead(text: &str) -> Result<Span, String> {
    let ahead = text.parse::<Span>().map_err(|error| error.to_string())?;
    if ahead > MOST {
        return Err(format!("it is more than {MOST}"));
    }
    Ok(ahead)
}

#[cfg(test)]
mod tests;
