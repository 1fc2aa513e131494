//! Runs probes on this host: starts and stops them, and keeps their measurements until they are read. Measures nothing
//! itself.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
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
    wiring::{Leave, Prober},
};

/// Maximum number of runs with active probes.
const RUNNING: usize = 16;
/// Maximum number of stopped runs whose measurements are kept, the newest first.
const STOPPED: usize = 4;

/// The probes of the last few runs.
pub struct Probes {
    /// The clients of stores that this program has.
    stores: &'static dyn Stores,
    /// Held while probes are started, which may take as long as reading their secrets. Stopping does not wait for it.
    starting: Mutex<()>,
    runs: Mutex<VecDeque<OfRun>>,
}

struct OfRun {
    run: RunId,
    /// The owner's name; kept here because the supervisor may forget the run.
    owner: String,
    /// Requests per second.
    rate: f64,
    running: Running,
}

impl Probes {
    /// Returns none, in a program with these clients of stores.
    #[must_use]
    pub fn new(stores: &'static dyn Stores) -> Self {
        Self { stores, starting: Mutex::default(), runs: Mutex::default() }
    }

    fn runs(&self) -> MutexGuard<'_, VecDeque<OfRun>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prober for Probes {
    fn start(
        &self,
        run: &RunId,
        caller: &Caller,
        ask: &StartProbes,
        leave: &Leave<'_>,
    ) -> Result<(), Problem> {
        let _order = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = ask.probes.iter().map(|probe| probe.rate).sum();
        let (spool, together) = {
            let runs = self.runs();
            let others: Vec<&OfRun> =
                runs.iter().filter(|known| known.run != *run && !known.running.is_finished()).collect();
            if others.len() >= RUNNING {
                return Err(full(&others));
            }
            // The bins' numbers continue, so that readers notice no break.
            let before = runs.iter().find(|known| known.run == *run);
            // Readers take them for the owner's.
            before.map_or(Ok(()), |before| caller.must_be(&before.owner, run))?;
            let spool = before.map_or_else(Spool::new, |before| before.running.spool.clone());
            (spool, rate + others.iter().map(|known| known.rate).sum::<f64>())
        };
        if together > f64::from(leave.most_rate) {
            return Err(refuse(
                RefusalCode::NotAllowed,
                format!(
                    "all probes on this host together would send {together} requests a second; at most {} are allowed",
                    leave.most_rate
                ),
                format!("{}; lower the rates, or measure from several hosts", leave.says),
            ));
        }
        let running = start_on(spool, ask.probes.clone(), ask.at_most.0, leave.reads, self.stores).map_err(
            |error| {
                refuse(
                    RefusalCode::BadProbe,
                    format!("cannot start the probes: {error}"),
                    "correct the probe",
                )
            },
        )?;
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
    let who: Vec<String> = others.iter().map(|one| format!("{} ({})", one.run, one.owner)).collect();
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
        let leave = Leave {
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
        probes.start(&run.parse().unwrap(), &caller, &ask, &leave)
    }

    #[tokio::test]
    async fn newer_runs_stop_no_run_that_measures() {
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

        let over = |probes: &Probes, run: &str| {
            let id: RunId = run.parse().unwrap();
            probes.stop(&id);
            while probes.runs().iter().any(|known| known.run == id && !known.running.is_finished()) {
                std::thread::yield_now();
            }
        };
        over(&probes, "r7");
        assert_eq!(start_as(&probes, "bob", "late", probe(1.0, "")), Ok(()));
        for n in 0..2 * STOPPED {
            over(&probes, "late");
            assert_eq!(start_as(&probes, "bob", "late", probe(1.0, "")), Ok(()), "{n}");
        }
        assert!(probes.known().contains(&"r7".parse().unwrap()), "what it measured can be read");
        for n in 8..=8 + STOPPED {
            over(&probes, &format!("r{n}"));
            assert_eq!(start(&probes, &format!("new{n}"), probe(1.0, "")), Ok(()));
        }
        let known = probes.known();
        assert!(!known.contains(&"r7".parse().unwrap()), "the oldest of those that are over goes first");
        assert_eq!(known.len(), RUNNING + STOPPED);
    }

    #[tokio::test]
    async fn nobody_measures_into_the_run_of_somebody_else() {
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
        assert_eq!(start(&probes, "r1", probe(90.0, "")), Ok(()), "it takes the place of the run's own");
        assert_eq!(start(&probes, "r2", probe(10.0, "")), Ok(()));
    }

    #[test]
    fn secrets_are_read_by_leave_only() {
        let probes = Probes::new(&NoStores);
        for more in [r#","bearer":{"secret_file":"/etc/shadow"}"#, r#","bearer":{"secret_env":"PATH"}"#] {
            let problem = start(&probes, "r1", probe(1.0, more)).unwrap_err();
            assert_eq!(problem.code, RefusalCode::BadProbe);
            assert!(problem.title.contains("this host lets probes read"), "{problem:?}");
        }
    }

    #[test]
    fn a_probe_of_a_store_is_refused_where_the_agent_has_no_client() {
        for (kind, user) in [("postgres", r#","user":"u""#), ("redis", "")] {
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

    #[tokio::test]
    async fn a_halt_stops_the_probes_of_every_run() {
        let probes = Probes::new(&NoStores);
        for run in ["r1", "r2"] {
            assert_eq!(start(&probes, run, probe(10.0, "")), Ok(()));
        }
        let feeds = ["r1", "r2"].map(|run| probes.bins(&run.parse().unwrap(), 0).ok().unwrap());
        probes.stop_all();
        for mut feed in feeds {
            // It ends, because nothing more is measured.
            while feed.next().await.is_some() {}
        }
    }
}
