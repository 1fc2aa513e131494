//! Tests of host-reboot and host-poweroff: `reboot(2)` is called in a PID namespace, which it ends. It is never called outside of one.

#[expect(dead_code, reason = "nothing here can be undone")]
#[path = "helpers/services.rs"]
mod services;

use std::{
    fs,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::Command,
};

use firedrill_wire::{RefusalCode, evidence::Seen};
use services::{Injection, host};

/// Variable of the process inside the new PID namespace. It has the namespace outside, in which that process must *not* be.
const OUTSIDE: &str = "FIREDRILL_TEST_OUTSIDE";
/// Variable with the call to make: `reboot` or `poweroff`.
const KIND: &str = "FIREDRILL_TEST_KIND";
/// Exit code if this kernel does not let us make namespaces.
const NOT_ALLOWED: i32 = 99;
/// Exit code if the process inside was ended by a signal, whose number is added.
const SIGNALLED: i32 = 100;
/// Exit code if the process inside ended by itself.
const NOT_SIGNALLED: i32 = 98;

/// Variable of the process that lacks [`CAP_SYS_BOOT`].
const LACKING: &str = "FIREDRILL_TEST_LACKING";
/// The kernel's number of the capability that `reboot(2)` needs.
const CAP_SYS_BOOT: libc::c_ulong = 22;

const REBOOT: &str = r#"{"host-reboot":{"back_within":"60s"}}"#;
const POWEROFF: &str = r#"{"host-poweroff":{}}"#;

/// Returns the name of this process's PID namespace.
fn namespace() -> String {
    fs::read_link("/proc/self/ns/pid").expect("proc").display().to_string()
}

/// Makes the call if [`run_inside`] has started it in a new namespace. Otherwise it does nothing.
#[test]
fn inside() {
    let Ok(outside) = std::env::var(OUTSIDE) else { return };
    assert_eq!(std::process::id(), 1, "not the first process of a namespace");
    assert_ne!(namespace(), outside, "not in a new namespace");
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let json = if std::env::var(KIND).as_deref() == Ok("reboot") { REBOOT } else { POWEROFF };
    let injection = Injection::prepare(&host, json).expect("prepared");
    assert!(injection.live.prepared.undo.is_empty());
    assert!(injection.live.prepared.notes.iter().any(|note| note.contains("PID namespace")));
    assert_eq!(injection.seen().in_force, Seen::No, "this process still runs");
    let error = injection.try_inject().expect_err("a successful call does not return");
    panic!("{error}");
}

/// Runs `inside` as the first process of a new PID namespace, in a new user namespace that has no power over this
/// machine. Returns the signal that ended it, or `None` if the namespaces cannot be made.
fn run_inside(kind: &str) -> Option<i32> {
    let uid = format!("0 {} 1", nix::unistd::geteuid());
    let gid = format!("0 {} 1", nix::unistd::getegid());
    let mut command = Command::new(std::env::current_exe().expect("exe"));
    command.args(["--exact", "inside", "--test-threads=1"]).env(OUTSIDE, namespace()).env(KIND, kind);
    // SAFETY: between fork and exec only system calls are made. `fs::write` converts paths as short as these without an allocation.
    unsafe {
        command.pre_exec(move || {
            let flags = nix::sched::CloneFlags::CLONE_NEWUSER | nix::sched::CloneFlags::CLONE_NEWPID;
            let mapped = nix::sched::unshare(flags).map_err(std::io::Error::from).and_then(|()| {
                fs::write("/proc/self/setgroups", "deny")?;
                fs::write("/proc/self/uid_map", &uid)?;
                fs::write("/proc/self/gid_map", &gid)
            });
            if mapped.is_err() {
                libc::_exit(NOT_ALLOWED);
            }
            // Only children are in the new PID namespace: the child goes on to exec, this process waits for it.
            match libc::fork() {
                -1 => libc::_exit(NOT_ALLOWED),
                0 => Ok(()),
                child => {
                    let mut status = 0;
                    while libc::waitpid(child, &mut status, 0) < 0 {}
                    let code = if libc::WIFSIGNALED(status) {
                        SIGNALLED + libc::WTERMSIG(status)
                    } else {
                        NOT_SIGNALLED
                    };
                    libc::_exit(code)
                }
            }
        });
    }
    let status = command.status().expect("spawned");
    assert_eq!(status.signal(), None, "a signal must not end the parent of the process inside");
    let code = status.code().expect("exits");
    if code == NOT_ALLOWED {
        eprintln!("skipped: reboot(2) in a PID namespace, because this kernel does not let us make one");
        return None;
    }
    Some(code - SIGNALLED)
}

#[test]
fn reboot_ends_the_namespace_as_a_reboot() {
    if let Some(signal) = run_inside("reboot") {
        assert_eq!(signal, libc::SIGHUP);
    }
}

#[test]
fn poweroff_ends_the_namespace_as_a_poweroff() {
    if let Some(signal) = run_inside("poweroff") {
        assert_eq!(signal, libc::SIGINT);
    }
}

/// Checks the refusal. Does nothing unless `a_process_without_the_capability_is_refused` starts it without the capability.
#[test]
fn lacking() {
    if std::env::var_os(LACKING).is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let refused = Injection::prepare(&host, REBOOT).err().expect("refused");
    assert_eq!(refused.code, RefusalCode::MayNotReboot);
    assert!(refused.title.contains("CAP_SYS_BOOT"), "{}", refused.title);
}

#[test]
fn a_process_without_the_capability_is_refused() {
    let mut command = Command::new(std::env::current_exe().expect("exe"));
    command.args(["--exact", "lacking", "--test-threads=1"]).env(LACKING, "1");
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(|| {
            // At exec, root gets the capabilities of its bounding set. For other users the call fails, and they have no capabilities anyway.
            libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0);
            Ok(())
        });
    }
    let output = command.output().expect("spawned");
    let text = String::from_utf8_lossy(&output.stdout);
    // Without a test of that name the process would succeed, too.
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
