//! Values that other crates keep in memory for a host, one per type. This crate never looks into them.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

type Things = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// At most one value of each type. The values are dropped with the host.
#[derive(Default)]
pub struct Kept(Mutex<Things>);

impl Kept {
    /// Returns the value of a type. The first call for a type makes the value.
    #[must_use]
    pub fn of<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let thing = things.entry(TypeId::of::<T>()).or_insert_with(|| Arc::<T>::default());
        // The value always has this type, because its key is the type's id.
        Arc::clone(thing).downcast().unwrap_or_default()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Kept({})", things.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_keeps_its_own_value_of_each_type() {
        let (one, other) = (Kept::default(), Kept::default());
        *one.of::<Mutex<u8>>().lock().unwrap() = 7;
        *one.of::<Mutex<String>>().lock().unwrap() = "text".to_owned();
        assert_eq!(*one.of::<Mutex<u8>>().lock().unwrap(), 7);
        assert_eq!(*one.of::<Mutex<String>>().lock().unwrap(), "text");
        assert_eq!(*other.of::<Mutex<u8>>().lock().unwrap(), 0);
    }
}
