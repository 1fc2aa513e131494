//! Keeps the calendar of game days that was read last, so that pages need not read it each time.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::outside::{Calendar, Outside};

/// Time for which a calendar is shown before it is read again. Reading takes a while, because it checks the scenarios and fleets of all game days.
const FRESH: Duration = Duration::from_secs(30);

/// A calendar that was read.
#[derive(Debug)]
struct Read {
    /// The time at which it had been read.
    at: Instant,
    /// The value of [`Newest::changes`] before the calendar was read.
    changes: u64,
    calendar: Arc<Calendar>,
}

/// Keeps the calendar that was read last.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    read: Mutex<Option<Read>>,
    /// Number of calls of [`Newest::forget`].
    changes: AtomicU64,
}

impl Newest {
    /// Returns the calendar. If it has to be read, one request reads it and the others wait for the result.
    pub(crate) fn calendar(&self, outside: &dyn Outside) -> Arc<Calendar> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.changes.load(Ordering::SeqCst);
        if let Some(kept) = read.as_ref()
            && kept.changes == changes
            && kept.at.elapsed() < FRESH
        {
            return Arc::clone(&kept.calendar);
        }
        let calendar = Arc::new(outside.calendar());
        *read = Some(Read { at: Instant::now(), changes, calendar: Arc::clone(&calendar) });
        calendar
    }

    /// Makes the next request read the calendar again, because its content has changed. A calendar that is being read right now is not shown again either.
    /// Does not wait.
    pub(crate) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc::{Receiver, Sender, channel},
        },
        thread,
    };

    use super::*;
    use crate::testing::as_willing;

    /// An `Outside` whose first calendar is ready when the test says so.
    struct Slow {
        /// Number of readings that have begun.
        read: AtomicUsize,
        /// Told when the first reading begins.
        begun: Sender<()>,
        /// The first reading waits for this.
        goes_on: Mutex<Receiver<()>>,
    }

    impl Outside for Slow {
        as_willing!(halt);

        as_willing!(wishes);

        fn calendar(&self) -> Calendar {
            if self.read.fetch_add(1, Ordering::SeqCst) == 0 {
                self.begun.send(()).unwrap();
                self.goes_on.lock().unwrap().recv().unwrap();
            }
            Calendar::default()
        }

        as_willing!(posts);
        as_willing!(inventory);

        as_willing!(decisions);
    }

    #[test]
    fn forgetting_does_not_wait_for_a_reader_whose_calendar_is_then_not_kept() {
        let ((begun, has_begun), (go_on, goes_on)) = (channel(), channel());
        let slow = Slow { read: AtomicUsize::new(0), begun, goes_on: Mutex::new(goes_on) };
        let newest = Newest::default();
        let is_free = thread::scope(|scope| {
            let reader = scope.spawn(|| newest.calendar(&slow));
            has_begun.recv().unwrap();
            let (forgotten, has_forgotten) = channel();
            let newest = &newest;
            scope.spawn(move || {
                newest.forget();
                forgotten.send(()).unwrap();
            });
            // A passing test does not wait this long.
            let is_free = has_forgotten.recv_timeout(Duration::from_secs(60)).is_ok();
            go_on.send(()).unwrap();
            reader.join().unwrap();
            is_free
        });
        assert!(is_free, "`forget` waited for the calendar");
        let read = || {
            newest.calendar(&slow);
            slow.read.load(Ordering::SeqCst)
        };
        assert_eq!(
            (read(), read()),
            (2, 2),
            "the calendar of the first reader was not shown again, and the second one was"
        );
        newest.forget();
        assert_eq!(read(), 3);
    }
}
