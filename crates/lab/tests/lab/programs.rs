//! Tests that hosts run any program, with files, a user, a ready check and a way to stop, and that the program's files survive a reboot.

use std::path::Path;

use super::{
    common::{LONG, eventually, get, host, name, up, wait_state},
    services::{DOWN, RUNS, Service},
};
use firedrill_lab::{
    FileSpec, HostState, Lab, LabSpec, Late, ReadyCheck, ReadySpec, ReadyState, ServiceSpec, StopSpec,
    UserSpec,
};

/// The user without rights.
const NOBODY: UserSpec = UserSpec { uid: 65534, gid: 65534 };

/// Returns a service that runs a program.
fn service(name: &str, argv: &[&str]) -> ServiceSpec {
    ServiceSpec {
        name: name.into(),
        argv: argv.iter().map(ToString::to_string).collect(),
        ..ServiceSpec::default()
    }
}

/// Returns a service that runs a shell script.
fn script(name: &str, text: &str) -> ServiceSpec {
    service(name, &["/bin/sh", "-c", text])
}

/// Returns the specification of a check with a long time limit.
fn within_long(check: ReadyCheck) -> Option<ReadySpec> {
    Some(ReadySpec { check, within_ms: u64::try_from(LONG.as_millis()).unwrap() })
}

/// Returns the check that a command succeeds.
fn command(words: &[&str]) -> ReadyCheck {
    ReadyCheck::Command(words.iter().map(ToString::to_string).collect())
}

/// Returns a lab with a host `app` of these services and files, and a host `client`.
fn lab_of(test: &str, services: Vec<ServiceSpec>, files: Vec<FileSpec>) -> LabSpec {
    let mut app = host("app", "r", &["10.0.0.1"]);
    app.services = services;
    app.files = files;
    LabSpec::new(name(test), vec![app, host("client", "r", &["10.0.0.2"])])
}

/// Runs a command in the host `app`, and returns its output.
fn output(lab: &Lab, words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(std::ffi::OsString::from).collect();
    String::from_utf8_lossy(&lab.output("app", &words).unwrap().stdout).into_owned()
}

/// Waits until all services are ready. Returns their names, each as host and service.
fn ready(lab: &Lab) -> Vec<String> {
    let mut names = Vec::new();
    let late = lab.wait_ready(|host, service| names.push(format!("{host}/{service}"))).unwrap();
    assert!(late.is_empty(), "{late:?}: {}", lab.log("app", &late[0].service).unwrap());
    names.sort();
    names
}

/// Cuts the power of the host `app`, and powers it on again.
fn cut_power(lab: &Lab) {
    lab.kill("app").unwrap();
    wait_state(lab, "app", HostState::Off);
    eventually("it is off", || lab.power_on("app").ok());
    wait_state(lab, "app", HostState::Up);
}

/// Returns a file that everybody may read.
fn file(path: &str, content: &str) -> FileSpec {
    FileSpec { path: path.into(), content: content.into(), mode: 0o644 }
}

/// Prints that a test is skipped, and why.
fn skipped(missing: &str) {
    eprintln!("skipped: this machine has no {missing}");
}

#[test]
fn a_service_runs_as_its_user_and_owns_the_hosts_files() {
    let text = "cat /etc/given/word; id -u; id -g; stat -c %u /etc/given/word; echo more >>/etc/given/word && \
                echo $COLOUR; exec sleep 1h";
    let mut web = script("web", text);
    web.user = Some(UserSpec { uid: 101, gid: 104 });
    web.env.insert("COLOUR".into(), "green".into());
    web.ready = within_long(command(&["grep", "-q", "green", "/var/log/web.log"]));
    let Some(lab) = up(&lab_of("user", vec![web], vec![file("/etc/given/word", "given\n")])) else { return };
    assert_eq!(ready(&lab), ["app/web"]);
    assert_eq!(lab.log("app", "web").unwrap(), "given\n101\n104\n101\ngreen\n");
    assert_eq!(output(&lab, &["cat", "/etc/given/word"]), "given\nmore\n");
}

#[test]
fn a_service_is_stopped_by_its_signal_and_killed_if_it_does_not_end() {
    let text = "trap '' TERM; trap 'echo bye; exit 0' INT; echo begun; while :; do sleep 0.05; done";
    let mut polite = script("polite", text);
    polite.stop = StopSpec { signal: "SIGINT".into(), patience_ms: None };
    let mut stubborn = script("stubborn", "trap '' TERM; echo begun; while :; do sleep 0.05; done");
    stubborn.stop.patience_ms = Some(200);
    // This process ignores SIGINT, like a program that a shell starts in the background. The lab's services must not inherit this.
    // SAFETY: changes only the effect of a signal that no test uses.
    let ignore = |handler| unsafe { libc::signal(libc::SIGINT, handler) };
    ignore(libc::SIG_IGN);
    let lab = up(&lab_of("stop", vec![polite, stubborn], vec![]));
    ignore(libc::SIG_DFL);
    let Some(lab) = lab else { return };
    for (name, last) in
        [("polite", "bye\n"), ("stubborn", "supervisor: it did not end after SIGTERM; it is killed\n")]
    {
        let service = Service::of(&lab, name);
        service.wait(RUNS, b'u');
        eventually("it has set its traps", || lab.log("app", name).unwrap().contains("begun").then_some(()));
        service.send(b'd');
        service.wait(DOWN, b'd');
        assert_eq!(lab.log("app", name).unwrap(), format!("begun\n{last}"));
    }
}

#[test]
fn a_service_that_does_not_get_ready_is_late_and_its_log_has_the_reason() {
    let mut deaf = service("deaf", &["sleep", "1h"]);
    // The time is long enough for one check to end on a busy machine, because the log must have the check's output.
    deaf.ready = Some(ReadySpec { check: ReadyCheck::Tcp(9), within_ms: 5_000 });
    let mut gone = service("gone", &["/no/such/program"]);
    gone.ready = within_long(ReadyCheck::Tcp(9));
    let spec = lab_of("late", vec![deaf, gone], vec![]);
    let Some(lab) = up(&spec) else { return };
    let late = lab.wait_ready(|host, service| panic!("{host}/{service} is ready")).unwrap();
    assert_eq!(late, [Late { host: "app".into(), service: "deaf".into() }]);
    let log = lab.log("app", "deaf").unwrap();
    assert!(log.contains("not ready within 5s") && log.contains("nothing listens on port 9"), "{log}");
    let log = lab.log("app", "gone").unwrap();
    assert!(log.contains("failed to run [\"/no/such/program\"]"), "{log}");
    let host = super::common::status_of(&lab, "app");
    let states: Vec<_> = host.services.iter().map(|service| service.ready).collect();
    assert_eq!(states, [Some(ReadyState::Late), Some(ReadyState::Waiting)]);
}

#[test]
fn a_web_server_with_its_own_user_serves_on_a_low_port_also_after_a_reboot() {
    if !Path::new("/usr/bin/python3").exists() {
        return skipped("python3");
    }
    let mut web = service("web", &["/usr/bin/python3", "-m", "http.server", "80", "--directory", "/var/www"]);
    web.user = Some(NOBODY);
    web.ready = within_long(ReadyCheck::Http { address: "127.0.0.1:80".into(), path: "/index.html".into() });
    let spec = lab_of("web", vec![web], vec![file("/var/www/index.html", "old")]);
    let Some(lab) = up(&spec) else { return };
    assert_eq!(ready(&lab), ["app/web"]);
    assert_eq!(get(&lab, "client", "app:80", "/index.html").unwrap(), "200 old\n");
    output(&lab, &["sh", "-c", "printf new >/var/www/index.html"]);
    cut_power(&lab);
    assert_eq!(ready(&lab), ["app/web"]);
    assert_eq!(get(&lab, "client", "app:80", "/index.html").unwrap(), "200 new\n");
}

/// Returns the directory of PostgreSQL's programs, and its user; `None` if PostgreSQL is not installed.
fn postgres() -> Option<(String, UserSpec)> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let bin = versions.map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists())?;
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut words = passwd.lines().find(|line| line.starts_with("postgres:"))?.split(':').skip(2);
    let user = UserSpec { uid: words.next()?.parse().ok()?, gid: words.next()?.parse().ok()? };
    Some((bin.to_str()?.to_owned(), user))
}

#[test]
fn a_database_that_refuses_root_runs_and_keeps_its_rows_over_a_power_cut() {
    let Some((bin, user)) = postgres() else { return skipped("PostgreSQL") };
    let text = format!(
        "[ -e /var/lib/pg/PG_VERSION ] || {bin}/initdb -D /var/lib/pg -U postgres -A trust --no-sync >/dev/null || exit; \
         exec {bin}/postgres -D /var/lib/pg -k /tmp -c shared_buffers=16MB"
    );
    let psql = format!("{bin}/psql");
    let ask = |sql: &'static str| {
        [psql.clone(), "-hlocalhost".into(), "-Upostgres".into(), "-Atc".into(), sql.into()]
    };
    let mut store = script("store", &text);
    store.user = Some(user);
    store.stop = StopSpec { signal: "SIGINT".into(), patience_ms: Some(20_000) };
    store.ready =
        Some(ReadySpec { check: ReadyCheck::Command(ask("select 1").to_vec()), within_ms: 120_000 });
    let Some(lab) = up(&lab_of("store", vec![store], vec![])) else { return };
    assert_eq!(ready(&lab), ["app/store"]);
    let query = |sql| output(&lab, &ask(sql).each_ref().map(String::as_str));
    query("create table rows (n int)");
    query("insert into rows values (42)");
    cut_power(&lab);
    assert_eq!(ready(&lab), ["app/store"]);
    assert_eq!(query("select n from rows"), "42\n");
    let store = Service::of(&lab, "store");
    store.send(b'd');
    store.wait(DOWN, b'd');
    let log = lab.log("app", "store").unwrap();
    assert!(log.contains("received fast shutdown request"), "{log}");
}
