//! A host's first process: sets up the host's mounts and network, then supervises its services as long as the host is up. Never touches
//! the machine outside of the host's namespaces.

pub(crate) mod check;
mod dev;
mod program;
mod ready;
pub(crate) mod reboot;
pub(crate) mod status;
mod supervise;
mod supervised;

use std::{
    fs::File,
    io::Read as _,
    net::IpAddr,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::ExitCode,
};

use nix::mount::MsFlags;
use serde::{Deserialize, Serialize};

use crate::{
    HostSpec, LabError, ReadyState, ServiceSpec, ServiceStatus,
    error::Doing as _,
    report::{Report, inherited},
    root::configure_own_end,
    sys::{mounts, process, seccomp},
};

/// The directory that contains one directory per service, as is usual with runit.
pub(crate) const SERVICES: &str = "/run/service";

/// The description that a host gets at each boot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Boot {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) boot_id: String,
    /// The upper and the work directory, on the host's disk, of the overlay over `/etc`.
    pub(crate) etc: (PathBuf, PathBuf),
    /// The directory on the host's disk that is mounted as `/var`.
    pub(crate) var: PathBuf,
    pub(crate) services: Vec<ServiceSpec>,
}

/// Entry point of a host. Its two arguments are file descriptors: one to read the [`Boot`] from, one for the report.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let Some([description, report]) = inherited(words).and_then(|f| <[_; 2]>::try_from(f).ok()) else {
        eprintln!("hosts of a lab are started by the lab itself");
        return ExitCode::from(2);
    };
    process::set_name("lab-host");
    match set_up(description) {
        Err(error) => {
            Report::of(&error).send(report);
            ExitCode::FAILURE
        }
        Ok((mut supervisor, listener)) => {
            let reboot_listener = listener.as_ref().map(|fd| fd.as_raw_fd());
            Report { reboot_listener, ..Report::default() }.send(report);
            supervisor.run()
        }
    }
}

/// Sets the host up and starts its services. Also returns the listener that reports calls of `reboot(2)`, if the kernel allows one.
fn set_up(description: OwnedFd) -> Result<(supervise::Supervisor, Option<OwnedFd>), LabError> {
    let mut json = Vec::new();
    File::from(description).read_to_end(&mut json).doing("read the host's description")?;
    let boot: Boot = serde_json::from_slice(&json).doing("read the host's description")?;
    process::die_with_parent().doing("tie the host to the lab")?;
    nix::unistd::setsid().doing("start a session")?;
    nix::unistd::sethostname(&boot.name).doing("set the host's name")?;
    mount_all(&boot)?;
    configure_own_end(&boot.addresses)?;
    // The namespace has only the user root. Lets it ping with an unprivileged socket, which some programs try first.
    let _ = mounts::sysctl("net/ipv4/ping_group_range", "0 0");
    // Services that run as another user have no privileges over the network, but some of them need a low port.
    let _ = mounts::sysctl("net/ipv4/ip_unprivileged_port_start", "0");
    let listener = seccomp::watch_reboot().ok();
    let supervisor = supervise::Supervisor::start(Path::new(SERVICES), boot.services)?;
    Ok((supervisor, listener))
}

/// Makes the host's file systems.
fn mount_all(boot: &Boot) -> Result<(), LabError> {
    mounts::make_private()?;
    // The host's disk is below the machine's /run, so its parts are mounted before /run is covered.
    // The host's /var has the directories of the machine's /var without the files. Those files are of no use to a host, belong to users
    // that do not exist there, and may include the state of the machine's own agent.
    mounts::shape_of(Path::new("/var"), &boot.var)?;
    mounts::over(Path::new("/etc"), &boot.etc.0, &boot.etc.1)?;
    mounts::tmpfs(Path::new("/run"), "755")?;
    mounts::tmpfs(Path::new("/tmp"), "1777")?;
    if Path::new("/root").is_dir() {
        mounts::tmpfs(Path::new("/root"), "700")?;
    }
    dev::mount()?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mounts::virtual_fs("proc", Path::new("/proc"), quiet, "")?;
    // In some containers only the lab's root process can mount sysfs. Then its mount stays, which shows too much but does no harm.
    if mounts::virtual_fs("sysfs", Path::new("/sys"), quiet, "").is_ok() {
        // Fails on machines that delegate no control groups; a host has none there.
        let _ = mounts::virtual_fs("cgroup2", Path::new("/sys/fs/cgroup"), quiet, "");
    }
    let own_id = Path::new("/run/boot_id");
    mounts::file(own_id, format!("{}\n", boot.boot_id).as_bytes(), 0o444)?;
    mounts::bind(own_id, Path::new("/proc/sys/kernel/random/boot_id"))
}

/// Returns the state of a host's services, read from the supervisor's files through `/proc`. `pid` is the host's first process. Services
/// without a readable state are left out.
pub(crate) fn services_of(pid: i32, host: &HostSpec) -> Vec<ServiceStatus> {
    let root = PathBuf::from(format!("/proc/{pid}/root{SERVICES}"));
    let read = |service: ServiceSpec| {
        let dir = root.join(&service.name).join("supervise");
        let status = status::Status::parse(&std::fs::read(dir.join("status")).ok()?)?;
        let ready = std::fs::read_to_string(dir.join(ready::FILE)).unwrap_or_default();
        Some(ServiceStatus {
            name: service.name,
            state: status.state,
            pid: status.pid,
            wanted: status.want_up,
            ready: ReadyState::of_word(ready.trim()),
        })
    };
    host.all_services().into_iter().filter_map(read).collect()
}
