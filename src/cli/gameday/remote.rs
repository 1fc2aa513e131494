//! `firedrill gameday start NAME --server`: asks a control room to start a game day, follows it there, and ends with its exit code. Starts
//! nothing itself.

use std::{fmt::Write as _, thread, time::Duration};

use firedrill_history::address;
use firedrill_wire::text::{NAME_MOST, TEXT_MOST, cleaned};
use http::{HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};

use crate::{
    cli::{failure::Result, output::print_json, room_client::RoomClient},
    verdict::Exit,
};

/// Time between two questions to the control room.
const ASK: Duration = Duration::from_secs(2);

/// A start of a game day, as the API describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Start {
    gameday: String,
    slot: String,
    state: String,
    reason: Option<String>,
    told: String,
    exit_code: Option<u8>,
    runs: Vec<String>,
    /// Whether this request started it; `false` if an earlier request with the same key did.
    started_now: bool,
}

/// The parts of a run that are shown.
#[derive(Debug, Deserialize)]
struct Run {
    state: String,
    course: Option<Course>,
}

#[derive(Debug, Deserialize)]
struct Course {
    stage: String,
    in_force: usize,
}

/// Asks for the start, and follows it to its end.
pub(super) fn run(room: &RoomClient, gameday: &str, key: &str, json: bool) -> Result<Exit> {
    let path = format!("/api/v1/gamedays/{}/starts", address(gameday));
    let header = [(HeaderName::from_static("idempotency-key"), HeaderValue::try_from(key)?)];
    // The same request is sent again and again: it answers how the start goes on. It starts the game day a second time only if the first
    // program died before it wrote a record.
    let ask = || room.ask::<Start>(&Method::POST, &path, &header);
    let mut start = ask()?;
    let begun = if start.started_now { "is started" } else { "had been started with this key" };
    errln!("{} {begun}, as {}; it goes on if this command ends", shown(&start.gameday), shown(&start.slot));
    let mut last = String::new();
    let exit = loop {
        let words = words(room, &start);
        if words != last {
            errln!("{words}");
            last = words;
        }
        if let Some(exit) = exit(&start) {
            break exit;
        }
        thread::sleep(ASK);
        start = match ask() {
            Ok(start) => start,
            Err(failure) => {
                // The game day was started; this command cannot learn its end.
                errln!("{}", failure.styled());
                errln!(
                    "nobody knows how {} of {} ends: it may go on",
                    shown(&start.slot),
                    shown(&start.gameday)
                );
                break Exit::Unknown;
            }
        };
    };
    if json {
        print_json(&start)?;
    }
    Ok(exit)
}

/// Returns the exit code of a start that is over; `None` while it goes on.
fn exit(start: &Start) -> Option<Exit> {
    match start.state.as_str() {
        "starting" | "goes-on" => None,
        "ended" => Some(start.exit_code.map_or(Exit::Unknown, Exit::of_code)),
        "not-held" => Some(Exit::Refused),
        // Its program died, or its record cannot be read: hosts put everything back by themselves, but there is no verdict.
        _ => Some(Exit::Unknown),
    }
}

/// Describes how a start goes on. A run that the control room gives no answer about is left out, because it decides nothing here.
fn words(room: &RoomClient, start: &Start) -> String {
    let mut words = format!("{}: {}", shown(&start.state), cleaned(start.told.clone(), TEXT_MOST));
    if start.state != "goes-on" {
        return words;
    }
    let Some(last) = start.runs.last() else { return words };
    if let Some(run) = room.once::<Run>(&format!("/api/v1/runs/{}", address(last))) {
        let _ = write!(words, "; run {} of the game day, {}: ", start.runs.len(), shown(last));
        match run.course {
            Some(Course { stage, in_force }) => {
                let _ = write!(words, "{}, {in_force} in force", cleaned(stage, TEXT_MOST));
            }
            None => words.push_str(&shown(&run.state)),
        }
    }
    words
}

/// Makes a name from the control room safe to show.
fn shown(name: &str) -> String {
    cleaned(name.to_owned(), NAME_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_start_that_is_over_has_an_exit_code_and_one_that_died_is_unknown() {
        let start = |state: &str, exit_code| Start {
            gameday: "friday".to_owned(),
            slot: "by-hand-1".to_owned(),
            state: state.to_owned(),
            reason: None,
            told: String::new(),
            exit_code,
            runs: Vec::new(),
            started_now: true,
        };
        for (state, code, wanted) in [
            ("starting", None, None),
            ("goes-on", None, None),
            ("ended", Some(0), Some(Exit::Held)),
            ("ended", Some(6), Some(Exit::Unclean)),
            ("ended", None, Some(Exit::Unknown)),
            ("not-held", None, Some(Exit::Refused)),
            ("died", None, Some(Exit::Unknown)),
            ("unreadable", None, Some(Exit::Unknown)),
            ("something new", Some(0), Some(Exit::Unknown)),
        ] {
            assert_eq!(exit(&start(state, code)), wanted, "{state}");
        }
    }
}
