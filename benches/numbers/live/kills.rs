//! Kills the control room at random moments of runs that tell a channel, and looks at what is left: faults, logs without an end, messages
//! that nobody got.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use firedrill_notify::spool::Spool;
use firedrill_wire::journal::State;
use rustix::process::Signal;

use super::fleet::{Fleet, Run};
use crate::{
    Failure,
    receiver::Receiver,
    room::Room,
    say::{line, note},
};

/// Minimum number of kills.
const KILLS: u32 = 200;
const HOSTS: u8 = 3;
/// The longest life of a server, in milliseconds, from the moment that it listens.
const LIFE_MS: u64 = 700;
/// The events that each run tells.
const TOLD: [&str; 3] = ["started", "landed", "ended"];

pub(crate) fn run() -> Result<(), Failure> {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let fleet = Fleet::up("kills", HOSTS, "6s")?;
    let receiver = Receiver::start();
    channels(&fleet, &receiver)?;
    note(&format!("a webhook is told by the run and by the server, whoever comes first; seed {seed}"));
    let (mut kills, mut unended, mut in_force, mut runs) = (0, 0, 0, Vec::new());
    let began = Instant::now();
    while kills < KILLS {
        let mut run = Run::start(&fleet, &["--notify", "channels.toml"])?;
        while run.goes_on()? {
            let mut room =
                Room::start(env!("CARGO_BIN_EXE_firedrill"), fleet.folder(), &["--notify", "channels.toml"]);
            std::thread::sleep(Duration::from_millis(random.u64(0..LIFE_MS)));
            room.end(Signal::KILL);
            kills += 1;
        }
        let log = run.ended()?;
        unended += u32::from(!log.has_end());
        in_force += u32::from(log.are(State::Undone) != usize::from(HOSTS));
        runs.push(log.name());
    }
    let status = fleet.command(&["status"]).output()?;
    let took = began.elapsed().as_secs();
    line("kills of the server", &format!("{kills} in {} runs, {took} s", runs.len()), "200");
    line("runs without an end", &unended.to_string(), "0");
    let asked = if status.status.success() { "hosts have nothing in force" } else { "hosts have faults" };
    line("runs that a host did not put back", &format!("{in_force}; {asked}"), "0");
    let (missing, twice, all) = received(&fleet, &receiver, &runs)?;
    line("messages that nobody got", &format!("{missing} of {all}"), "0");
    line("messages that came again, with the same id", &twice.to_string(), "only after a kill");
    Ok(())
}

/// Writes a file with a channel to the receiver.
fn channels(fleet: &Fleet, receiver: &Receiver) -> Result<(), Failure> {
    let (url, key) = (fleet.folder().join("url"), fleet.folder().join("key"));
    fs::write(&url, receiver.url("/told"))?;
    fs::write(&key, "a key of at least sixteen")?;
    let text = format!(
        "schema = 1\n[channel.ops.webhook]\nurl = {{ secret_file = {url:?} }}\nkey = {{ secret_file = {key:?} }}\n"
    );
    fs::write(fleet.folder().join("channels.toml"), text)?;
    Ok(())
}

/// Lets a server deliver what waits. Returns how many messages did not come, how many came again, and how many there had to be.
fn received(fleet: &Fleet, receiver: &Receiver, runs: &[String]) -> Result<(usize, usize, usize), Failure> {
    let _room = Room::start(env!("CARGO_BIN_EXE_firedrill"), fleet.folder(), &["--notify", "channels.toml"]);
    let spool = Spool::of(&fleet.folder().join("reports"));
    let end = Instant::now() + Duration::from_secs(120);
    while !spool.pending()?.is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut came: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(request) = receiver.came() {
        let id = request.headers.get("firedrill-event").cloned().unwrap_or_default();
        *came.entry(id).or_default() += 1;
    }
    let wanted = |run: &String| TOLD.map(|what| (run.clone(), what));
    let has = |(run, what): &(String, &str)| came.keys().any(|id| id.starts_with(run) && id.ends_with(what));
    let wanted: Vec<_> = runs.iter().flat_map(wanted).collect();
    let missing = wanted.iter().filter(|one| !has(one)).count();
    Ok((missing, came.values().map(|times| times - 1).sum(), wanted.len()))
}
