//! The common part of `host-reboot` and `host-poweroff`: a call of `reboot(2)` that acts at once, as a power cut would.
//!
//! No service is stopped, no data is flushed and no connection is closed first. The journal was synced before this code
//! runs. In a PID namespace the kernel ends that namespace instead of the machine.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
};

use firedrill_wire::{
    RefusalCode,
    api::{Claim, Problem},
    evidence::{Evidence, Seen},
};
use nix::sys::reboot::{RebootMode, reboot};

use crate::{
    host::{Host, process::Stat},
    injection::{Basis, Boot, InjectError, Injected, Live, Prepared, refuse},
};

/// The kernel's number of the capability `CAP_SYS_BOOT`, which `reboot(2)` needs.
const CAP_SYS_BOOT: u32 = 22;
/// The inode that the machine's own PID namespace always has.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Prepares either of the two kinds. `effect` is the sentence that says what will happen.
pub(super) fn prepare(host: &Host, effect: String, mut notes: Vec<String>) -> Result<Prepared, Problem> {
    let unreadable = |error: io::Error| {
        refuse(
            RefusalCode::Unreadable,
            format!("cannot tell whether {} may be rebooted: {error}", host.name),
            "",
        )
    };
    if let Some(why) = forbidden().map_err(unreadable)? {
        return Err(refuse(
            RefusalCode::MayNotReboot,
            format!("the agent on {} may not call reboot(2): {why}", host.name),
            "run the agent as root on the host itself, or leave this host out",
        ));
    }
    if fs::metadata("/proc/self/ns/pid").map_err(unreadable)?.ino() != FIRST_PID_NAMESPACE {
        notes.push("the agent runs in a PID namespace: that is what ends, not the machine under it".into());
    }
    notes.push(
        "nothing is stopped or flushed first: what is not on disk yet is lost, as with a power cut".into(),
    );
    Ok(Prepared {
        claims: vec![Claim { what: "host:power".into(), shared: false }],
        effects: vec![effect],
        undo: Vec::new(),
        switches: Vec::new(),
        notes,
        basis: Basis::Boot(boot().map_err(unreadable)?),
    })
}

/// Calls `reboot(2)`. It does not return if the kernel obeys.
pub(super) fn call(live: &Live, how: RebootMode) -> Result<Injected, InjectError> {
    let now = boot().map_err(|error| InjectError(format!("cannot tell which boot this is: {error}")))?;
    if now != *live.prepared.basis.boot()? {
        // A second call also ends here, because the first one has rebooted the host.
        return Err(InjectError("the host has booted since this was prepared; nothing was done".into()));
    }
    match reboot(how) {
        Err(error) => Err(InjectError(format!("the kernel refused reboot(2): {error}"))),
        Ok(never) => match never {},
    }
}

/// Looks whether the host went down since the injection was prepared.
pub(super) fn evidence(live: &Live) -> Evidence {
    let before = match live.prepared.basis.boot() {
        Ok(before) => before,
        Err(error) => return error.unseen(),
    };
    let (seen, detail) = match boot() {
        Ok(now) if now == *before => (Seen::No, "the host is still in the boot it was in".to_owned()),
        Ok(_) => (Seen::Yes, "the host has booted since".to_owned()),
        Err(error) => (Seen::Unknown, format!("cannot tell which boot this is: {error}")),
    };
    Evidence { in_force: seen, exercised: seen, count: None, detail }
}

/// Returns an identifier of the current boot: the kernel's boot id, and the start time of process 1, which
/// distinguishes the boots of a PID namespace.
fn boot() -> io::Result<Boot> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let first = Stat::read(1)?.ok_or_else(|| io::Error::other("there is no process 1 in /proc"))?;
    Ok(Boot { id: id.trim().to_owned(), first: first.name })
}

/// Returns the reason why the kernel would refuse `reboot(2)`; `None` if it would not.
fn forbidden() -> io::Result<Option<String>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("/proc/self/status has no CapEff"))?;
    if effective & (1 << CAP_SYS_BOOT) == 0 {
        return Ok(Some("it lacks CAP_SYS_BOOT".into()));
    }
    // The kernel checks the capability in the user namespace that owns the PID namespace, not in ours.
    let owner = owner_of_pid_namespace()?;
    let ours = fs::metadata("/proc/self/ns/user")?.ino();
    Ok((owner != Some(ours))
        .then(|| "it has CAP_SYS_BOOT only in a user namespace that does not own its PID namespace".into()))
}

/// Returns the inode of the user namespace that owns our PID namespace; `None` if that namespace lies outside of those
/// that we may see.
fn owner_of_pid_namespace() -> io::Result<Option<u64>> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    let pids = fs::File::open("/proc/self/ns/pid")?;
    // SAFETY: the descriptor is open for as long as `pids` lives, and this request takes no argument.
    let raw = unsafe { libc::ioctl(pids.as_raw_fd(), NS_GET_USERNS) };
    if raw < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::EPERM) { Ok(None) } else { Err(error) };
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let owner = unsafe { OwnedFd::from_raw_fd(raw) };
    Ok(Some(fs::File::from(owner).metadata()?.ino()))
}
