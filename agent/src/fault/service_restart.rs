//! `service-restart`: restarts a service once, through its manager.

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    evidence::{Evidence, Seen},
    fault::ServiceRestart,
};

use super::{
    service_kill::main_process,
    service_stop::{must_be_up, must_not_be_own, unreadable},
    signal,
};
use crate::{
    host::Host,
    injection::{Ask, Basis, Inject, InjectError, Injected, Live, Prepared, once, once::Made, refuse},
    service,
};

impl Inject for ServiceRestart {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let (manager, unit) = service::pick(host, self.manager, &self.service)?;
        let state = must_be_up(&*manager, &unit)?;
        must_not_be_own(&*manager, &unit)?;
        let about = manager.about(&unit).map_err(|error| unreadable(&unit, &error))?;
        if let Some(why) = about.not_stoppable {
            return Err(refuse(RefusalCode::NotStoppable, format!("{unit} cannot be restarted: {why}"), ""));
        }
        let members = manager.processes(&unit).map_err(|error| unreadable(&unit, &error))?;
        if members.is_empty() {
            return Err(refuse(
                RefusalCode::NoProcess,
                format!("{unit} has no process, so nothing would show whether it was restarted"),
                "start it first, or leave the host out",
            ));
        }
        for dependent in &about.dependents {
            must_not_be_own(&*manager, dependent)?;
        }
        let mut effects = vec![format!("restart {unit}")];
        effects.extend(about.dependents.iter().map(|dependent| format!("{dependent} is restarted with it")));
        let claims = std::iter::once(&unit).chain(&about.dependents).map(service::Unit::claim).collect();
        let basis = Basis::Processes(main_process(&state, &members));
        Ok(Prepared { claims, effects, undo: Vec::new(), switches: Vec::new(), notes: about.notes, basis })
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        once::make(host, live, || {
            let (manager, unit) = service::pick(host, self.manager, &self.service)
                .map_err(|problem| InjectError(problem.title))?;
            // If somebody has stopped the service since `prepare`, a restart must not start it.
            must_be_up(&*manager, &unit).map_err(|problem| InjectError(problem.title))?;
            let state = manager
                .restart(&unit, live.ask.fault.ramp(live.ask.hold).into())
                .map_err(|error| InjectError(error.to_string()))?;
            let detail = format!("{unit} was restarted; it is {}", state.sentence());
            Ok(Made { injected: Injected { detail, undo: None }, ..Made::default() })
        })
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let names = live.prepared.basis.processes();
        let mut evidence = names.map_or_else(InjectError::unseen, signal::look);
        let now = service::pick(host, self.manager, &self.service)
            .map_err(|problem| problem.title)
            .and_then(|(manager, unit)| manager.state(&unit).map_err(|error| error.to_string()));
        match now {
            // The service is down and its manager is not going to start it, so this was no restart.
            Ok(state) if state.phase.is_down() && !state.wanted_up => {
                evidence.in_force = Seen::No;
                evidence.detail = format!("{}; the service is {}", evidence.detail, state.sentence());
            }
            Ok(state) => {
                evidence.detail = format!("{}; the service is {}", evidence.detail, state.sentence());
            }
            Err(error) => {
                evidence.in_force = Seen::Unknown;
                evidence.detail = format!("{}; {error}", evidence.detail);
            }
        }
        evidence
    }
}
