//! Carries out the requests of programs that use the lab, and makes the answers. Never waits for a host.

use std::os::fd::OwnedFd;

use super::Root;
use crate::{
    LabError,
    error::Doing as _,
    message::{Answer, HostState, HostStatus, LabStatus, Request},
    report::Report,
    root::event::Reply,
    sys::process,
};

impl Root {
    /// Carries out a request, and returns the answer.
    pub(super) fn reply_to(&mut self, request: Request) -> Reply {
        self.answer(request).unwrap_or_else(|e| (Answer::Refused(chain(e)), None))
    }

    fn answer(&mut self, request: Request) -> Result<Reply, LabError> {
        match request {
            Request::Status => return Ok((Answer::Status(self.status()), None)),
            Request::Coordinator => {
                let child = self.coordinator.as_ref();
                let child =
                    child.ok_or_else(|| LabError::Refused("the coordinator's place is gone".into()))?;
                return Ok((Answer::Descriptor, Some(copy(&child.pidfd)?)));
            }
            Request::Host(name) => {
                let host = &self.hosts[self.find(&name)?];
                let child = host.child.as_ref().filter(|_| host.state == HostState::Up);
                let child = child.ok_or_else(|| LabError::Refused(format!("host {name} is not up")))?;
                return Ok((Answer::Descriptor, Some(copy(&child.pidfd)?)));
            }
            Request::Log { host, service } => {
                let file = self.hosts[self.find(&host)?].disk.log(&service)?;
                return Ok((Answer::Descriptor, Some(file.into())));
            }
            Request::Link { host, up } => {
                let index = self.find(&host)?;
                self.hosts[index].cut = !up;
                if self.hosts[index].child.is_some() {
                    self.cables.set(index, up)?;
                }
            }
            Request::GoingDown(name) => {
                let index = self.find(&name)?;
                self.going_down(index);
            }
            Request::Kill(name) => {
                let index = self.find(&name)?;
                if let Some(child) = &self.hosts[index].child {
                    self.cables.set(index, false)?;
                    process::kill(&child.pidfd).doing(format!("cut the power of host {name}"))?;
                }
                self.hosts[index].state = HostState::Off;
            }
            Request::PowerOn(name) => {
                let index = self.find(&name)?;
                if self.hosts[index].child.is_some() {
                    return Err(LabError::Refused(format!("host {name} is on")));
                }
                self.boot(index);
            }
        }
        Ok((Answer::Done, None))
    }

    /// Returns the index of a host.
    fn find(&self, name: &str) -> Result<usize, LabError> {
        self.hosts.iter().position(|h| h.spec.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.hosts.iter().map(|h| h.spec.name.as_str()).collect();
            LabError::Refused(format!("no host is named {name}; there are {}", names.join(", ")))
        })
    }

    fn status(&self) -> LabStatus {
        let hosts = self.hosts.iter().map(|host| HostStatus {
            name: host.spec.name.clone(),
            region: host.spec.region.clone(),
            roles: host.spec.roles.clone(),
            addresses: host.spec.addresses.clone(),
            state: host.state,
            link: !host.cut,
            boots: host.boots,
            boot_id: host.boot_id.clone(),
            services: host
                .child
                .as_ref()
                .filter(|_| host.state == HostState::Up)
                .map_or_else(Vec::new, |child| crate::host::services_of(child.pid, &host.spec)),
        });
        LabStatus { name: self.spec.name.clone(), hosts: hosts.collect() }
    }
}

fn copy(fd: &OwnedFd) -> Result<OwnedFd, LabError> {
    fd.try_clone().doing("copy a descriptor")
}

/// Returns an error with its causes as one line.
fn chain(error: LabError) -> String {
    match error {
        LabError::Refused(why) => why,
        other => Report::of(&other).error.unwrap_or_default(),
    }
}
