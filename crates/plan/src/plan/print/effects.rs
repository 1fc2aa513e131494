//! The effects of an attack: what its faults do, to which hosts, when, and whether they are put back.

use firedrill_wire::{
    Fault, Span,
    fault::{End, PeerSet},
};

use super::{LISTED, describe};
use crate::{
    alike,
    plan::model::{Attack, Injection},
};

/// A fault that several hosts have at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The hosts, as [`alike::names`] lists them.
    pub hosts: String,
    /// The number of hosts.
    pub count: usize,
    /// The fault with its parameters, as [`describe`] formats it.
    pub fault: String,
    /// Offset of its start from the start of the attack's fault phase.
    pub at: Span,
    /// Duration, from when it is in force.
    pub hold: Span,
    /// Whether it ends before the fault phase of the attack does.
    pub is_short: bool,
    /// The reason why the agent does not put it back, and who must do so; `None` if the agent puts it back.
    pub irreversible: Option<&'static str>,
}

impl Effect {
    /// Describes it in a line; a second line marks a fault that cannot be undone.
    #[must_use]
    pub fn words(&self) -> String {
        let offset = if self.at.is_zero() { String::new() } else { format!(" after {}", self.at) };
        let short = if self.is_short { format!(" for {}", self.hold) } else { String::new() };
        let mark = if self.irreversible.is_some() { "\nCANNOT BE UNDONE" } else { "" };
        format!("{}: {}{offset}{short}{mark}", self.hosts, self.fault)
    }
}

/// Returns the effects of an attack. Hosts with the same fault at the same time are one effect.
#[must_use]
pub fn effects(attack: &Attack) -> Vec<Effect> {
    let groups = alike::together(&attack.injections, |one| (sameness(&one.fault), one.at, one.hold));
    groups.into_iter().filter_map(|group| effect(attack, &group)).collect()
}

fn effect(attack: &Attack, group: &[&Injection]) -> Option<Effect> {
    let first = *group.first()?;
    let hosts: Vec<&str> = group.iter().map(|injection| injection.host.as_str()).collect();
    Some(Effect {
        hosts: alike::names(&hosts),
        count: hosts.len(),
        fault: describe(&first.fault),
        at: first.at,
        hold: first.hold,
        is_short: first.at + first.hold != attack.hold,
        irreversible: match first.fault.about().end {
            End::PutBack => None,
            End::Irreversible(why) => Some(why),
        },
    })
}

/// Returns a key that is equal for faults that people consider the same: hosts that only leave themselves out of the
/// same list of peers have the same fault. A long list of peers is compared by its key; a short one, which
/// is not shared, by its text.
fn sameness(fault: &Fault) -> (String, Vec<usize>) {
    let mut fault = fault.clone();
    let mut keys = Vec::new();
    for peers in fault.selectors_mut().into_iter().filter(|peers| peers.all().len() > LISTED) {
        keys.push(peers.key());
        *peers = PeerSet::default();
    }
    (serde_json::to_string(&fault).unwrap_or_default(), keys)
}
