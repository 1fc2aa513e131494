//! Options and files of channels, for commands that send messages to people.

use std::path::{Path, PathBuf};

use firedrill_gameday::Gameday;
use firedrill_notify::{Channel, Channels};

use super::{
    days::WIDTH,
    failure::{Failure, Result, Wrap as _},
};
use crate::{
    diagnostic::{Sink, suggest},
    terminal,
    told::Teller,
};

/// The file of channels, unless another is named.
pub(super) const FILE: &str = "channels.toml";

/// The options that name the channels by which people are told.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct NotifyArgs {
    /// Tell people by the channels of this file (docs/channels.md)
    #[arg(long, value_name = "FILE")]
    notify: Option<PathBuf>,
    /// Only by this channel of the file; may be given several times
    #[arg(long = "channel", value_name = "NAME", requires = "notify")]
    channels: Vec<String>,
}

impl NotifyArgs {
    /// Returns the sender of messages to the channels that are named, if a file is named. Starts its thread.
    pub(super) fn teller(&self, reports: &Path) -> Result<Option<Teller>> {
        let Some(file) = &self.notify else { return Ok(None) };
        let to = (!self.channels.is_empty()).then(|| self.channels.clone());
        teller(reports, file, to).map(Some)
    }

    /// Fails if the file has errors, or has no channel of a given name. Starts nothing.
    pub(super) fn check(&self) -> Result<()> {
        let Some(file) = &self.notify else { return Ok(()) };
        let channels = read(file)?;
        self.channels.iter().try_for_each(|name| named(&channels, name, file).map(|_| ()))
    }
}

/// Returns the sender of messages to the channels that a game day names, if it names any. Prints a warning if they cannot be used. Starts
/// the sender's thread.
pub(super) fn of_gameday(reports: &Path, gameday: &Gameday) -> Option<Teller> {
    if gameday.notify.is_empty() {
        return None;
    }
    let teller = teller(reports, &gameday.channels, Some(gameday.notify.clone()));
    teller.inspect_err(|failure| errln!("warning: nobody is told of {}: {failure}", gameday.name)).ok()
}

/// Fails if the channels that a game day names cannot be used. Starts nothing.
pub(super) fn check(gameday: &Gameday) -> Result<()> {
    if gameday.notify.is_empty() {
        return Ok(());
    }
    let channels = read(&gameday.channels)?;
    gameday.notify.iter().try_for_each(|name| named(&channels, name, &gameday.channels).map(|_| ()))
}

/// Returns the sender of messages to the channels of a file that `to` names; with `None`, to all of them. Starts its thread.
pub(super) fn teller(reports: &Path, file: &Path, to: Option<Vec<String>>) -> Result<Teller> {
    let channels = read(file)?;
    for name in to.iter().flatten() {
        named(&channels, name, file)?;
    }
    Teller::start(reports, file, channels, to).wrap("the channels cannot be served")
}

/// Reads a file of channels. Its errors are printed.
pub(super) fn read(file: &Path) -> Result<Channels> {
    let mut sink = Sink::default();
    let channels = firedrill_notify::read(file, &mut sink);
    terminal::err(format_args!("{}", sink.into_report().render(true, WIDTH)));
    channels.ok_or_else(|| {
        Failure::new(format!("the channels of {} cannot be used", file.display()))
            .help(format!("its errors are above; `firedrill check {}` shows them again", file.display()))
    })
}

/// Returns the channel of that name. The error suggests a similar name; `file` is where the channels were read.
pub(super) fn named<'a>(channels: &'a Channels, name: &str, file: &Path) -> Result<&'a Channel> {
    channels.get(name).ok_or_else(|| {
        let shown = firedrill_wire::text::clean(name, 40);
        Failure::new(format!("{} has no channel `{shown}`", file.display())).help(suggest(
            name,
            channels.keys().map(String::as_str),
            "channels",
        ))
    })
}
