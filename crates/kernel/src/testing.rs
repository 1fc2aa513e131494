//! For tests only: bodies that run in fresh namespaces, and hosts of namespaces joined by links, all over netlink.
//!
//! Works as root and as a user who may make namespaces; otherwise it prints `skipped: why` on stderr.
//! Never touches the namespaces that the tests were started in.

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

const SANDBOX: &str = "FIREDRILL_TEST_SANDBOX";
/// The errors of a kernel in which a user may not make namespaces: by policy, by limit, or because it has none.
const NOT_ALLOWED: [i32; 4] = [libc::EPERM, libc::EACCES, libc::ENOSPC, libc::EINVAL];
const ROLE: &str = "FIREDRILL_TEST_ROLE";

/// Runs a test's body in a process of its own, in fresh user (unless root), network and mount namespaces with loopback
/// up. `test` is the test's full name, as the harness prints it; [`crate::sandboxed`] writes it.
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
    // SAFETY: between fork and exec this makes system calls only; its texts were formatted before.
    unsafe {
        command.pre_exec(move || separate(&maps.0, &maps.1));
    }
    match command.stdout(Stdio::piped()).stderr(Stdio::piped()).output() {
        Ok(output) if output.status.success() => {
            // A skip in the body should be visible although the test passed.
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

/// Reports on stderr, past the harness, that something was not tested.
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

/// Starts the running test again, in the same namespaces, in another role; its standard output is a pipe.
///
/// # Panics
/// It could not be started.
#[must_use]
pub fn play(role: &str) -> Child {
    let test = std::env::var(SANDBOX).expect("called within a sandbox");
    again(&test, Some(role)).stdout(Stdio::piped()).spawn().expect("the test's own program starts")
}

fn again(test: &str, role: Option<&str>) -> Command {
    let program = std::env::current_exe().expect("a program knows its path");
    let mut command = Command::new(program);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(SANDBOX, test);
    if let Some(role) = role {
        command.env(ROLE, role);
    }
    command
}

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

/// Moves this process, which must have one thread, to a fresh network namespace, and to a user namespace if it is not
/// root.
///
/// # Errors
/// This user may not make namespaces here.
pub fn leave() -> io::Result<()> {
    leave_for(CloneFlags::CLONE_NEWNET)
}

/// Removes a directory in which live processes may be making files. It disappears at once, not file by file.
///
/// # Errors
/// It does not exist, or may not be removed.
pub fn remove_live_dir(dir: &std::path::Path) -> io::Result<()> {
    let gone = dir.with_extension("gone");
    std::fs::rename(dir, &gone)?;
    std::fs::remove_dir_all(gone)
}

/// Moves this process, which must have one thread, to these fresh namespaces, and to a user namespace if it is not root.
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

/// A network namespace that lives as long as this.
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

    /// Makes a fresh one, with loopback up.
    ///
    /// # Panics
    /// It cannot be made.
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

    /// Sets loopback up, and makes addresses usable at once: duplicate address detection would change the host for a
    /// second or two.
    pub fn settle(&self) {
        up(self, "lo");
        for which in ["default", "all"] {
            // Without IPv6 there is nothing to switch off.
            let _ = self.run(|| std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/accept_dad"), "0"));
        }
    }

    /// Runs a closure in it, on a thread of its own. Sockets that it opens stay in the namespace.
    ///
    /// # Panics
    /// The closure panicked.
    pub fn run<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("a sandbox may enter its own namespaces");
                what()
            });
            match inside.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Returns its descriptor.
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

/// Waits until a condition holds, at most a minute.
///
/// # Panics
/// The condition did not hold in time.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
