//! Limits the number of streams that one session or one token may have open. A browser opens one stream for each tab. Without a limit, one client could
//! hold thousands.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Maximum number of streams of one owner.
const MOST: usize = 6;

/// The owner of a stream: a session or a token, by its number in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Session(i64),
    Token(i64),
}

/// The open streams of each owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<Owner, usize>>>);

/// The place of one open stream of an owner. It is free again when this value is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    owner: Owner,
}

impl Places {
    /// Takes a place for one more stream; `None` if the owner already has [`MOST`] open.
    pub(crate) fn take(&self, owner: Owner) -> Option<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = all.entry(owner).or_default();
        (*open < MOST).then(|| {
            *open += 1;
            Place { places: self.clone(), owner }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = all.get_mut(&self.owner) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_six_streams_and_each_place_is_given_back() {
        let places = Places::default();
        let held: Vec<Place> = (0..MOST).map(|_| places.take(Owner::Session(1)).unwrap()).collect();
        assert!(places.take(Owner::Session(1)).is_none());
        for other in [Owner::Session(2), Owner::Token(1)] {
            assert!(places.take(other).is_some(), "{other:?}");
        }
        drop(held);
        assert!(places.take(Owner::Session(1)).is_some());
        assert_eq!(places.0.lock().unwrap().len(), 0);
    }
}
