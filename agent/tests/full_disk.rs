//! A full disk under the journal: injections are refused, but undos work, and their outcomes are journaled. An approved fault
//! that was refused can be armed later.
//!
//! The disk is a small tmpfs in a mount namespace of this program, which therefore has no test threads.
#![expect(clippy::unwrap_used, reason = "a test program")]

#[expect(dead_code, reason = "what other tests need of it")]
#[path = "helpers/fakes.rs"]
mod fakes;

use std::{fs, io, path::Path, process::ExitCode, sync::Arc};

use fakes::{alice, approval, ask_arm, ask_prepare, config_text, pause, ready, run_id, wait, wiring};
use firedrill_agent::{
    config::Config,
    control::Control,
    journal::read,
    supervisor::{Guard, Supervisor, recover},
};
use firedrill_approval::{Tree, leaf};
use firedrill_wire::{
    RefusalCode, Span,
    api::{Arm, Renew, Undo, UndoScope},
    journal::HealReason,
};
use nix::{
    mount::{MsFlags, mount},
    sched::CloneFlags,
};

struct NoGuard;
impl Guard for NoGuard {
    fn set(&self, _: u32, _: Option<u64>) {}
}

const NAME: &str = "a_full_disk_refuses_injections_and_lets_undo_through";

fn main() -> ExitCode {
    if std::env::args().any(|arg| arg == "--list") {
        println!("{NAME}: test");
        return ExitCode::SUCCESS;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    if let Err(why) = small_disk(&state) {
        eprintln!("skipped: {NAME}: no namespace with a small disk can be made here: {why}");
        return ExitCode::SUCCESS;
    }
    test(dir.path());
    println!("test {NAME} ... ok");
    ExitCode::SUCCESS
}

/// Mounts a tmpfs of two MiB, seen by this process only.
fn small_disk(at: &Path) -> io::Result<()> {
    firedrill_agent::testing::leave_for(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    Ok(mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some("size=2m"))?)
}

fn start(config: &Arc<Config>) -> Supervisor {
    let wiring = wiring();
    let host = Arc::new(config.host());
    let recovered = recover(config, &host, &wiring, &HealReason::FoundAtStart, || {}).unwrap();
    let prober = (wiring.prober)(config, wiring.stores);
    Supervisor::start(Arc::clone(config), host, wiring, Arc::new(NoGuard), prober, recovered).unwrap()
}

fn test(dir: &Path) {
    let text = config_text(dir, "start_tolerance = \"20s\"\n[policy.approval]\npeople = 1\n");
    let config = Arc::new(Config::parse(&text, &dir.join("a.toml")).unwrap());
    let agent = start(&config);
    let hold = Span::secs(100);
    let prepared = |name: &str| -> Arm {
        let (id, fault) = (format!("r1-{name}"), pause(name, None, None));
        let bobs = approval("bob", Tree::of(vec![leaf("h", name, &fault, hold)]).root());
        let ask = ask_prepare(&[(&id, fault)], hold);
        ask_arm(&ready(agent.prepare_with(&alice(), &run_id(), &ask, &[bobs]).unwrap()), 0, hold, hold)
    };
    agent.arm(&alice(), &run_id(), &prepared("a")).unwrap();
    let renew = || agent.renew(&alice(), &run_id(), &Renew { lease: hold }).unwrap();
    renew();
    let world = dir.join("run/world");
    wait("the fault to be in force", || world.join("a").exists());

    let ballast = dir.join("state/ballast");
    let full = io::copy(&mut io::repeat(1), &mut fs::File::create(&ballast).unwrap()).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);

    // A few injections still fit into the space that is reserved for outcomes. Then they are refused.
    let mut open = vec!["a".to_owned()];
    let refused = (0..12).map(|at| format!("b{at}")).find_map(|name| {
        let refusal = agent.arm(&alice(), &run_id(), &prepared(&name)).err();
        if refusal.is_none() {
            open.push(name.clone());
        }
        refusal.map(|refusal| (name, refusal))
    });
    let (refused, refusal) = refused.expect("some are refused");
    assert_eq!(refusal.code, RefusalCode::Journal);
    assert_eq!(renew().open.len(), open.len());

    for name in &open {
        let scope = UndoScope::Injection(format!("r1-{name}").parse().unwrap());
        let answer = agent.undo(&alice(), &Undo { scope, halt: false });
        assert!(answer.injections.iter().all(|injection| !injection.state.is_open()), "{answer:?}");
        assert!(!world.join(name).exists());
    }
    let replayed = read(&config.paths()).unwrap();
    assert_eq!(replayed.injections.len(), open.len());
    assert_eq!(replayed.open().count(), 0, "the outcomes found room");
    assert!(replayed.damage.is_empty(), "{:?}", replayed.damage);

    fs::remove_file(ballast).unwrap();
    agent.arm(&alice(), &run_id(), &prepared("c")).expect("there is room again");
    agent.arm(&alice(), &run_id(), &prepared(&refused)).expect("a refusal uses up no approval");
    agent.undo(&alice(), &Undo { scope: UndoScope::All, halt: false });
}
