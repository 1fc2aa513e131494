//! Measures the control room beside runs: how long a halt takes to reach 200 hosts, what 200 viewers cost a run, and what is left when the
//! server is killed at random moments.

mod fleet;
mod kills;
mod viewers;

use std::time::Duration;

use firedrill_wire::journal::State;
use fleet::{Fleet, Run, RunLog};
use viewers::Viewers;

pub(crate) use kills::run as kills;

use crate::{
    Failure, procs,
    room::Room,
    say::{Times, line, millis, note},
};

const HOSTS: u8 = 200;
const VIEWERS: usize = 200;
/// Number of runs without viewers, and of runs with them; they take turns.
const ROUNDS: u32 = 4;
/// Time for which a run is watched with all faults in force.
const WATCH: Duration = Duration::from_secs(12);

/// The figures of one run.
struct Seen {
    /// The times from the click to each host's undo.
    undone: Vec<Duration>,
    /// The time from the click to the answer of the server.
    answered: Duration,
    /// The lateness of requests in the fault (99th percentile), in milliseconds; 1 if it was less.
    late_ms: f64,
    /// The remaining time of leases when hosts looked at their faults.
    leases: Vec<Duration>,
    /// The share of a core that the server used while the run was watched.
    server: f64,
}

pub(crate) fn run() -> Result<(), Failure> {
    let fleet = Fleet::up("live", HOSTS, "120s")?;
    line(&format!("a lab of {HOSTS} hosts is up"), &millis(fleet.took), "");
    let room = Room::start(env!("CARGO_BIN_EXE_firedrill"), fleet.folder(), &[]);
    let cookie = room.login(&room.link);
    let (mut quiet, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(drill(&fleet, &room, &cookie, 0)?);
        watched.push(drill(&fleet, &room, &cookie, VIEWERS)?);
    }
    for (who, all) in [("nobody watches", &quiet), ("200 viewers", &watched)] {
        let hosts: Vec<String> = all.iter().map(|seen| seen.undone.len().to_string()).collect();
        note(&format!("{who}, {ROUNDS} runs; hosts with the fault in force: {}", hosts.join(", ")));
        let last = |seen: &Seen| seen.undone.iter().max().copied().unwrap_or_default();
        line("halt: click → the last host has put back", &show(all, last), "under 500 ms");
        line("  click → the server's answer", &show(all, |seen| seen.answered), "");
        let each = Times::new(all.iter().flat_map(|seen| seen.undone.clone()).collect());
        line("  click → each host has put back", &each.show(&[50, 99, 100]), "");
        let late: Vec<String> = all.iter().map(|seen| format!("{:.1}", seen.late_ms)).collect();
        line("lateness of the run's requests, p99 of each run, ms", &late.join(", "), "as without viewers");
        let mut leases: Vec<Duration> = all.iter().flat_map(|seen| seen.leases.clone()).collect();
        leases.sort_unstable();
        // One lease in `part` had less time left than this; with `usize::MAX` it is the least of all.
        let left = |part: usize| leases.get(leases.len() / part).copied().unwrap_or_default();
        let shown = format!(
            "least {}, 1 % below {}, p50 {}",
            millis(left(usize::MAX)),
            millis(left(100)),
            millis(left(2))
        );
        line(
            &format!("renewals: time left of a lease of 10 s, seen {} times", leases.len()),
            &shown,
            "as without viewers",
        );
        let server: Vec<String> = all.iter().map(|seen| format!("{:.1}", 100.0 * seen.server)).collect();
        line("CPU of the server, % of a core", &server.join(", "), "");
    }
    Ok(())
}

/// Returns a time of each run in words.
fn show(all: &[Seen], of: impl Fn(&Seen) -> Duration) -> String {
    Times::new(all.iter().map(of).collect()).show(&[50, 100])
}

/// Runs one drill, halts it from its page, and reads its log.
fn drill(fleet: &Fleet, room: &Room, cookie: &str, viewers: usize) -> Result<Seen, Failure> {
    let mut run = Run::start(fleet, &[])?;
    // A start that comes too late, because this machine is busy, is not made.
    let started = |log: &RunLog| log.are(State::InForce) + log.are(State::Disarmed) + log.are(State::Undone);
    run.wait(|log| started(log) == usize::from(HOSTS))?;
    let in_force = run.log()?.are(State::InForce);
    let watching = Viewers::start(room, cookie, &run.name, viewers)?;
    let server = room.pid().as_raw_nonzero().get();
    let before = procs::cpu(server)?;
    std::thread::sleep(WATCH);
    let used = procs::cpu(server)?.saturating_sub(before);
    if viewers > 0 && watching.frames() == 0 {
        return Err("no viewer has seen anything".into());
    }
    let clicked = firedrill_probe::clock::boot_us();
    let answer = room.post(&format!("/runs/{}/halt", run.name), cookie, "");
    let answered = Duration::from_micros(firedrill_probe::clock::boot_us() - clicked);
    if answer.status != 303 {
        return Err(format!("the halt is refused: {}", answer.text()).into());
    }
    drop(watching);
    let log = run.ended()?;
    let undone: Vec<u64> = log.moments(State::Undone).into_iter().filter(|at_us| *at_us > clicked).collect();
    if undone.len() != in_force {
        return Err(format!("{} of {in_force} hosts have put back", undone.len()).into());
    }
    let since = |us: &u64| Duration::from_micros(us.saturating_sub(clicked));
    Ok(Seen {
        undone: undone.iter().map(since).collect(),
        answered,
        late_ms: log.late_ms()?,
        leases: log.leases_left(),
        server: used.as_secs_f64() / WATCH.as_secs_f64(),
    })
}
