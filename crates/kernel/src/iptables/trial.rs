//! Tries out chains in an empty network namespace, which ends with the thread that made it.

use std::thread;

use nix::sched::{CloneFlags, unshare};

use firedrill_wire::InjectionId;

use super::{
    chains::Chains,
    gates::open,
    program::{IptablesError, Program},
};
use crate::nft::{expr::Family, table::LEASE};

/// Makes the kernel accept the chains. If this process may not make network namespaces, the programs only check the
/// text. Families have their programs from `of`.
pub(super) fn take(
    of: impl Fn(Family) -> Program + Sync,
    id: &InjectionId,
    chains: &Chains,
) -> Result<(), IptablesError> {
    let trial = || {
        let apart = unshare(CloneFlags::CLONE_NEWNET).is_ok();
        chains.rules.iter().try_for_each(|(family, rules)| {
            let (program, text) = (of(*family), chains.text(rules));
            if !apart {
                return program.test(&text);
            }
            program.restore(&text)?;
            // It must be possible to open the gates, too.
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
