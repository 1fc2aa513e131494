//! What the host's rules and its halt say to whatever somebody asks for; and what is asked besides faults: probes, exchanges
//! of packets, the end of a halt.

use std::sync::Arc;

use firedrill_probe::clock;
use firedrill_wire::{
    RunId,
    api::{Problem, StartProbes},
    exchange::{Exchange, Exchanged},
    journal::What,
};

use super::{Core, Supervisor, book::Book, lock};
use crate::{
    active,
    config::Rules,
    control::Caller,
    exchange,
    fault::refuse,
    policy::{Act, Question},
    secrets::AllOf,
    wiring::Leave,
};

/// Refuses everything that could harm while the host is halted or the agent stops.
pub(super) fn takes_anything(book: &Book) -> Result<(), Problem> {
    if book.closing {
        return Err(refuse("stopping", "the agent is being stopped", "try again when it is back"));
    }
    match &book.halted_by {
        Some(by) => Err(refuse(
            "halted",
            format!("{by} halted this host"),
            "when it is safe again: firedrill release, or firedrill-agent release on the host",
        )),
        None => Ok(()),
    }
}

impl Core {
    /// Whether all of these rules allow something.
    pub(super) fn may(
        &self,
        rules: &[Arc<Rules>],
        caller: &Caller,
        environment: Option<&str>,
        act: Act<'_>,
        wall_us: u64,
    ) -> Result<(), Problem> {
        rules.iter().try_for_each(|rules| {
            let host_environment = rules.environment.as_deref();
            let ask = Question { caller, environment, host_environment, act, wall_us };
            rules.policy.check(&ask, self.policy_file())
        })
    }

    pub(super) fn start_probes(
        &self,
        caller: &Caller,
        run: &RunId,
        start: &StartProbes,
    ) -> Result<(), Problem> {
        takes_anything(&lock(&self.book))?;
        let rules = self.live.rules()?;
        for rules in &rules {
            rules.policy.check_probing(start, self.policy_file())?;
        }
        for probe in &start.probes {
            let act = Act::Probe(probe);
            self.may(&rules, caller, start.environment.as_deref(), act, clock::wall_us())?;
        }
        let leave = Leave {
            reads: &AllOf(rules.iter().map(|rules| &rules.secrets).collect()),
            most_rate: rules.iter().map(|rules| rules.policy.max_probe_rate).min().unwrap_or(0),
            says: format!("policy.max_probe_rate in {} says so", self.policy_file().display()),
        };
        self.prober.start(run, start, &leave)?;
        // A halt that came meanwhile may have found nothing to stop.
        takes_anything(&lock(&self.book)).inspect_err(|_| self.prober.stop(run))
    }

    pub(super) fn exchange(&self, caller: &Caller, ask: &Exchange) -> Result<Exchanged, Problem> {
        takes_anything(&lock(&self.book))?;
        self.may(&self.live.rules()?, caller, None, Act::Exchange(ask), clock::wall_us())?;
        exchange::exchange(ask)
    }

    /// Whether this person may end a halt. A file that cannot be used refuses all harm by itself, so that its last good rules
    /// are enough here.
    pub(super) fn may_release(&self, caller: &Caller) -> Result<(), Problem> {
        let rules = self.live.rules().unwrap_or_else(|_| vec![self.live.last_good()]);
        self.may(&rules, caller, None, Act::Release, clock::wall_us())
    }
}

impl Supervisor {
    /// Ends a halt, whoever asks: for root on the host, and once the policy was asked.
    pub fn end_halt(&self, by: &str) {
        let core = &self.0;
        lock(&core.book).halted_by = None;
        core.event(What::Released { by: by.to_owned() });
        core.sync();
        active::syslog(&format!("{by} released the halt"));
    }
}
