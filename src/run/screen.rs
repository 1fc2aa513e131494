//! The output of a run in progress: a live view on a terminal, plain lines with time stamps elsewhere.

mod frail;
mod live;
mod plain;
mod words;

pub use live::Live;
pub use plain::Plain;
pub use words::sentence;

use crate::{log::Record, score::window::Window};

/// An observer of a run. It cannot influence the run.
pub trait Observer: Send {
    /// Takes a record that was written to the log.
    fn record(&mut self, record: &Record);
    /// Updates the view for the time `now_us` on the run's clock, with the latest measurements.
    fn tick(&mut self, _now_us: i64, _window: &Window) {}
    /// Shows a text that a person must read now.
    fn say(&mut self, text: &str);
    /// Ends the view, because the run is over.
    fn close(&mut self) {}
}

/// Shows only texts that a person must read, and no records (`--plan`, tests).
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn record(&mut self, _: &Record) {}
    fn say(&mut self, text: &str) {
        errln!("{text}");
    }
}
