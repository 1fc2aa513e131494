//! Makes the text that says what a run waits for. People see it when they press Ctrl-C again. Only reads the run's state.

use firedrill_wire::RunId;

use super::{injections::Injections, proofs::Proofs};

/// Returns a text that names the open injections, with the commands to undo them by hand. If no injection is open, it names the hosts
/// whose state is not proven yet.
pub(super) fn waiting_for(run: &RunId, injections: &Injections, proofs: &Proofs) -> String {
    let (open, unproven) = (injections.open(), proofs.open());
    if !open.is_empty() {
        return format!(
            "still waiting for {}; by hand, on the host: `firedrill-agent undo --all`, or from anywhere: `firedrill undo --run {run}`",
            open.join(", ")
        );
    }
    if !unproven.is_empty() {
        return format!(
            "nothing is in force; still comparing with the state before the run: {}",
            unproven.join(", ")
        );
    }
    "nothing is in force; the last measurements are read".to_owned()
}

#[cfg(test)]
mod tests {
    use firedrill_wire::{Span, api::HostState, journal::State};

    use super::*;
    use crate::run::tracked::Tracked;

    #[test]
    fn open_injections_are_named_before_unproven_hosts() {
        let run: RunId = "friday-7f3a".parse().unwrap();
        let (mut injections, mut proofs) = (Injections::default(), Proofs::default());
        let id: firedrill_wire::InjectionId = "friday-7f3a-1-1".parse().unwrap();
        injections.arm(id.clone(), Tracked::new("app1".to_owned(), 0, 0, Span::secs(1)));
        proofs.ask("app1");
        let open = waiting_for(&run, &injections, &proofs);
        assert!(open.starts_with("still waiting for friday-7f3a-1-1 on app1; by hand"), "{open}");
        assert!(open.ends_with("`firedrill undo --run friday-7f3a`"), "{open}");
        injections.changed(&id, State::Undone, 1);
        assert_eq!(
            waiting_for(&run, &injections, &proofs),
            "nothing is in force; still comparing with the state before the run: app1"
        );
        proofs.ended("app1".to_owned(), HostState::Clean);
        assert!(waiting_for(&run, &injections, &proofs).ends_with("the last measurements are read"));
    }
}
