//! The whole life of `host-reboot` and `host-poweroff`, on hosts that go down in memory only.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use firedrill_wire::{
    Fault, Span,
    fault::{HostPoweroff, HostReboot},
};

use super::*;
use crate::{
    fault,
    host::{Host, Paths, power::Boot, process::Name},
    injection::Ask,
};

/// The state of a host whose kernel only counts its boots.
#[derive(Debug, Default)]
struct State {
    boots: u64,
    /// The calls that have taken the host down.
    downs: Vec<Down>,
    /// The reason why the agent may not call reboot(2).
    forbidden: Option<&'static str>,
    in_namespace: bool,
    /// The name of the method that fails.
    unreadable: Option<&'static str>,
    /// Whether the kernel refuses reboot(2).
    refuses: bool,
}

/// A double of the port to reboot(2).
#[derive(Clone, Debug, Default)]
struct FakePower(Arc<Mutex<State>>);

impl FakePower {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    fn host(&self) -> Host {
        Host { power: Box::new(self.clone()), ..Host::new("app1", Paths::default(), 7790, vec![22]) }
    }

    fn answer<T>(&self, question: &str, answer: impl FnOnce(&State) -> T) -> io::Result<T> {
        let state = self.0.lock().unwrap();
        if state.unreadable == Some(question) {
            return Err(io::Error::other("/proc is not mounted"));
        }
        Ok(answer(&state))
    }

    fn downs(&self) -> Vec<Down> {
        self.0.lock().unwrap().downs.clone()
    }
}

impl Power for FakePower {
    fn boot(&self) -> io::Result<Boot> {
        let first = Name { pid: 1, start_ticks: 1 };
        self.answer("boot", |state| Boot { id: format!("boot-{}", state.boots), first })
    }

    fn forbidden(&self) -> io::Result<Option<String>> {
        self.answer("forbidden", |state| state.forbidden.map(str::to_owned))
    }

    fn is_machine(&self) -> io::Result<bool> {
        self.answer("is_machine", |state| !state.in_namespace)
    }

    fn take_down(&self, how: Down) -> io::Result<Infallible> {
        let mut state = self.0.lock().unwrap();
        if state.refuses {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        state.downs.push(how);
        state.boots += 1;
        // A real call does not return. The test takes this error for the end of the agent.
        Err(io::Error::other("the host is down"))
    }
}

/// Returns a fault of each kind, with the call that it makes.
fn both_kinds() -> [(Fault, Down); 2] {
    [
        (Fault::HostReboot(HostReboot { back_within: Span::secs(60) }), Down::Reboot),
        (Fault::HostPoweroff(HostPoweroff {}), Down::Off),
    ]
}

fn ask(fault: &Fault) -> Ask {
    Ask { id: "r-1-1".parse().unwrap(), fault: fault.clone(), hold: Span::secs(60) }
}

fn prepare(host: &Host, fault: &Fault) -> Result<Live, Problem> {
    let ask = ask(fault);
    let prepared = fault::of(fault).prepare(host, &ask)?;
    Ok(Live { ask, prepared, ends_boot_us: 0, lease: Span::secs(5) })
}

#[test]
fn a_host_goes_down_once_and_shows_it_after_the_boot() {
    for (fault, how) in both_kinds() {
        let power = FakePower::default();
        let host = power.host();
        let live = prepare(&host, &fault).unwrap();
        assert!(live.prepared.undo.is_empty(), "it cannot be undone");
        assert!(live.prepared.effects[0].contains("app1"), "{:?}", live.prepared.effects);
        let kind = fault::of(&fault);
        assert_eq!(kind.evidence(&host, &live).in_force, Seen::No);
        kind.inject(&host, &live).unwrap_err();
        assert_eq!(power.downs(), [how]);
        assert_eq!(kind.evidence(&host, &live).in_force, Seen::Yes);
        // A coordinator that got no answer may ask the agent of the next boot again.
        let error = kind.inject(&host, &live).unwrap_err().to_string();
        assert!(error.contains("has booted since"), "{error}");
        assert_eq!(power.downs(), [how], "it goes down once");
    }
}

#[test]
fn prepare_refuses_if_the_kernel_would_refuse_or_if_that_cannot_be_read() {
    for (fault, _) in both_kinds() {
        let power = FakePower::default();
        power.change(|state| state.forbidden = Some("it lacks CAP_SYS_BOOT"));
        let refusal = prepare(&power.host(), &fault).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::MayNotReboot);
        assert!(refusal.title.contains("CAP_SYS_BOOT"), "{}", refusal.title);
        for question in ["forbidden", "is_machine", "boot"] {
            power.change(|state| (state.forbidden, state.unreadable) = (None, Some(question)));
            assert_eq!(
                prepare(&power.host(), &fault).unwrap_err().code,
                RefusalCode::Unreadable,
                "{question}"
            );
        }
    }
}

#[test]
fn an_unreadable_boot_gives_unknown_evidence_and_nothing_goes_down() {
    for (fault, _) in both_kinds() {
        let power = FakePower::default();
        let host = power.host();
        let live = prepare(&host, &fault).unwrap();
        power.change(|state| state.unreadable = Some("boot"));
        let evidence = fault::of(&fault).evidence(&host, &live);
        assert_eq!((evidence.in_force, evidence.exercised), (Seen::Unknown, Seen::Unknown));
        fault::of(&fault).inject(&host, &live).unwrap_err();
        assert!(power.downs().is_empty(), "nothing goes down in an unknown boot");
    }
}

#[test]
fn a_refused_call_leaves_the_host_in_its_boot() {
    for (fault, _) in both_kinds() {
        let power = FakePower::default();
        let host = power.host();
        let live = prepare(&host, &fault).unwrap();
        power.change(|state| state.refuses = true);
        let error = fault::of(&fault).inject(&host, &live).unwrap_err().to_string();
        assert!(error.contains("refused reboot(2)"), "{error}");
        assert_eq!(fault::of(&fault).evidence(&host, &live).in_force, Seen::No);
    }
}

#[test]
fn a_note_says_if_only_a_namespace_ends() {
    for (fault, _) in both_kinds() {
        let power = FakePower::default();
        let has_note = |host: &Host| {
            prepare(host, &fault).unwrap().prepared.notes.iter().any(|note| note.contains("PID namespace"))
        };
        assert!(!has_note(&power.host()));
        power.change(|state| state.in_namespace = true);
        assert!(has_note(&power.host()));
    }
}
