//! Answers the calls of the control API. Most calls are passed on to another module of the supervisor; undo is here.

use firedrill_approval::Opened;
use firedrill_wire::{
    InjectionId, RunId,
    api::{
        AgentStatus, Arm, Armed, Clock, Doctor, EndState, OpenOne, Prepare, PrepareAnswer, Problem, Renew,
        Renewed, StartProbes, Undo, UndoAnswer, UndoScope,
    },
    exchange::{Exchange, Exchanged},
    journal::{AgentEvent, HealReason, State, What},
    logs::{LogBin, StartLogs},
    probe::Bin,
    writes::ReadBacks,
};

use super::{Supervisor, core::Core, event_stream, recover::tell_swept, state::Entry, stray::Verdict};
use crate::{
    active,
    audit::Request,
    config::Config,
    control::{Caller, Control, Feed, Trusted},
    journal::Tombstone,
    logs::Logs,
    mutex::lock,
};

impl Control for Supervisor {
    fn status(&self) -> AgentStatus {
        let core = &self.0;
        let about_file = core.live.warnings();
        let state = lock(&core.state);
        let open = state.live.values().filter(|entry| entry.state.is_open());
        let stuck = state.live.iter().filter(|(_, entry)| entry.state == State::Stuck);
        AgentStatus {
            host: core.host.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clock: core.clock(),
            halted_by: state.halted_by.clone(),
            open: open.map(Entry::show).collect(),
            last_seq: *core.published.borrow(),
            warnings: stuck
                .map(|(id, entry)| format!("{id} is stuck: {}", entry.trouble))
                .chain(about_file)
                .chain(core.about_journal())
                .chain(lock(&core.about_file).clone())
                .chain(core.warnings.iter().cloned())
                .collect(),
        }
    }

    fn clock(&self) -> Clock {
        self.0.clock()
    }

    fn doctor(&self) -> Doctor {
        let core = &self.0;
        // With the policy that is in the file now.
        let config = Config { policy: core.live.last_good().policy.clone(), ..(*core.config).clone() };
        let mut findings = core.live.findings();
        findings.extend(Logs::finding(&config.policy.logs));
        core.wiring.doctor(&core.host, &config, findings)
    }

    fn prepare_with(
        &self,
        caller: &Caller,
        run: &RunId,
        ask: &Prepare,
        approvals: &[Result<Opened, String>],
    ) -> Result<PrepareAnswer, Problem> {
        self.0.prepare((caller, approvals), run, ask)
    }

    fn arm(&self, caller: &Caller, run: &RunId, arm: &Arm) -> Result<Armed, Problem> {
        self.0.arm(caller, run, arm)
    }

    fn renew(&self, caller: &Caller, run: &RunId, renew: &Renew) -> Result<Renewed, Problem> {
        self.0.check_owner(run, caller)?;
        self.0.renew(caller, run, renew)
    }

    fn audit(&self, request: Request) {
        self.0.audit.request(request);
    }

    fn distrust(&self, trusted: Trusted<'_>) {
        self.0.distrust(trusted);
    }

    fn undo(&self, caller: &Caller, undo: &Undo) -> UndoAnswer {
        self.0.undo(caller, undo)
    }

    fn release(&self, caller: &Caller) -> Result<(), Problem> {
        self.0.may_release(caller)?;
        self.end_halt(&caller.name);
        Ok(())
    }

    fn finish(&self, run: &RunId) -> Result<EndState, Problem> {
        self.0.finish(run)
    }

    fn events(&self, after: u64) -> Feed<AgentEvent> {
        event_stream::events(lock(&self.0.journal).tail(after), self.0.published.clone())
    }

    fn start_probes(&self, caller: &Caller, run: &RunId, start: &StartProbes) -> Result<(), Problem> {
        self.0.start_probes(caller, run, start)
    }

    fn read_back(&self, caller: &Caller, run: &RunId) -> Result<ReadBacks, Problem> {
        self.0.read_back(caller, run)
    }

    fn start_logs(&self, caller: &Caller, run: &RunId, start: &StartLogs) -> Result<(), Problem> {
        self.0.start_logs(caller, run, start)
    }

    fn stop_logs(&self, run: &RunId) {
        self.0.logs.stop(run);
    }

    fn log_bins(&self, run: &RunId, after: u64) -> Result<Feed<LogBin>, Problem> {
        self.0.logs.bins(run, after)
    }

    fn exchange(&self, caller: &Caller, ask: &Exchange) -> Result<Exchanged, Problem> {
        self.0.exchange(caller, ask)
    }

    fn stop_probes(&self, run: &RunId) {
        self.0.prober.stop(run);
    }

    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem> {
        self.0.prober.bins(run, after)
    }
}

impl Core {
    /// Undoes injections, and makes sure by tombstones that none of them starts later. Waits until they are closed or stuck.
    fn undo(&self, caller: &Caller, undo: &Undo) -> UndoAnswer {
        let by = caller.name.clone();
        let measured = self.measured();
        // Tombstones of known and of unknown runs and injections.
        let (mut tombstones, mut strays) = (Vec::new(), Vec::new());
        // The known runs that are undone as a whole.
        let mut runs = Vec::new();
        // Those of them for which no injection's change of state will record who asked: they need a separate event.
        let mut without_change = Vec::new();
        let shown: Vec<OpenOne> = {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            // The tombstones are set in memory first: from here on every arm is refused, even if the disk fails.
            match &undo.scope {
                UndoScope::Injection(id) => tombstones.push(Tombstone::Injection(id.clone())),
                UndoScope::Run(run) => tombstones.push(Tombstone::Run(run.clone())),
                UndoScope::All => {
                    // Runs without live injections get one, too: their prepared injections may be about to be armed.
                    tombstones.extend(state.runs.ids().chain(measured.iter().cloned()).map(Tombstone::Run));
                }
            }
            let is_known = |run: &RunId| state.runs.contains_key(run) || measured.contains(run);
            runs.extend(tombstones.iter().filter_map(|stone| match stone {
                Tombstone::Run(run) if is_known(run) => Some(run.clone()),
                _ => None,
            }));
            let (known, unknown): (Vec<_>, Vec<_>) = tombstones.into_iter().partition(|stone| {
                state.knows(stone) || matches!(stone, Tombstone::Run(run) if runs.contains(run))
            });
            tombstones = known.into_iter().filter(|stone| state.tombstones.add(stone)).collect();
            without_change.extend(tombstones.iter().filter_map(|stone| match stone {
                Tombstone::Run(run) if runs.contains(run) => Some(run.clone()),
                _ => None,
            }));
            strays.extend(unknown.into_iter().filter(|stone| state.tombstones.add_stray(stone)));
            if undo.halt {
                state.halted_by = Some(by.clone());
            }
            let mut shown = Vec::new();
            for (id, entry) in &mut state.live {
                let meant = match &undo.scope {
                    UndoScope::Injection(wanted) => wanted == id,
                    UndoScope::Run(run) => *run == entry.intent.run,
                    UndoScope::All => true,
                };
                if meant && (entry.state.is_open() || entry.state == State::Done) {
                    if entry.state.is_open() && entry.wanted.is_none() {
                        // The change of this injection's state will be journaled with the person who asked.
                        without_change.retain(|run| *run != entry.intent.run);
                    }
                    entry.want(&HealReason::Asked { by: by.clone() }, self.now());
                    if entry.state.is_open() {
                        shown.push(entry.show());
                    }
                }
            }
            self.tell_guard(state);
            shown
        };
        if undo.halt {
            self.event(What::Halted { by: by.clone() });
            active::syslog(&format!("{by} halted this host; firedrill-agent release ends that"));
            self.prober.stop_all();
            self.logs.stop_all();
        }
        for run in without_change {
            self.event(What::RunUndone { run, by: by.clone() });
        }
        strays.retain(|_| self.may_journal_stray(&by));
        self.record_tombstones(tombstones, strays);
        let ids: Vec<InjectionId> = shown.iter().map(|injection| injection.id.clone()).collect();
        self.wait_settled(&ids);
        let swept = if undo.scope == UndoScope::All { self.sweep() } else { Vec::new() };
        self.sync();
        let state = lock(&self.state);
        let entries = || ids.iter().filter_map(|id| state.live.get(id));
        UndoAnswer {
            injections: shown.into_iter().map(|injection| state.now(injection)).collect(),
            runs,
            stuck: entries()
                .filter(|entry| entry.state == State::Stuck)
                .map(|entry| format!("{}: {}", entry.intent.id(), entry.trouble))
                .collect(),
            swept,
            lost: self.lost.clone(),
        }
    }

    /// Whether the tombstone for an unknown id, which a caller asked for, may be journaled.
    fn may_journal_stray(&self, by: &str) -> bool {
        match lock(&self.stray).take(self.wiring.time.awake_us()) {
            Verdict::Journal => true,
            Verdict::MemoryOnly(tell) => {
                if tell {
                    tracing::warn!(
                        "{by} undoes many runs that are not known here; their tombstones count until the agent ends, and are \
                         not journaled"
                    );
                }
                false
            }
        }
    }

    /// Removes objects that have the project's prefix and belong to no open injection. Returns their names.
    fn sweep(&self) -> Vec<String> {
        let live = || {
            let state = lock(&self.state);
            let open = state.live.iter().filter(|(_, entry)| entry.state.is_open());
            open.map(|(id, _)| id.clone()).collect()
        };
        let swept = (self.wiring.sweep)(&self.host, &live);
        tell_swept(&swept);
        swept.removed
    }
}
