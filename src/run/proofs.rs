//! The final states of the touched hosts, by which they prove that they are as before the run. Asks no host.

use std::collections::BTreeMap;

use firedrill_wire::api::{EndState, HostState};

/// The final states of touched hosts.
#[derive(Default)]
pub(super) struct Proofs {
    /// The final state of each host; `None` while the host is being asked.
    ends: BTreeMap<String, Option<HostState>>,
    /// The reasons why hosts have not answered yet.
    silence: BTreeMap<String, String>,
}

impl Proofs {
    /// Notes that a host is asked. A final state that is known stays.
    pub(super) fn ask(&mut self, host: &str) {
        self.ends.entry(host.to_owned()).or_insert(None);
    }

    /// Notes that a host could not answer yet, and is asked again.
    pub(super) fn not_yet(&mut self, host: String, why: String) {
        self.silence.insert(host, why);
    }

    /// Notes the final state of a host.
    pub(super) fn ended(&mut self, host: String, state: HostState) {
        self.ends.insert(host, Some(state));
    }

    /// Whether all hosts have their final states.
    pub(super) fn all_in(&self) -> bool {
        self.ends.values().all(Option::is_some)
    }

    /// Returns the hosts that are still being asked.
    pub(super) fn open(&self) -> Vec<&str> {
        self.ends.iter().filter(|(_, end)| end.is_none()).map(|(host, _)| host.as_str()).collect()
    }

    /// Returns the hosts that are still being asked, each with the reason why there is no answer.
    pub(super) fn give_up(&mut self) -> Vec<(String, String)> {
        let open: Vec<String> = self.open().into_iter().map(str::to_owned).collect();
        let why = |host: String| {
            let why = self.silence.remove(&host).unwrap_or_else(|| "it did not answer".to_owned());
            (host, why)
        };
        open.into_iter().map(why).collect()
    }

    /// Returns the hosts that are not proven to be as before.
    pub(super) fn left(&self) -> Vec<String> {
        let left =
            self.ends.iter().filter(|(_, end)| !matches!(end, Some(HostState::Clean | HostState::Gone)));
        left.map(|(host, _)| host.clone()).collect()
    }
}

/// Returns the final state of a host that did not answer: unproven, or gone if a fault of the plan took it down and it cannot be reached.
pub(super) fn unanswered(why: String, goes_down: bool, reachable: bool) -> EndState {
    let state = if goes_down && !reachable { HostState::Gone } else { HostState::Unproven };
    EndState { state, ours: vec![why], foreign: Vec::new(), compared: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_an_answer_is_unproven_unless_the_drill_took_it_away() {
        let state = |goes_down, reachable| unanswered("refused".to_owned(), goes_down, reachable).state;
        assert_eq!(state(true, false), HostState::Gone);
        assert_eq!(state(true, true), HostState::Unproven, "it is back and does not answer");
        assert_eq!(state(false, false), HostState::Unproven);
        assert_eq!(state(false, true), HostState::Unproven);
    }

    #[test]
    fn each_host_that_is_asked_counts_as_left_until_it_is_proven() {
        let mut proofs = Proofs::default();
        for host in ["app1", "app2", "db1"] {
            proofs.ask(host);
        }
        proofs.ended("app1".to_owned(), HostState::Clean);
        proofs.not_yet("db1".to_owned(), "it restarts".to_owned());
        assert!(!proofs.all_in());
        assert_eq!(proofs.left(), ["app2", "db1"]);
        let given_up = proofs.give_up();
        assert_eq!(given_up[0], ("app2".to_owned(), "it did not answer".to_owned()));
        assert_eq!(given_up[1], ("db1".to_owned(), "it restarts".to_owned()));
        for (host, _) in given_up {
            proofs.ended(host, HostState::Unproven);
        }
        assert!(proofs.all_in());
        proofs.ask("app1");
        assert_eq!(proofs.left(), ["app2", "db1"], "a host that was proven stays proven");
    }
}
