//! Fakes of the agent's ports that record their calls: a host whose effects are files, for tests of the agent's core.
//!
//! A fault `process-pause` with `name = "a"` makes the file `world/a`; its undo removes it. The parameter `command` selects the
//! fault's behaviour: `refused`, `fails`, `slow`, `endless`, `patient` (waits until it is called off), `gated` (waits for the file
//! `a.gate`), `staged`, `told` (makes the file `a.asked` when it is prepared). `service` has its claims. Files beside the effect select the
//! behaviour of its undo: `a.hang`, `a.once` (fails once), `a.broken` (fails, but may pass), `a.hopeless`, `a.theirs`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use firedrill_agent::{
    control::{Caller, Feed},
    host::Host,
    injection::{Ask, Basis, Inject, InjectError, Injected, Live, Prepared, is_called_off, refuse},
    snapshot::Parties,
    sweep::Swept,
    time::HostTime,
    undo::{Undo, UndoError, Undone},
    wiring::{Allowance, Compared, Prober, Snapshot, Wiring},
};
use firedrill_approval::{Opened, Statement};
use firedrill_probe::{
    clock::{boot_id, boot_us},
    writes::Reader,
};
use firedrill_wire::{
    Fault, RefusalCode, RunId, Span,
    api::{About, Arm, ArmOne, Claim, Means, Prepare, PrepareOne, Prepared as Answer, Problem, StartProbes},
    evidence::{Evidence, Seen},
    fault::{ProcessMatch, ProcessPause, ServiceManager},
    identity::{Person, Role},
    probe::Bin,
};

/// Returns the directory of a host's effects.
pub(crate) fn world(host: &Host) -> PathBuf {
    host.paths.run.join("world")
}

/// Returns the fake ports.
pub(crate) fn wiring() -> Wiring {
    Wiring {
        time: &HostTime,
        kinds: |_| Some(&Files),
        apply,
        snapshot: &Look,
        prober: |_, _| Arc::new(NoProbes),
        stores: &firedrill_agent::NoStores,
        findings: |_| Vec::new(),
        sweep: |_, _| Swept::default(),
        server: |parts| {
            Box::pin(async move {
                parts.stop.cancelled().await;
                Ok(())
            })
        },
    }
}

/// The fault kind of the fake host.
pub(crate) struct Files;

fn which(fault: &Fault) -> &ProcessMatch {
    match fault {
        Fault::ProcessPause(fault) => &fault.which,
        Fault::ProcessKill(fault) => &fault.which,
        other => panic!("no {} in these tests", other.kind()),
    }
}

fn effect(host: &Host, fault: &Fault) -> PathBuf {
    world(host).join(which(fault).name.as_deref().unwrap())
}

/// Adds a line to the file `log`.
fn note(world: &Path, what: &str) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(world.join("log")).unwrap();
    writeln!(file, "{what}").unwrap();
}

impl Inject for Files {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let which = which(&ask.fault);
        if which.command.as_deref() == Some("refused") {
            let code = serde_json::from_value("not-here".into()).unwrap();
            return Err(refuse(code, "there is no such file", "make one"));
        }
        let claims = which.service.iter().flat_map(|text| text.split(',')).map(|text| {
            let shared = text.strip_prefix("shared ");
            Claim { what: format!("file:{}", shared.unwrap_or(text)), shared: shared.is_some() }
        });
        let path = effect(host, &ask.fault);
        if which.command.as_deref() == Some("told") {
            fs::write(path.with_extension("asked"), "").unwrap();
        }
        let name = path.to_str().unwrap().to_owned();
        // `staged` has the undo of a table, because before the start only undos of objects that may be staged are carried out.
        let undo = match which.command.as_deref() {
            Some("staged") => Undo::DeleteNftTable { table: name },
            _ => Undo::StartService { manager: ServiceManager::Runit, unit: name, stopped_mark: None },
        };
        Ok(Prepared {
            claims: claims.collect(),
            effects: vec![format!("make {}", path.display())],
            undo: if ask.fault.reversible() { vec![undo] } else { Vec::new() },
            switches: vec!["guardian".into()],
            notes: Vec::new(),
            basis: Basis::Text(fs::read_to_string(world(host).join("basis")).unwrap_or_default()),
        })
    }

    fn stage(&self, host: &Host, live: &Live) -> Result<(), InjectError> {
        if which(&live.ask.fault).command.as_deref() == Some("staged") {
            note(&world(host), &format!("stage {}", live.ask.id));
            fs::write(effect(host, &live.ask.fault), "staged").unwrap();
        }
        Ok(())
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        let path = effect(host, &live.ask.fault);
        if path.with_extension("taken").exists() {
            return Ok(Injected { detail: "it was so already".into(), undo: Some(Vec::new()) });
        }
        note(&world(host), &format!("inject {} {}", live.ask.id, boot_us()));
        match which(&live.ask.fault).command.as_deref() {
            Some("slow") => {
                fs::write(path.with_extension("begun"), "").unwrap();
                std::thread::sleep(Duration::from_millis(300));
            }
            Some(how @ ("patient" | "gated")) => {
                fs::write(path.with_extension("begun"), "").unwrap();
                let called_off = || how == "patient" && is_called_off(host, &live.ask.id);
                let end = Instant::now() + Duration::from_secs(10);
                while !called_off() && !path.with_extension("gate").exists() && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(5));
                }
                let why = if called_off() { "it was called off" } else { "it took too long" };
                return Err(InjectError(why.into()));
            }
            Some("endless") => {
                fs::write(&path, "a part").unwrap();
                std::thread::sleep(Duration::from_secs(3600));
            }
            Some("fails") => {
                fs::write(&path, "a part").unwrap();
                return Err(InjectError("half of it could not be made".into()));
            }
            _ => {}
        }
        fs::write(path, "in force").unwrap();
        Ok(Injected { detail: "made".into(), undo: None })
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let there = effect(host, &live.ask.fault).exists();
        let seen = if there { Seen::Yes } else { Seen::No };
        Evidence { in_force: seen, exercised: seen, count: None, detail: "looked for the file".into() }
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        note(&world(host), &format!("renew {} {lease}", live.ask.id));
        Ok(())
    }
}

fn apply(undo: &Undo, host: &Host) -> Result<Undone, UndoError> {
    let (Undo::StartService { unit, .. } | Undo::DeleteNftTable { table: unit }) = undo else {
        panic!("{undo:?}")
    };
    let path = Path::new(unit);
    note(&world(host), &format!("undo {}", path.file_name().unwrap().to_str().unwrap()));
    let fail =
        |passing| Err(UndoError { what: "cannot remove it".into(), by_hand: format!("rm {unit}"), passing });
    if fs::rename(path.with_extension("hang"), path.with_extension("hung")).is_ok() {
        std::thread::sleep(Duration::from_secs(3600));
    }
    if fs::remove_file(path.with_extension("once")).is_ok() || path.with_extension("broken").exists() {
        return fail(true);
    }
    if path.with_extension("hopeless").exists() {
        return fail(false);
    }
    if let Ok(claim) = fs::read_to_string(path.with_extension("theirs")) {
        return Ok(Undone::left(&claim, "it is left".into(), "somebody changed it since"));
    }
    match fs::remove_file(path) {
        Ok(()) => Ok(Undone { detail: "removed".into(), foreign: Vec::new() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Undone { detail: "was gone".into(), foreign: vec!["somebody removed it".into()] })
        }
        Err(_) => fail(false),
    }
}

/// Snapshots of the fake host: the content of the file `value`. The file `wait` delays them, the file `blind` makes them fail.
pub(crate) struct Look;

impl Snapshot for Look {
    fn take(&self, host: &Host) -> Result<serde_json::Value, String> {
        while world(host).join("wait").exists() {
            fs::write(world(host).join("looking"), "").unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        if world(host).join("blind").exists() {
            return Err("cannot look".into());
        }
        Ok(fs::read_to_string(world(host).join("value")).unwrap_or_default().into())
    }
    fn compare(
        &self,
        host: &Host,
        before: &serde_json::Value,
        parties: Parties<'_>,
    ) -> Result<Compared, String> {
        let now = self.take(host)?;
        let mut changed = if now == *before { Vec::new() } else { vec!["value".to_owned()] };
        let claimed = |claims: &[Claim]| claims.iter().any(|claim| claim.what == "file:value");
        let other = parties.others.iter().find(|other| claimed(&other.claims));
        for text in &mut changed {
            other.iter().for_each(|other| text.push_str(&format!(" of {}, open {}", other.run, other.open)));
        }
        let mut found = Compared { compared: 1, ..Compared::default() };
        *match (claimed(parties.claims), other.is_some_and(|other| other.open)) {
            (true, true) => &mut found.unproven,
            (true, false) => &mut found.ours,
            (false, _) => &mut found.foreign,
        } = changed;
        Ok(found)
    }
}

struct NoProbes;

impl Prober for NoProbes {
    fn start(&self, _: &RunId, _: &Caller, _: &StartProbes, _: &Allowance<'_>) -> Result<(), Problem> {
        Ok(())
    }
    fn stop(&self, _: &RunId) {}
    fn stop_all(&self) {}
    fn known(&self) -> Vec<RunId> {
        vec!["measured".parse().expect("an id")]
    }
    fn bins(&self, run: &RunId, _: u64) -> Result<Feed<Bin>, Problem> {
        Err(refuse(RefusalCode::UnknownRun, format!("{run}"), ""))
    }
    fn readers(&self, run: &RunId) -> Result<Vec<Reader>, Problem> {
        Err(refuse(RefusalCode::UnknownRun, format!("{run}"), ""))
    }
}

/// Returns the text of a configuration with short pauses, whose paths are in `dir`. `more` is appended.
pub(crate) fn config_text(dir: &Path, more: &str) -> String {
    fs::create_dir_all(dir.join("run/world")).unwrap();
    format!(
        "host = \"h\"\nlisten = \"127.0.0.1:0\"\nssh_ports = [22]\n\
         paths = {{ state = \"{0}/state\", run = \"{0}/run\" }}\n\
         [timings]\nlook_every = \"100ms\"\nundo_tries = 3\nundo_pause = \"20ms\"\n{more}",
        dir.display()
    )
}

pub(crate) fn alice() -> Caller {
    Caller { name: "alice".into(), team: None, environments: Vec::new(), may_harm: true, certificate: None }
}

pub(crate) fn run_id() -> RunId {
    "r1".parse().unwrap()
}

/// Returns a fault that makes the file `name`.
pub(crate) fn pause(name: &str, behaviour: Option<&str>, claims: Option<&str>) -> Fault {
    Fault::ProcessPause(ProcessPause { which: matched(name, behaviour, claims) })
}

fn matched(name: &str, behaviour: Option<&str>, claims: Option<&str>) -> ProcessMatch {
    ProcessMatch {
        name: Some(name.into()),
        command: behaviour.map(Into::into),
        service: claims.map(Into::into),
        user: None,
        at_most: 1,
    }
}

pub(crate) fn ask_prepare(faults: &[(&str, Fault)], hold: Span) -> Prepare {
    let injections = faults
        .iter()
        .map(|(id, fault)| PrepareOne {
            id: id.parse().unwrap(),
            fault: fault.clone(),
            hold,
            proof: Vec::new(),
        })
        .collect();
    Prepare {
        plan_digest: "d".into(),
        environment: None,
        injections,
        only_look: false,
        approvals: Vec::new(),
    }
}

/// Returns a person's approval of the faults of the tree with that root.
pub(crate) fn approval(by: &str, root: String) -> Result<Opened, String> {
    let statement = Statement {
        plan: "d".into(),
        name: "friday".into(),
        run: None,
        given: "2026-12-04T14:00:00Z".into(),
        until: "2026-12-05T14:00:00Z".into(),
        requests: None,
        faults: Some(root),
        standing: None,
    };
    let by = Person {
        name: by.into(),
        team: None,
        role: Role::Viewer,
        environments: Vec::new(),
        flaws: Vec::new(),
    };
    Ok(Opened { by, serial: "01".into(), means: Means::Certificate, origin: None, statement })
}

/// Returns an `arm` for prepared injections, which start this many milliseconds from now.
pub(crate) fn ask_arm(prepared: &[(String, String)], start_ms: u64, hold: Span, lease: Span) -> Arm {
    let start_boot_us = boot_us() + start_ms * 1000;
    Arm {
        plan_digest: "d".into(),
        boot_id: boot_id(),
        lease,
        about: About { drill: "Friday".into(), operator: "alice".into(), ticket: None },
        injections: prepared
            .iter()
            .map(|(id, fingerprint)| ArmOne {
                id: id.parse().unwrap(),
                start_boot_us,
                hold,
                fingerprint: fingerprint.clone(),
            })
            .collect(),
    }
}

/// Returns the ids and fingerprints of ready injections; panics at a refusal.
pub(crate) fn ready(answer: firedrill_wire::api::PrepareAnswer) -> Vec<(String, String)> {
    answer
        .injections
        .into_iter()
        .map(|injection| match injection.answer {
            Answer::Ready { fingerprint, .. } => (injection.id.to_string(), fingerprint),
            Answer::Refused(problem) => panic!("{problem:?}"),
        })
        .collect()
}

/// Returns one probe.
pub(crate) fn probes() -> StartProbes {
    let text = r#"{"name":"p","rate":1.0,"timeout":"1s","kind":{"http":{"url":"http://127.0.0.1:9/"}}}"#;
    let probes = vec![serde_json::from_str(text).unwrap()];
    StartProbes { probes, at_most: Span::secs(60), environment: None, vantage: None }
}

/// Waits until a condition holds; panics after a long time.
#[track_caller]
pub(crate) fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain for {what}");
}
