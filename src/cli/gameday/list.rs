//! `firedrill gameday list`: the next slots of all game days, in the order of their starts.

use std::path::PathBuf;

use firedrill_gameday::{Gameday, Slot};
use serde::Serialize;

use crate::{
    cli::{
        days::{self, WIDTH},
        failure::Result,
        output::{print_json, table},
        slots::{From, JsonSlot, cells},
    },
    diagnostic::{JsonProblem, Report},
    terminal,
    verdict::Exit,
};

/// A game day for machines.
#[derive(Serialize)]
struct Listed {
    file: String,
    ok: bool,
    problems: Vec<JsonProblem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    slots: Vec<JsonSlot>,
}

/// Runs the command.
pub(super) fn run(files: &[PathBuf], from: From, next: usize, json: bool) -> Result<Exit> {
    let zones = firedrill_gameday::zones();
    let read: Vec<(&PathBuf, Option<Gameday>, Report)> = files
        .iter()
        .map(|file| {
            let (gameday, report) = days::read(file, &zones, from.early());
            (file, gameday, report)
        })
        .collect();
    let failed = read.iter().any(|(_, _, report)| report.failed());
    let exit = if failed { Exit::Usage } else { Exit::Held };
    let slots = |gameday: &Gameday| -> Vec<Slot> {
        gameday.schedule.upcoming(from.moment(gameday.schedule.zone())).take(next).collect()
    };
    if json {
        let all = read.iter().map(|(file, gameday, report)| Listed {
            file: file.display().to_string(),
            ok: !report.failed(),
            problems: report.items(),
            name: gameday.as_ref().map(|gameday| gameday.name.clone()),
            schedule: gameday.as_ref().map(|gameday| gameday.schedule.to_string()),
            zone: gameday.as_ref().map(|gameday| gameday.schedule.zone_name().to_owned()),
            slots: gameday
                .iter()
                .flat_map(|gameday| {
                    slots(gameday).iter().map(|slot| JsonSlot::new(gameday, slot)).collect::<Vec<_>>()
                })
                .collect(),
        });
        print_json(&all.collect::<Vec<_>>())?;
        return Ok(exit);
    }
    let errors: String = read.iter().map(|(_, _, report)| report.render(true, WIDTH)).collect();
    terminal::err(format_args!("{errors}"));
    let gamedays = read.iter().filter_map(|(_, gameday, _)| gameday.as_ref());
    let mut all: Vec<(&Gameday, Slot)> =
        gamedays.flat_map(|gameday| slots(gameday).into_iter().map(move |slot| (gameday, slot))).collect();
    all.sort_by_key(|(_, slot)| slot.starts().timestamp());
    if all.is_empty() {
        if !failed {
            outln!("nothing is due");
        }
        return Ok(exit);
    }
    let mut rows = vec![["game day", "slot", "local time", "UTC", ""].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|(gameday, slot)| {
        let mut row = vec![gameday.name.clone(), slot.civil_text()];
        row.extend(cells(gameday, slot));
        row
    }));
    outln!("{}", table(rows));
    Ok(exit)
}
