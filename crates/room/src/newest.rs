//! The calendar that was read last.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::outside::{Calendar, Outside};

/// Time for which game days that were read are shown: their scenarios and fleets are checked, which takes a while.
const FRESH: Duration = Duration::from_secs(30);

/// The calendar that was read last.
#[derive(Debug, Default)]
pub(crate) struct Newest(Mutex<Option<(Instant, Arc<Calendar>)>>);

impl Newest {
    /// Returns the calendar. One request reads it, and others wait for that.
    pub(crate) fn calendar(&self, outside: &dyn Outside) -> Arc<Calendar> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, calendar)) = read.as_ref()
            && at.elapsed() < FRESH
        {
            return Arc::clone(calendar);
        }
        let calendar = Arc::new(outside.calendar());
        *read = Some((Instant::now(), Arc::clone(&calendar)));
        calendar
    }

    /// Forgets the calendar, because somebody changed what it shows.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
