//! A real journald and `journalctl`, in a mount namespace of the test: no service and no journal of the host has part in it.

use std::{
    io::Write as _,
    process::{Child, Stdio},
};

use firedrill_probe::clock::boot_id;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

use super::*;

const SERVERS: [&str; 2] = ["/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald"];
const SETTINGS: &str =
    "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=2s\nRateLimitBurst=10\n";
const UNIT: &str = "fd-journal-test.service";

/// The settings that its rate limit is known by.
fn limited(unit: &str) -> Result<Logging, String> {
    let (id, namespace) = (unit.to_owned(), String::new());
    Ok(Logging { id, known: true, namespace, rate_limit: (2_000_000, 10) })
}

/// journald, and a shell in a unit's control group that writes to it.
struct Real {
    journald: Child,
    shell: Child,
    group: PathBuf,
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in [&mut self.shell, &mut self.journald] {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Its last process may need a moment to leave.
        while fs::remove_dir(&self.group).is_err_and(|why| why.kind() == std::io::ErrorKind::ResourceBusy) {
            thread::yield_now();
        }
    }
}

impl Real {
    fn start(server: &str) -> Self {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        for place in ["/run", "/var/log"] {
            mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        }
        fs::create_dir_all("/run/systemd/journald.conf.d").unwrap();
        fs::write("/run/systemd/journald.conf.d/99-test.conf", SETTINGS).unwrap();
        // By the hierarchy that systemd follows: alone, beside those of version 1, or one of these.
        let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
        let unified = places.into_iter().find(|place| place.join("cgroup.controllers").exists());
        let group = unified.unwrap_or_else(|| "/sys/fs/cgroup/systemd".into()).join(UNIT);
        fs::create_dir_all(&group).unwrap();
        let journald = Command::new(server)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("journald", || PathBuf::from("/run/systemd/journal/stdout").exists());
        let script = format!("echo 0 >{}/cgroup.procs && exec systemd-cat sh", group.display());
        let shell = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().unwrap();
        Self { journald, shell, group }
    }

    /// Lets the unit run a line.
    fn tell(&mut self, line: &str) {
        writeln!(self.shell.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn follow() -> Result<Units, (String, String)> {
        let journal = Journal::played(
            "/usr/bin/journalctl".into(),
            "/run/systemd/journal/io.systemd.journal".into(),
            limited,
        );
        Units::start(vec![Host::spec(UNIT)], journal, &boot_id(), 1)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.journald.id()).unwrap()), signal).unwrap();
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let from = Instant::now();
    while !condition() {
        assert!(from.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads until a bin is as wanted, and returns all bins.
fn read(units: &mut Units, what: &str, wanted: impl Fn(&LogBin) -> bool) -> Vec<LogBin> {
    let mut all = Vec::new();
    until(what, || {
        let mut new = look(units);
        new.push(units.units[0].counter.seal());
        let found = new.iter().any(&wanted);
        all.extend(new);
        found
    });
    all
}

fn misses(bin: &LogBin, why: &str) -> bool {
    bin.missed.as_ref().is_some_and(|missed| missed.contains(why))
}

fn whole_way(server: &str) {
    let mut real = Real::start(server);
    real.tell("echo ERROR before");
    let mut units = None;
    until("the first follower", || {
        units = Real::follow().ok();
        units.is_some()
    });
    let before = || {
        Command::new("journalctl").args(["--output=cat", &format!("_SYSTEMD_UNIT={UNIT}")]).output().unwrap()
    };
    until("the message from before", || before().stdout.starts_with(b"ERROR before"));
    drop(units);
    let mut units = Real::follow().unwrap();

    real.tell("echo ERROR one password=hunter2");
    let all = read(&mut units, "the first line", |bin| bin.matched > 0);
    let one = all.last().unwrap();
    assert_eq!((one.matched, one.kept[0].text.as_str()), (1, "ERROR one password=***"), "{all:#?}");
    assert!(one.first_boot_us >= Some(units.began_us) && one.last_boot_us <= Some(boot_us()), "{one:#?}");

    let rotated = Command::new("journalctl").args(["--rotate", "--quiet"]).status().unwrap();
    assert!(rotated.success());
    real.tell("printf 'ERROR two\\nERROR \\377\\nfine\\n'");
    let mut all = read(&mut units, "lines after rotation", |bin| bin.lines > 0);
    while all.iter().map(|bin| bin.lines).sum::<u64>() < 3 {
        all.extend(read(&mut units, "the rest of them", |bin| bin.lines > 0));
    }
    assert_eq!(
        all.iter().map(|bin| bin.matched).sum::<u64>(),
        2,
        "nothing is lost, and nothing counted twice: {all:#?}"
    );
    // On a busy machine journald may not answer for a moment.
    let silent =
        |bin: &LogBin| bin.absent.as_deref().is_none_or(|why| why.ends_with("journald does not answer"));
    assert!(all.iter().all(|bin| bin.missed.is_none() && silent(bin)), "{all:#?}");

    // journald takes some times as many where there is room.
    real.tell("for one in $(seq 400); do echo fine; done");
    read(&mut units, "the doubt", |bin| misses(bin, "and then none came") || misses(bin, "journald dropped"));
    let mut said = false;
    until("journald's word", || {
        real.tell("echo fine");
        said |= look(&mut units).iter().any(|bin| misses(bin, "journald dropped"));
        said
    });

    real.signal(Signal::SIGSTOP);
    until("the stop to be noticed", || {
        look(&mut units);
        units.stalled_us.is_some()
    });
    let stalled_us = units.stalled_us;
    real.tell("echo ERROR late");
    real.signal(Signal::SIGCONT);
    let all = read(&mut units, "the late line", |bin| bin.matched > 0);
    let late = all.iter().find(|bin| bin.matched > 0).unwrap();
    assert!(late.first_boot_us <= stalled_us && late.absent.is_none(), "it may have waited: {late:#?}");
}

#[test]
fn a_real_journal_is_read_over_rotation_and_what_it_drops_is_unknown() {
    let server = SERVERS.into_iter().find(|server| PathBuf::from(server).exists());
    let (Some(server), true) = (server, geteuid().is_root()) else {
        eprintln!("skipped: a real journal, which needs root and systemd-journald");
        return;
    };
    // The namespace is this thread's alone.
    thread::spawn(|| whole_way(server)).join().unwrap();
}
