//! Reads processes from `/proc`.

use std::{fs, io, time::Duration};

/// One process of an agent.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) pid: i32,
    pub(crate) role: Role,
}

/// The role of one of the agent's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Guardian,
    Helper,
    Worker,
}

/// Returns the agent's three processes among the given ones; `None` while they are not complete.
pub(crate) fn agent(pids: &[i32]) -> Option<[Part; 3]> {
    // The pid, that of the parent, and the number of threads.
    let mut found: Vec<(i32, i32, usize)> = Vec::new();
    for pid in pids {
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        if line.split(|byte| *byte == 0).any(|word| word == b"serve")
            && let (Some(parent), Some(threads)) = (status(*pid, "PPid"), status(*pid, "Threads"))
        {
            found.push((*pid, i32::try_from(parent).ok()?, usize::try_from(threads).ok()?));
        }
    }
    let guardian = found.iter().find(|one| found.iter().filter(|other| other.1 == one.0).count() == 2)?.0;
    let of = |role, is: &dyn Fn(&(i32, i32, usize)) -> bool| {
        found.iter().find(|one| one.1 == guardian && is(one)).map(|one| Part { pid: one.0, role })
    };
    Some([
        Part { pid: guardian, role: Role::Guardian },
        of(Role::Helper, &|one| one.2 == 1)?,
        of(Role::Worker, &|one| one.2 > 1)?,
    ])
}

/// Returns a process and all its descendants.
pub(crate) fn family(first: i32) -> Vec<i32> {
    let mut all = vec![first];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
    }
    all
}

/// Returns a number in a process' status.
fn status(pid: i32, field: &str) -> Option<u64> {
    number(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, field)
}

/// Returns the number behind a field's name and a colon.
fn number(text: &str, field: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(field)?.strip_prefix(':')?;
        rest.split_whitespace().next()?.parse().ok()
    })
}

/// The memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident pages (RSS).
    pub(crate) resident: u64,
    /// Its share: pages of several processes are divided among these (PSS).
    pub(crate) share: u64,
    /// The part of its share that is heap and stacks, not pages of files.
    pub(crate) anonymous: u64,
    /// Pages that no other process has.
    pub(crate) own: u64,
}

impl std::ops::AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.resident += other.resident;
        self.share += other.share;
        self.anonymous += other.anonymous;
        self.own += other.own;
    }
}

/// Reads the memory of a process.
pub(crate) fn memory(pid: i32) -> io::Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let of = |field| number(&text, field).unwrap_or(0);
    Ok(Memory {
        resident: of("Rss"),
        share: of("Pss"),
        anonymous: of("Pss_Anon"),
        own: of("Private_Dirty") + of("Private_Clean"),
    })
}

/// Returns the CPU time that all threads of a process have used so far.
pub(crate) fn cpu(pid: i32) -> io::Result<Duration> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}
