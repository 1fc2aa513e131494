//! Drills that end early: by a signal, an undo, a revocation, a closed terminal, a full disk.

use std::{
    fs,
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    bench::{
        Bench, FLEET, assert_ends, end, labs, limit_files, on_a_terminal, plain_scenario, scenario, wait,
    },
    output::said,
    runs::run_folders,
};

#[test]
fn a_revoked_operators_run_is_ended_at_once() {
    if !labs() {
        return;
    }
    let bench = Bench::up("revoked");
    let authority = bench.pki();
    // Runs a verb of `firedrill pki`, and opens the revocation list that it has made.
    let pki = |words: &[&str]| {
        let dir = ["pki", "--dir", authority.to_str().unwrap()];
        assert_ends(&bench.firedrill(&[&dir[..], words].concat()).output().unwrap(), 0, "");
        fs::File::open(authority.join("crl.pem")).unwrap()
    };
    let put = |host: &str, list: fs::File| {
        let put = "cat > /etc/firedrill/new && mv /etc/firedrill/new /etc/firedrill/crl.pem";
        let words = ["lab", "exec", "--name", &bench.lab, host, "--", "sh", "-c", put];
        assert_ends(&bench.firedrill(&words).stdin(list).output().unwrap(), 0, "");
    };
    // An expired revocation list is reported, and prevents harm.
    put("app2", pki(&["crl", "--days", "0"]));
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let doctor = bench.on(&["doctor", "--host", "app2"]).output().unwrap();
        if said(&doctor).contains("EXPIRED") {
            assert_ends(&doctor, 3, "every fault is refused");
            break;
        }
        assert!(Instant::now() < end, "{}", said(&doctor));
        std::thread::sleep(Duration::from_millis(100));
    }

    let (mut child, _) = bench.until_in_force(&scenario(1, "60s", "lease = \"60s\"\n", ""));
    let since = Instant::now();
    put("app1", pki(&["revoke", "person", "lab-operator"]));
    // The run could not prove that everything is as before, because no agent answers it any more.
    assert_eq!(wait(&mut child).code(), Some(6), "{}", bench.stderr());
    let took = since.elapsed();
    assert!(
        took < Duration::from_secs(30),
        "the end took {took:?}, as long as the hold or the lease would have taken: {}",
        bench.stderr()
    );
    for told in
        ["fault 1-1 put back", "of lab-operator is not trusted any more: it was revoked", "app1 is unproven"]
    {
        assert!(bench.stderr().contains(told), "no `{told}` in {}", bench.stderr());
    }
    let refused = bench.on(&["undo", "--all", "--host", "app1"]).output().unwrap();
    assert!(said(&refused).contains("certificate was revoked"), "{}", said(&refused));
}

#[test]
fn signals_heal_and_a_dead_coordinator_is_collected() {
    if !labs() {
        return;
    }
    let bench = Bench::up("signals");
    let text = plain_scenario(2, "40s");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (mut child, folder) = bench.until_in_force(&text);
        end(&mut child, signal);
        assert_eq!(wait(&mut child).code(), Some(5), "{}", bench.stderr());
        assert!(bench.stderr().contains("app1 is clean"), "{}", bench.stderr());
        bench.assert_quiet();
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    }

    let (mut child, folder) = bench.until_in_force(&text);
    let busy = bench.on(&["collect", folder.to_str().unwrap()]).output().unwrap();
    assert_ends(&busy, 2, "is being written by another firedrill");
    assert_ends(&bench.on(&["status"]).output().unwrap(), 1, "service-stop");
    // An undo of an unknown id is an error, and leaves the fault in force alone.
    for typo in [["--run", "no-such-run"], ["--injection", "no-such-run-1-1"]] {
        let undone = bench.on(&[&["undo"][..], &typo].concat()).output().unwrap();
        assert_ends(&undone, 3, "no host knows");
        assert!(said(&undone).contains("app1: service-stop of \"verbs\""), "{}", said(&undone));
        let json = bench.on(&[&["undo", "--json"][..], &typo].concat()).output().unwrap();
        let rows: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let app1 = rows.as_array().unwrap().iter().find(|row| row["host"] == "app1").unwrap();
        assert_eq!((json.status.code(), &app1["known"]), (Some(3), &false.into()), "{app1}");
        assert_eq!(app1["open"][0]["kind"], "service-stop", "{app1}");
    }
    // Another run cannot attack the service that this run holds.
    fs::create_dir(bench.folder.path().join("other")).unwrap();
    let second = bench.on(&["run", "scenario.toml", "--out", "other"]).output().unwrap();
    assert!(matches!(second.status.code(), Some(3 | 4)), "{}", said(&second));
    end(&mut child, Signal::KILL);
    assert_eq!(wait(&mut child).signal(), Some(9));
    let folder = folder.to_str().unwrap();
    assert_ends(&bench.firedrill(&["watch", folder]).output().unwrap(), 3, "its coordinator has died");
    let collected = bench.on(&["collect", folder]).output().unwrap();
    assert_ends(&collected, 3, "app1 ended clean");
    assert!(Path::new(folder).join("report.html").is_file());
    bench.assert_quiet();
}

/// The undo does not reach all hosts of the run. The coordinator must learn of the undo all the same, and renew no lease any more.
#[test]
fn an_undo_ends_a_run_whose_targets_it_does_not_reach() {
    if !labs() {
        return;
    }
    let bench = Bench::up("apart");
    let text = plain_scenario(1, "60s").replace("[\"coordinator\"]", "[\"coordinator\", \"edge1\"]");
    let runs = |bench: &Bench| run_folders(&bench.reports()).len();

    // The coordinator learns of the undo from the events of a host that only measures. Its bell on this machine is removed,
    // so that it cannot learn of the undo there.
    let (mut child, folder) = bench.until_in_force(&text);
    let run = folder.file_name().unwrap().to_str().unwrap();
    for folder in
        ["/run/firedrill-runs".to_owned(), format!("/tmp/firedrill-runs-{}", nix::unistd::geteuid())]
    {
        let _ = fs::remove_file(Path::new(&folder).join(format!("{run}.bell")));
    }
    let undo = bench.on(&["undo", "--run", run, "--host", "edge1"]).output().unwrap();
    assert_ends(&undo, 0, "edge1: nothing was in force");
    assert_eq!(wait(&mut child).code(), Some(5), "{}", bench.stderr());
    assert!(bench.logs()[0].contains("undid the run on edge1"), "{}", bench.stderr());
    bench.assert_quiet();
    fs::rename(bench.reports(), bench.folder.path().join("first")).unwrap();

    // The coordinator learns of the undo on its own machine, although the undo reaches no host.
    let (mut child, folder) = bench.until_in_force(&text);
    assert_eq!(runs(&bench), 1);
    let run = folder.file_name().unwrap().to_str().unwrap();
    bench.file("nowhere.toml", &FLEET.replace("10.78.1", "127.78.1"));
    let pki = bench.pki();
    let words = ["undo", "--run", run, "--fleet", "nowhere.toml", "--pki", pki.to_str().unwrap()];
    let undo = bench.firedrill(&words).output().unwrap();
    assert_ends(&undo, 6, "on this machine, was notified and ends it");
    assert!(
        said(&undo).contains("app1: NO ANSWER") && said(&undo).contains("end with the lease"),
        "{}",
        said(&undo)
    );
    assert_eq!(wait(&mut child).code(), Some(5), "{}", bench.stderr());
    assert!(bench.logs()[0].contains("undid the run on this machine"), "{}", bench.stderr());
    bench.assert_quiet();
    // The run is over, so no coordinator is notified any more.
    assert_ends(&bench.firedrill(&words).output().unwrap(), 6, "only if no running coordinator renews it");
}

#[test]
fn a_terminal_that_is_closed_heals() {
    if !labs() {
        return;
    }
    let bench = Bench::up("closed");
    bench.file("scenario.toml", &plain_scenario(1, "40s"));
    let mut command = bench.on(&["run", "scenario.toml"]);
    let (mut window, mut child) = on_a_terminal(&mut command);
    let (mut shown, mut some) = (String::new(), [0; 4096]);
    while !shown.contains("in force: service-stop on app1") {
        let read = window.read(&mut some).unwrap_or(0);
        assert!(read > 0, "{shown}");
        shown += &String::from_utf8_lossy(&some[..read]);
    }
    assert!(shown.contains("% good") && shown.contains("s left"), "{shown}");
    drop(window);
    assert_eq!(wait(&mut child).code(), Some(5));
    assert!(bench.logs()[0].contains("stopped by SIGHUP") && bench.logs()[0].contains("\"state\":\"clean\""));
    bench.assert_quiet();
}

#[test]
fn a_log_that_cannot_be_written_heals_first() {
    if !labs() {
        return;
    }
    let bench = Bench::up("disk");
    bench.file("scenario.toml", &plain_scenario(1, "40s"));
    // A limit on the size of files has the effect of a full disk, and needs no right to mount one.
    let mut command = bench.on(&["run", "scenario.toml", "--json"]);
    let limited = limit_files(&mut command, 9 * 1024);
    let output = limited.output().unwrap();
    assert_ends(&output, 3, "everything was put back");
    assert!(said(&output).contains("app1 is clean"), "{}", said(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["scorecard"]["exit"], 3, "{document}");
    bench.assert_quiet();
}
