//! `process-kill`: sends a signal once to the processes that match. Cannot be undone.

use firedrill_wire::{api::Problem, evidence::Evidence, fault::ProcessKill};

use super::{matching, signal};
use crate::{
    host::{Host, process::Name},
    injection::{Ask, Basis, Inject, InjectError, Injected, Live, Prepared, once},
};

impl Inject for ProcessKill {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let found = matching::find(host, &self.which)?;
        let names: Vec<Name> = found.iter().map(|stat| stat.name).collect();
        Ok(Prepared {
            claims: matching::claims(&found),
            effects: vec![format!("send {} to {}", self.signal, matching::list(&found))],
            undo: Vec::new(),
            switches: Vec::new(),
            notes: vec![
                "matching processes that start after this plan was prepared are not signalled".into(),
            ],
            basis: Basis::Processes(names),
        })
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        // The hold also bounds the wait for the processes to end.
        once::make(host, live, || signal::send(live.prepared.basis.processes()?, self.signal, live.ask.hold))
    }

    fn evidence(&self, _host: &Host, live: &Live) -> Evidence {
        live.prepared.basis.processes().map_or_else(InjectError::unseen, signal::look)
    }
}
