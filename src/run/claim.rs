//! Refuses a run while another one uses the same hosts or measures the same addresses. Otherwise each run would take the effects of the
//! other's faults for its own.
//!
//! Runs on this machine are found by their sockets, even while no fault is active. Runs of other machines, and of users whose sockets
//! cannot be reached, are found only by the faults that hosts have at the moment. `bounds.rs` applies the limits of a guard (`keep`,
//! `max_share`) to the faults of all runs.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use firedrill_wire::{
    RunId, Span,
    api::{AgentStatus, OpenOne},
    journal::State,
};

use super::{
    error::RunError,
    facts::Facts,
    recorder::Recorder,
    socket::{self, Claim, Found, Owner, SocketFile, Turn},
    tasks::Tasks,
    within::Within,
};
use crate::{
    alike,
    plan::{Plan, model::COORDINATOR, print},
};

/// The next step if another run is in the way.
pub(super) const BESIDE: &str =
    "wait for its end, or run beside it with --beside-others; each report then contains the other's faults";

/// Claims the hosts and addresses of this run, until the returned socket is dropped. The inner error names the run that uses some of them.
/// `within` is the claim of the game day that this run is part of. If no socket can be made, `None` is returned: then other runs do not see
/// this run, and an undo on this machine reaches it only through the agents.
pub(super) async fn claim(
    (facts, tasks): (&Facts, &Tasks),
    recorder: &mut Recorder,
    (beside_others, within): (bool, Option<&Within>),
) -> Result<Result<Option<SocketFile>, String>, RunError> {
    // Two runs that begin at the same time take turns, so that the second sees the socket of the first.
    let turn = Turn::take().await;
    if let Err(error) = &turn {
        recorder.note(format!(
            "runs that begin on this machine at this moment may not see each other: {error}"
        ))?;
    }
    let own = owner(facts);
    let socket = match socket::listen(own.clone(), tasks) {
        Ok(socket) => Some(socket),
        Err(error) => {
            recorder.note(format!(
                "an undo on this machine can tell this run to end only over its hosts, and other runs do not see it: {error}"
            ))?;
            None
        }
    };
    let met = others(&own, within.map(Within::id)).await;
    drop(turn);
    // Checked after the socket is open: an undo before that has reached only the game day, and a later one reaches this run.
    if let Some(by) = within.and_then(Within::undone_by) {
        return Ok(Err(format!("{by} undid faults on hosts of the game day that this run is a part of")));
    }
    for Met { text, refuses } in met {
        if refuses && !beside_others {
            return Ok(Err(format!("{text}; {BESIDE}")));
        }
        recorder.note(text)?;
    }
    Ok(Ok(socket))
}

/// Another run or game day on this machine that uses the same hosts or addresses, or may use them.
pub(super) struct Met {
    /// A sentence about it.
    pub(super) text: String,
    /// Whether this run is refused because of it. A process of another user can claim anything, so it refuses no run.
    pub(super) refuses: bool,
}

/// Returns the runs and game days that use the same hosts or addresses as `own`; game days come first. `within` is the id of the game day
/// that `own` is part of, which is left out.
pub(super) async fn others(own: &Owner, within: Option<&RunId>) -> Vec<Met> {
    let mut owners = socket::owners(&own.run).await;
    owners.retain(|found| Some(&found.run) != within);
    let is_run = |found: &Found| found.owner.as_ref().is_none_or(|owner| owner.claim.gameday.is_empty());
    owners.sort_by_key(is_run);
    let met = owners.iter().filter_map(|found| {
        let refuses = found.owner.is_some() && found.other_user.is_none();
        Some(Met { text: meets(own, found)?, refuses })
    });
    met.collect()
}

/// Returns the first line of this run's socket.
fn owner(facts: &Facts) -> Owner {
    let who = (facts.operator.as_str(), facts.identity.authority());
    owner_of(facts.id.clone(), std::slice::from_ref(&*facts.plan), who)
}

/// Returns the first line of a socket that claims the hosts and addresses of plans, which are run one after another.
pub(super) fn owner_of(run: RunId, plans: &[Plan], (operator, authority): (&str, &str)) -> Owner {
    let targets = plans.iter().flat_map(|plan| plan.targets().into_iter().map(str::to_owned));
    Owner {
        run,
        targets: sorted(targets),
        authority: authority.to_owned(),
        claim: Claim {
            operator: operator.to_owned(),
            gameday: String::new(),
            measured_from: sorted(plans.iter().flat_map(measured_from)),
            measured: sorted(plans.iter().flat_map(measured)),
            reached_at: sorted(plans.iter().flat_map(reached_at)),
            until: until(plans, SystemTime::now()),
        },
    }
}

/// Sorts texts, and removes duplicates.
fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts.collect::<BTreeSet<String>>().into_iter().collect()
}

/// Returns the hosts that measure, and those whose logs are read, each once.
fn measured_from(plan: &Plan) -> Vec<String> {
    let vantages = plan.probes.iter().flat_map(|probe| &probe.from).filter(|at| *at != COORDINATOR);
    sorted(vantages.chain(plan.logs.iter().flat_map(|log| &log.on)).cloned())
}

/// Returns the addresses that probes measure, each once.
fn measured(plan: &Plan) -> Vec<String> {
    let to = plan.probes.iter().flat_map(|probe| probe.kind.destinations());
    let shown = to.map(|(host, port)| match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    });
    sorted(shown)
}

/// Returns the names and addresses of the hosts that faults touch, each once.
fn reached_at(plan: &Plan) -> Vec<String> {
    let hosts = plan.by_name();
    let mut names: Vec<String> = Vec::new();
    for target in plan.targets() {
        names.push(target.to_owned());
        names.extend(hosts.get(target).iter().flat_map(|host| &host.addresses).map(ToString::to_string));
    }
    sorted(names.into_iter())
}

/// Returns the host of an address, without the port and without the brackets of IPv6.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Returns the latest time at which runs of plans end that begin now, one after another: every attack settles as late as it may, and each
/// approval takes all of its time.
fn until(plans: &[Plan], now: SystemTime) -> String {
    let approvals = plans.iter().flat_map(|plan| &plan.attacks).filter_map(|attack| attack.approve.as_ref());
    let lasts: Span = plans.iter().map(print::longest).chain(approvals.map(|approve| approve.expires)).sum();
    let ends = now.checked_add(Duration::from(lasts)).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_seconds(ends).to_string()
}

/// Returns a sentence about a run or game day that uses the same hosts or addresses, or may use them; `None` if it does not.
fn meets(own: &Owner, found: &Found) -> Option<String> {
    let user = found
        .other_user
        .map_or_else(String::new, |user| format!(" of user {user}, whose answer is not verified,"));
    let Some(owner) = &found.owner else {
        return Some(format!("run {}{user} does not answer; it may use the same hosts", found.run));
    };
    let same = same(own, owner);
    (!same.is_empty()).then(|| {
        let Claim { operator, until, gameday, .. } = &owner.claim;
        let named =
            if gameday.is_empty() { format!("run {}", owner.run) } else { format!("game day {gameday}") };
        let by = if operator.is_empty() { String::new() } else { format!(" by {operator}") };
        let until =
            if until.is_empty() { String::new() } else { format!(", expected to end before {until}") };
        format!("{named}{user}{by} is going on{until}: {}", same.join("; "))
    })
}

/// Returns clauses about the other run, one for each kind of use that the two runs share; none if their authorities, and so their fleets,
/// differ.
fn same(own: &Owner, other: &Owner) -> Vec<String> {
    if own.authority != other.authority {
        return Vec::new();
    }
    let ours = &own.claim;
    let theirs = &other.claim;
    let hosts =
        |claim: &Claim| claim.measured.iter().map(|address| host_of(address).to_owned()).collect::<Vec<_>>();
    let (our_hosts, their_hosts) = (hosts(ours), hosts(theirs));
    // Each clause: the text before the names, the names of this run, those of the other run, the text after the names.
    let clauses = [
        ("it has faults for ", &own.targets, &other.targets, " too"),
        ("it measures from ", &own.targets, &theirs.measured_from, ", where this run has faults"),
        ("it has faults for ", &ours.measured_from, &other.targets, ", where this run measures"),
        ("it measures ", &ours.measured, &theirs.measured, " too"),
        ("it measures ", &ours.reached_at, &their_hosts, ", where this run has faults"),
        ("it has faults for ", &our_hosts, &theirs.reached_at, ", which this run measures"),
    ];
    clauses
        .into_iter()
        .filter_map(|(before, ours, theirs, after)| {
            let theirs: std::collections::HashSet<&String> = theirs.iter().collect();
            let mut both: Vec<&String> = ours.iter().filter(|name| theirs.contains(name)).collect();
            both.sort();
            both.dedup();
            (!both.is_empty()).then(|| format!("{before}{}{after}", alike::names(&both)))
        })
        .collect()
}

/// Describes the fault of another run on a host that ends last; `None` if there is no such fault.
pub(super) fn fault_of_another(status: &AgentStatus, run: &RunId) -> Option<String> {
    let theirs = status.open.iter().filter(|open| open.run != *run);
    theirs.max_by_key(|open| open.ends_boot_us).map(|open| described(status, open))
}

/// Describes an open injection of another run.
pub(super) fn described(status: &AgentStatus, open: &OpenOne) -> String {
    let left_s = open.ends_boot_us.saturating_sub(status.clock.boot_us) / 1_000_000;
    let state = match open.state {
        State::Armed => format!("armed, at most {left_s} s more"),
        State::Undoing => "being put back".to_owned(),
        State::Stuck => {
            format!(
                "it could not be put back: see `firedrill status`, then `firedrill undo --run {}`",
                open.run
            )
        }
        _ => format!("in force, at most {left_s} s more"),
    };
    let (host, kind, run, about) = (&status.host, &open.kind, &open.run, &open.about);
    format!("{host} has {kind} of run {run} ({}, by {}; {state})", about.drill, about.operator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::Approve;

    fn owner(targets: &[&str], from: &[&str], measured: &[&str]) -> Owner {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Owner {
            run: "friday-7f3a".parse().unwrap(),
            targets: owned(targets),
            authority: "ours".to_owned(),
            claim: Claim {
                operator: "bob".to_owned(),
                gameday: String::new(),
                measured_from: owned(from),
                measured: owned(measured),
                reached_at: owned(targets),
                until: "2026-12-04T14:30:00Z".to_owned(),
            },
        }
    }

    #[test]
    fn runs_are_in_each_others_way_if_one_would_measure_the_others_faults() {
        let own = owner(&["app1", "app2"], &["edge1"], &["edge1:80"]);
        for (other, clauses) in [
            (owner(&["app3"], &["app4"], &["db1:5432"]), &[][..]),
            (owner(&["app2"], &[], &[]), &["it has faults for app2 too"]),
            (owner(&["db1"], &["app1"], &[]), &["it measures from app1, where this run has faults"]),
            (
                owner(&["edge1"], &[], &[]),
                &[
                    "it has faults for edge1, where this run measures",
                    "it has faults for edge1, which this run measures",
                ],
            ),
            (owner(&["db1"], &[], &["app1:5432"]), &["it measures app1, where this run has faults"]),
            (owner(&[], &["edge1"], &["edge1:80"]), &["it measures edge1:80 too"]),
            (
                owner(&["app1"], &[], &["edge1:80"]),
                &["it has faults for app1 too", "it measures edge1:80 too"],
            ),
        ] {
            assert_eq!(same(&own, &other), clauses, "{other:?}");
            let elsewhere = Owner { authority: "another's".to_owned(), ..other };
            assert_eq!(same(&own, &elsewhere), [""; 0], "hosts of another fleet with equal names");
        }
    }

    #[test]
    fn the_other_run_is_named_with_its_operator_and_end() {
        let own = owner(&["app1"], &[], &[]);
        let found = |other_user, owner| Found { run: "friday-7f3a".parse().unwrap(), other_user, owner };
        assert_eq!(
            meets(&own, &found(None, Some(own.clone()))).unwrap(),
            "run friday-7f3a by bob is going on, expected to end before 2026-12-04T14:30:00Z: it has faults for app1 too"
        );
        assert_eq!(meets(&own, &found(None, Some(owner(&["app2"], &[], &[])))), None);
        let silent = meets(&own, &found(Some(1000), None)).unwrap();
        assert_eq!(
            silent,
            "run friday-7f3a of user 1000, whose answer is not verified, does not answer; it may use the same hosts"
        );
        let mut day = own.clone();
        day.claim.gameday = "friday of 2026-12-04T14:00".to_owned();
        assert_eq!(
            meets(&own, &found(None, Some(day))).unwrap(),
            "game day friday of 2026-12-04T14:00 by bob is going on, expected to end before 2026-12-04T14:30:00Z: it has faults for app1 too"
        );
        // A coordinator of an earlier version sends neither operator nor end.
        let earlier = Owner { claim: Claim::default(), ..own.clone() };
        assert_eq!(
            meets(&own, &found(None, Some(earlier))).unwrap(),
            "run friday-7f3a is going on: it has faults for app1 too"
        );
    }

    #[test]
    fn addresses_and_hosts_of_plans_are_claimed_without_duplicates() {
        let mut plan = firedrill_judge::testing::Drill::one().plan();
        assert_eq!(measured_from(&plan), ["canary"]);
        assert!(reached_at(&plan).contains(&"app1".to_owned()), "{:?}", reached_at(&plan));
        assert_eq!(["[fd00::1]:80", "edge1:443", "edge1"].map(host_of), ["fd00::1", "edge1", "edge1"]);
        let measured_once = measured(&plan);
        assert_eq!(measured_once.len(), 1, "{measured_once:?}");
        plan.probes.push(plan.probes[0].clone());
        assert_eq!((measured_from(&plan), measured(&plan)), (vec!["canary".to_owned()], measured_once));
        let ends = |plans: &[Plan]| humantime::parse_rfc3339(&until(plans, UNIX_EPOCH)).unwrap();
        let lasts = |plans: &[Plan]| ends(plans).duration_since(UNIX_EPOCH).unwrap();
        let before = plan.clone();
        assert!(lasts(std::slice::from_ref(&before)) > Duration::from_secs(10));
        plan.attacks[0].approve = Some(Approve { people: 1, expires: Span::secs(3_600) });
        let after = [plan, before.clone()];
        assert_eq!(lasts(&after), 2 * lasts(&[before]) + Duration::from_secs(3_600), "one after another");
        let owner = owner_of("day-1".parse().unwrap(), &after, ("bob", "ours"));
        assert_eq!(
            (owner.targets, owner.claim.measured_from),
            (vec!["app1".to_owned()], vec!["canary".to_owned()])
        );
    }
}
