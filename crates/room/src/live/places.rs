//! Limits the streams of a session: a browser opens one for each tab, and a session is no way to hold thousands.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Maximum number of streams of a session.
const MOST: usize = 6;

/// The open streams of each session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<i64, usize>>>);

/// A stream's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    session: i64,
}

impl Places {
    /// Takes a place; `None` if the session has all of its.
    pub(crate) fn take(&self, session: i64) -> Option<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.entry(session).or_default();
        (*open < MOST).then(|| {
            *open += 1;
            Place { places: self.clone(), session }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = all.get_mut(&self.session) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_six_streams_and_each_place_is_given_back() {
        let places = Places::default();
        let held: Vec<Place> = (0..MOST).map(|_| places.take(1).unwrap()).collect();
        assert!(places.take(1).is_none());
        assert!(places.take(2).is_some(), "another session");
        drop(held);
        assert!(places.take(1).is_some());
        assert_eq!(places.0.lock().unwrap().len(), 0);
    }
}
