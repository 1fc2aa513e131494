//! Halts a run by a control room, for `undo --run RUN --server URL` and `gameday halt --server URL`: asks the control room to halt the run, and waits
//! until the run has ended. Asks no host.

use std::{
    thread,
    time::{Duration, Instant},
};

use firedrill_history::address;
use firedrill_wire::text::{NAME_MOST, cleaned};
use http::Method;
use serde::Deserialize;

use crate::{
    cli::{failure::Result, room_client::RoomClient},
    verdict::Exit,
};

/// Time between two questions.
const ASK: Duration = Duration::from_secs(1);
/// The longest time to wait for the end of the run: longer than the slowest undo of a host.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// The answer to a halt.
#[derive(Debug, Deserialize)]
struct Done {
    done: String,
}

/// The part of a run that is read.
#[derive(Debug, Deserialize)]
struct Run {
    state: String,
    exit_code: Option<u8>,
}

/// Halts a run, and waits for its end. If that fails, faults may be in force, and the exit code is [`Exit::Unclean`].
pub(super) fn there(room: &RoomClient, run: &str) -> Exit {
    halted(room, run).unwrap_or_else(|failure| {
        errln!("{}", failure.styled());
        errln!("run {run} may go on; `firedrill undo --run {run} --fleet FLEET` asks the hosts themselves");
        Exit::Unclean
    })
}

/// As [`run`]; the error is one of the control room.
fn halted(room: &RoomClient, run: &str) -> Result<Exit> {
    let path = format!("/api/v1/runs/{}", address(run));
    let Done { done } = room.ask(&Method::POST, &format!("{path}/halt"), &[])?;
    let claimed = done.starts_with("claimed");
    outln!("{}", told(run, &done));
    let end = Instant::now() + PATIENCE;
    loop {
        let Run { state, exit_code } = room.ask(&Method::GET, &path, &[])?;
        if state != "running" {
            let exit = exit(exit_code);
            outln!("run {run} has ended: {}", cleaned(state, NAME_MOST));
            if exit != Exit::Held || claimed {
                outln!("its report names the hosts; `firedrill undo --run {run} --fleet FLEET` asks them");
            }
            return Ok(exit);
        }
        if Instant::now() > end {
            outln!(
                "run {run} has not ended within {} s; `firedrill undo --run {run} --fleet FLEET` asks the hosts themselves",
                PATIENCE.as_secs()
            );
            return Ok(Exit::Unclean);
        }
        thread::sleep(ASK);
    }
}

/// Describes the answer of a control room to a halt.
fn told(run: &str, done: &str) -> String {
    match done {
        "ends" => format!("the coordinator of run {run} ends it and puts everything back"),
        "over" => format!("run {run} was ending already, or has ended"),
        other => format!(
            "a program of another user says so of run {run}, and nothing proves that it is its coordinator ({})",
            cleaned(other.to_owned(), NAME_MOST)
        ),
    }
}

/// Returns the exit code of this command for the exit code of the run: 0 if the run has put everything back, whatever its verdict is.
pub(super) fn exit(code: Option<u8>) -> Exit {
    match code.map(Exit::of_code) {
        Some(Exit::Held | Exit::Violated | Exit::Usage | Exit::Unknown | Exit::Refused | Exit::Stopped) => {
            Exit::Held
        }
        Some(Exit::Lost) => Exit::Lost,
        // The run has no exit code, or left something behind.
        Some(Exit::Unclean | Exit::Bug) | None => Exit::Unclean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_an_exit_code_may_have_left_something() {
        for (code, wanted) in [
            (Some(0), Exit::Held),
            (Some(1), Exit::Held),
            (Some(5), Exit::Held),
            (Some(6), Exit::Unclean),
            (Some(7), Exit::Lost),
            (Some(70), Exit::Unclean),
            (None, Exit::Unclean),
        ] {
            assert_eq!(exit(code), wanted, "{code:?}");
        }
    }

    #[test]
    fn an_answer_of_another_users_program_is_marked_as_unproven() {
        assert!(told("r", "ends").contains("puts everything back"));
        let claimed = told("r", "claimed-ends-1000");
        assert!(claimed.contains("nothing proves") && claimed.contains("1000"), "{claimed}");
    }
}
