//! Helpers for tests only: run a test's body in fresh namespaces, and make hosts from namespaces that are joined by links.
//!
//! They work as root, and as a user who may make namespaces. Otherwise the test prints `skipped: ` and the reason on stderr. They never change
//! the namespaces in which the tests were started.

mod link;

pub use link::{address, down, join, remove_address, route, up};

use std::{
    ffi::CStr,
    fs::File,
    io::{self, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    unistd::{getgid, getuid},
};

use crate::{Host, Paths};

/// Environment variable with the name of the test whose sandbox this process is in.
const SANDBOX: &str = "FIREDRILL_TEST_SANDBOX";
/// The errors if this user may not make namespaces: because of a policy or a limit, or because the kernel has none.
const NOT_ALLOWED: [i32; 4] = [libc::EPERM, libc::EACCES, libc::ENOSPC, libc::EINVAL];
/// Environment variable with the role of this process in its test.
const ROLE: &str = "FIREDRILL_TEST_ROLE";

/// Runs a test's body in a new process, in fresh network and mount namespaces (and a user namespace, unless this is root) with loopback up.
/// `test` is the test's full name, as the harness prints it; the macro [`crate::sandboxed`] provides it.
///
/// # Panics
/// The body panicked, or its process could not be started.
pub fn sandboxed(test: &str, body: impl FnOnce()) {
    if std::env::var(SANDBOX).is_ok_and(|inside| inside == test) {
        Netns::current().settle();
        body();
        return;
    }
    let mut command = again(test, None);
    let maps = (format!("0 {} 1", getuid()), format!("0 {} 1", getgid()));
    // SAFETY: only system calls between fork and exec; the texts were formatted before.
    unsafe {
        command.pre_exec(move || separate(&maps.0, &maps.1));
    }
    match command.stdout(Stdio::piped()).stderr(Stdio::piped()).output() {
        Ok(output) if output.status.success() => {
            // The message that the body skipped something must be visible, although the test passed.
            for line in
                String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains("skipped: "))
            {
                let _ = writeln!(io::stderr(), "{line}");
            }
        }
        Ok(output) => panic!(
            "in the sandbox: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) if NOT_ALLOWED.contains(&error.raw_os_error().unwrap_or(0)) => {
            skip(&format!("{test}: this user may not make namespaces here ({error})"));
        }
        Err(error) => panic!("could not start {test} in namespaces of its own: {error}"),
    }
}

/// Reports on stderr that something was not tested. The harness does not capture the message.
pub fn skip(why: &str) {
    let _ = writeln!(io::stderr(), "skipped: {why}");
}

/// Defines a test whose body runs in [`sandboxed`] namespaces.
#[macro_export]
macro_rules! sandboxed {
    ($(#[$attr:meta])* fn $name:ident() $body:block) => {
        #[test]
        $(#[$attr])*
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            let test = path.split_once("::").map_or(path, |(_, test)| test);
            $crate::testing::sandboxed(test, || $body);
        }
    };
}

/// Returns the role that this process has in a test that starts itself again.
#[must_use]
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Starts the running test again in a new process, in the same namespaces and with another role. Its standard output is a pipe.
///
/// # Panics
/// The process could not be started.
#[must_use]
pub fn play(role: &str) -> Child {
    let test = std::env::var(SANDBOX).expect("called within a sandbox");
    again(&test, Some(role)).stdout(Stdio::piped()).spawn().expect("the test's own program starts")
}

/// Returns the command that runs only this test.
fn again(test: &str, role: Option<&str>) -> Command {
    let program = std::env::current_exe().expect("a program knows its path");
    let mut command = Command::new(program);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(SANDBOX, test);
    if let Some(role) = role {
        command.env(ROLE, role);
    }
    command
}

/// Moves this process to fresh namespaces.
fn separate(uid_map: &str, gid_map: &str) -> io::Result<()> {
    let net = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    if !getuid().is_root() || unshare(net).is_err() {
        unshare(net | CloneFlags::CLONE_NEWUSER)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", uid_map)?;
        std::fs::write("/proc/self/gid_map", gid_map)?;
    }
    mount(None::<&CStr>, c"/", None::<&CStr>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&CStr>)?;
    Ok(())
}

/// Moves this process, which must have a single thread, to a fresh network namespace; also to a fresh user namespace if it is not root.
///
/// # Errors
/// This user may not make namespaces here.
pub fn leave() -> io::Result<()> {
    leave_for(CloneFlags::CLONE_NEWNET)
}

/// Removes a directory in which running processes may be making files. It is renamed first, so that it disappears at once.
///
/// # Errors
/// The directory does not exist, or cannot be removed.
pub fn remove_live_dir(dir: &std::path::Path) -> io::Result<()> {
    let gone = dir.with_extension("gone");
    std::fs::rename(dir, &gone)?;
    std::fs::remove_dir_all(gone)
}

/// Moves this process, which must have a single thread, to fresh namespaces of these kinds; also to a fresh user namespace if it is not root.
///
/// # Errors
/// This user may not make namespaces here.
pub fn leave_for(namespaces: CloneFlags) -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    if user.is_root() {
        return Ok(unshare(namespaces)?);
    }
    unshare(namespaces | CloneFlags::CLONE_NEWUSER)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// A network namespace. It exists at least as long as this value.
#[derive(Debug)]
pub struct Netns(OwnedFd);

impl Netns {
    /// Returns the namespace of the calling thread.
    ///
    /// # Panics
    /// `/proc` is not mounted.
    #[must_use]
    pub fn current() -> Self {
        Self(File::open("/proc/thread-self/ns/net").expect("/proc is there").into())
    }

    /// Makes a fresh namespace, with loopback up.
    ///
    /// # Panics
    /// The namespace cannot be made.
    #[must_use]
    pub fn fresh() -> Self {
        let fresh = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a sandbox may make network namespaces");
            Self::current()
        })
        .join()
        .expect("the thread made a namespace");
        fresh.settle();
        fresh
    }

    /// Sets loopback up, and switches duplicate address detection off, so that addresses are usable at once.
    pub fn settle(&self) {
        up(self, "lo");
        for which in ["default", "all"] {
            // A failure is ignored: without IPv6 there is nothing to switch off.
            let _ = self.run(|| std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/accept_dad"), "0"));
        }
    }

    /// Runs a closure in the namespace, on a new thread. Sockets that the closure opens stay in the namespace.
    ///
    /// # Panics
    /// The closure panicked.
    pub fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("a sandbox may enter its own namespaces");
                body()
            });
            match inside.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Returns the descriptor of the namespace.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns a host for tests, with its state below a directory.
#[must_use]
pub fn host(below: &std::path::Path) -> Host {
    let paths =
        Paths { state: below.join("state"), run: below.join("run"), runit: vec![below.join("service")] };
    Host::new("under-test", paths, firedrill_wire::DEFAULT_PORT, vec![22])
}

/// Waits until a condition is true, for at most a minute. `event` names the condition.
///
/// # Panics
/// The condition was not true in time.
pub fn wait_until(event: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain: {event}");
        thread::sleep(Duration::from_millis(5));
    }
}
