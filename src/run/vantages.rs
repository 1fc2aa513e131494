//! The vantages of a run: starts and stops the probes, in this process and on agents, and records which vantages have not ended yet. Never
//! judges a measurement.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use firedrill_probe::{
    Keeping, Running, Spool, start_on,
    writes::{Place, Reader},
};
use firedrill_wire::{
    RunId,
    api::StartProbes,
    writes::{Author, ReadBack},
};
use futures_util::{StreamExt as _, future::join_all};
use tokio_util::sync::CancellationToken;

use super::{
    facts::Facts,
    follow::Follow,
    input::Input,
    peers::Peers,
    probe_specs::{at_most, specs},
    read_backs::{ReadBackAnswer, ReadBackAsked},
    tasks::Tasks,
    watchers,
};
use crate::{link::Agent, plan::model::COORDINATOR, stores};

/// Time in which an agent that does not answer is asked again: one that was restarted gets its probes anew.
const ASKED_AGAIN: Duration = Duration::from_secs(20);

/// Time between two such questions.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Has an agent read back. Asks again while it cannot: what an answer that got lost told as lost, the next one counts, too.
async fn from_agent(agent: &Agent, run: &RunId) -> Result<Vec<ReadBack>, String> {
    let begun = Instant::now();
    loop {
        match agent.read_back(run).await {
            Ok(read) => return Ok(read.all),
            Err(why) if begun.elapsed() > ASKED_AGAIN => return Err(why.to_string()),
            Err(_) => tokio::time::sleep(ASKED_EVERY).await,
        }
    }
}

/// The vantages of a run.
#[derive(Default)]
pub(super) struct Vantages {
    /// Names of the vantages whose bins are still being read.
    measuring: BTreeSet<String>,
    /// Cancelled when the vantages must stop measuring. Until then, the probes of an agent that restarts are started again.
    probing: CancellationToken,
    /// The probes that run in the coordinator.
    local: Option<Running>,
    /// Vantages that are reading back what they wrote.
    reading_back: BTreeMap<String, ReadBackAsked>,
}

impl Drop for Vantages {
    fn drop(&mut self) {
        self.probing.cancel();
        self.stop_local();
    }
}

impl Vantages {
    /// Starts all probes. Write records of the coordinator lie in the run's folder.
    ///
    /// # Errors
    /// Some vantages cannot measure; the error names each. Then no attack runs.
    pub(super) async fn start(
        &mut self,
        facts: &Facts,
        peers: &Peers,
        tasks: &Tasks,
        folder: &Path,
    ) -> Result<(), String> {
        let (plan, longest) = (&facts.plan, at_most(&facts.plan));
        let mut specs = specs(plan, &facts.id);
        let own = specs.remove(COORDINATOR).unwrap_or_default();
        let calls = specs.into_iter().filter_map(|(name, probes)| {
            let agent = peers.agent(name)?.clone();
            let start = StartProbes {
                probes,
                at_most: longest,
                environment: plan.environment.clone(),
                vantage: Some(name.to_owned()),
            };
            Some(async move { (name, agent.start_probes(&facts.id, &start).await, agent, start) })
        });
        let calls: Vec<_> = calls.collect();
        let mut failed = Vec::new();
        for (name, answer, agent, start) in join_all(calls).await {
            match answer {
                Ok(()) => {
                    self.measuring.insert(name.to_owned());
                    let again = Some((start, self.probing.clone()));
                    let follow = Follow { run: facts.id.clone(), after: 0, again };
                    watchers::bins(name.to_owned(), agent, follow, tasks);
                }
                Err(error) => failed.push(format!("{name} cannot measure: {error}")),
            }
        }
        if failed.is_empty() && !own.is_empty() {
            let author = Author { run: facts.id.clone(), vantage: COORDINATOR.to_owned() };
            let place = Place { folder: folder.join("record"), author };
            match start_on(Spool::new(), own, longest.0, &Keeping(place), stores::clients()) {
                Ok(running) => self.follow_local(running, tasks),
                Err(error) => failed.push(format!("the coordinator cannot measure: {error}")),
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        self.probing.cancel();
        self.stop_remote(facts, peers).await;
        Err(failed.join("; "))
    }

    /// Has a vantage read back what its probes wrote.
    pub(super) fn read_back(&mut self, asked: ReadBackAsked, facts: &Facts, peers: &Peers, tasks: &Tasks) {
        let (run, mail) = (facts.id.clone(), tasks.clone());
        let agent = peers.agent(&asked.vantage).cloned();
        let own = (asked.vantage == COORDINATOR)
            .then(|| self.local.as_ref().map_or_else(Vec::new, |own| own.readers().to_vec()));
        self.reading_back.insert(asked.vantage.clone(), asked.clone());
        tasks.spawn(async move {
            let answer = match (own, agent) {
                (Some(readers), _) => {
                    let read = tokio::task::spawn_blocking(move || Reader::all(&readers)).await;
                    read.map_err(|why| why.to_string()).and_then(|read| read.map_err(|why| why.to_string()))
                }
                (None, Some(agent)) => from_agent(&agent, &run).await,
                (None, None) => Err("it was not reached".to_owned()),
            };
            mail.send(Input::ReadBack(Box::new(ReadBackAnswer { asked, answer })));
        });
    }

    /// A vantage has answered. Returns whether its answer is waited for.
    pub(super) fn has_read_back(&mut self, asked: &ReadBackAsked) -> bool {
        let waits = self.reading_back.get(&asked.vantage) == Some(asked);
        if waits {
            self.reading_back.remove(&asked.vantage);
        }
        waits
    }

    /// Whether vantages are reading back.
    pub(super) fn is_reading_back(&self) -> bool {
        !self.reading_back.is_empty()
    }

    /// Waits for no answer any longer. Returns the questions without one.
    pub(super) fn stop_reading_back(&mut self) -> Vec<ReadBackAsked> {
        std::mem::take(&mut self.reading_back).into_values().collect()
    }

    /// Starts a task that sends the measurements of the coordinator's own probes to the inbox.
    fn follow_local(&mut self, running: Running, tasks: &Tasks) {
        let mut feed = Box::pin(running.spool.feed(0));
        let mail = tasks.clone();
        self.measuring.insert(COORDINATOR.to_owned());
        tasks.spawn(async move {
            while let Some(bin) = feed.next().await {
                mail.send(Input::Bin { vantage: COORDINATOR.to_owned(), bin });
            }
            mail.send(Input::BinsEnded { vantage: COORDINATOR.to_owned(), why: None });
        });
        self.local = Some(running);
    }

    /// Reads the measurements of a vantage that an earlier coordinator started, beginning after the bin with number `after`.
    pub(super) fn follow(&mut self, host: &str, agent: &Agent, run: &RunId, after: u64, tasks: &Tasks) {
        self.measuring.insert(host.to_owned());
        let follow = Follow { run: run.clone(), after, again: None };
        watchers::bins(host.to_owned(), agent.clone(), follow, tasks);
    }

    /// Notes that a vantage will send no more bins.
    pub(super) fn ended(&mut self, vantage: &str) {
        self.measuring.remove(vantage);
    }

    /// Whether all measurements have arrived, except those of unreachable hosts, which are not waited for.
    pub(super) fn all_in(&self, peers: &Peers) -> bool {
        self.measuring.iter().all(|name| peers.agent(name).is_some() && !peers.is_reachable(name))
    }

    /// Stops all probes. Their last bins arrive afterwards.
    pub(super) async fn stop(&mut self, facts: &Facts, peers: &Peers) {
        self.probing.cancel();
        self.stop_local();
        self.stop_remote(facts, peers).await;
    }

    fn stop_local(&mut self) {
        if let Some(local) = self.local.take() {
            local.stop();
        }
    }

    /// Stops the probes of all agents. Errors are ignored.
    async fn stop_remote(&self, facts: &Facts, peers: &Peers) {
        let calls = self.measuring.iter().filter_map(|name| {
            let agent = peers.agent(name)?.clone();
            // The probes of an unreachable agent stop by themselves.
            Some(async move { drop(agent.stop_probes(&facts.id).await) })
        });
        join_all(calls).await;
    }
}
