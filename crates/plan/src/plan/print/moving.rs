//! Prints, for an attack on a moving target, the hosts that may be hit and the question about the leader.

use std::fmt::Write as _;

use crate::plan::Plan;

/// Writes the question and the candidates before the first alternative of an attack, and its host's part before each.
pub(super) fn write(out: &mut String, plan: &Plan, index: usize) -> std::fmt::Result {
    let Some(leader) = plan.attacks.get(index).and_then(|attack| attack.leader.as_ref()) else {
        return Ok(());
    };
    if plan.is_first_alternative(index)
        && let Some(moving) = plan.moving_target(&leader.target)
    {
        let hosts: Vec<&str> = moving.candidates.iter().map(|one| one.host.as_str()).collect();
        writeln!(
            out,
            "   one of {} attacks runs: the one on the leader of `{}`, which is one of {}",
            plan.alternatives(index).len(),
            leader.target,
            crate::alike::names(&hosts)
        )?;
        writeln!(
            out,
            "   asked when it begins, and again before it is armed, within {}: {}",
            moving.timeout,
            moving.ask.words()
        )?;
    }
    writeln!(out, "   runs only if {} is the leader then", leader.host)
}
