//! Derives the groups of hosts with a limit, and these limits, from the guard of a plan.

use std::collections::BTreeSet;

use firedrill_wire::Share;

use crate::plan::{
    model::{Attack, Plan},
    radius,
};

/// A group of hosts with a limit.
pub(super) struct Group {
    /// The guard's rule, for messages.
    pub(super) rule: String,
    pub(super) hosts: BTreeSet<String>,
    /// Maximum number of its hosts under a fault at the same time.
    pub(super) most: usize,
}

/// Returns the groups that have a limit and contain a target of the attack.
pub(super) fn groups(plan: &Plan, attack: &Attack) -> Vec<Group> {
    let targets: BTreeSet<&str> = attack.injections.iter().map(|injection| injection.host.as_str()).collect();
    // The groups of hosts with equal values of a label, by these values.
    let touched = |label: &str| {
        let mut groups = radius::groups(&plan.hosts, label);
        groups.retain(|_, hosts| targets.iter().any(|target| hosts.contains(target)));
        groups
    };
    let mut limited = Vec::new();
    if let Some(max) = &plan.guard.max_share {
        limited.extend(touched(&max.of).into_iter().map(|(value, hosts)| {
            let (group, hosts) = (radius::name(&max.of, value), owned(&hosts));
            let most = allowed(max.share, hosts.len());
            let rule = format!("max_share ({} of the {} hosts of {group})", max.share, hosts.len());
            Group { rule, hosts, most }
        }));
    }
    if !plan.guard.keep.is_empty() {
        limited.extend(touched("role").into_iter().filter_map(|(role, hosts)| {
            let (keep, hosts) = (*plan.guard.keep.get(role)?, owned(&hosts));
            let most = hosts.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
            let rule = format!("keep ({keep} of the {} hosts of role `{role}`)", hosts.len());
            Some(Group { rule, hosts, most })
        }));
    }
    limited
}

/// Returns the maximum number of hosts under a fault in a group of `total` hosts.
fn allowed(share: Share, total: usize) -> usize {
    (0..=total).rev().find(|count| radius::within(*count, total, share)).unwrap_or(0)
}

/// Returns owned copies of the names.
pub(super) fn owned(hosts: &BTreeSet<&str>) -> BTreeSet<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_as_many_hosts_as_the_plan_allows() {
        for (share, all, most) in
            [("50%", 3, 1), ("34%", 3, 1), ("33%", 3, 0), ("100%", 3, 3), ("10%", 10, 1)]
        {
            let share: Share = share.parse().unwrap();
            assert_eq!(allowed(share, all), most, "{share} of {all}");
        }
    }
}
