//! A recorder in place of an agent's actions. It only records the calls.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use firedrill_agent::{
    audit::Request,
    control::{Caller, Control, Feed, Trusted},
};
use firedrill_approval::Opened;
use firedrill_probe::clock;
use firedrill_wire::{
    RefusalCode, RunId,
    api::{
        AgentStatus, Arm, Armed, Clock, Doctor, EndState, Finding, HostState, Means, Prepare, PrepareAnswer,
        Prepared, PreparedOne, Problem, Renew, Renewed, StartProbes, Undo, UndoAnswer,
    },
    exchange::{Exchange, Exchanged},
    journal::AgentEvent,
    logs::{LogBin, StartLogs},
    probe::Bin,
    writes::ReadBacks,
};
use futures_util::stream;
use tokio::sync::watch;

use super::{HOST, bin, event};

/// Records the calls and answers them.
pub(crate) struct Recorder {
    /// The calls since they were taken.
    pub(crate) calls: Mutex<Vec<String>>,
    /// The records for the audit log.
    pub(crate) requests: Mutex<Vec<Request>>,
    /// The findings of `doctor`.
    pub(crate) findings: Mutex<Vec<Finding>>,
    /// The callers that armed something.
    held_by: Mutex<Vec<Caller>>,
    /// The number of the newest event.
    pub(crate) events: watch::Sender<u64>,
    /// The number of the newest bin, and whether the stream of bins is [`Self::OVER`] or [`Self::OPEN`].
    pub(crate) bins: watch::Sender<(u64, bool)>,
    /// Calls of `doctor` and `prepare` block while this is true.
    pub(crate) blocked: watch::Sender<bool>,
    /// Calls of `finish` and `stop_probes` block while this is true.
    pub(crate) endless: watch::Sender<bool>,
    /// Number of renewals.
    pub(crate) renewals: AtomicU64,
}

impl Recorder {
    /// The stream of bins has ended.
    pub(crate) const OVER: bool = true;
    /// More bins can come.
    pub(crate) const OPEN: bool = false;

    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            requests: Mutex::default(),
            findings: Mutex::default(),
            held_by: Mutex::default(),
            events: watch::Sender::new(0),
            bins: watch::Sender::new((0, Self::OPEN)),
            blocked: watch::Sender::new(false),
            endless: watch::Sender::new(false),
            renewals: AtomicU64::new(0),
        })
    }

    fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }

    /// Returns the calls since the last time.
    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn block(&self) {
        Self::block_on(&self.blocked);
    }

    fn block_on(switch: &watch::Sender<bool>) {
        while *switch.borrow() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Control for Recorder {
    fn status(&self) -> AgentStatus {
        self.note("status");
        AgentStatus {
            host: HOST.to_owned(),
            version: "1".to_owned(),
            clock: self.clock(),
            halted_by: None,
            open: Vec::new(),
            last_seq: *self.events.borrow(),
            warnings: Vec::new(),
        }
    }
    fn clock(&self) -> Clock {
        Clock { boot_us: clock::boot_us(), boot_id: clock::boot_id(), wall_us: clock::wall_us() }
    }
    fn doctor(&self) -> Doctor {
        self.note("doctor");
        self.block();
        Doctor {
            host: HOST.to_owned(),
            version: "1".to_owned(),
            kernel: "6".to_owned(),
            findings: self.findings.lock().unwrap().clone(),
        }
    }
    fn prepare_with(
        &self,
        caller: &Caller,
        run: &RunId,
        _: &Prepare,
        approvals: &[Result<Opened, String>],
    ) -> Result<PrepareAnswer, Problem> {
        self.note(format!("prepare {run} by {caller:?}"));
        for approval in approvals {
            let text = match approval {
                Ok(Opened { by, means: Means::Passkey, origin, .. }) => {
                    format!("{} by passkey on {}", by.name, origin.as_deref().unwrap_or_default())
                }
                Ok(Opened { by, .. }) => by.name.clone(),
                Err(why) => why.clone(),
            };
            self.note(format!("approval: {text}"));
        }
        self.block();
        let mut injections = Vec::new();
        if run.as_str() == "forbidden" {
            let (code, title) = (RefusalCode::NotAllowed, "no rule lets you do this".to_owned());
            let answer = Prepared::Refused(Problem { code, title, hint: String::new() });
            injections.push(PreparedOne { id: "forbidden-1-1".parse().unwrap(), answer });
        }
        Ok(PrepareAnswer { clock: self.clock(), injections })
    }
    fn arm(&self, caller: &Caller, run: &RunId, arm: &Arm) -> Result<Armed, Problem> {
        self.held_by.lock().unwrap().push(caller.clone());
        self.note(format!("arm {run}"));
        if run.as_str() == "tombstone" {
            let (code, title) = (RefusalCode::Tombstone, "run tombstone was undone".to_owned());
            return Err(Problem { code, title, hint: "start another run".to_owned() });
        }
        if run.as_str() == "evil" {
            let code = serde_json::from_value("evil".into()).unwrap();
            let title = "run evil was \u{1b}[2J\nundone".to_owned();
            return Err(Problem { code, title, hint: "start another run ".repeat(10_000) });
        }
        Ok(Armed { injections: arm.injections.iter().map(|injection| injection.id.clone()).collect() })
    }
    fn renew(&self, _: &Caller, run: &RunId, _: &Renew) -> Result<Renewed, Problem> {
        self.note(format!("renew {run}"));
        self.renewals.fetch_add(1, Ordering::Relaxed);
        Ok(Renewed { clock: self.clock(), last_seq: 0, open: Vec::new() })
    }
    fn audit(&self, request: Request) {
        self.requests.lock().unwrap().push(request);
    }
    fn distrust(&self, trusted: Trusted<'_>) {
        let held = self.held_by.lock().unwrap().clone();
        let ended = held.iter().filter_map(|caller| {
            let why = trusted(caller.certificate.as_ref()?).err()?;
            Some(format!("distrust {}: {why}", caller.name))
        });
        ended.for_each(|text| self.note(text));
    }
    fn undo(&self, caller: &Caller, _: &Undo) -> UndoAnswer {
        self.note(format!("undo by {} may_harm={}", caller.name, caller.may_harm));
        UndoAnswer {
            injections: Vec::new(),
            runs: Vec::new(),
            stuck: Vec::new(),
            swept: Vec::new(),
            lost: Vec::new(),
        }
    }
    fn release(&self, caller: &Caller) -> Result<(), Problem> {
        self.note(format!("release by {}", caller.name));
        Ok(())
    }
    fn finish(&self, run: &RunId) -> Result<EndState, Problem> {
        self.note(format!("finish {run}"));
        Self::block_on(&self.endless);
        Ok(EndState { state: HostState::Clean, ours: Vec::new(), foreign: Vec::new(), compared: 1 })
    }
    fn events(&self, after: u64) -> Feed<AgentEvent> {
        self.note(format!("events after {after}"));
        let source = self.events.subscribe();
        Box::pin(stream::unfold((source, after), |(mut source, last)| async move {
            source.wait_for(|newest| *newest > last).await.ok()?;
            Some((event(last + 1), (source, last + 1)))
        }))
    }
    fn exchange(&self, caller: &Caller, ask: &Exchange) -> Result<Exchanged, Problem> {
        self.note(format!("exchange with {} by {}", ask.to, caller.name));
        Ok(Exchanged::default())
    }
    fn read_back(&self, _: &Caller, run: &RunId) -> Result<ReadBacks, Problem> {
        self.note(format!("read back {run}"));
        Ok(ReadBacks::default())
    }
    fn start_probes(&self, _: &Caller, run: &RunId, _: &StartProbes) -> Result<(), Problem> {
        self.note(format!("probes {run}"));
        Ok(())
    }
    fn start_logs(&self, _: &Caller, run: &RunId, _: &StartLogs) -> Result<(), Problem> {
        self.note(format!("logs {run}"));
        Ok(())
    }
    fn stop_logs(&self, run: &RunId) {
        self.note(format!("stop logs {run}"));
    }
    fn log_bins(&self, run: &RunId, after: u64) -> Result<Feed<LogBin>, Problem> {
        self.note(format!("log bins {run} after {after}"));
        Ok(Box::pin(stream::empty()))
    }
    fn stop_probes(&self, run: &RunId) {
        self.note(format!("stop probes {run}"));
        Self::block_on(&self.endless);
    }
    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem> {
        self.note(format!("bins {run} after {after}"));
        if run.as_str() == "nobody" {
            let (code, title) = (RefusalCode::UnknownRun, "run nobody has no probes here".to_owned());
            return Err(Problem { code, title, hint: String::new() });
        }
        let source = self.bins.subscribe();
        Ok(Box::pin(stream::unfold((source, after), |(mut source, last)| async move {
            let (newest, _) = *source.wait_for(|(newest, over)| *newest > last || *over).await.ok()?;
            (newest > last).then(|| (bin(last + 1), (source, last + 1)))
        })))
    }
}
