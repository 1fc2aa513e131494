//! `service-kill`: sends a signal to every process of a service. Firedrill does not start the service again, because that
//! is the task of its manager.

use firedrill_wire::{RefusalCode, api::Problem, evidence::Evidence, fault::ServiceKill};

use super::{
    service_stop::{must_be_up, must_not_be_own, unreadable},
    signal,
};
use crate::{
    host::{
        Host,
        process::{Name, alive},
    },
    injection::{Ask, Basis, Inject, InjectError, Injected, Live, Prepared, once, refuse},
    service::{self, State},
};

impl Inject for ServiceKill {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let (manager, unit) = service::pick(host, self.manager, &self.service)?;
        let state = must_be_up(&*manager, &unit)?;
        must_not_be_own(&*manager, &unit)?;
        let members = manager.processes(&unit).map_err(|error| unreadable(&unit, &error))?;
        if members.is_empty() {
            return Err(refuse(
                RefusalCode::NoProcess,
                format!("{unit} has no process that could be killed"),
                "start it first, or leave the host out",
            ));
        }
        let comeback = manager.comeback(&unit, self.signal).map_err(|error| unreadable(&unit, &error))?;
        let main = main_process(&state, &members);
        Ok(Prepared {
            claims: vec![unit.claim()],
            effects: vec![format!(
                "send {} to all processes of {unit}: {} now, main process {}",
                self.signal,
                members.len(),
                main.first().map_or_else(|| "none".to_owned(), |name| name.pid.to_string()),
            )],
            undo: Vec::new(),
            switches: Vec::new(),
            notes: vec![comeback],
            // Only the main process is in the basis, because workers come and go. If the main process has ended before the
            // start, the service is no longer the one that was prepared.
            basis: Basis::Processes(main),
        })
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        once::make(host, live, || {
            for &name in live.prepared.basis.processes()? {
                if alive(name)
                    .map_err(|error| InjectError(format!("cannot look at process {name}: {error}")))?
                    .is_none()
                {
                    return Err(InjectError(format!(
                        "process {name} of the service that was prepared has ended by itself; nothing was done"
                    )));
                }
            }
            let (manager, unit) = service::pick(host, self.manager, &self.service)
                .map_err(|problem| InjectError(problem.title))?;
            let members = manager.processes(&unit).map_err(|error| InjectError(error.to_string()))?;
            signal::send(&members, self.signal, live.ask.hold)
        })
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let killed: Vec<Name> = match once::before(host, live) {
            Some(made) => made.processes.into_iter().map(|(name, _)| name).collect(),
            None => match live.prepared.basis.processes() {
                Ok(names) => names.to_vec(),
                Err(error) => return error.unseen(),
            },
        };
        let mut evidence = signal::look(&killed);
        if let Ok((manager, unit)) = service::pick(host, self.manager, &self.service)
            && let Ok(state) = manager.state(&unit)
        {
            evidence.detail = format!("{}; {unit} is {}", evidence.detail, state.sentence());
        }
        evidence
    }
}

/// Returns the main process of a service; all of its processes if it has no main process.
pub(super) fn main_process(state: &State, members: &[Name]) -> Vec<Name> {
    let main: Vec<Name> = members.iter().copied().filter(|name| Some(name.pid) == state.main).collect();
    if main.is_empty() { members.to_vec() } else { main }
}
