//! `firedrill gameday list` and `show` with `--server`: asks a control room for its game days. Reads no file of this machine.

use std::path::{Path, PathBuf};

use firedrill_history::address;
use http::Method;

use super::{list::Listing, show::Shown};
use crate::{
    cli::{
        calendar::FOLDER,
        failure::{Failure, Result},
        room_client::{RoomArgs, RoomClient},
        slots::From,
    },
    verdict::Exit,
};

/// Returns the query of an address, with its `?`.
fn query(from: Option<From>, next: usize) -> String {
    let from = match from {
        Some(From::Day(day)) => format!("&from_day={day}"),
        Some(From::Moment(at)) => format!("&from_s={}", at.as_second()),
        None => String::new(),
    };
    format!("?next={next}{from}")
}

/// Lists the game days of a control room.
pub(super) fn list(
    (server, room): (&str, &RoomArgs),
    files: &[PathBuf],
    (from, next): (Option<From>, usize),
    json: bool,
) -> Result<Exit> {
    if files != [PathBuf::from(FOLDER)] {
        return Err(Failure::new(
            "files do not go with --server: the control room has its own folder of game days",
        ));
    }
    let path = format!("/api/v1/gameday-files{}", query(from, next));
    RoomClient::of(server, room)?.ask::<Listing>(&Method::GET, &path, &[])?.print(json)
}

/// Shows a game day of a control room.
pub(super) fn show(
    (server, room): (&str, &RoomArgs),
    gameday: &Path,
    (from, next): (Option<From>, usize),
) -> Result<Exit> {
    let name = address(&gameday.display().to_string());
    let path = format!("/api/v1/gameday-files/{name}{}", query(from, next));
    Ok(RoomClient::of(server, room)?.ask::<Shown>(&Method::GET, &path, &[])?.print())
}
