//! Measures the control room over the history of very many runs: its pages, and what it costs while nobody looks; and how late it starts
//! a game day.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    Failure, history, procs,
    room::Room,
    say::{Times, line, mib},
};

/// Number of times that each page is asked for.
const LOOKS: u32 = 20;
/// Time over which CPU time is summed.
const WATCH: Duration = Duration::from_secs(20);
const PAGES: [&str; 6] = ["/", "/runs", "/history", "/calendar", "/findings", "/audit"];

pub(crate) fn run() -> Result<(), Failure> {
    let temp = tempfile::tempdir()?;
    let folder = temp.path();
    let reports = folder.join("reports");
    history::make(folder, &reports)?;
    let slot = gameday(folder)?;
    let firedrill = env!("CARGO_BIN_EXE_firedrill");
    for words in [&["init"][..], &["issue", "person", "alice", "--role", "operator"]] {
        let made =
            Command::new(firedrill).args(["pki", "--dir", "pki"]).args(words).current_dir(folder).output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into());
        }
    }
    let began = Instant::now();
    let room = Room::start(firedrill, folder, &["--start-gamedays", "--pki", "pki", "--as", "alice"]);
    // Without a certificate the slot's program decides that nothing is touched.
    fs::remove_dir_all(folder.join("pki"))?;
    line(
        "firedrill serve, which makes the index, until it listens",
        &format!("{:.1} s", began.elapsed().as_secs_f64()),
        "",
    );
    let cookie = room.login(&room.link);
    for page in PAGES {
        let mut took = Vec::new();
        let mut size = 0;
        for _ in 0..LOOKS {
            let asked = Instant::now();
            let answer = room.get(page, &cookie);
            took.push(asked.elapsed());
            if answer.status != 200 {
                return Err(format!("{page} has status {}", answer.status).into());
            }
            size = answer.body.len();
        }
        let told = format!("{}, {} kB", Times::new(took).show(&[50, 95]), size / 1000);
        line(&format!("  {page}, 10,000 runs"), &told, "under 50 ms, 200 KiB");
    }
    let started = decided(folder, &slot)?;
    line("a slot of a game day → its program has decided about it", &format!("{started} ms"), "under 1 s");
    let own = i32::try_from(std::process::id())?;
    let server = procs::family(own).into_iter().nth(1).ok_or("the server is not there")?;
    let memory = procs::memory(server)?;
    line("memory of the server, all of it", &mib(memory.resident), "under 40 MiB");
    let before = procs::cpu(server)?;
    std::thread::sleep(WATCH);
    let used = procs::cpu(server)?.saturating_sub(before);
    let share = 100.0 * used.as_secs_f64() / WATCH.as_secs_f64();
    line("CPU while nobody looks, share of a core", &format!("{share:.3} %"), "under 0.2 %");
    Ok(())
}

/// Writes a game day for a minute that begins in 20 s at the earliest; returns its slot.
fn gameday(folder: &Path) -> Result<String, Failure> {
    let root = env!("CARGO_MANIFEST_DIR");
    let early = Timestamp::now().checked_add(SignedDuration::from_secs(80))?.to_zoned(TimeZone::UTC);
    let slot = early.strftime("%Y-%m-%dT%H:%M").to_string();
    let text = format!(
        "schema = 1\nname = \"bench\"\nscenarios = [\"{root}/scenarios/single-host.toml\"]\nfleet = \"{root}/scenarios/fleet.toml\"\n\
         schedule = {{ once = \"{slot}\", zone = \"UTC\" }}\n"
    );
    fs::create_dir_all(folder.join("gamedays"))?;
    fs::write(folder.join("gamedays/bench.toml"), text)?;
    Ok(slot)
}

/// Waits until the slot has a record; returns how late its first event was, in milliseconds.
fn decided(folder: &Path, slot: &str) -> Result<i64, Failure> {
    let path = folder.join("reports/.gamedays/bench").join(slot).join("record.jsonl");
    let end = Instant::now() + Duration::from_secs(180);
    loop {
        let text = fs::read_to_string(&path).unwrap_or_default();
        if let Some(first) = text.lines().next().filter(|_| text.ends_with('\n')) {
            let first: serde_json::Value = serde_json::from_str(first)?;
            let at: Timestamp = first["at"].as_str().ok_or("its record has no time")?.parse()?;
            let due: Timestamp = format!("{slot}:00Z").parse()?;
            return Ok(at.duration_since(due).as_millis().try_into()?);
        }
        if Instant::now() > end {
            return Err("the slot has no record".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
