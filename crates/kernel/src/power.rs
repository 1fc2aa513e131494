//! The power of the host: identifies the current boot, and takes the host down by `reboot(2)`. Never decides to do so.
//!
//! Faults use only the trait [`Power`], so that tests can give them a host that goes down only in memory.

use std::{
    convert::Infallible,
    fmt, fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
};

use nix::sys::reboot::{RebootMode, reboot};

use crate::process::{Name, Stat};

/// The kernel's number of the capability `CAP_SYS_BOOT`, which `reboot(2)` needs.
const CAP_SYS_BOOT: u32 = 22;
/// The inode that the machine's own PID namespace always has.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// The identity of a boot of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The kernel's boot id.
    pub id: String,
    /// Process 1, which distinguishes the boots of a PID namespace.
    pub first: Name,
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.first)
    }
}

/// A way to take the host down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// The host boots again.
    Reboot,
    /// The host stays off until a person switches it on.
    Off,
}

/// The power of a host.
pub trait Power: fmt::Debug + Send + Sync {
    /// Returns the boot that the host is in.
    ///
    /// # Errors
    /// `/proc` could not be read.
    fn boot(&self) -> io::Result<Boot>;

    /// Returns the reason why the kernel would refuse to take the host down; `None` if it would not.
    ///
    /// # Errors
    /// `/proc` could not be read.
    fn forbidden(&self) -> io::Result<Option<String>>;

    /// Whether the machine itself would go down. Otherwise only the PID namespace of this process would end.
    ///
    /// # Errors
    /// `/proc` could not be read.
    fn is_machine(&self) -> io::Result<bool>;

    /// Takes the host down at once, without stopping programs or writing caches to disks. Returns only on an error.
    ///
    /// # Errors
    /// The kernel refused.
    fn take_down(&self, how: Down) -> io::Result<Infallible>;
}

/// The power of the host that this process runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisHost;

impl Power for ThisHost {
    fn boot(&self) -> io::Result<Boot> {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let first = Stat::read(1)?.ok_or_else(|| io::Error::other("there is no process 1 in /proc"))?;
        Ok(Boot { id: id.trim().to_owned(), first: first.name })
    }

    fn forbidden(&self) -> io::Result<Option<String>> {
        let status = fs::read_to_string("/proc/self/status")?;
        let effective = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .ok_or_else(|| io::Error::other("/proc/self/status has no CapEff"))?;
        if effective & (1 << CAP_SYS_BOOT) == 0 {
            return Ok(Some("it lacks CAP_SYS_BOOT".into()));
        }
        // The kernel checks the capability in the user namespace that owns the PID namespace, not in that of this process.
        let owner = owner_of_pid_namespace()?;
        let ours = fs::metadata("/proc/self/ns/user")?.ino();
        Ok((owner != Some(ours)).then(|| {
            "it has CAP_SYS_BOOT only in a user namespace that does not own its PID namespace".into()
        }))
    }

    fn is_machine(&self) -> io::Result<bool> {
        Ok(fs::metadata("/proc/self/ns/pid")?.ino() == FIRST_PID_NAMESPACE)
    }

    fn take_down(&self, how: Down) -> io::Result<Infallible> {
        Ok(reboot(match how {
            Down::Reboot => RebootMode::RB_AUTOBOOT,
            Down::Off => RebootMode::RB_POWER_OFF,
        })?)
    }
}

/// Returns the inode of the user namespace that owns this process's PID namespace; `None` if this process may not see that user namespace.
fn owner_of_pid_namespace() -> io::Result<Option<u64>> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    let pids = fs::File::open("/proc/self/ns/pid")?;
    // SAFETY: the descriptor is open for as long as `pids` lives, and this request takes no argument.
    let raw = unsafe { libc::ioctl(pids.as_raw_fd(), NS_GET_USERNS) };
    if raw < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::EPERM) { Ok(None) } else { Err(error) };
    }
    // SAFETY: the kernel has just made this descriptor for this process; no other code knows its number.
    let owner = unsafe { OwnedFd::from_raw_fd(raw) };
    Ok(Some(fs::File::from(owner).metadata()?.ino()))
}
