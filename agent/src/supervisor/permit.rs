//! Asks the host's rules and its halt whether an act is allowed. Also does the acts that are no faults: starts probes and logs,
//! exchanges packets, and ends a halt.

use std::{collections::BTreeSet, sync::Arc};

use firedrill_probe::writes::Reader;
use firedrill_wire::{
    InjectionId, RefusalCode, RunId,
    api::{Claim, Problem, StartProbes},
    exchange::{Exchange, Exchanged},
    journal::{State, What},
    logs::StartLogs,
    writes::ReadBacks,
};

use super::{
    Supervisor,
    core::Core,
    state::{Allowed, SupervisorState},
};
use crate::{
    active,
    config::Rules,
    control::Caller,
    host::process::Name,
    injection::{Ask, refuse},
    mutex::lock,
    path_check,
    policy::{Act, Question},
    programs::{Granted, Programs},
    records::OfRun,
    secrets::AllOf,
    service,
    wiring::Allowance,
};

/// Refuses everything that could harm while the host is halted or the agent is being stopped.
pub(super) fn check_accepts_harm(state: &SupervisorState) -> Result<(), Problem> {
    if state.closing {
        return Err(refuse(RefusalCode::Stopping, "the agent is being stopped", "try again when it is back"));
    }
    match &state.halted_by {
        Some(by) => Err(refuse(
            RefusalCode::Halted,
            format!("{by} halted this host"),
            "when it is safe again: firedrill release, or firedrill-agent release on the host",
        )),
        None => Ok(()),
    }
}

impl Core {
    /// Checks that a run belongs to this person, or has no owner yet. A person who could continue the run of another could keep its
    /// faults in force, or replace its probes.
    pub(super) fn check_owner(&self, run: &RunId, caller: &Caller) -> Result<(), Problem> {
        let state = lock(&self.state);
        let owner = state.runs.get(run).and_then(|known| known.owner.as_ref());
        owner.map_or(Ok(()), |owner| caller.must_be(owner, run))
    }

    /// Checks that all these rules allow an act at a time (`wall_us`, microseconds since 1970 UTC).
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

    /// Checks that all rules allow the claims of a prepared fault.
    pub(super) fn allowed_claims(
        &self,
        caller: &Caller,
        environment: Option<&str>,
        ask: &Ask,
        claims: &[Claim],
    ) -> Result<(), Problem> {
        let rules = self.live.rules()?;
        let act = Act::Fault { fault: &ask.fault, hold: ask.hold };
        for rules in &rules {
            let host_environment = rules.environment.as_deref();
            let question = Question { caller, environment, host_environment, act, wall_us: self.wall_us() };
            rules.policy.check_claims(&question, claims, self.policy_file())?;
        }
        self.spares_protected(&rules, claims)
    }

    /// Checks that no claimed process belongs to a protected service.
    fn spares_protected(&self, rules: &[Arc<Rules>], claims: &[Claim]) -> Result<(), Problem> {
        let processes: BTreeSet<Name> =
            claims.iter().filter_map(|claim| claim.what.strip_prefix("process:")?.parse().ok()).collect();
        let protected = |name: &str| rules.iter().any(|rules| rules.policy.protected(name).is_some());
        if processes.is_empty() || rules.iter().all(|rules| rules.policy.protected_services.is_empty()) {
            return Ok(());
        }
        let found = service::holder(&self.host, &processes, &protected).map_err(|error| {
            let hint = "without them it is unknown whether a process belongs to a service that is protected";
            refuse(RefusalCode::ServiceManager, format!("cannot look through the services: {error}"), hint)
        })?;
        let refusal = found.and_then(|unit| {
            rules.iter().find_map(|rules| rules.policy.refuse_protected(unit.name(), self.policy_file()))
        });
        refusal.map_or(Ok(()), Err)
    }

    /// Asks the present rules about each armed injection of a run, if they differ from the rules that allowed it. Returns the answers: the
    /// rules that allow it now, or the reason why not. Injections in force are not asked about: they stay until their hold is over.
    pub(super) fn ask_again(
        &self,
        caller: &Caller,
        run: &RunId,
    ) -> Vec<(InjectionId, Result<Allowed, String>)> {
        let (armed, environment, open) = {
            let state = lock(&self.state);
            let armed =
                state.open_of(run).filter(|entry| entry.state == State::Armed && entry.wanted.is_none());
            let armed: Vec<_> =
                armed.map(|entry| (entry.intent.id().clone(), entry.allowed_by.clone())).collect();
            let open = state.live.values().filter(|entry| entry.state.is_open()).count();
            (armed, state.runs.get(run).and_then(|known| known.environment.clone()), open)
        };
        if armed.is_empty() {
            return Vec::new();
        }
        let rules = self.live.rules();
        let ask = |id: &InjectionId, before: &Allowed| -> Option<Result<Allowed, Problem>> {
            let rules = match &rules {
                Ok(rules) if rules.iter().all(|now| before.iter().any(|known| known == now)) => return None,
                Ok(rules) => rules,
                Err(problem) => return Some(Err(problem.clone())),
            };
            let (intent, approved) = {
                let state = lock(&self.state);
                let entry = state.live.get(id)?;
                (entry.intent.clone(), entry.approved.clone())
            };
            let (ask, claims) = (&intent.live.ask, &intent.live.prepared.claims);
            let ahead = intent.start_boot_us.saturating_sub(self.now());
            let starts = self.wall_us().saturating_add(ahead);
            let kind = ask.fault.kind();
            let bounds = |rules: &Arc<Rules>| {
                rules.policy.check_count(open, self.policy_file())?;
                rules.policy.check_approved(kind, &approved, self.policy_file())
            };
            let allowed = self
                .allowed(caller, environment.as_deref(), ask, starts)
                .and_then(|()| self.allowed_claims(caller, environment.as_deref(), ask, claims))
                .and_then(|()| rules.iter().try_for_each(bounds));
            Some(allowed.map(|()| rules.clone()))
        };
        armed
            .into_iter()
            .filter_map(|(id, before)| {
                let answer = ask(&id, &before)?;
                Some((id, answer.map_err(|problem| format!("{}; {}", problem.title, problem.hint))))
            })
            .collect()
    }

    /// Starts the probes of a run.
    pub(super) fn start_probes(
        &self,
        caller: &Caller,
        run: &RunId,
        start: &StartProbes,
    ) -> Result<(), Problem> {
        check_accepts_harm(&lock(&self.state))?;
        self.check_owner(run, caller)?;
        let rules = self.live.rules()?;
        for rules in &rules {
            rules.policy.check_probing(start, self.policy_file())?;
        }
        let mut programs = Programs::default();
        for probe in &start.probes {
            let (act, environment) = (Act::Probe(probe), start.environment.as_deref());
            self.may(&rules, caller, environment, act, self.wall_us())?;
            for rules in &rules {
                let host_environment = rules.environment.as_deref();
                let ask = Question { caller, environment, host_environment, act, wall_us: self.wall_us() };
                let user = rules.policy.run_as(&ask, self.policy_file())?;
                if let (Some(command), Some(user)) = (probe.kind.runs(), user) {
                    programs.allow(command, user)?;
                }
            }
        }
        let secrets = AllOf(rules.iter().map(|rules| &rules.secrets).collect());
        let reads = Granted { secrets, programs };
        let allowance = Allowance {
            reads: &OfRun::new(&reads, &self.config.paths.state, &self.config.host, run, start),
            most_rate: rules.iter().map(|rules| rules.policy.max_probe_rate).min().unwrap_or(0),
            says: format!("policy.max_probe_rate in {} says so", self.policy_file().display()),
        };
        self.check_trusted(run)?;
        self.takes_part(run, caller)?;
        self.prober.start(run, caller, start, &allowance)?;
        // Checked again: a halt that came meanwhile may have found no probes to stop.
        check_accepts_harm(&lock(&self.state)).inspect_err(|_| self.prober.stop(run))
    }

    /// Needs no policy: only what a permitted probe wrote is read, also after a halt, which stops probes and not their judgement.
    pub(super) fn read_back(&self, caller: &Caller, run: &RunId) -> Result<ReadBacks, Problem> {
        self.check_owner(run, caller)?;
        let all = Reader::all(&self.prober.readers(run)?).map_err(|why| {
            let title = format!("cannot read back what probes of run {run} wrote: {why}");
            refuse(RefusalCode::Bug, title, "look at the agent's log")
        })?;
        Ok(ReadBacks { all })
    }

    /// Starts to read the logs of a run.
    pub(super) fn start_logs(&self, caller: &Caller, run: &RunId, start: &StartLogs) -> Result<(), Problem> {
        check_accepts_harm(&lock(&self.state))?;
        self.check_owner(run, caller)?;
        let rules = self.live.rules()?;
        for rules in &rules {
            rules.policy.check_logs(start, self.policy_file())?;
        }
        for log in &start.logs {
            self.may(&rules, caller, start.environment.as_deref(), Act::Log(log), self.wall_us())?;
        }
        // While a new configuration replaces an old one, only the entries that both have count.
        let listed = |entry: &&String| rules.iter().all(|rules| rules.policy.logs.contains(entry));
        let entries = rules.first().map_or_else(Vec::new, |first| {
            first.policy.logs.iter().filter(listed).cloned().collect::<Vec<_>>()
        });
        self.check_trusted(run)?;
        self.takes_part(run, caller)?;
        self.logs.start(run, caller, start, &entries)?;
        // Checked again: a halt that came meanwhile may have found no logs to stop.
        check_accepts_harm(&lock(&self.state)).inspect_err(|_| self.logs.stop(run))
    }

    /// Records that a person measures for a run, so that the run ends if the person's certificate is not trusted any more.
    fn takes_part(&self, run: &RunId, caller: &Caller) -> Result<(), Problem> {
        let measured = self.measured();
        let mut state = lock(&self.state);
        let known = state.claim(run, caller)?;
        known.add_participant(caller);
        known.heard_boot_us = known.heard_boot_us.max(self.now());
        state.prune(&measured, self.now());
        Ok(())
    }

    /// Returns the runs for which something is measured on this host. A run with both probes and logs is listed twice.
    pub(super) fn measured(&self) -> Vec<RunId> {
        self.prober.known().into_iter().chain(self.logs.known()).collect()
    }

    /// Stops the probes and logs of a run.
    pub(super) fn stop_measuring(&self, run: &RunId) {
        self.prober.stop(run);
        self.logs.stop(run);
    }

    /// Tries out a path with a few packets.
    pub(super) fn exchange(&self, caller: &Caller, ask: &Exchange) -> Result<Exchanged, Problem> {
        check_accepts_harm(&lock(&self.state))?;
        self.may(&self.live.rules()?, caller, None, Act::Exchange(ask), self.wall_us())?;
        path_check::check(ask)
    }

    /// Checks that this person may end a halt. If the configuration's file is unusable, its last good rules decide: all harm is refused
    /// anyway as long as the file is unusable.
    pub(super) fn may_release(&self, caller: &Caller) -> Result<(), Problem> {
        let rules = self.live.rules().unwrap_or_else(|_| vec![self.live.last_good()]);
        self.may(&rules, caller, None, Act::Release, self.wall_us())
    }
}

impl Supervisor {
    /// Ends a halt without asking the policy: for root on the host, and for callers whom the policy has allowed it.
    pub fn end_halt(&self, by: &str) {
        let core = &self.0;
        lock(&core.state).halted_by = None;
        core.event(What::Released { by: by.to_owned() });
        core.sync();
        active::syslog(&format!("{by} released the halt"));
    }
}
