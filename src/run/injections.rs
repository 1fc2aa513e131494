//! The injections that were armed: their states, the time until which the run waits for them, and the undos that the run
//! itself has requested.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use firedrill_wire::{InjectionId, api::UndoAnswer, journal::State};

use super::tracked::Tracked;

/// Tolerance when times of different machines are compared, in microseconds: more than the error of a clock measurement.
const TOLERANCE_US: i64 = 1_000_000;

/// All injections of a run that were armed.
#[derive(Default)]
pub(super) struct Injections {
    all: BTreeMap<InjectionId, Tracked>,
    /// The injections whose undo this run has requested, with the time of the first request. If an agent reports a requested undo of another
    /// injection, or one before that time, a person requested it.
    asked: BTreeMap<InjectionId, i64>,
    /// Whether this run has requested the undo of all its injections. Afterwards agents refuse its requests.
    run_undone: bool,
}

impl From<BTreeMap<InjectionId, Tracked>> for Injections {
    fn from(all: BTreeMap<InjectionId, Tracked>) -> Self {
        Self { all, ..Self::default() }
    }
}

impl Injections {
    /// Adds an injection, before the request to arm it is sent.
    pub(super) fn arm(&mut self, id: InjectionId, tracked: Tracked) {
        self.all.insert(id, tracked);
    }

    /// Whether nothing was ever armed.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the attack of an injection; `None` if this run has no such injection.
    pub(super) fn attack_of(&self, id: &InjectionId) -> Option<usize> {
        self.all.get(id).map(|tracked| tracked.attack)
    }

    /// Takes a new state that an agent journaled. An injection that is over stays over, except if it is stuck: the answer to an undo may arrive
    /// before the events that led to it. Returns whether the injection belongs to this run and is stuck now.
    pub(super) fn changed(&mut self, id: &InjectionId, to: State, at_us: i64) -> bool {
        let Some(tracked) = self.all.get_mut(id) else { return false };
        if tracked.state.is_open() || !to.is_open() || to == State::Stuck {
            tracked.changed(to, at_us);
        }
        to == State::Stuck
    }

    /// Takes a host's answer to the undo of these injections. The answer contains only injections that the agent had open; the others are over.
    pub(super) fn answered(&mut self, ids: &[InjectionId], answer: &UndoAnswer) {
        for id in ids {
            let Some(tracked) = self.all.get_mut(id) else { continue };
            match answer.injections.iter().find(|open| &open.id == id) {
                Some(open) => tracked.state = open.state,
                None if tracked.state.is_open() => tracked.state = State::Undone,
                None => {}
            }
        }
    }

    /// Notes that this run requests the undo of some injections.
    pub(super) fn ask_undo(&mut self, ids: &[InjectionId], now_us: i64) {
        for id in ids {
            self.asked.entry(id.clone()).or_insert(now_us);
        }
    }

    /// Notes that this run requests the undo of all its injections. Agents refuse its later requests.
    pub(super) fn ask_undo_of_run(&mut self) {
        self.run_undone = true;
    }

    /// Whether this run has requested the undo of all its injections.
    pub(super) const fn run_undone(&self) -> bool {
        self.run_undone
    }

    /// Whether an undo at the time `at_us` was requested by this run.
    pub(super) fn undone_by_us_at(&self, id: &InjectionId, at_us: i64) -> bool {
        self.asked.get(id).is_some_and(|asked_us| at_us + TOLERANCE_US >= *asked_us)
    }

    /// Whether every injection of an attack is over or stuck.
    pub(super) fn settled(&self, attack: usize) -> bool {
        self.of(attack).all(|tracked| !tracked.state.is_open() || tracked.state == State::Stuck)
    }

    /// Whether an injection is open and not stuck, so that it could still be undone.
    pub(super) fn can_be_undone(&self) -> bool {
        self.all.values().any(|tracked| tracked.state.is_open() && tracked.state != State::Stuck)
    }

    /// Whether no injection is open, not even a stuck one.
    pub(super) fn all_over(&self) -> bool {
        self.all.values().all(|tracked| !tracked.state.is_open())
    }

    /// Returns the latest end of a hold of an attack that is not over yet; `None` if all are over.
    pub(super) fn ends_us(&self, attack: usize) -> Option<i64> {
        self.of(attack).filter_map(Tracked::ends_us).max()
    }

    /// Returns the time by which agents should be done with all undos that they have begun, and with those that follow an injection in
    /// progress; `None` if there is none. Only hosts for which `is_waited_for` returns true count.
    pub(super) fn undone_by_us(&self, is_waited_for: impl Fn(&str) -> bool) -> Option<i64> {
        let tracked = self.all.values().filter(|tracked| is_waited_for(&tracked.host));
        tracked.filter_map(Tracked::undone_by_us).max()
    }

    /// Returns the hosts with open injections.
    pub(super) fn busy(&self) -> HashSet<&str> {
        let open = self.all.values().filter(|tracked| tracked.state.is_open());
        open.map(|tracked| tracked.host.as_str()).collect()
    }

    /// Returns the hosts of all injections.
    pub(super) fn hosts(&self) -> BTreeSet<String> {
        self.all.values().map(|tracked| tracked.host.clone()).collect()
    }

    /// Returns the injections of each host.
    pub(super) fn by_host(&self) -> BTreeMap<String, Vec<InjectionId>> {
        let mut hosts: BTreeMap<String, Vec<InjectionId>> = BTreeMap::new();
        for (id, tracked) in &self.all {
            hosts.entry(tracked.host.clone()).or_default().push(id.clone());
        }
        hosts
    }

    /// Returns the injections of an attack, with their hosts.
    pub(super) fn of_attack(&self, attack: usize) -> Vec<(InjectionId, String)> {
        let of_attack = self.all.iter().filter(|(_, tracked)| tracked.attack == attack);
        of_attack.map(|(id, tracked)| (id.clone(), tracked.host.clone())).collect()
    }

    /// Names the open injections with their hosts.
    pub(super) fn open(&self) -> Vec<String> {
        let open = self.all.iter().filter(|(_, tracked)| tracked.state.is_open());
        open.map(|(id, tracked)| format!("{id} on {}", tracked.host)).collect()
    }

    /// Returns the injections of an attack.
    fn of(&self, attack: usize) -> impl Iterator<Item = &Tracked> {
        self.all.values().filter(move |tracked| tracked.attack == attack)
    }
}

#[cfg(test)]
mod tests {
    use firedrill_wire::Span;

    use super::*;
    use firedrill_judge::testing::S;

    fn id(text: &str) -> InjectionId {
        text.parse().unwrap()
    }

    /// Two attacks, with one injection each.
    fn two() -> Injections {
        let mut all = Injections::default();
        for (attack, name, host) in [(0, "r-1-1", "app1"), (1, "r-2-1", "app2")] {
            all.arm(id(name), Tracked::new(host.to_owned(), attack, 100 * S, Span::secs(10)));
        }
        all
    }

    fn answer(open: &[(&str, State)]) -> UndoAnswer {
        let open = open.iter().map(|(name, state)| {
            serde_json::json!({ "id": name, "run": "r", "kind": "service-stop", "state": state, "ends_boot_us": 0,
                "effects": [], "about": { "drill": "", "operator": "" }, "due": false })
        });
        let text = serde_json::json!({ "injections": open.collect::<Vec<_>>(), "stuck": [] });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn an_answer_to_an_undo_counts_only_for_the_injections_of_the_request() {
        let mut all = two();
        all.answered(&[id("r-1-1")], &answer(&[]));
        assert!(all.settled(0), "the agent does not hold it any more");
        assert!(!all.settled(1), "nobody asked about it");
        all.answered(&[id("r-2-1")], &answer(&[("r-2-1", State::Undoing)]));
        assert!(!all.settled(1) && all.can_be_undone());
        all.answered(&[id("r-2-1")], &answer(&[("r-2-1", State::Stuck)]));
        assert!(all.settled(1) && !all.can_be_undone(), "nothing more can be done");
        assert!(!all.all_over(), "it is in force nevertheless");
        assert_eq!(all.open(), ["r-2-1 on app2"]);
    }

    #[test]
    fn events_that_arrive_after_the_answer_to_an_undo_open_nothing_again() {
        let mut all = two();
        all.answered(&[id("r-1-1")], &answer(&[]));
        assert!(!all.changed(&id("r-1-1"), State::InForce, 101 * S));
        assert!(!all.changed(&id("r-1-1"), State::Undoing, 102 * S));
        assert!(all.settled(0));
        assert!(all.changed(&id("r-1-1"), State::Stuck, 103 * S), "that it could not be put back counts");
        assert!(!all.all_over() && all.open().contains(&"r-1-1 on app1".to_owned()));
        assert!(!all.changed(&id("x-1-1"), State::Stuck, 103 * S), "another run's");
    }

    #[test]
    fn an_undo_from_the_first_request_on_counts_as_requested_by_this_run() {
        let mut all = two();
        assert!(!all.undone_by_us_at(&id("r-1-1"), 110 * S), "nobody asked for it");
        all.ask_undo(&[id("r-1-1")], 110 * S);
        all.ask_undo(&[id("r-1-1")], 120 * S);
        assert!(all.undone_by_us_at(&id("r-1-1"), 110 * S));
        assert!(all.undone_by_us_at(&id("r-1-1"), 109 * S), "clocks differ a little");
        assert!(!all.undone_by_us_at(&id("r-1-1"), 108 * S), "somebody was faster");
        assert!(!all.undone_by_us_at(&id("r-2-1"), 110 * S));
    }

    #[test]
    fn only_selected_hosts_are_waited_for() {
        let mut all = two();
        all.changed(&id("r-1-1"), State::Undoing, 110 * S);
        assert!(all.undone_by_us(|host| host == "app1").is_some());
        assert_eq!(all.undone_by_us(|host| host == "app2"), None);
    }
}
