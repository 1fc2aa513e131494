//! Keeps only one copy of data that several runs share.

use std::sync::Arc;

use super::SupervisorState;

impl SupervisorState {
    /// Holds once what runs have in common: their people, who come with a chain of certificates and with another copy
    /// of that on each connection, their owners, environments and plans. Besides its size, each small piece of memory that
    /// stays for long keeps a whole page in use.
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

/// The values that were met, each once.
#[derive(Debug)]
struct Known<T: ?Sized>(Vec<Arc<T>>);

impl<T: ?Sized> Default for Known<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: ?Sized + PartialEq> Known<T> {
    /// Returns the copy that was met first.
    fn same(&mut self, value: &Arc<T>) -> Arc<T> {
        if let Some(known) = self.0.iter().find(|known| Arc::ptr_eq(known, value) || *known == value) {
            return Arc::clone(known);
        }
        self.0.push(Arc::clone(value));
        Arc::clone(value)
    }
}
