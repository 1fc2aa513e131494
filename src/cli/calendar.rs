//! The files of game days, and their slots as events of a calendar.

use std::path::{Path, PathBuf};

use firedrill_gameday::ics;

use super::{
    days::{self, Day},
    failure::{Failure, Result},
    slots::From,
};

/// The folder of game days, unless another is named.
pub(super) const FOLDER: &str = "gamedays";
/// The names of people and files in a calendar's description are joined by this.
const LIST: &str = ", ";

/// Returns the files that are named, and the game days (`*.toml`) of the folders that are named.
///
/// # Errors
/// A folder cannot be read, or has no game day.
pub(super) fn found(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            if !path.exists() && path.as_path() == Path::new(FOLDER) {
                return Err(Failure::new("there is no folder `gamedays` here")
                    .help("name files or another folder; docs/gamedays.md shows how a game day is written"));
            }
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| {
            Failure::from(error).wrap(format!("the folder {} cannot be read", path.display()))
        })?;
        let mut there: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "toml") && path.is_file())
            .collect();
        if there.is_empty() {
            return Err(Failure::new(format!("there is no game day in {}", path.display())).help(
                "game days are files that end with `.toml`; docs/gamedays.md shows how one is written",
            ));
        }
        there.sort();
        files.append(&mut there);
    }
    Ok(files)
}

/// Returns the slots that are not closed among the next `next` slots of a game day, as events of a calendar.
pub(super) fn events(day: &Day, from: From, next: usize) -> Vec<ics::Event> {
    let Some(gameday) = &day.gameday else { return Vec::new() };
    let lasts = days::signed(days::total(&day.drills));
    let roles: Vec<String> = gameday.roles.iter().map(|(role, person)| format!("{role}: {person}")).collect();
    let scenarios: Vec<String> =
        day.drills.iter().filter_map(|drill| Some(drill.plan.as_ref()?.name.clone())).collect();
    let longest = days::longest(&day.drills);
    let mut about = format!(
        "Scenarios: {}\nFleet: {}\nTakes up to {longest}\nTouches: {}",
        scenarios.join(LIST),
        gameday.fleet.display(),
        crate::alike::names(&days::may_touch(&day.drills).into_iter().collect::<Vec<_>>())
    );
    if !roles.is_empty() {
        about.push_str(&format!("\n{}", roles.join(LIST)));
    }
    let slots = gameday.schedule.upcoming(from.moment(gameday.schedule.zone()));
    // Closed slots count in `next`: otherwise this would never end for a game day whose slots are all closed.
    let held = slots.take(next).filter(|slot| gameday.why_closed(slot).is_none());
    held.map(|slot| ics::Event {
        name: gameday.name.clone(),
        civil: slot.civil_text(),
        starts: slot.starts().timestamp(),
        lasts,
        summary: format!("Game day {}", gameday.name),
        about: match &slot.note {
            Some(note) => format!("{about}\n{note}"),
            None => about.clone(),
        },
        announce: gameday.announce.iter().map(|before| days::signed(*before)).collect(),
    })
    .collect()
}
