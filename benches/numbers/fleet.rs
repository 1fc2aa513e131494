//! Measures many agents on one machine: the time until all are armed, and the spread of their starts.

use std::time::Instant;

use firedrill_probe::clock::boot_us;
use firedrill_wire::{Span, journal::State};
use futures_util::future::{join_all, try_join_all};

use crate::{
    Failure,
    drill::{Drill, Ready, block},
    place::{Rig, runtime},
    say::{Times, line, millis, note},
};

/// Number of all agents.
const HOSTS: u8 = 200;
/// Number of the agents that are measured first.
const FEW: usize = 4;
/// Time from arming to the start, in microseconds.
const LEAD_US: u64 = 3_000_000;
/// Time for which the faults hold.
const HOLD: Span = Span::secs(2);
/// An address of a network for documentation, so no host has it.
const PEER: &str = "192.0.2.1";

pub(crate) fn run() -> Result<(), Failure> {
    let rig = Rig::up("fleet", HOSTS)?;
    line(&format!("a lab of {HOSTS} hosts is up"), &millis(rig.took), "");
    // A few agents are measured first, for comparison: many agents have to wait for each other, because they share this
    // machine's cores.
    runtime()?.block_on(drill(&rig, "bench-few", FEW))?;
    runtime()?.block_on(drill(&rig, "bench-all", rig.hosts.len()))
}

/// Runs a drill on that many hosts, and prints its times.
async fn drill(rig: &Rig, run: &str, hosts: usize) -> Result<(), Failure> {
    note(&format!("{hosts} of them"));
    let began = Instant::now();
    let mut drills = try_join_all(rig.hosts.iter().take(hosts).map(|host| begin(rig, run, host))).await?;
    line("agents started, connected to, events followed", &millis(began.elapsed()), "");

    let began = Instant::now();
    let prepares = drills.iter_mut().map(|drill| drill.prepare(block(PEER), HOLD));
    let ready: Vec<Ready> = try_join_all(prepares).await?;
    line("prepare, with a snapshot of every host", &millis(began.elapsed()), "");

    let began = Instant::now();
    let start = boot_us() + LEAD_US;
    try_join_all(drills.iter().zip(&ready).map(|(drill, ready)| drill.arm(ready, start))).await?;
    line("arm sent → all armed, journals synced (in memory)", &millis(began.elapsed()), "under 1 s");

    let began = Instant::now();
    try_join_all(drills.iter().map(Drill::renew)).await?;
    line("all renewed", &millis(began.elapsed()), "");

    let follow = drills.iter_mut().zip(&ready).map(|(drill, ready)| async move {
        let begun = drill.until(ready, State::Injecting).await?.saturating_sub(start);
        let made = drill.until(ready, State::InForce).await?.saturating_sub(start);
        let gone = drill.until(ready, State::Undone).await?.saturating_sub(start + HOLD.as_micros());
        Ok::<_, Failure>((begun, made, gone))
    });
    let (seen, late): (Vec<_>, Vec<_>) = join_all(follow).await.into_iter().partition(Result::is_ok);
    let seen: Vec<_> = seen.into_iter().flatten().collect();
    line("started, of all", &format!("{} of {}", seen.len(), seen.len() + late.len()), "all");
    if let Some(Err(why)) = late.first() {
        note(&format!("one that did not: {why}"));
    }
    let show = |of: fn(&(u64, u64, u64)) -> u64| {
        Times::micros(&seen.iter().map(of).collect::<Vec<_>>()).show(&[50, 99, 100])
    };
    line("planned start → agent starts", &show(|one| one.0), "p99 under 5 ms");
    line("planned start → in force", &show(|one| one.1), "");
    line("planned end → put back", &show(|one| one.2), "");
    Ok(())
}

async fn begin(rig: &Rig, run: &str, host: &firedrill::plan::model::Host) -> Result<Drill, Failure> {
    Drill::begin(rig.agent(host), run, Span::secs(30)).await
}
