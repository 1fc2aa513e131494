//! `process-kill`: signal the processes that match, once. Cannot be undone.

use firedrill_wire::{Fault, api::Problem, evidence::Evidence};

use super::{
    Ask, Inject, InjectError, Injected, Live, Prepared, made, matching, service_stop::other_kind, signal,
};
use crate::host::{Host, process::Name};

/// The kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessKill;

impl Inject for ProcessKill {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let Fault::ProcessKill(kill) = &ask.fault else { return Err(other_kind(ask)) };
        let found = matching::find(host, &kill.which)?;
        let names: Vec<Name> = found.iter().map(|stat| stat.name).collect();
        Ok(Prepared {
            claims: matching::claims(&found),
            effects: vec![format!("send {} to {}", kill.signal, matching::list(&found))],
            undo: Vec::new(),
            switches: Vec::new(),
            notes: vec!["processes that match but begin later are left alone".into()],
            basis: signal::basis(&names),
        })
    }

    fn inject(&self, _host: &Host, live: &Live) -> Result<Injected, InjectError> {
        made::once(live, || {
            let Fault::ProcessKill(kill) = &live.ask.fault else {
                return Err(InjectError(other_kind(&live.ask).title));
            };
            signal::send(&signal::names(&live.prepared.basis), kill.signal, live.ask.hold)
        })
    }

    fn evidence(&self, _host: &Host, live: &Live) -> Evidence {
        signal::look(&signal::names(&live.prepared.basis))
    }
}
