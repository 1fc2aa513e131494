//! `process-pause`: sends SIGSTOP to the processes that match. Its undo sends SIGCONT to the processes that this fault
//! stopped, and to no others.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    evidence::{Evidence, Seen},
    fault::ProcessPause,
};
use rustix::process::Signal;

use super::matching;
use crate::{
    host::{
        Host,
        process::{Handle, Name, Stat, alive, all, family},
    },
    injection::{Ask, Basis, Inject, InjectError, Injected, Live, Prepared, once, once::Made, refuse},
    undo::Undo,
};

/// Maximum wait for a process to stop. A stop takes effect when each thread next leaves the kernel, which can take long
/// for a thread that waits for a disk.
const PATIENCE: Duration = Duration::from_secs(3);

impl Inject for ProcessPause {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let (stopped, found): (Vec<Stat>, Vec<Stat>) =
            matching::find(host, &self.which)?.into_iter().partition(Stat::is_stopped);
        if found.is_empty() {
            return Err(refuse(
                RefusalCode::AlreadyStopped,
                format!("all {} processes that match are stopped already", stopped.len()),
                "continue them first, or match others",
            ));
        }
        let mut notes = vec![
            "children that they fork before the pause begins, and others that match later, run on".into(),
        ];
        if !stopped.is_empty() {
            notes.push(format!("stopped already, and left so: {}", matching::list(&stopped)));
        }
        let names: Vec<Name> = found.iter().map(|stat| stat.name).collect();
        Ok(Prepared {
            claims: matching::claims(&found),
            effects: vec![format!("stop (SIGSTOP) {}", matching::list(&found))],
            undo: names.iter().copied().map(resume).collect(),
            switches: vec!["guardian".into()],
            notes,
            basis: Basis::Processes(names),
        })
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        once::make(host, live, || stop(live.prepared.basis.processes()?))
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let made = once::before(host, live).map(|made| made.processes);
        let paused: Vec<(Name, Option<u64>)> = match made {
            Some(stopped) => stopped.into_iter().map(|(name, ticks)| (name, Some(ticks))).collect(),
            None => match live.prepared.basis.processes() {
                Ok(names) => names.iter().map(|name| (*name, None)).collect(),
                Err(error) => return error.unseen(),
            },
        };
        look(&paused).unwrap_or_else(|error| Evidence {
            in_force: Seen::Unknown,
            exercised: Seen::Unknown,
            count: None,
            detail: format!("cannot look at the stopped processes: {error}"),
        })
    }
}

/// Returns the undo for one process.
const fn resume(name: Name) -> Undo {
    Undo::ContinueProcess { pid: name.pid, start_ticks: name.start_ticks }
}

/// Stops the processes, and waits until the kernel shows each of them as stopped.
///
/// # Errors
/// A process could not be stopped or did not stop in time, or none of them runs any more.
fn stop(names: &[Name]) -> Result<Made, InjectError> {
    let failed = |name: Name, error: io::Error| InjectError(format!("cannot stop process {name}: {error}"));
    let mut signalled = Vec::new();
    let mut left_alone = 0_usize;
    for name in names {
        // A process that somebody else has stopped since `prepare` is left alone: this fault neither stops nor continues it.
        let runs = alive(*name).map_err(|error| failed(*name, error))?.is_some_and(|stat| !stat.is_stopped());
        let handle = if runs { Handle::open(*name).map_err(|error| failed(*name, error))? } else { None };
        match handle {
            Some(handle) if handle.signal(Signal::STOP).map_err(|error| failed(*name, error))? => {
                signalled.push(*name);
            }
            _ => left_alone += 1,
        }
    }
    if signalled.is_empty() {
        return Err(InjectError(format!(
            "none of the {} processes that were prepared could be stopped: they are gone, or stopped by somebody else",
            names.len()
        )));
    }
    let end = Instant::now() + PATIENCE;
    let mut processes = Vec::new();
    for name in signalled {
        while let Some(stat) = alive(name).map_err(|error| failed(name, error))? {
            if stat.is_stopped() {
                processes.push((name, stat.cpu_ticks));
                break;
            }
            if Instant::now() >= end {
                let why = format!("it is still in state {} after {PATIENCE:?}", stat.state);
                return Err(failed(name, io::Error::other(why)));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
    let running = running_descendants(&processes)
        .map_err(|error| InjectError(format!("cannot look for children: {error}")))?;
    let mut detail = format!("{} processes are stopped", processes.len());
    if left_alone > 0 {
        detail = format!("{detail}; {left_alone} were gone, or stopped by somebody else");
    }
    if running > 0 {
        detail = format!("{detail}; {running} of their children run on");
    }
    let undo = processes.iter().map(|(name, _)| resume(*name)).collect();
    Ok(Made { injected: Injected { detail, undo: Some(undo) }, processes, ..Made::default() })
}

/// Returns the number of descendants of the stopped processes that still run.
fn running_descendants(stopped: &[(Name, u64)]) -> io::Result<usize> {
    let processes = all()?;
    // A set, because a process can descend from several stopped ones.
    let running: std::collections::BTreeSet<Name> = stopped
        .iter()
        .flat_map(|(name, _)| family(name.pid, &processes))
        .filter(|stat| !stat.is_stopped())
        .map(|stat| stat.name)
        .collect();
    Ok(running.len())
}

/// Looks whether the paused processes are stopped and have used no CPU time since. Each comes with the CPU time, in clock
/// ticks, that it had used when it was stopped; `None` if that is not known.
fn look(paused: &[(Name, Option<u64>)]) -> io::Result<Evidence> {
    let (mut stopped, mut worked, mut all_measured) = (0, 0, true);
    let mut wrong = Vec::new();
    for (name, ticks_before) in paused {
        match alive(*name)? {
            Some(stat) if stat.is_stopped() => {
                stopped += 1;
                all_measured &= ticks_before.is_some();
                worked += usize::from(ticks_before.is_some_and(|ticks| stat.cpu_ticks != ticks));
            }
            Some(stat) => wrong.push(format!("{} ({}) is in state {}", name.pid, stat.comm, stat.state)),
            None => wrong.push(format!("{} is gone", name.pid)),
        }
    }
    let in_force = if stopped > 0 && wrong.is_empty() { Seen::Yes } else { Seen::No };
    let exercised = match in_force {
        Seen::Yes if worked > 0 => Seen::No,
        Seen::Yes if !all_measured => Seen::Unknown,
        other => other,
    };
    let mut detail = format!("{stopped} of {} processes are stopped", paused.len());
    if worked > 0 {
        detail = format!("{detail}; {worked} have used the processor since");
    }
    if !wrong.is_empty() {
        detail = format!("{detail}; {}", wrong.join(", "));
    }
    Ok(Evidence { in_force, exercised, count: None, detail })
}
