//! Tries out chains in an empty network namespace, which disappears with the thread that made it. Never changes the host's own tables.

use std::thread;

use nix::sched::{CloneFlags, unshare};

use firedrill_wire::InjectionId;

use super::{
    chains::Chains,
    gates::open,
    program::{IptablesError, Program},
};
use crate::nft::{expr::Family, table::LEASE};

/// Checks that the kernel accepts the chains. If this process may not make network namespaces, the programs only check the text.
/// `program_of` returns the program of a family.
pub(super) fn take(
    program_of: impl Fn(Family) -> Program + Sync,
    id: &InjectionId,
    chains: &Chains,
) -> Result<(), IptablesError> {
    let trial = || {
        let is_separate = unshare(CloneFlags::CLONE_NEWNET).is_ok();
        chains.rules.iter().try_for_each(|(family, rules)| {
            let (program, text) = (program_of(*family), chains.text(rules));
            if !is_separate {
                return program.test(&text);
            }
            program.restore(&text)?;
            // Opening a gate must be possible, too.
            open(id, &[*family], LEASE)
        })
    };
    thread::scope(|scope| scope.spawn(trial).join()).unwrap_or_else(|_| {
        Err(IptablesError::of(
            "try out iptables rules".to_owned(),
            "the thread that tried it died".to_owned(),
        ))
    })
}
