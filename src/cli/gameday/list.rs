//! `firedrill gameday list`: the next slots of all game days, in the order of their starts.

use std::path::PathBuf;

use firedrill_gameday::{Gameday, Slot};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    cli::{
        days::{self, WIDTH},
        failure::Result,
        output::{print_json, table},
        slots::{From, JsonSlot},
    },
    diagnostic::Report,
    terminal,
    verdict::Exit,
};

/// A game day for machines.
#[derive(Serialize, Deserialize)]
struct Listed {
    file: String,
    ok: bool,
    problems: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    slots: Vec<JsonSlot>,
}

/// The game days of files.
#[derive(Serialize, Deserialize)]
pub(in crate::cli) struct Listing {
    gamedays: Vec<Listed>,
    /// Their problems for people.
    errors: String,
}

impl Listing {
    /// Reads the game days of files, each with its next `next` slots. `colours` is whether their problems are formatted with colours.
    pub(in crate::cli) fn of(files: &[PathBuf], from: From, next: usize, colours: bool) -> Result<Self> {
        let zones = firedrill_gameday::zones();
        let (mut gamedays, mut errors) = (Vec::new(), String::new());
        for file in files {
            let (gameday, report) = days::read(file, &zones, from.early());
            errors += &report.render(colours, WIDTH);
            gamedays.push(listed(file.display().to_string(), gameday.as_ref(), &report, (from, next))?);
        }
        Ok(Self { gamedays, errors })
    }

    /// Prints the slots of all game days in one table, or JSON.
    pub(in crate::cli) fn print(&self, json: bool) -> Result<Exit> {
        let failed = self.gamedays.iter().any(|gameday| !gameday.ok);
        let exit = if failed { Exit::Usage } else { Exit::Held };
        if json {
            print_json(&self.gamedays)?;
            return Ok(exit);
        }
        terminal::err(format_args!("{}", self.errors));
        let named = self.gamedays.iter().filter_map(|gameday| Some((gameday.name.as_ref()?, &gameday.slots)));
        let mut upcoming: Vec<(&String, &JsonSlot)> =
            named.flat_map(|(name, slots)| slots.iter().map(move |slot| (name, slot))).collect();
        upcoming.sort_by_key(|(_, slot)| slot.utc());
        if upcoming.is_empty() {
            if !failed {
                outln!("nothing is due");
            }
            return Ok(exit);
        }
        let mut rows = vec![["game day", "slot", "local time", "UTC", ""].map(str::to_owned).to_vec()];
        rows.extend(upcoming.iter().map(|(name, slot)| [vec![(*name).clone()], slot.row()].concat()));
        outln!("{}", table(rows));
        Ok(exit)
    }
}

/// Returns a game day for machines, with its next slots; `gameday` is `None` if the file has errors.
fn listed(
    file: String,
    gameday: Option<&Gameday>,
    report: &Report,
    (from, next): (From, usize),
) -> Result<Listed> {
    let slots = |gameday: &Gameday| -> Vec<JsonSlot> {
        let upcoming = gameday.schedule.upcoming(from.moment(gameday.schedule.zone())).take(next);
        upcoming.map(|slot: Slot| JsonSlot::new(gameday, &slot)).collect()
    };
    Ok(Listed {
        file,
        ok: !report.failed(),
        problems: report.items().iter().map(serde_json::to_value).collect::<serde_json::Result<_>>()?,
        name: gameday.map(|gameday| gameday.name.clone()),
        schedule: gameday.map(|gameday| gameday.schedule.to_string()),
        zone: gameday.map(|gameday| gameday.schedule.zone_name().to_owned()),
        slots: gameday.map(slots).unwrap_or_default(),
    })
}

/// Runs the command.
pub(super) fn run(files: &[PathBuf], from: From, next: usize, json: bool) -> Result<Exit> {
    Listing::of(files, from, next, true)?.print(json)
}
