//! The main loop of the lab's root process: boots the hosts, notices their ends and restarts, and answers requests. Never waits for a
//! single host.

mod asked;

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    os::fd::{AsRawFd as _, OwnedFd},
    process::ExitCode,
    time::Duration,
};

use nix::{
    sys::{
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::Receiver,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{
    cables::Cables,
    disk::{Disk, random_id},
    event::Event,
    names, serve, watch,
};
use crate::{
    HIDDEN, HostSpec, LabError, LabSpec,
    error::Doing as _,
    host::Boot,
    message::HostState,
    report::Report,
    sys::{
        ids::Outer,
        process,
        spawn::{Child, HOST_NAMESPACES, Start, start},
    },
};

/// Time after a host's call of `reboot(2)` after which a host that is still up gets its network back, because the call failed.
const CALL_FAILED_AFTER: Duration = Duration::from_millis(500);

/// A host of the lab.
struct Host {
    spec: HostSpec,
    disk: Disk,
    state: HostState,
    /// The host's first process; `None` while the host is down.
    child: Option<Child>,
    /// Whether a request has unplugged the host's cable. A reboot does not plug it in.
    cut: bool,
    boots: u32,
    boot_id: String,
}

/// The state of the lab.
struct Root {
    spec: LabSpec,
    /// This binary, for starting parts.
    program: OwnedFd,
    cables: Cables,
    hosts: Vec<Host>,
    /// The process that keeps the coordinator's network namespace open.
    coordinator: Option<Child>,
    events: mpsc::UnboundedSender<Event>,
    /// The pipe for the report that all parts are up, or that one failed; `None` after that report.
    report: Option<OwnedFd>,
    /// The indexes of the parts that have not reported yet.
    awaited: BTreeMap<usize, ()>,
}

/// Builds and runs the lab until the lifeline is closed; without a lifeline, until the process is killed.
pub(super) async fn run(
    spec: LabSpec,
    listener: OwnedFd,
    report: OwnedFd,
    lifeline: Option<OwnedFd>,
) -> ExitCode {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let up = async {
        let children = signal(SignalKind::child()).doing("watch for ended hosts")?;
        serve::listen(listener, events.clone())?;
        let lifeline = lifeline.map(Receiver::from_owned_fd).transpose().doing("watch the lifeline")?;
        Ok::<_, LabError>((children, lifeline))
    };
    let (mut children, mut lifeline) = match up.await {
        Ok(made) => made,
        Err(error) => {
            Report::of(&error).send(report);
            return ExitCode::FAILURE;
        }
    };
    let made = async {
        let root = Root::new(spec, events)?;
        names::serve(&root.spec).await?;
        Ok::<_, LabError>(root)
    };
    let mut root = match made.await {
        Ok(root) => root,
        Err(error) => {
            Report::of(&error).send(report);
            return ExitCode::FAILURE;
        }
    };
    root.report = Some(report);
    root.boot_all().await;
    loop {
        tokio::select! {
            _ = children.recv() => root.reap(),
            Some(event) = inbox.recv() => root.handle(event),
            () = lifeline_closed(&mut lifeline) => return ExitCode::SUCCESS,
        }
    }
}

/// Returns when the process that started the lab has ended. Without a lifeline, never returns.
async fn lifeline_closed(lifeline: &mut Option<Receiver>) {
    match lifeline {
        None => std::future::pending().await,
        Some(pipe) => while pipe.read_u8().await.is_ok() {},
    }
}

impl Root {
    fn new(spec: LabSpec, events: mpsc::UnboundedSender<Event>) -> Result<Self, LabError> {
        let cables = Cables::lay(&spec)?;
        let hosts: Result<Vec<Host>, LabError> = spec
            .hosts
            .iter()
            .map(|host| {
                Ok(Host {
                    disk: Disk::make(&spec, host)?,
                    spec: host.clone(),
                    state: HostState::Booting,
                    child: None,
                    cut: false,
                    boots: 0,
                    boot_id: String::new(),
                })
            })
            .collect();
        let program = open_self()?;
        Ok(Self {
            hosts: hosts?,
            spec,
            program,
            cables,
            coordinator: None,
            events,
            report: None,
            awaited: BTreeMap::new(),
        })
    }

    /// Starts the coordinator's process and boots all hosts.
    async fn boot_all(&mut self) {
        self.awaited = (0..=self.hosts.len()).map(|index| (index, ())).collect();
        if let Err(error) = self.make_coordinator() {
            self.reported(self.hosts.len(), Report::of(&error));
        }
        for index in 0..self.hosts.len() {
            self.boot(index);
            // Lets the name server answer hosts that have started already.
            tokio::task::yield_now().await;
        }
    }

    /// Starts the process with the coordinator's network namespace.
    fn make_coordinator(&mut self) -> Result<(), LabError> {
        let index = self.hosts.len();
        let (child, feed) = self.spawn(index, 0, "coordinator-ns", libc::CLONE_NEWNET, None)?;
        self.cables.plug(index, child.pid)?;
        let json = serde_json::to_vec(&self.spec.coordinator).doing("describe the coordinator's place")?;
        self.coordinator = Some(child);
        File::from(feed).write_all(&json).doing("describe the coordinator's place")
    }

    /// Boots a host. A failure is handled like a report of the host that it failed.
    fn boot(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        host.boots += 1;
        host.state = HostState::Booting;
        if let Err(error) = self.try_boot(index) {
            self.reported(index, Report::of(&error));
        }
    }

    fn try_boot(&mut self, index: usize) -> Result<(), LabError> {
        let host = &mut self.hosts[index];
        host.boot_id = random_id()?;
        let boot = Boot {
            name: host.spec.name.clone(),
            addresses: host.spec.addresses.clone(),
            boot_id: host.boot_id.clone(),
            etc: host.disk.layer("etc"),
            var: host.disk.directory("var"),
            services: host.spec.all_services(),
        };
        let boots = host.boots;
        let (child, feed) = self.spawn(index, boots, "host", HOST_NAMESPACES, Some(Outer::INSIDE))?;
        let pid = child.pid;
        self.hosts[index].child = Some(child);
        self.cables.plug(index, pid)?;
        if self.hosts[index].cut {
            self.cables.set(index, false)?;
        }
        let json = serde_json::to_vec(&boot).doing("describe the host to itself")?;
        File::from(feed).write_all(&json).doing("describe the host to itself")
    }

    /// Starts a part of the lab. Returns its process, and the pipe from which the part reads its description: the caller plugs in the
    /// cable before it writes to the pipe.
    fn spawn(
        &self,
        index: usize,
        boot: u32,
        part: &str,
        namespaces: i32,
        root: Option<Outer>,
    ) -> Result<(Child, OwnedFd), LabError> {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing("make a pipe");
        let ((description, feed), (hear, report)) = (pipe()?, pipe()?);
        let keep = [description.as_raw_fd(), report.as_raw_fd()];
        let words = ["firedrill", HIDDEN, part, &keep[0].to_string(), &keep[1].to_string()].map(String::from);
        let what = Start { program: &self.program, argv: &words, keep: &keep, namespaces, root };
        let child = start(&what, |_| Ok(())).map_err(|e| LabError::os(e.step, e.source))?;
        let mut hear = Receiver::from_owned_fd(hear).doing("hear from a host")?;
        let events = self.events.clone();
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            let _ = hear.read_to_end(&mut bytes).await;
            let _ = events.send(Event::Reported { index, boot, report: Report::parse(&bytes) });
        });
        Ok((child, feed))
    }

    /// Handles an event. Events of earlier boots are ignored.
    fn handle(&mut self, event: Event) {
        let is_current =
            |root: &Self, index: usize, boot| root.hosts.get(index).is_some_and(|h| h.boots == boot);
        match event {
            Event::Reported { index, boot, report } => {
                if index == self.hosts.len() || is_current(self, index, boot) {
                    self.reported(index, report);
                }
            }
            Event::GoingDown { index, boot, pulled } => {
                if is_current(self, index, boot) {
                    self.going_down(index);
                }
                let _ = pulled.send(());
            }
            Event::StillThere { index, boot } => {
                let host = &self.hosts[index];
                if is_current(self, index, boot) && host.state == HostState::Up && !host.cut {
                    let _ = self.cables.set(index, true);
                }
            }
            Event::BootDue { index, boot } => {
                if is_current(self, index, boot) && self.hosts[index].state == HostState::Restarting {
                    self.boot(index);
                }
            }
            Event::Asked { request, reply } => {
                let _ = reply.send(self.reply_to(request));
            }
        }
    }

    /// Handles the report of a part that it has started or failed.
    fn reported(&mut self, index: usize, report: Report) {
        self.awaited.remove(&index);
        if let Some(host) = self.hosts.get_mut(index) {
            if report.error.is_none() {
                host.state = HostState::Up;
                if let (Some(number), Some(child)) = (report.reboot_listener, &host.child) {
                    watch::reboots(&child.pidfd, number, index, host.boots, &self.events);
                }
            } else {
                host.state = HostState::Off;
                if let Some(child) = &host.child {
                    let _ = process::kill(&child.pidfd);
                }
            }
        }
        // While the lab starts, the first failure of a part makes the lab fail.
        if report.error.is_some() {
            if let Some(pipe) = self.report.take() {
                let name = self.hosts.get(index).map_or("coordinator", |h| &h.spec.name);
                let error = report.error.map(|e| format!("host {name}: {e}"));
                Report { error, ..report }.send(pipe);
            }
        } else if self.awaited.is_empty()
            && let Some(pipe) = self.report.take()
        {
            Report::default().send(pipe);
        }
    }

    /// Pulls the cable of a host that is about to go down, and plans a check whether it did.
    fn going_down(&mut self, index: usize) {
        let _ = self.cables.set(index, false);
        let (events, boot) = (self.events.clone(), self.hosts[index].boots);
        tokio::spawn(async move {
            tokio::time::sleep(CALL_FAILED_AFTER).await;
            let _ = events.send(Event::StillThere { index, boot });
        });
    }

    /// Reaps processes that have ended. The status of a host's first process shows whether the host restarts or stays off.
    fn reap(&mut self) {
        loop {
            let status = match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(status) => status,
            };
            let Some(pid) = status.pid().map(Pid::as_raw) else { continue };
            let found = self.hosts.iter().position(|h| h.child.as_ref().is_some_and(|c| c.pid == pid));
            let Some(index) = found else { continue };
            let _ = self.cables.unplug(index);
            let host = &mut self.hosts[index];
            host.child = None;
            // After a call of reboot(2), the kernel kills the first process of a pid namespace: by SIGHUP for a restart, by SIGINT otherwise.
            if matches!(status, WaitStatus::Signaled(_, Signal::SIGHUP, _)) {
                host.state = HostState::Restarting;
                let (events, boot) = (self.events.clone(), host.boots);
                let delay = Duration::from_millis(self.spec.boot_delay_ms);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = events.send(Event::BootDue { index, boot });
                });
            } else {
                host.state = HostState::Off;
            }
        }
    }
}

/// Opens this program, so that it can be started again even if its file was replaced or removed.
fn open_self() -> Result<OwnedFd, LabError> {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .doing("open this program")
}
