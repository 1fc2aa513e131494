//! The load balancer's logic: chooses the backend of each request, and decides which backends are out of use. Makes no connections.

use super::edge_config::EdgeConfig;

/// The state of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Whether the backend is in use.
    pub(super) up: bool,
    /// Number of failed checks in a row.
    fails: u32,
    /// Number of good checks in a row.
    passes: u32,
    /// Number of times that the backend was taken out of use.
    pub(super) ejections: u64,
    /// Number of requests that the backend answered.
    pub(super) served: u64,
    /// Number of requests that failed at the backend.
    pub(super) failed: u64,
}

/// All backends, in the order of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Balance {
    pub(super) states: Vec<State>,
    /// The index of the backend whose turn is next.
    next: usize,
    /// Number of failed checks in a row after which a backend is out.
    fall: u32,
    /// Number of good checks in a row after which a backend is back.
    rise: u32,
    /// Whether backends are ever taken out of use.
    judges: bool,
}

impl Balance {
    /// Begins with all backends up.
    pub(super) fn new(config: &EdgeConfig) -> Self {
        let state = State { up: true, fails: 0, passes: 0, ejections: 0, served: 0, failed: 0 };
        Self {
            states: vec![state; config.backends.len()],
            next: 0,
            fall: config.fall.max(1),
            rise: config.rise.max(1),
            judges: config.health_check,
        }
    }

    /// Returns the index of the next backend in turn that is up, other than `excluded`. If none is up, returns the next other backend: all
    /// may only seem down because this machine did not run for a moment. `None` if there is no other backend.
    pub(super) fn pick(&mut self, excluded: Option<usize>) -> Option<usize> {
        let count = self.states.len();
        let turn =
            || (0..count).map(|step| (self.next + step) % count).filter(|index| Some(*index) != excluded);
        let found = turn().find(|index| self.states[*index].up).or_else(|| turn().next())?;
        self.next = (found + 1) % count;
        Some(found)
    }

    /// Records the result of a check, or of a request that counts as a check. Returns whether the backend is up if that has changed, else
    /// `None`.
    pub(super) fn checked(&mut self, index: usize, good: bool) -> Option<bool> {
        if !self.judges {
            return None;
        }
        let state = &mut self.states[index];
        if good {
            (state.fails, state.passes) = (0, state.passes + 1);
        } else {
            (state.fails, state.passes) = (state.fails + 1, 0);
        }
        if state.up && state.fails >= self.fall {
            return self.eject(index);
        }
        if !state.up && state.passes >= self.rise {
            state.up = true;
            return Some(true);
        }
        None
    }

    /// Records that a connection to a backend failed. The backend is out at once, except if fewer than half of all would be left; then the
    /// checks decide. Returns `Some(false)` if it is out now, else `None`.
    pub(super) fn unreachable(&mut self, index: usize) -> Option<bool> {
        let left = self.states.iter().enumerate().filter(|(i, s)| *i != index && s.up).count();
        let enough = left * 2 >= self.states.len();
        if self.judges && enough && self.states[index].up { self.eject(index) } else { None }
    }

    /// Takes a backend out of use.
    fn eject(&mut self, index: usize) -> Option<bool> {
        let state = &mut self.states[index];
        (state.up, state.passes) = (false, 0);
        state.ejections += 1;
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::Backend;

    fn balance(count: u8, health_check: bool) -> Balance {
        let backend = |n| Backend { name: format!("app{n}"), address: ([10, 0, 0, n], 80).into() };
        let backends = (1..=count).map(backend).collect();
        Balance::new(&EdgeConfig { health_check, ..EdgeConfig::new(80, backends) })
    }

    #[test]
    fn backends_that_are_up_take_turns() {
        let mut three = balance(3, true);
        assert_eq!(
            [three.pick(None), three.pick(None), three.pick(None), three.pick(None)],
            [0, 1, 2, 0].map(Some)
        );
        assert_eq!(three.unreachable(1), Some(false));
        assert_eq!([three.pick(None), three.pick(None), three.pick(None)], [2, 0, 2].map(Some));
        assert_eq!(three.pick(Some(0)), Some(2));
        assert_eq!(three.unreachable(2), None, "fewer than half would be left");
        assert_eq!(balance(0, true).pick(None), None);
    }

    #[test]
    fn if_no_backend_is_up_all_are_tried() {
        let mut two = balance(2, true);
        for index in [0, 1, 0, 1] {
            two.checked(index, false);
        }
        assert!(two.states.iter().all(|s| !s.up));
        assert_eq!([two.pick(None), two.pick(None)], [0, 1].map(Some));
        assert_eq!(two.pick(Some(0)), Some(1));
        assert_eq!(balance(1, true).pick(Some(0)), None);
    }

    #[test]
    fn two_failures_take_a_backend_out_and_two_successes_bring_it_back() {
        let mut one = balance(1, true);
        assert_eq!([one.checked(0, false), one.checked(0, true), one.checked(0, false)], [None; 3]);
        assert_eq!(one.checked(0, false), Some(false));
        assert_eq!([one.checked(0, true), one.checked(0, false), one.checked(0, true)], [None; 3]);
        assert_eq!(one.checked(0, true), Some(true));
        assert_eq!(one.states[0].ejections, 1);
    }

    #[test]
    fn without_health_checks_no_backend_is_ever_out() {
        let mut one = balance(1, false);
        for _ in 0..5 {
            assert_eq!((one.checked(0, false), one.unreachable(0)), (None, None));
        }
        assert_eq!(one.pick(None), Some(0));
    }
}
