//! Keeps only one copy of data that several runs have in common. Never changes the content of that data.

use std::sync::Arc;

use super::SupervisorState;

impl SupervisorState {
    /// Makes runs share equal data: the people who took part, their owners and environments. Each connection brings another copy of a
    /// person's chain of certificates. And each small piece of memory that stays for long keeps a whole page in use.
    pub(super) fn share(&mut self) {
        let (mut callers, mut held, mut texts) = (Known::default(), Known::default(), Known::default());
        for run in self.runs.values_mut() {
            if run.held_by.iter().any(|caller| !Arc::ptr_eq(caller, &callers.same(caller))) {
                run.held_by = run.held_by.iter().map(|caller| callers.same(caller)).collect();
            }
            run.held_by = held.same(&run.held_by);
            for text in [&mut run.owner, &mut run.environment].into_iter().flatten() {
                *text = texts.same(text);
            }
        }
    }
}

/// The different values that were found so far.
#[derive(Debug)]
struct Known<T: ?Sized>(Vec<Arc<T>>);

impl<T: ?Sized> Default for Known<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: ?Sized + PartialEq> Known<T> {
    /// Returns the first equal value that was found, which is this one if there was none.
    fn same(&mut self, value: &Arc<T>) -> Arc<T> {
        if let Some(known) = self.0.iter().find(|known| Arc::ptr_eq(known, value) || *known == value) {
            return Arc::clone(known);
        }
        self.0.push(Arc::clone(value));
        Arc::clone(value)
    }
}
