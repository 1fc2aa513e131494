//! From `arm` sent to in force, and from `undo` sent to put back: one host, its journal synced to a disk and to memory.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use firedrill::link::Agent;
use firedrill_probe::clock::boot_us;
use firedrill_wire::{Span, journal::State};

use crate::{
    Failure,
    drill::{Drill, block},
    place::{Alone, runtime},
    say::{Times, line, millis, note},
};

const ROUNDS: usize = 200;
/// How long each is left in force.
const HELD: Duration = Duration::from_millis(50);
/// Of a network for documentation: nobody is there.
const PEER: &str = "192.0.2.1";
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
    runtime()?.block_on(rounds(&alone.agent))?;
    by_hand()?;
    line("Gremlin, its own documents: start, and end", "8.45 s + 0.17 s, and 58 ms", "");
    Ok(())
}

async fn rounds(agent: &Agent) -> Result<(), Failure> {
    let mut drill = Drill::begin(agent.clone(), "bench-inject", Span::secs(10)).await?;
    let (mut arms, mut forces, mut gone, mut heard) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let ready = drill.prepare(block(PEER), Span::secs(30)).await?;
        let sent = boot_us();
        drill.arm(&ready, sent).await?;
        arms.push(boot_us() - sent);
        // A fault starts only after its coordinator was heard once more.
        drill.renew().await?;
        forces.push(drill.until(&ready, State::InForce).await?.saturating_sub(sent));
        // The look that follows every start is not what undo is measured by.
        tokio::time::sleep(HELD).await;
        let sent = boot_us();
        drill.undo(&ready).await?;
        heard.push(boot_us() - sent);
        gone.push(drill.until(&ready, State::Undone).await?.saturating_sub(sent));
    }
    let show = |all: &[u64]| Times::micros(all).show(&[50, 99]);
    line("arm sent → in force (arm, journal synced, renew, rules made)", &show(&forces), "p99 under 10 ms");
    line("  of that: arm sent → journaled and acknowledged", &show(&arms), "");
    line("undo sent → rules gone", &show(&gone), "p99 under 5 ms");
    line("  undo sent → acknowledged, journal synced", &show(&heard), "");
    Ok(())
}

/// The same rules by a program, in this process's network.
fn by_hand() -> Result<(), Failure> {
    let Some(nft) = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file())
    else {
        line("by hand: nft -f, without journal and lease", "not installed", "");
        return Ok(());
    };
    let (mut made, mut gone) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        made.push(feed(&nft, RULES)?);
        gone.push(feed(&nft, "delete table inet bench\n")?);
    }
    line("by hand: nft -f, without journal and lease", &Times::new(made).show(&[50, 99]), "");
    line("  and nft delete table", &Times::new(gone).show(&[50, 99]), "");
    Ok(())
}

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
