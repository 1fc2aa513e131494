//! A firewall for unit tests, whose rules exist in memory only. It is chosen for injections whose ids begin with `null-`.

use firedrill_wire::{
    InjectionId, Span,
    api::Claim,
    evidence::{Evidence, Seen},
};

use super::{super::rules::PacketRule, MakeRule, PacketRules, QueueGate, Unable, Wanted};
use crate::{
    host::Host,
    injection::{InjectError, Injected, Live, Peers, Prepared, RuleEngine},
    undo::{
        Undo,
        null::{NullKernel, NullRules},
    },
};

/// Whether an injection is meant for this firewall.
pub(super) fn is_meant(id: &InjectionId) -> bool {
    id.as_str().starts_with("null-")
}

/// The firewall without effect.
pub(super) struct Null;

impl PacketRules for Null {
    fn prepare(host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Unable> {
        let injection = wanted.ask.id.clone();
        Ok(Prepared {
            claims: vec![Claim { what: format!("null:{injection}"), shared: false }],
            effects: vec![wanted.effect.to_owned()],
            undo: vec![Undo::RemoveNullRules { injection }],
            switches: Vec::new(),
            notes: wanted.all_notes(host, false),
            basis: wanted.basis(RuleEngine::Null),
        })
    }

    fn stage(&self, host: &Host, live: &Live, rule: &PacketRule) -> Result<(), InjectError> {
        let closed = NullRules { peers: rule.selector.peers.clone(), lease: None };
        NullKernel::of(host).rules().entry(live.ask.id.clone()).or_insert(closed);
        Ok(())
    }

    fn inject(&self, host: &Host, live: &Live, rule: &MakeRule<'_>) -> Result<Injected, InjectError> {
        let staged = NullKernel::of(host).rules().contains_key(&live.ask.id);
        if !staged {
            self.stage(host, live, &rule()?)?;
        }
        let kernel = NullKernel::of(host);
        let mut rules = kernel.rules();
        let found = rules.get_mut(&live.ask.id).ok_or_else(|| gone(live))?;
        found.lease.get_or_insert(live.lease);
        Ok(Injected { detail: "opened null rules".to_owned(), undo: None })
    }

    fn follow(&self, _host: &Host, _live: &Live, _peers: &Peers) {}

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let (in_force, detail) = match NullKernel::of(host).rules().get(&live.ask.id).map(|found| found.lease)
        {
            None => (Seen::No, "null rules are not there".to_owned()),
            Some(None) => (Seen::No, "null rules are closed".to_owned()),
            Some(Some(lease)) => (Seen::Yes, format!("null rules are open, lease {lease}")),
        };
        Evidence { in_force, exercised: in_force, count: None, detail }
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        let kernel = NullKernel::of(host);
        let mut rules = kernel.rules();
        let open = rules.get_mut(&live.ask.id).and_then(|found| found.lease.as_mut());
        *open.ok_or_else(|| gone(live))? = lease;
        Ok(())
    }

    fn queue_gate(&self, _host: &Host, _live: &Live, _queue: u16) -> Result<QueueGate, InjectError> {
        Ok(QueueGate { keep: Box::new(|| {}), sender: None })
    }
}

/// Returns the failure for rules that do not exist, or are closed.
fn gone(live: &Live) -> InjectError {
    InjectError(format!("{}: null rules are not there, or not open", live.ask.id))
}
