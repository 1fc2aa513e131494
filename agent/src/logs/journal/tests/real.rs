//! Reads the journal of a real journald by the real `journalctl`, in a mount namespace of the test. Never touches a service or the journal of
//! the host.

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

/// Possible paths of journald.
const SERVERS: [&str; 2] = ["/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald"];
const SETTINGS: &str =
    "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=2s\nRateLimitBurst=10\n";
const UNIT: &str = "fd-journal-test.service";

/// Returns the logging settings of a unit, with the rate limit of [`SETTINGS`].
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
        // The control group is busy until its last process has ended.
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
        // The hierarchy of control groups that systemd uses: version 2 alone, version 2 beside version 1, or `systemd` of version 1.
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

    /// Makes the unit's shell run a command.
    fn tell(&mut self, line: &str) {
        writeln!(self.shell.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Makes the unit's shell run a command, and waits until that is done.
    fn tell_and_wait(&mut self, line: &str) {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done");
        self.tell(&format!("{line}; : >{}", done.display()));
        until("the shell", || done.exists());
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

/// Waits until a condition is true.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let from = Instant::now();
    while !condition() {
        assert!(from.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads until a bin is as wanted, and returns all bins.
fn read(units: &mut Units, what: &str, wanted: impl Fn(&LogBin) -> bool) -> Vec<LogBin> {
    let mut bins = Vec::new();
    until(what, || {
        let mut new = look(units);
        new.push(units.units[0].counter.seal());
        let found = new.iter().any(&wanted);
        bins.extend(new);
        found
    });
    bins
}

/// Whether a bin says for this reason that lines may be missing.
fn misses(bin: &LogBin, why: &str) -> bool {
    bin.missed.as_ref().is_some_and(|missed| missed.contains(why))
}

/// Reads messages before and after a rotation, messages that journald drops, and messages that wait while journald is stopped.
fn read_through_all(server: &str) {
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
    let bins = read(&mut units, "the first line", |bin| bin.matched > 0);
    let first = bins.last().unwrap();
    assert_eq!((first.matched, first.kept[0].text.as_str()), (1, "ERROR one password=***"), "{bins:#?}");
    assert!(
        first.first_boot_us >= Some(units.began_us) && first.last_boot_us <= Some(boot_us()),
        "{first:#?}"
    );

    let rotated = Command::new("journalctl").args(["--rotate", "--quiet"]).status().unwrap();
    assert!(rotated.success());
    real.tell("printf 'ERROR two\\nERROR \\377\\nfine\\n'");
    let mut bins = read(&mut units, "lines after rotation", |bin| bin.lines > 0);
    while bins.iter().map(|bin| bin.lines).sum::<u64>() < 3 {
        bins.extend(read(&mut units, "the other lines", |bin| bin.lines > 0));
    }
    assert_eq!(
        bins.iter().map(|bin| bin.matched).sum::<u64>(),
        2,
        "no line is lost or counted twice: {bins:#?}"
    );
    // On a busy machine journald may not answer for a moment.
    let is_read_or_silent =
        |bin: &LogBin| bin.absent.as_deref().is_none_or(|why| why.ends_with("journald does not answer"));
    assert!(bins.iter().all(|bin| bin.missed.is_none() && is_read_or_silent(bin)), "{bins:#?}");

    // Many times the limit, because journald takes up to six times as many messages if the disk has room.
    real.tell("for number in $(seq 400); do echo fine; done");
    read(&mut units, "the doubt", |bin| misses(bin, "and then none came") || misses(bin, "journald dropped"));
    let mut reported = false;
    until("journald's report", || {
        real.tell("echo fine");
        reported |= look(&mut units).iter().any(|bin| misses(bin, "journald dropped"));
        reported
    });

    real.signal(Signal::SIGSTOP);
    until("the stop to be noticed", || {
        look(&mut units);
        units.stalled_us.is_some()
    });
    let stalled_us = units.stalled_us;
    real.tell_and_wait("echo ERROR late");
    real.signal(Signal::SIGCONT);
    let bins = read(&mut units, "the late line", |bin| bin.matched > 0);
    let late = bins.iter().find(|bin| bin.matched > 0).unwrap();
    assert!(late.first_boot_us <= stalled_us && late.absent.is_none(), "it may have waited: {late:#?}");
}

#[test]
fn a_real_journal_is_read_after_rotation_and_its_dropped_messages_are_reported() {
    let server = SERVERS.into_iter().find(|server| PathBuf::from(server).exists());
    let (Some(server), true) = (server, geteuid().is_root()) else {
        eprintln!("skipped: a real journal, which needs root and systemd-journald");
        return;
    };
    // In a separate thread, because the mount namespace is that of the thread.
    thread::spawn(|| read_through_all(server)).join().unwrap();
}
