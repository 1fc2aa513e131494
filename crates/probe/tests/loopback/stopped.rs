//! A prober whose whole process is stopped and goes on: what it missed is told, in the right seconds, as slipped.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::common::{always, answer, http, server};
use firedrill_probe::clock::boot_us;
use firedrill_wire::{Span, probe::Bin};
use rustix::process::{Pid, Signal, kill_process};

/// The variable that says to a process that it is the one to be stopped. It has the URL to probe.
const CHILD: &str = "FIREDRILL_TEST_PROBE_URL";

/// Two roles: started with [`CHILD`] in its environment it probes and prints its bins; else it starts such a process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stopped_prober_missed_is_slipped() {
    if let Ok(url) = std::env::var(CHILD) {
        return probe(url).await;
    }
    // Slow enough that some requests are under way at any moment.
    let (address, _) = server(|mut stream, _| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        always(&mut stream, answer("200 OK", "")).await;
    })
    .await;
    tokio::task::spawn_blocking(move || stop_and_go_on(&format!("http://{address}"))).await.unwrap();
}

async fn probe(url: String) {
    let mut spec = http(url);
    spec.timeout = Span::secs(1);
    let bins = crate::common::measure(spec, Duration::from_secs(7)).await.unwrap();
    for bin in bins {
        println!("\n{}", serde_json::to_string(&bin).unwrap());
    }
}

fn stop_and_go_on(url: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stopped::what_a_stopped_prober_missed_is_slipped", "--nocapture"])
        .env(CHILD, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    // It has begun once it has been good for a while; the server cannot tell, so time must.
    std::thread::sleep(Duration::from_millis(1500));
    let from = boot_us();
    kill_process(pid, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_millis(3200));
    let to = boot_us();
    kill_process(pid, Signal::CONT).unwrap();
    let bins: Vec<Bin> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().unwrap().success());

    assert!(bins.windows(2).all(|two| two[1].start_boot_us == two[0].start_boot_us + 1_000_000), "{bins:?}");
    assert_eq!(bins.iter().map(Bin::bad_total).sum::<u64>(), 0, "the server was never at fault: {bins:?}");
    let due: u64 = bins.iter().map(|bin| bin.due).sum();
    assert!(due.abs_diff(350) <= 1, "{due}");
    let inside: Vec<_> = bins
        .iter()
        .filter(|bin| bin.start_boot_us >= from && bin.start_boot_us + 1_000_000 <= to - 60_000)
        .collect();
    assert!(inside.len() >= 2, "{bins:?}");
    for bin in &inside {
        assert_eq!((bin.due, bin.slipped, bin.good), (bin.due, bin.due, 0), "{bin:?}");
        assert!(bin.due.abs_diff(50) <= 1 && bin.worst_slip_us > 100_000, "{bin:?}");
    }
    // Those under way when it was stopped could not be timed either, and it was well before and after.
    let good: u64 = bins.iter().map(|bin| bin.good).sum();
    assert!(good > 0 && good <= due - inside.iter().map(|bin| bin.due).sum::<u64>(), "{bins:?}");
    assert!(bins.last().is_some_and(|last| last.good + last.slipped == last.due));
}
