//! Helpers for tests of services and processes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use firedrill_agent::{
    fault::of,
    host::{Host, Paths},
    injection::{Ask, Basis, InjectError, Injected, Live, Prepared},
    undo::{self, Undo, UndoError, Undone},
};
use firedrill_wire::{Fault, Span, api::Problem};

/// Returns a host whose runit services are in `dir`.
pub(crate) fn host(dir: &Path) -> Host {
    let paths = Paths { state: dir.join("state"), run: dir.join("run"), runit: vec![dir.join("service")] };
    Host::new("test-host", paths, 7790, vec![22])
}

pub(crate) fn fault(json: &str) -> Fault {
    serde_json::from_str(json).expect(json)
}

pub(crate) fn ask(fault: Fault, hold: Span) -> Ask {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Ask { id: id.parse().expect("an id"), fault, hold }
}

/// An injection from prepare to undo, as the supervisor carries it out.
pub(crate) struct Injection<'a> {
    pub(crate) host: &'a Host,
    pub(crate) live: Live,
}

impl<'a> Injection<'a> {
    pub(crate) fn prepare(host: &'a Host, json: &str) -> Result<Self, Problem> {
        let ask = ask(fault(json), Span::secs(20));
        let kind = of(&ask.fault);
        let prepared = kind.prepare(host, &ask)?;
        assert_eq!(kind.prepare(host, &ask)?.basis, prepared.basis, "the basis must not change by itself");
        assert!(!prepared.effects.is_empty() && !prepared.claims.is_empty());
        let text = serde_json::to_string(&prepared).expect("serialises");
        let read: Prepared = serde_json::from_str(&text).expect("reads back");
        let basis = Basis::Text(prepared.basis.text());
        assert_eq!(read, Prepared { basis, ..prepared.clone() }, "what is journaled is what was prepared");
        let live = Live { ask, prepared, ends_boot_us: 0, lease: Span::secs(10) };
        Ok(Self { host, live })
    }

    /// Injects, and keeps the more exact undo as the journal does.
    pub(crate) fn inject(&mut self) -> Injected {
        let injected = self.try_inject().expect("injects");
        if let Some(undo) = &injected.undo {
            self.live.prepared.undo.clone_from(undo);
        }
        injected
    }

    pub(crate) fn try_inject(&self) -> Result<Injected, InjectError> {
        of(&self.live.ask.fault).inject(self.host, &self.live)
    }

    pub(crate) fn undo(&self) -> Vec<Undone> {
        self.try_undo().expect("undoes")
    }

    pub(crate) fn try_undo(&self) -> Result<Vec<Undone>, UndoError> {
        self.live.prepared.undo.iter().rev().map(|undo| put_back(self.host, undo)).collect()
    }

    pub(crate) fn seen(&self) -> firedrill_wire::evidence::Evidence {
        of(&self.live.ask.fault).evidence(self.host, &self.live)
    }
}

pub(crate) fn put_back(host: &Host, undo: &Undo) -> Result<Undone, UndoError> {
    match undo {
        Undo::StartService { manager, unit, stopped_mark } => {
            undo::service::apply(host, *manager, unit, stopped_mark.as_deref())
        }
        Undo::ContinueProcess { pid, start_ticks } => undo::process::apply(host, *pid, *start_ticks),
        other => panic!("{other:?} is not of these kinds"),
    }
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "waited 30 s in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
