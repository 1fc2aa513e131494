//! Runs probes on this host: starts and stops them, and keeps their measurements until they are read. Never measures anything
//! itself.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use firedrill_probe::{Running, Spool, Stores, start_on, writes::Reader};
use firedrill_wire::{
    RefusalCode, RunId,
    api::{Problem, StartProbes},
    probe::Bin,
};

use crate::{
    control::{Caller, Feed},
    injection::refuse,
    mutex::lock,
    wiring::{Allowance, Prober},
};

/// Maximum number of runs with active probes.
const RUNNING: usize = 16;
/// Maximum number of stopped runs whose measurements are kept. The newest are kept.
const STOPPED: usize = 4;

/// The probes of the last few runs.
pub struct Probes {
    /// The clients of stores that this program has.
    stores: &'static dyn Stores,
    /// Locked while probes are started, which takes long if their secrets are read slowly. Stopping does not wait for it.
    starting: Mutex<()>,
    runs: Mutex<VecDeque<OfRun>>,
}

/// The probes of one run.
struct OfRun {
    run: RunId,
    /// The owner's name; kept here because the supervisor may forget the run.
    owner: String,
    /// Requests per second of all its probes together.
    rate: f64,
    running: Running,
}

impl Probes {
    /// Makes an empty list. `stores` are the clients of stores that this program has.
    #[must_use]
    pub fn new(stores: &'static dyn Stores) -> Self {
        Self { stores, starting: Mutex::default(), runs: Mutex::default() }
    }

    fn runs(&self) -> MutexGuard<'_, VecDeque<OfRun>> {
        lock(&self.runs)
    }
}

impl Prober for Probes {
    fn start(
        &self,
        run: &RunId,
        caller: &Caller,
        ask: &StartProbes,
        allowance: &Allowance<'_>,
    ) -> Result<(), Problem> {
        let _order = lock(&self.starting);
        let rate = ask.probes.iter().map(|probe| probe.rate).sum();
        let (spool, total_rate) = {
            let runs = self.runs();
            let others: Vec<&OfRun> =
                runs.iter().filter(|known| known.run != *run && !known.running.is_finished()).collect();
            if others.len() >= RUNNING {
                return Err(full(&others));
            }
            // Probes of the same run are replaced. The bins' numbers continue, so that readers need not begin again.
            let before = runs.iter().find(|known| known.run == *run);
            // Readers take the bins for measurements of the run's owner.
            before.map_or(Ok(()), |before| caller.must_be(&before.owner, run))?;
            let spool = before.map_or_else(Spool::new, |before| before.running.spool.clone());
            (spool, rate + others.iter().map(|known| known.rate).sum::<f64>())
        };
        if total_rate > f64::from(allowance.most_rate) {
            return Err(refuse(
                RefusalCode::NotAllowed,
                format!(
                    "all probes on this host together would send {total_rate} requests a second; at most {} are allowed",
                    allowance.most_rate
                ),
                format!("{}; lower the rates, or measure from several hosts", allowance.says),
            ));
        }
        let running = start_on(spool, ask.probes.clone(), ask.at_most.0, allowance.reads, self.stores)
            .map_err(|error| {
                refuse(
                    RefusalCode::BadProbe,
                    format!("cannot start the probes: {error}"),
                    "correct the probe",
                )
            })?;
        let mut runs = self.runs();
        let at = runs.iter().position(|known| known.run == *run);
        if let Some(before) = at.and_then(|at| runs.remove(at)) {
            before.running.stop();
        }
        runs.push_back(OfRun { run: run.clone(), owner: caller.name.clone(), rate, running });
        // A run with active probes is never dropped for another run.
        let stopped: Vec<RunId> =
            runs.iter().filter(|known| known.running.is_finished()).map(|known| known.run.clone()).collect();
        let old = &stopped[..stopped.len().saturating_sub(STOPPED)];
        runs.retain(|known| !old.contains(&known.run));
        Ok(())
    }

    fn stop(&self, run: &RunId) {
        if let Some(known) = self.runs().iter().find(|known| known.run == *run) {
            known.running.stop();
        }
    }

    fn stop_all(&self) {
        self.runs().iter().for_each(|known| known.running.stop());
    }

    fn known(&self) -> Vec<RunId> {
        self.runs().iter().map(|known| known.run.clone()).collect()
    }

    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem> {
        Ok(Box::pin(known(&self.runs(), run)?.running.spool.feed(after)))
    }

    fn readers(&self, run: &RunId) -> Result<Vec<Reader>, Problem> {
        Ok(known(&self.runs(), run)?.running.readers().to_vec())
    }
}

/// Returns the probes of a run.
fn known<'r>(runs: &'r VecDeque<OfRun>, run: &RunId) -> Result<&'r OfRun, Problem> {
    runs.iter().find(|known| known.run == *run).ok_or_else(|| {
        let hint = "the agent was restarted, or other runs came since";
        refuse(RefusalCode::UnknownRun, format!("run {run} has no probes here"), hint)
    })
}

/// Returns the refusal if the maximum number of runs has active probes.
fn full(others: &[&OfRun]) -> Problem {
    let who: Vec<String> = others.iter().map(|other| format!("{} ({})", other.run, other.owner)).collect();
    refuse(
        RefusalCode::TooMany,
        format!("{} runs measure on this host, which is the most: {}", others.len(), who.join(", ")),
        "wait until one of them is over, or measure from another host; `firedrill collect RUN` ends one whose coordinator has died",
    )
}

#[cfg(test)]
mod tests {
    use firedrill_probe::NoStores;
    use firedrill_wire::{Span, probe::ProbeSpec};
    use futures_util::StreamExt as _;

    use super::*;
    use crate::secrets::Secrets;

    fn probe(rate: f64, more: &str) -> ProbeSpec {
        let text = format!(
            r#"{{"name":"p","rate":{rate},"timeout":"1s","kind":{{"http":{{"url":"http://127.0.0.1:9/"{more}}}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn start(probes: &Probes, run: &str, spec: ProbeSpec) -> Result<(), Problem> {
        start_as(probes, "alice", run, spec)
    }

    fn start_as(probes: &Probes, name: &str, run: &str, spec: ProbeSpec) -> Result<(), Problem> {
        let allowance = Allowance {
            reads: &Secrets::default(),
            most_rate: 100,
            says: "policy.max_probe_rate in agent.toml says so".to_owned(),
        };
        let ask =
            StartProbes { probes: vec![spec], at_most: Span::secs(60), environment: None, vantage: None };
        let caller = Caller {
            name: name.to_owned(),
            team: None,
            environments: Vec::new(),
            may_harm: true,
            certificate: None,
        };
        probes.start(&run.parse().unwrap(), &caller, &ask, &allowance)
    }

    #[tokio::test]
    async fn a_new_run_never_stops_the_probes_of_another() {
        let probes = Probes::new(&NoStores);
        for n in 0..RUNNING {
            assert_eq!(start(&probes, &format!("r{n}"), probe(1.0, "")), Ok(()));
        }
        let problem = start_as(&probes, "bob", "late", probe(1.0, "")).unwrap_err();
        assert_eq!(problem.code, RefusalCode::TooMany);
        assert!(
            problem.title.contains("16 runs measure") && problem.title.contains("r0 (alice)"),
            "{problem:?}"
        );
        assert!(probes.runs().iter().all(|known| !known.running.is_finished()), "all measure on");
        assert_eq!(start(&probes, "r0", probe(2.0, "")), Ok(()), "its own probes may be replaced");

        let stop = |probes: &Probes, run: &str| {
            let id: RunId = run.parse().unwrap();
            probes.stop(&id);
            while probes.runs().iter().any(|known| known.run == id && !known.running.is_finished()) {
                std::thread::yield_now();
            }
        };
        stop(&probes, "r7");
        assert_eq!(start_as(&probes, "bob", "late", probe(1.0, "")), Ok(()));
        for n in 0..2 * STOPPED {
            stop(&probes, "late");
            assert_eq!(start_as(&probes, "bob", "late", probe(1.0, "")), Ok(()), "{n}");
        }
        assert!(probes.known().contains(&"r7".parse().unwrap()), "its measurements can still be read");
        for n in 8..=8 + STOPPED {
            stop(&probes, &format!("r{n}"));
            assert_eq!(start(&probes, &format!("new{n}"), probe(1.0, "")), Ok(()));
        }
        let known = probes.known();
        assert!(!known.contains(&"r7".parse().unwrap()), "the oldest stopped run is dropped first");
        assert_eq!(known.len(), RUNNING + STOPPED);
    }

    #[tokio::test]
    async fn nobody_adds_measurements_to_the_run_of_somebody_else() {
        let probes = Probes::new(&NoStores);
        assert_eq!(start(&probes, "r1", probe(10.0, "")), Ok(()));
        for stopped in [false, true] {
            if stopped {
                probes.stop_all();
            }
            let problem = start_as(&probes, "bob", "r1", probe(10.0, "")).unwrap_err();
            assert_eq!(problem.code, RefusalCode::NotAllowed);
            assert!(problem.title.contains("r1 is alice's"), "{problem:?}");
        }
        assert_eq!(start(&probes, "r1", probe(10.0, "")), Ok(()), "she goes on");
    }

    #[test]
    fn all_probes_of_a_host_share_one_bound() {
        let probes = Probes::new(&NoStores);
        assert_eq!(start(&probes, "r1", probe(60.0, "")), Ok(()));
        let problem = start(&probes, "r2", probe(60.0, "")).unwrap_err();
        assert!(problem.title.contains("120 requests a second; at most 100"), "{problem:?}");
        assert!(problem.hint.contains("policy.max_probe_rate in agent.toml"), "{problem:?}");
        assert_eq!(start(&probes, "r1", probe(90.0, "")), Ok(()), "it replaces the run's own probes");
        assert_eq!(start(&probes, "r2", probe(10.0, "")), Ok(()));
    }

    #[test]
    fn secrets_are_read_only_where_the_host_allows_it() {
        let probes = Probes::new(&NoStores);
        for more in [r#","bearer":{"secret_file":"/etc/shadow"}"#, r#","bearer":{"secret_env":"PATH"}"#] {
            let problem = start(&probes, "r1", probe(1.0, more)).unwrap_err();
            assert_eq!(problem.code, RefusalCode::BadProbe);
            assert!(problem.title.contains("this host lets probes read"), "{problem:?}");
        }
    }

    #[test]
    fn a_probe_of_a_store_is_refused_where_the_agent_has_no_client() {
        for (kind, user) in [("postgres", r#","user":"u""#), ("mysql", r#","user":"u""#), ("redis", "")] {
            let text = format!(
                r#"{{"name":"p","rate":1,"timeout":"1s","kind":{{"{kind}":{{"address":"127.0.0.1:9"{user}}}}}}}"#
            );
            let spec = serde_json::from_str(&text).unwrap();
            let problem = start(&Probes::new(&NoStores), "r1", spec).unwrap_err();
            assert_eq!(problem.code, RefusalCode::BadProbe);
            for words in
                ["built without clients of stores", kind, "--package firedrill-agent --features stores"]
            {
                assert!(problem.title.contains(words), "{problem:?}");
            }
        }
    }

    #[test]
    fn a_program_that_nobody_allowed_is_not_run() {
        let text = r#"{"name":"p","rate":1,"timeout":"1s","kind":{"exec":{"command":["/bin/true"]}}}"#;
        let spec = serde_json::from_str(text).unwrap();
        let problem = start(&Probes::new(&NoStores), "r1", spec).unwrap_err();
        assert_eq!(problem.code, RefusalCode::BadProbe);
        assert!(problem.title.contains("/bin/true cannot be run"), "{problem:?}");
    }

    #[tokio::test]
    async fn a_halt_stops_the_probes_of_every_run() {
        let probes = Probes::new(&NoStores);
        for run in ["r1", "r2"] {
            assert_eq!(start(&probes, run, probe(10.0, "")), Ok(()));
        }
        let feeds = ["r1", "r2"].map(|run| probes.bins(&run.parse().unwrap(), 0).ok().unwrap());
        probes.stop_all();
        for mut feed in feeds {
            // The feed ends, because nothing more is measured.
            while feed.next().await.is_some() {}
        }
    }
}
