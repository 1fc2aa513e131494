//! Measures the cost of an agent that has nothing to do: memory, CPU, and the size of its program.

use std::{fs, time::Duration};

use firedrill_wire::{Span, journal::State};

use crate::{
    Failure,
    drill::{Drill, block},
    place::{Alone, agent_program, runtime},
    procs::{self, Memory, Part},
    say::{line, mib},
};

/// Time over which CPU time is summed.
const WATCH: Duration = Duration::from_secs(20);

pub(crate) fn run() -> Result<(), Failure> {
    let size = fs::metadata(agent_program()?)?.len();
    line("firedrill-agent, stripped", &mib(size / 1024), "under 8 MiB");
    let alone = Alone::start()?;
    let runtime = runtime()?;
    let drill = runtime.block_on(Drill::begin(alone.agent.clone(), "bench-idle", Span::secs(10)))?;
    let parts =
        procs::agent(&procs::family(alone.pid()?)).ok_or("the agent's three processes are not there")?;
    show("started, asked for its status", &parts)?;
    let before = cpu(&parts)?;
    // The wait runs on the runtime, so that the connection stays alive.
    runtime.block_on(async { tokio::time::sleep(WATCH).await });
    let used = cpu(&parts)?.saturating_sub(before);
    let share = 100.0 * used.as_secs_f64() / WATCH.as_secs_f64();
    line("CPU with one coordinator listening, share of a core", &format!("{share:.3} %"), "under 0.05 %");
    drop(drill);
    drop(runtime);
    let mut done = 0;
    for drills in [10, 100, 1000] {
        drilled(&alone, done..drills)?;
        done = drills;
        // By then idle threads have ended, and the agent has returned their memory.
        std::thread::sleep(Duration::from_secs(12));
        show(&format!("after {drills} drills"), &parts)?;
    }
    let before = cpu(&parts)?;
    std::thread::sleep(WATCH);
    let share = 100.0 * cpu(&parts)?.saturating_sub(before).as_secs_f64() / WATCH.as_secs_f64();
    line("CPU with nobody connected, share of a core", &format!("{share:.3} %"), "under 0.05 %");
    line("Gremlin, its own documents", "16 to 17 MiB, under 0.10 %", "");
    Ok(())
}

/// Runs drills, each as a run of its own.
fn drilled(alone: &Alone, numbers: std::ops::Range<u32>) -> Result<(), Failure> {
    runtime()?.block_on(async {
        for number in numbers {
            let run = format!("bench-idle-{number}");
            let mut drill = Drill::begin(alone.agent.clone(), &run, Span::secs(10)).await?;
            let ready = drill.prepare(block("192.0.2.1"), Span::secs(10)).await?;
            drill.arm(&ready, firedrill_probe::clock::boot_us()).await?;
            drill.renew().await?;
            drill.until(&ready, State::InForce).await?;
            drill.undo(&ready).await?;
            alone.agent.finish(&run.parse()?).await?;
        }
        Ok(())
    })
}

/// Prints the memory of each process, and of all together.
fn show(when: &str, parts: &[Part]) -> Result<(), Failure> {
    let mut all = Memory::default();
    for part in parts {
        let one = procs::memory(part.pid)?;
        all += one;
        let text = format!("{} resident, {}", mib(one.resident), told(&one));
        line(&format!("  {:?}, {when}", part.role), &text, "");
    }
    line(&format!("memory of all three together, {when}"), &told(&all), "under 8 MiB");
    Ok(())
}

/// Returns the memory in words.
fn told(memory: &Memory) -> String {
    format!(
        "{} its share ({} KiB: {} anonymous, {} of files), {} its own",
        mib(memory.share),
        memory.share,
        memory.anonymous,
        memory.share.saturating_sub(memory.anonymous),
        mib(memory.own),
    )
}

/// Returns the CPU time that these processes have used so far.
fn cpu(parts: &[Part]) -> Result<Duration, Failure> {
    let mut sum = Duration::ZERO;
    for part in parts {
        sum += procs::cpu(part.pid)?;
    }
    Ok(sum)
}
