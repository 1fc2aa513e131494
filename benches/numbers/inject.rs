//! Measures the time from sending `arm` to in force, and from sending `undo` to normal traffic and to removed rules.
//! There is one host, whose journal is on this machine's disk.

use std::{
    io::Write as _,
    net::UdpSocket,
    path::PathBuf,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use firedrill::link::Agent;
use firedrill_agent::testing::{Netns, address, join};
use firedrill_probe::clock::boot_us;
use firedrill_wire::{Span, journal::State};

use crate::{
    Failure,
    drill::{Drill, block},
    place::{Alone, runtime},
    say::{Times, line, millis, note},
};

/// Number of times that each is measured.
const ROUNDS: usize = 200;
/// Time for which each fault is left in force.
const HELD: Duration = Duration::from_millis(50);
/// An address of a network for documentation, so no host has it.
const PEER: &str = "192.0.2.1";
/// The agent's rules, as a person would write them.
const RULES: &str = "table inet bench {
  chain in { type filter hook input priority -150; policy accept; ip saddr 192.0.2.1 counter drop; }
  chain out { type filter hook output priority -150; policy accept; ip daddr 192.0.2.1 counter drop; }
}
";

pub(crate) fn run() -> Result<(), Failure> {
    let alone = Alone::start()?;
    note(&format!(
        "one agent on loopback, journal on {}; start as soon as possible, coordinator on the same machine",
        alone.disk
    ));
    let way = Way::make();
    let (normal, gone) = runtime()?.block_on(rounds(&alone.agent, &way))?;
    by_hand(&way, &normal, &gone)?;
    line("Gremlin, its own documents: start, and end", "8.45 s + 0.17 s, and 58 ms", "");
    Ok(())
}

/// A virtual link to the peer. It shows when packets leave again.
struct Way {
    _far: Netns,
}

impl Way {
    fn make() -> Self {
        let (here, far) = (Netns::current(), Netns::fresh());
        join(&here, "bench0", &far, "bench1");
        address(&here, "bench0", "192.0.2.2/24");
        address(&far, "bench1", "192.0.2.1/24");
        Self { _far: far }
    }

    /// Sends packets on a thread of its own until one leaves. The thread returns the time of that, by CLOCK_BOOTTIME in
    /// microseconds.
    fn until_normal(&self) -> Result<JoinHandle<u64>, Failure> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect((PEER, 9))?;
        if socket.send(b"x").is_ok() {
            return Err("the peer is not blocked".into());
        }
        Ok(thread::spawn(move || {
            while socket.send(b"x").is_err() {
                thread::sleep(Duration::from_micros(50));
            }
            boot_us()
        }))
    }
}

/// Returns two series of times from sending `undo`: until traffic was normal, and until the table was gone.
async fn rounds(agent: &Agent, way: &Way) -> Result<(Times, Times), Failure> {
    let mut drill = Drill::begin(agent.clone(), "bench-inject", Span::secs(10)).await?;
    let (mut arms, mut forces, mut gone, mut heard) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut normal = Vec::new();
    for _ in 0..ROUNDS {
        let ready = drill.prepare(block(PEER), Span::secs(30)).await?;
        let sent = boot_us();
        drill.arm(&ready, sent).await?;
        arms.push(boot_us() - sent);
        // A fault starts only after its coordinator has renewed the lease once more.
        drill.renew().await?;
        forces.push(drill.until(&ready, State::InForce).await?.saturating_sub(sent));
        // Every start is followed by a look. The wait keeps it out of the undo's time.
        tokio::time::sleep(HELD).await;
        let passes = way.until_normal()?;
        let sent = boot_us();
        drill.undo(&ready).await?;
        heard.push(boot_us() - sent);
        gone.push(drill.until(&ready, State::Undone).await?.saturating_sub(sent));
        normal.push(passes.join().map_err(|_| "the sender failed")?.saturating_sub(sent));
    }
    let show = |all: &[u64]| Times::micros(all).show(&[50, 99]);
    line("arm sent → in force (arm, journal synced, renew, rules made)", &show(&forces), "p99 under 10 ms");
    line("  of that: arm sent → journaled and acknowledged", &show(&arms), "");
    line("undo sent → traffic is normal", &show(&normal), "p99 under 5 ms");
    line("undo sent → rules gone", &show(&gone), "p99 under 5 ms, or as by hand");
    line("  undo sent → acknowledged, journal synced", &show(&heard), "");
    Ok((Times::micros(&normal), Times::micros(&gone)))
}

/// Measures the same rules by the `nft` program, in this process's network namespace, and prints the agent's times in
/// comparison.
fn by_hand(way: &Way, normal: &Times, gone: &Times) -> Result<(), Failure> {
    let Some(nft) = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file())
    else {
        line("by hand: nft -f, without journal and lease", "not installed", "");
        return Ok(());
    };
    let (mut made, mut passed, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        made.push(feed(&nft, RULES)?);
        let passes = way.until_normal()?;
        let began = boot_us();
        deleted.push(feed(&nft, "delete table inet bench\n")?);
        passed.push(passes.join().map_err(|_| "the sender failed")?.saturating_sub(began));
    }
    let (passed, deleted) = (Times::micros(&passed), Times::new(deleted));
    line("by hand: nft -f, without journal and lease", &Times::new(made).show(&[50, 99]), "");
    line("  nft delete table → traffic is normal", &passed.show(&[50, 99]), "");
    line("  nft delete table → it has ended", &deleted.show(&[50, 99]), "");
    line("undo beside that, p50: traffic is normal", &normal.ratio(&passed), "");
    line("undo beside that, p50: rules gone", &gone.ratio(&deleted), "");
    Ok(())
}

/// Runs `nft` with a text. Returns the time that it took.
fn feed(nft: &PathBuf, text: &str) -> Result<Duration, Failure> {
    let began = Instant::now();
    let mut child = Command::new(nft).args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no input")?.write_all(text.as_bytes())?;
    let status = child.wait()?;
    let took = began.elapsed();
    if status.success() {
        Ok(took)
    } else {
        Err(format!("nft ended with {status} after {}", millis(took)).into())
    }
}
