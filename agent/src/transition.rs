//! The states of an injection and the legal steps between them. The same function decides while the agent runs and when the journal is
//! replayed. Never acts and never reads anything.

use firedrill_wire::journal::State;

/// A step in the life of an injection. Each step leads to exactly one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The effect begins to be made.
    Start,
    /// The effect is made and can be undone.
    Take,
    /// The effect is made and cannot be undone.
    TakeForGood,
    /// The undo begins, or another process that takes over begins it again.
    Heal,
    /// It was undone.
    PutBack,
    /// It could not be undone after all retries.
    GiveUp,
    /// It will never start.
    Disarm,
}

/// A step that is not legal in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an injection that is {from:?} cannot become {:?}", step.to())]
pub struct Illegal {
    /// The state of the injection.
    pub from: State,
    /// The step.
    pub step: Step,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 7] =
        [Self::Start, Self::Take, Self::TakeForGood, Self::Heal, Self::PutBack, Self::GiveUp, Self::Disarm];

    /// Returns the state to which the step leads.
    #[must_use]
    pub const fn to(self) -> State {
        match self {
            Self::Start => State::Injecting,
            Self::Take => State::InForce,
            Self::TakeForGood => State::Done,
            Self::Heal => State::Undoing,
            Self::PutBack => State::Undone,
            Self::GiveUp => State::Stuck,
            Self::Disarm => State::Disarmed,
        }
    }

    /// Returns the step that leads to a state; `None` for the first state, which a journal records by an intent and not by
    /// a change.
    #[must_use]
    pub const fn leading_to(state: State) -> Option<Self> {
        match state {
            State::Armed => None,
            State::Injecting => Some(Self::Start),
            State::InForce => Some(Self::Take),
            State::Done => Some(Self::TakeForGood),
            State::Undoing => Some(Self::Heal),
            State::Undone => Some(Self::PutBack),
            State::Stuck => Some(Self::GiveUp),
            State::Disarmed => Some(Self::Disarm),
        }
    }
}

/// Returns the progress of an injection: the higher of two numbers belongs to the record that was written later.
#[must_use]
pub const fn progress(state: State) -> u8 {
    match state {
        State::Armed => 0,
        State::Injecting => 1,
        State::InForce => 2,
        State::Undoing => 3,
        State::Stuck => 4,
        State::Undone | State::Done | State::Disarmed => 5,
    }
}

/// Returns the state after a step.
///
/// # Errors
/// The step is not legal in that state.
pub const fn next(from: State, step: Step) -> Result<State, Illegal> {
    let legal = match from {
        // An armed injection can be undone, too: the record of its start may have been lost.
        State::Armed => matches!(step, Step::Start | Step::Disarm | Step::Heal),
        State::Injecting => matches!(step, Step::Take | Step::TakeForGood | Step::Heal),
        State::InForce | State::Stuck => matches!(step, Step::Heal),
        State::Undoing => matches!(step, Step::PutBack | Step::GiveUp | Step::Heal),
        State::Undone | State::Done | State::Disarmed => false,
    };
    if legal { Ok(step.to()) } else { Err(Illegal { from, step }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATES: [State; 8] = [
        State::Armed,
        State::Injecting,
        State::InForce,
        State::Undoing,
        State::Undone,
        State::Done,
        State::Disarmed,
        State::Stuck,
    ];

    #[test]
    fn no_step_is_legal_after_an_end() {
        for state in STATES.into_iter().filter(|state| !state.is_open()) {
            for step in Step::ALL {
                assert!(next(state, step).is_err(), "{state:?} {step:?}");
            }
        }
    }

    #[test]
    fn every_open_injection_can_be_undone() {
        for state in STATES.into_iter().filter(|state| state.is_open()) {
            assert_eq!(next(state, Step::Heal), Ok(State::Undoing), "{state:?}");
        }
    }

    #[test]
    fn each_step_is_the_one_that_leads_to_its_state() {
        for step in Step::ALL {
            assert_eq!(Step::leading_to(step.to()), Some(step));
        }
    }

    proptest! {
        #[test]
        fn nothing_is_undone_or_stuck_without_undoing_first(steps in prop::collection::vec(0_usize..7, 0..40)) {
            let (mut state, mut before, mut started) = (State::Armed, State::Armed, false);
            for step in steps.into_iter().map(|at| Step::ALL[at]) {
                if let Ok(now) = next(state, step) {
                    (before, state) = (state, now);
                    started |= step == Step::Start;
                }
                if matches!(state, State::Undone | State::Stuck) {
                    prop_assert_eq!(before, State::Undoing);
                }
                if matches!(state, State::InForce | State::Done) {
                    prop_assert!(started);
                }
            }
        }
    }
}
