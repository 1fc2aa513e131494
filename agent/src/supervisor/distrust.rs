//! Ends the runs of people whose certificates are no longer trusted. Never decides whom to trust.

use std::sync::Arc;

use firedrill_wire::{
    RunId,
    api::Problem,
    journal::{HealReason, What},
};

use super::{core::Core, prepare::distrusted};
use crate::{
    active,
    control::{Caller, Trusted},
    journal::Tombstone,
    mutex::lock,
};

impl Core {
    /// Ends every run in which a person took part who is no longer trusted. `trusted` checks a certificate.
    pub(super) fn distrust(&self, trusted: Trusted<'_>) {
        let runs: Vec<(RunId, Arc<[Arc<Caller>]>)> = lock(&self.state)
            .runs
            .iter()
            .filter(|(_, run)| run.distrusted.is_none())
            .filter_map(|(id, run)| Some((id.parse().ok()?, Arc::clone(&run.held_by))))
            .collect();
        // Signatures are verified without the lock, because that takes time.
        for (run, callers) in runs {
            let not_trusted = callers.iter().find_map(|caller| {
                let certificate = caller.certificate.as_ref()?;
                Some((caller, &certificate.serial, trusted(certificate).err()?))
            });
            if let Some((caller, serial, why)) = not_trusted {
                self.end_distrusted(&run, &caller.name, serial, &why);
            }
        }
    }

    /// Ends a run in which the person `name` took part.
    fn end_distrusted(&self, run: &RunId, name: &str, serial: &str, why: &str) {
        let stone = Tombstone::Run(run.clone());
        let (injections, is_new) = {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            let Some(known) = state.runs.get_mut(run).filter(|known| known.distrusted.is_none()) else {
                return;
            };
            known.distrusted = Some(name.to_owned());
            let reason = HealReason::Distrusted { name: name.to_owned() };
            let mut injections = 0;
            for entry in
                state.live.values_mut().filter(|entry| entry.intent.run == *run && entry.state.is_open())
            {
                entry.want(&reason, self.now());
                injections += 1;
            }
            let is_new = state.tombstones.add(&stone);
            self.tell_guard(state);
            (injections, is_new)
        };
        self.event(What::Distrusted {
            run: run.clone(),
            name: name.to_owned(),
            serial: serial.to_owned(),
            why: why.to_owned(),
        });
        if is_new {
            self.record_tombstones(vec![stone], Vec::new());
        }
        self.stop_measuring(run);
        self.sync();
        let faults = if injections == 1 { "fault" } else { "faults" };
        let line = format!(
            "run {run} is put back ({injections} {faults}), because the certificate {serial} of {name} is not trusted any \
             more: {why}"
        );
        tracing::warn!("{line}");
        active::syslog(&line);
    }

    /// Refuses a run that was ended because a certificate is no longer trusted.
    pub(super) fn check_trusted(&self, run: &RunId) -> Result<(), Problem> {
        match lock(&self.state).runs.get(run).and_then(|run| run.distrusted.as_deref()) {
            Some(name) => Err(distrusted(run, name)),
            None => Ok(()),
        }
    }
}
