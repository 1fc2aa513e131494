//! Chooses backends and decides which are out: the load balancer's logic, without its connections.

use super::edge_config::EdgeConfig;

/// The state of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) up: bool,
    /// Number of failed checks in a row.
    fails: u32,
    /// Number of good checks in a row.
    passes: u32,
    pub(super) ejections: u64,
    pub(super) served: u64,
    pub(super) failed: u64,
}

/// All backends, in the order of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Balance {
    pub(super) states: Vec<State>,
    next: usize,
    fall: u32,
    rise: u32,
    judges: bool,
}

impl Balance {
    /// All are up until they are found to be down.
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

    /// Returns the next backend in turn that is up, other than `not`. If none is, returns any other: all may look dead
    /// because this machine stood still for a moment.
    pub(super) fn pick(&mut self, not: Option<usize>) -> Option<usize> {
        let count = self.states.len();
        let turn = || (0..count).map(|step| (self.next + step) % count).filter(|index| Some(*index) != not);
        let found = turn().find(|index| self.states[*index].up).or_else(|| turn().next())?;
        self.next = (found + 1) % count;
        Some(found)
    }

    /// Records the result of a check, or of a request that counts as one. Returns whether the backend went up or down
    /// by it.
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

    /// Records that nobody could connect to it: it is out at once, unless fewer than half would be left (then the
    /// checks decide). Checks bring it back.
    pub(super) fn unreachable(&mut self, index: usize) -> Option<bool> {
        let left = self.states.iter().enumerate().filter(|(i, s)| *i != index && s.up).count();
        let enough = left * 2 >= self.states.len();
        if self.judges && enough && self.states[index].up { self.eject(index) } else { None }
    }

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
    fn turns_are_taken_by_those_that_are_up() {
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
    fn where_none_is_up_any_is_tried() {
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
    fn two_failures_out_two_successes_in() {
        let mut one = balance(1, true);
        assert_eq!([one.checked(0, false), one.checked(0, true), one.checked(0, false)], [None; 3]);
        assert_eq!(one.checked(0, false), Some(false));
        assert_eq!([one.checked(0, true), one.checked(0, false), one.checked(0, true)], [None; 3]);
        assert_eq!(one.checked(0, true), Some(true));
        assert_eq!(one.states[0].ejections, 1);
    }

    #[test]
    fn without_health_checks_nobody_is_ever_out() {
        let mut one = balance(1, false);
        for _ in 0..5 {
            assert_eq!((one.checked(0, false), one.unreachable(0)), (None, None));
        }
        assert_eq!(one.pick(None), Some(0));
    }
}
