//! This program's part of the control room: halts by sockets, and game days.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use firedrill_gameday::ics;
use firedrill_room::{Calendar, Halted, Later, Outside, Slot};
use firedrill_wire::RunId;
use jiff::Timestamp;

use crate::{
    cli::{
        calendar::{events, found},
        days::{self, Day},
        slots::{From, cells},
    },
    run,
};

/// Number of slots of each game day that are shown, and that are in the calendar for programs.
const SHOWN: usize = 5;
const KEPT: usize = 26;

/// This program, for the control room.
#[derive(Debug)]
pub(super) struct Program {
    /// The folder of game days.
    pub(super) gamedays: PathBuf,
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

    fn calendar(&self) -> Calendar {
        let now = Timestamp::now();
        let files = match found(std::slice::from_ref(&self.gamedays)) {
            Ok(files) => files,
            Err(failure) => return Calendar { problems: failure.to_string(), ..Calendar::default() },
        };
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let all = days::inspect(&files, None, now);
        let mut told = HashSet::new();
        let problems = all.iter().map(|day| day.plain(&mut told)).collect();
        let held: Vec<ics::Event> = all.iter().flat_map(|day| events(day, From::Moment(now), KEPT)).collect();
        let ics = (!all.iter().any(Day::failed)).then(|| ics::calendar(&held, now));
        Calendar { slots: slots(&all, now), problems, ics }
    }
}

/// Returns the next slots of all game days, in the order of their starts.
fn slots(all: &[Day], now: Timestamp) -> Vec<Slot> {
    let gamedays = all.iter().filter_map(|day| day.gameday.as_ref());
    let upcoming = gamedays
        .flat_map(|gameday| gameday.schedule.upcoming(now).take(SHOWN).map(move |slot| (gameday, slot)));
    let mut upcoming: Vec<_> = upcoming.collect();
    upcoming.sort_by_key(|(_, slot)| slot.starts().timestamp());
    let shown = upcoming.iter().filter_map(|(gameday, slot)| {
        let [local, utc, told] = cells(gameday, slot).try_into().ok()?;
        let (gameday, held) = (gameday.name.clone(), gameday.why_closed(slot).is_none());
        Some(Slot { gameday, local, utc, told, held })
    });
    shown.collect()
}
