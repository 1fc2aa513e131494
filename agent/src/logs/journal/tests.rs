//! Tests of reading the journal, with a script in the place of `journalctl`.

mod real;

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::PathBuf,
    process::Command,
    thread,
    time::Instant,
};

use tempfile::TempDir;

use super::*;
use crate::{logs::bounds::Reader, service::Logging};

const BOOT: &str = "6c793b37-93a2-474c-acff-487b45db942e";
/// The same id as journald writes it.
const HEX: &str = "6c793b3793a2474cacff487b45db942e";

/// A host whose `journalctl` is a script. It runs the file `first` for the check before reading, and the file `do` for all other calls,
/// whose arguments it writes to the file `calls`.
struct Host(TempDir);

/// Returns the logging settings of a unit of this host.
fn about(unit: &str) -> Result<Logging, String> {
    let id = if unit == "alias.service" { "app.service" } else { unit };
    let namespace = if unit == "apart.service" { "own" } else { "" };
    let known = unit != "none.service";
    Ok(Logging { id: id.to_owned(), known, namespace: namespace.to_owned(), rate_limit: (30_000_000, 4) })
}

impl Host {
    fn new() -> Self {
        let new = Self(tempfile::tempdir().unwrap());
        let dir = new.0.path().display();
        let text = format!(
            "#!/bin/sh\ndir={dir}\ncase \"$*\" in *--lines=1*) . $dir/first;; *) echo \"$@\" >>$dir/calls; . $dir/do;; esac\n"
        );
        // Another process writes the program. If this process had it open for writing, a child that another test starts at that moment
        // would inherit the open file, and the program could not be run until that child has ended.
        let draft = new.0.path().join("draft");
        fs::write(&draft, text).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Command::new("/bin/cp").arg(&draft).arg(new.program()).status().unwrap().success());
        new.says("first", &new.entry(0, "Journal started", ""));
        new.says("do", "");
        new
    }

    fn program(&self) -> PathBuf {
        self.0.path().join("journalctl")
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("journald")
    }

    fn journal(&self) -> Journal {
        Journal::played(self.program(), self.socket(), about)
    }

    /// An entry of `app.service`, written now.
    fn entry(&self, number: u64, message: &str, more: &str) -> String {
        let monotonic = boot_us() - asleep_us();
        let fields = if more.is_empty() { r#","_SYSTEMD_UNIT":"app.service","PRIORITY":"6""# } else { more };
        format!(
            r#"{{"__CURSOR":"s=a;i={number:x};x=1","__MONOTONIC_TIMESTAMP":"{monotonic}","__REALTIME_TIMESTAMP":"{}","_BOOT_ID":"{HEX}","MESSAGE":"{message}"{fields}}}"#,
            wall_us()
        )
    }

    /// Makes the script write these lines from now on, in calls of the file `first` or `do`.
    fn says(&self, file: &str, lines: &str) {
        self.does(file, &format!("/bin/cat <<'END'\n{lines}\nEND\n"));
    }

    /// Makes the script run these commands from now on, in calls of the file `first` or `do`.
    fn does(&self, file: &str, commands: &str) {
        let next = self.0.path().join("next");
        fs::write(&next, commands).unwrap();
        fs::rename(&next, self.0.path().join(file)).unwrap();
    }

    /// Returns the arguments of each call after the check.
    fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.0.path().join("calls"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn spec(unit: &str) -> (LogSpec, String) {
        let (name, file) = (unit.split('.').next().unwrap().to_owned(), format!("unit:{unit}"));
        (LogSpec { name, file, matches: "ERROR".to_owned(), lines: 3 }, unit.to_owned())
    }

    fn follow(&self) -> Units {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.try_follow(&["app.service"]) {
                Ok(units) => return units,
                Err((_, why)) => assert!(took_too_long(&why) && Instant::now() < end, "{why}"),
            }
        }
    }

    fn try_follow(&self, units: &[&str]) -> Result<Units, (String, String)> {
        Units::start(units.iter().map(|unit| Self::spec(unit)).collect(), self.journal(), BOOT, 1)
    }
}

/// Time for which calls that take too long are made again.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether a call was ended because it took too long, which happens on a busy machine.
fn took_too_long(why: &str) -> bool {
    why.contains("has not answered for")
}

/// Looks until another call has ended, or until there is a bin or a problem.
fn look(units: &mut Units) -> Vec<LogBin> {
    let reader = Reader::new(&"r".parse().unwrap(), 1);
    let bounds = Bounds { reader: &reader, until: Instant::now() + Duration::from_secs(600) };
    units.next_us = 0;
    let (good_us, end) = (units.good_us, Instant::now() + PATIENCE);
    loop {
        let bins = units.look(&bounds);
        if units.trouble.why.as_deref().is_some_and(took_too_long) {
            assert!(Instant::now() < end, "{:?}", units.trouble.why);
            units.next_us = 0;
            continue;
        }
        if units.good_us != good_us
            || !bins.is_empty()
            || (units.call.is_none() && units.trouble.why.is_some())
        {
            return bins;
        }
    }
}

/// Looks; returns the bin so far of the first unit, and the separate bins for ranges of times.
fn bin(units: &mut Units) -> (LogBin, Vec<LogBin>) {
    let mut bins = look(units);
    let at = bins
        .iter()
        .position(|bin| bin.start_boot_us == units.units[0].counter.read_until_us || bin.lines > 0);
    let whole = at.map(|at| bins.remove(at)).unwrap_or_else(|| units.units[0].counter.seal());
    (whole, bins)
}

#[test]
fn entries_are_counted_once_at_the_time_at_which_they_were_written() {
    let host = Host::new();
    host.says("do", &host.entry(1, "ERROR before", ""));
    let mut units = host.follow();
    let began_us = boot_us();
    let (first, second) =
        (host.entry(2, "ERROR password=hunter2", ""), host.entry(3, "fine\\nERROR in a second line", ""));
    let later_us = boot_us();
    host.says(
        "do",
        &[&first[..], &second, &host.entry(4, "ERROR of another", r#","_SYSTEMD_UNIT":"db.service""#)]
            .join("\n"),
    );
    let (bin, beside) = bin(&mut units);
    assert_eq!((bin.lines, bin.matched, &bin.missed, beside.len()), (3, 2, &None, 0), "{bin:?}");
    assert!(
        bin.first_boot_us.unwrap() + 1000 >= began_us && bin.last_boot_us.unwrap() <= later_us + 1000,
        "{bin:?}"
    );
    let texts: Vec<&str> = bin.kept.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["ERROR password=***", "ERROR in a second line"]);
    assert_eq!(
        look(&mut units).iter().map(|bin| bin.matched).sum::<u64>(),
        0,
        "entries that are shown again are not counted"
    );
    let calls = host.calls();
    assert!(calls[0].contains("--since=@") && calls[1].contains("--after-cursor=s=a;i=4;x=1"), "{calls:#?}");
    assert!(calls[0].contains(&format!("_BOOT_ID={HEX} _SYSTEMD_UNIT=app.service + ")), "{calls:#?}");
    assert_eq!(units.end().len(), 1);
}

#[test]
fn a_call_that_fails_is_reported_and_made_again() {
    let host = Host::new();
    let mut units = host.follow();
    let good_us = units.good_us;
    host.does(
        "do",
        &format!("/bin/cat <<'END'\n{}\nEND\necho 'No space' >&2; exit 3", host.entry(1, "ERROR one", "")),
    );
    assert!(look(&mut units).is_empty() && units.good_us == good_us, "nothing is known so far");
    let reported = loop {
        if let Some(reported) = units.tell_trouble(EVERY_US).pop() {
            break reported;
        }
        thread::yield_now();
    };
    let why = reported.absent.unwrap();
    assert!(why.contains("exit status: 3: No space") && reported.start_boot_us == good_us, "{why}");
    host.says("do", &host.entry(2, "ERROR two", ""));
    let (bin, _) = bin(&mut units);
    assert_eq!(
        (bin.matched, bin.absent, bin.start_boot_us <= good_us),
        (2, None, true),
        "the later call has read everything"
    );
    host.does("do", "exit 1");
    look(&mut units);
    assert!(units.end().iter().any(|bin| bin.absent.is_some()), "a problem is reported at the end, too");
}

#[test]
fn garbage_and_entries_that_are_too_long_are_missed() {
    let host = Host::new();
    let mut units = host.follow();
    host.says("do", "-- Reboot --\n{\"MESSAGE\":");
    let (found, _) = bin(&mut units);
    assert!(found.missed.as_ref().is_some_and(|why| why.contains("no entry of this boot")), "{found:?}");
    host.does("do", "/usr/bin/head -c 1200000 /dev/zero | /usr/bin/tr '\\0' x");
    let (found, _) = bin(&mut units);
    assert!(found.missed.as_ref().is_some_and(|why| why.contains("more than a mebibyte")), "{found:?}");
    host.says(
        "do",
        &host
            .entry(1, "", r#","_SYSTEMD_UNIT":"app.service""#)
            .replace("\"MESSAGE\":\"\"", "\"MESSAGE\":null"),
    );
    let (found, _) = bin(&mut units);
    assert!(found.missed.as_ref().is_some_and(|why| why.contains("too large")), "{found:?}");
}

#[test]
fn a_flood_is_cut_off_and_the_rest_is_read() {
    let host = Host::new();
    let mut units = host.follow();
    host.does("do", &format!("exec /usr/bin/yes '{}'", host.entry(1, "ERROR", "")));
    let (found, _) = bin(&mut units);
    assert!(
        found.missed.as_ref().is_some_and(|why| why.contains("more was written to the journal")),
        "{found:?}"
    );
    assert!(found.matched == 1 && units.call.is_none(), "{found:?}");
    host.says("do", &host.entry(9, "ERROR later", ""));
    let (bin, _) = bin(&mut units);
    assert_eq!((bin.matched, bin.missed), (1, None));
    assert!(host.calls()[1].contains("--since=@"), "the next call begins at a time");
}

#[test]
fn a_call_that_hangs_delays_no_look_and_is_ended() {
    let host = Host::new();
    let mut units = host.follow();
    let pid = host.0.path().join("pid");
    host.does("do", &format!("echo $$ >{}.new; /bin/mv {0}.new {0}; exec /bin/sleep 600", pid.display()));
    let reader = Reader::new(&"r".parse().unwrap(), 1);
    let bounds = Bounds { reader: &reader, until: Instant::now() + Duration::from_secs(600) };
    while !pid.exists() {
        assert!(units.look(&bounds).is_empty());
    }
    let process = PathBuf::from(format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim()));
    assert!(process.exists());
    reader.stop();
    let from = Instant::now();
    assert!(
        units.look(&bounds).iter().all(|bin| bin.matched == 0) && from.elapsed() < Duration::from_secs(60)
    );
    units.end();
    assert!(!process.exists(), "the program has ended");
}

#[test]
fn counts_are_unknown_from_the_last_message_before_journald_dropped_some() {
    let host = Host::new();
    let mut units = host.follow();
    let fine = host.entry(1, "fine", "");
    let at_us = boot_us();
    let suppressed =
        r#","_TRANSPORT":"driver","N_DROPPED":"77","MESSAGE_ID":"a596d6fe7bfa4994828e72309e95d61e""#;
    let dropped = host.entry(2, "Suppressed 77 messages from app.service", suppressed);
    let other = host.entry(3, "Suppressed 5 messages from db.service", suppressed);
    host.says("do", &[fine, dropped, other].join("\n"));
    let (bin, beside) = bin(&mut units);
    assert_eq!((bin.lines, beside.len()), (1, 1), "{bin:?} {beside:?}");
    let why = beside[0].missed.as_ref().unwrap();
    assert!(why.contains("dropped 77 messages") && beside[0].start_boot_us <= at_us, "{why}");
}

#[test]
fn silence_after_a_burst_is_unknown() {
    let host = Host::new();
    let mut units = host.follow();
    let burst: Vec<String> = (1..=4).map(|number| host.entry(number, "fine", "")).collect();
    let last_us = boot_us();
    host.says("do", &burst.join("\n"));
    look(&mut units);
    let doubt = loop {
        let found = look(&mut units).into_iter().find(|bin| bin.missed.is_some());
        if let Some(found) = found {
            break found;
        }
    };
    assert!(doubt.start_boot_us <= last_us && doubt.length_us >= 1_000_000, "{doubt:?}");
    assert!(doubt.missed.unwrap().contains("rate limit of 4 messages, and then none came"));
}

#[test]
fn messages_that_journald_takes_after_a_time_without_answers_may_be_older() {
    let host = Host::new();
    let listener = UnixListener::bind(host.socket()).unwrap();
    let serve = |count: usize| {
        let listener = listener.try_clone().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten().take(count) {
                let mut stream = stream;
                let _ = std::io::Write::write_all(&mut stream, b"{}\0");
            }
        })
    };
    let served = serve(1);
    let mut units = host.follow();
    served.join().unwrap();
    let good_us = units.good_us;
    // No thread answers.
    assert!(look(&mut units).is_empty() && host.calls().is_empty() && units.stalled_us == Some(good_us));
    // Two answers: the first question still waits in the queue.
    let served = serve(2);
    host.says("do", &host.entry(1, "ERROR", ""));
    let (bin, _) = bin(&mut units);
    served.join().unwrap();
    assert_eq!(
        (bin.matched, bin.first_boot_us),
        (1, Some(good_us)),
        "it may have been written at any time since"
    );
}

#[test]
fn units_that_cannot_be_read_are_refused_with_a_remedy() {
    let host = Host::new();
    let refused = |unit: &str| host.try_follow(&[unit]).err().map_or_else(String::new, |(_, why)| why);
    for (unit, why) in [
        ("none.service", "systemd has no unit none.service"),
        ("alias.service", "another name of app.service"),
        ("apart.service", "LogNamespace=own"),
    ] {
        assert!(refused(unit).contains(why), "{}", refused(unit));
    }
    host.does("first", "echo 'No journal files were found.' >&2");
    let why = refused("app.service");
    assert!(
        why.contains("no entry of this boot (No journal files were found.)") && why.contains("Storage="),
        "{why}"
    );
    host.does("first", "printf 'No \\033[31mentries password=hunter2\\nand more\\n' >&2");
    let why = refused("app.service");
    assert!(why.contains("no entry of this boot (No entries password=***);"), "{why}");
    host.does("first", "echo 'Permission denied' >&2; exit 1");
    assert!(refused("app.service").contains("exit status: 1: Permission denied"));
    host.does("first", "exec /bin/sleep 600");
    assert!(refused("app.service").contains("has not answered for 2 s"));
    fs::remove_file(host.program()).unwrap();
    assert!(refused("app.service").contains("this host has no journal"));
}
