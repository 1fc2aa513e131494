//! The program as people use it: real `firedrill` processes against real labs. Each lab has a name of its own and is
//! ended whatever happens; where this machine lets nobody make namespaces, that is said and the rest still runs.

#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const FIREDRILL: &str = env!("CARGO_BIN_EXE_firedrill");

const FLEET: &str = r#"
schema = 1
[defaults]
env = "test"
[[host]]
name = "edge1"
region = "one"
roles = ["edge"]
addresses = ["10.78.1.10"]
[[host]]
name = "app1"
region = "one"
roles = ["app"]
addresses = ["10.78.1.11"]
[[host]]
name = "app2"
region = "one"
roles = ["app"]
addresses = ["10.78.1.12"]
"#;

/// A scenario of one attack after another on app1, all short. `more` goes to the top level, `attack` to each attack.
fn scenario(attacks: usize, hold: &str, more: &str, attack: &str) -> String {
    let mut text = format!(
        r#"
schema = 1
name = "verbs"
hypothesis = "The shop does without one of its two hosts."
{more}
[targets.app1]
where = {{ name = "app1" }}
[probes.door]
http = {{ url = "http://edge1/checkout", status = 200 }}
rate = 20
timeout = "1s"
connection = "new"
from = ["coordinator"]
[objectives.users]
probe = "door"
good = "5%"
[attack_defaults]
baseline = "1s"
hold = "{hold}"
recovery = "1s"
settle = "0s"
"#
    );
    for number in 1..=attacks {
        text += &format!(
            "[[attack]]\nname = \"stop {number}\"\non = \"app1\"\nfault.service-stop = {{ service = \"checkout\" }}\n{attack}\n"
        );
    }
    text
}

/// A lab and a scratch folder; both go when this is dropped.
struct Bench {
    lab: String,
    folder: tempfile::TempDir,
}

impl Bench {
    fn up(name: &str) -> Self {
        let bench = Self {
            lab: format!("verbs-{name}-{}", std::process::id()),
            folder: tempfile::tempdir().unwrap(),
        };
        bench.file("fleet.toml", FLEET);
        let up =
            bench.firedrill(&["lab", "up", "--fleet", "fleet.toml", "--name", &bench.lab]).output().unwrap();
        assert!(up.status.success(), "{}", said(&up));
        bench
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn firedrill(&self, words: &[&str]) -> Command {
        let mut command = Command::new(FIREDRILL);
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// A verb on the lab.
    fn on(&self, words: &[&str]) -> Command {
        let mut command = self.firedrill(words);
        command.arg(format!("--lab={}", self.lab));
        command
    }

    fn run(&self, text: &str, words: &[&str]) -> Output {
        self.file("scenario.toml", text);
        self.on(&[&["run", "scenario.toml"], words].concat()).output().unwrap()
    }

    /// Starts a run in the background and waits until its log shows that a fault is in force.
    fn until_in_force(&self, text: &str) -> (Child, PathBuf) {
        self.file("scenario.toml", text);
        let mut child = self
            .on(&["run", "scenario.toml"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(log) = self.logs().into_iter().find(|log| log.contains("\"to\":\"in-force\"")) {
                drop(log);
                break;
            }
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < end, "{}", self.stderr());
            std::thread::sleep(Duration::from_millis(50));
        }
        let folder = fs::read_dir(self.reports()).unwrap().next().unwrap().unwrap().path();
        (child, folder)
    }

    /// The folder of the lab's authority.
    fn pki(&self) -> PathBuf {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let uid = rustix::process::getuid().as_raw();
        base.join(format!("firedrill-lab-{uid}-{}/pki", self.lab))
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    fn reports(&self) -> PathBuf {
        self.folder.path().join("reports")
    }

    fn logs(&self) -> Vec<String> {
        let runs = fs::read_dir(self.reports()).into_iter().flatten().flatten();
        runs.filter_map(|run| fs::read_to_string(run.path().join("events.jsonl")).ok()).collect()
    }

    /// Nothing is in force anywhere.
    fn assert_quiet(&self) {
        let status = self.on(&["status", "--json"]).output().unwrap();
        let rows: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        for row in rows.as_array().unwrap() {
            assert_eq!(row["status"]["open"].as_array().map(Vec::len), Some(0), "{row}");
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.firedrill(&["lab", "down", "--name", &self.lab]).output();
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[track_caller]
fn assert_ends(output: &Output, code: i32, words: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    // Tables and problems of files are wrapped.
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(words), "no `{words}` in {said}");
}

fn end(child: &mut Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn wait(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether labs can be made here; if not, says why.
fn labs() -> bool {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new("/bin/true");
    // SAFETY: one system call, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| {
            let flags = nix::sched::CloneFlags::CLONE_NEWUSER | nix::sched::CloneFlags::CLONE_NEWNET;
            Ok(nix::sched::unshare(flags)?)
        });
    }
    match command.status() {
        Ok(_) => true,
        Err(why) => {
            let _ =
                writeln!(std::io::stderr(), "skipped: the kernel lets this user make no namespaces: {why}");
            false
        }
    }
}

#[test]
fn every_verb_explains_itself_with_examples() {
    let help = Command::new(FIREDRILL).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() >= 13, "{verbs:?}");
    for verb in verbs {
        let help = Command::new(FIREDRILL).args([verb, "--help"]).output().unwrap();
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.status.success() && text.contains("Examples:\n"), "{verb}: {text}");
    }
}

#[test]
fn a_reader_that_goes_away_and_a_full_disk_are_no_bugs() {
    for words in [&["schema", "--all"][..], &["completions", "bash"]] {
        let mut child = Command::new(FIREDRILL)
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{words:?}: {}", said(&output));
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(FIREDRILL).args(words).stdout(full).output().unwrap();
        assert_ends(&output, 2, "standard output could not be written");
    }
}

#[test]
fn what_is_asked_wrongly_is_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = folder.path().join("fleet.toml");
    fs::write(&fleet, FLEET.replace("app2", "app1")).unwrap();
    let firedrill = |words: &[&str]| {
        Command::new(FIREDRILL)
            .args(words)
            .current_dir(folder.path())
            .env("FIREDRILL_PKI", "nowhere")
            .output()
            .unwrap()
    };
    let fine = folder.path().join("fine.toml");
    fs::write(fine, FLEET).unwrap();
    assert_ends(&firedrill(&["status"]), 2, "--fleet FILE");
    assert_ends(&firedrill(&["status", "--fleet", "fine.toml"]), 2, "firedrill pki");
    assert_ends(&firedrill(&["report", "no-such-run"]), 2, "reports/no-such-run/events.jsonl");
    assert_ends(&firedrill(&["watch", "no-such-run"]), 2, "cannot follow");
    assert_ends(&firedrill(&["check", "no-such.toml"]), 2, "no-such.toml");
    assert_ends(&firedrill(&["undo", "--fleet", "fine.toml"]), 2, "--all");
    assert_ends(&firedrill(&["status", "--lab=no-such-lab"]), 2, "no-such-lab");

    let pki = folder.path().join("pki");
    let pki = pki.to_str().unwrap();
    for words in [&["init"][..], &["issue", "person", "ann", "--role", "operator"], &["list", "--json"]] {
        assert_ends(&firedrill(&[&["pki", "--dir", pki], words].concat()), 0, "");
    }
    assert_ends(&firedrill(&["doctor", "--fleet", "fleet.toml", "--pki", pki]), 2, "app1");
    let closed = FLEET.replace("addresses = [\"10.78.1.1", "addresses = [\"127.78.1.1");
    fs::write(folder.path().join("closed.toml"), closed).unwrap();
    assert_ends(&firedrill(&["status", "--fleet", "closed.toml", "--pki", pki]), 3, "cannot reach the agent");
    fs::write(folder.path().join("scenario.toml"), scenario(1, "5s", "", "")).unwrap();
    let run = ["run", "scenario.toml", "--fleet", "closed.toml", "--pki", pki];
    assert_ends(&firedrill(&run), 4, "refused, and nothing was touched");
    let refused = fs::read_dir(folder.path().join("reports")).unwrap().next().unwrap().unwrap().path();
    let junit = fs::read_to_string(refused.join("junit.xml")).unwrap();
    assert!(junit.contains("cannot reach the agent"), "{junit}");
    let report = fs::read_to_string(refused.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["scorecard"]["exit"], 4, "{report}");
    assert!(report["scorecard"]["story"].as_str().unwrap().contains("none run: refused"), "{report}");
}

#[test]
fn a_run_and_the_verbs_around_it() {
    if !labs() {
        return;
    }
    let bench = Bench::up("around");
    for verb in [&["status"][..], &["doctor", "--json"], &["release", "--json"]] {
        assert_ends(&bench.on(verb).output().unwrap(), 0, "app1");
    }
    assert_ends(&bench.on(&["status", "--host", "nobody"]).output().unwrap(), 2, "it has edge1, app1, app2");
    let text = scenario(1, "2s", "", "");
    assert_ends(&bench.run(&text, &["--plan"]), 0, "undone");
    assert!(!bench.reports().exists(), "a plan leaves nothing behind");

    let held = bench.run(&text, &["--json"]);
    let document: serde_json::Value =
        serde_json::from_slice(&held.stdout).unwrap_or_else(|_| panic!("{}", said(&held)));
    let card = &document["scorecard"];
    assert_eq!(held.status.code().map(i64::from), card["exit"].as_i64(), "{}", said(&held));
    assert_eq!(card["hosts"][0]["state"], "clean", "{card}");
    let progress = String::from_utf8_lossy(&held.stderr).into_owned();
    assert!(progress.contains("baseline, 1 s") && progress.contains("app1 is clean"), "{progress}");
    let folder = fs::read_dir(bench.reports()).unwrap().next().unwrap().unwrap().path();
    for file in ["report.html", "report.md", "report.json", "junit.xml"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let file = || fs::read(folder.join("report.json")).unwrap();
    assert!(held.stdout == file(), "the same document: {}", said(&held));
    let log = folder.join("events.jsonl");
    let folder = folder.to_str().unwrap();
    assert_ends(&bench.firedrill(&["watch", folder]).output().unwrap(), 0, "fault 1-1 in force");
    assert_ends(&bench.on(&["collect", folder]).output().unwrap(), 2, "nothing to collect");
    let again = bench.firedrill(&["report", folder]).output().unwrap();
    assert_eq!(again.status.code(), held.status.code(), "{}", said(&again));

    // As if the host could not have been asked at the end: it is asked now.
    let text_of_log = fs::read_to_string(&log).unwrap();
    assert!(text_of_log.contains("\"state\":\"clean\""), "{text_of_log}");
    fs::write(&log, text_of_log.replace("\"state\":\"clean\"", "\"state\":\"unproven\"")).unwrap();
    let unproven = bench.firedrill(&["report", folder, "--json"]).output().unwrap();
    assert_ends(&unproven, 6, "unproven");
    assert!(unproven.stdout == file(), "the same document: {}", said(&unproven));
    let collected = bench.on(&["collect", folder, "--json"]).output().unwrap();
    assert_eq!(collected.status.code(), held.status.code(), "{}", said(&collected));
    assert!(collected.stdout == file(), "the same document: {}", said(&collected));
    let card: serde_json::Value = serde_json::from_slice(&collected.stdout).unwrap();
    assert_eq!(card["scorecard"]["hosts"][0]["state"], "clean", "{card}");
    assert_ends(&bench.firedrill(&["watch", folder]).output().unwrap(), 0, "collected by lab-operator");
    assert_ends(&bench.on(&["collect", folder]).output().unwrap(), 2, "nothing to collect");

    // A week later somebody asks the host what it did.
    let words =
        ["lab", "exec", "--name", &bench.lab, "app1", "--", "cat", "/var/lib/firedrill/audit/done.jsonl"];
    let record = bench.firedrill(&words).output().unwrap();
    let serial = fs::read_to_string(bench.pki().join("index.jsonl")).unwrap();
    let serial = serial.lines().next().and_then(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        Some(line["serial"].as_str()?.to_owned())
    });
    let serial = format!("\"who\":\"lab-operator\",\"certificate\":\"{}\"", serial.unwrap());
    let record = said(&record);
    let arm = record.lines().find(|line| line.contains("\"what\":\"arm\""));
    assert!(
        arm.is_some_and(|line| line.contains(&serial) && line.contains("drill \\\"verbs\\\"")),
        "{record}"
    );
    for told in ["\"to\":\"in-force\"", "\"to\":\"undone\"", "\"what\":\"prepare\""] {
        assert!(record.contains(told), "no {told} in {record}");
    }

    // Halted: nothing runs until it is released.
    assert_ends(&bench.on(&["undo", "--all"]).output().unwrap(), 0, "halted");
    assert_ends(&bench.run(&text, &[]), 4, "firedrill release");
    assert_ends(&bench.on(&["release"]).output().unwrap(), 0, "app1: may be attacked again");

    // Without a terminal nobody can approve.
    let asking = scenario(1, "2s", "", "approve = { people = 1, expires = \"5s\" }");
    let output = bench.run(&asking, &[]);
    assert_ends(&output, 3, "no terminal to ask on");
    // A name is nobody's word, nor is what another authority's person signed.
    bench.file("mickey-mouse", "mickey-mouse");
    let output = bench.run(&asking, &["--approve", "mickey-mouse"]);
    assert_ends(&output, 3, "it is no approval");
    let pki = bench.pki();
    let pki = pki.to_str().unwrap();
    for name in ["ann", "bob"] {
        assert_ends(
            &bench.firedrill(&["pki", "--dir", pki, "issue", "person", name]).output().unwrap(),
            0,
            "",
        );
    }
    let approve = |name: &str| {
        let words =
            ["approve", "scenario.toml", "--fleet", "fleet.toml", "--seed", "1", "--pki", pki, "--as", name];
        assert_ends(&bench.firedrill(&words).output().unwrap(), 0, &format!("{name} approves \"verbs\""));
        format!("approval-{name}.json")
    };
    bench.file("scenario.toml", &asking);
    let ann = approve("ann");
    let output = bench.run(&asking, &["--seed", "1", "--approve", &ann]);
    assert!(said(&output).contains("ann approves stop 1"), "{}", said(&output));
    assert_ends(&bench.run(&asking, &["--seed", "2", "--approve", &ann]), 3, "approved another plan");
    // Where two are asked for, the one who runs it is none of them.
    let asking = scenario(1, "2s", "", "approve = { people = 2, expires = \"5s\" }");
    bench.file("scenario.toml", &asking);
    let (ann, own) = (approve("ann"), approve("lab-operator"));
    let output =
        bench.run(&asking, &["--seed", "1", "--approve", &ann, "--approve", &ann, "--approve", &own]);
    assert_ends(&output, 3, "lab-operator runs this");
    let output = bench.run(&asking, &["--seed", "1", "--approve", &ann, "--approve", &approve("bob")]);
    assert!(said(&output).contains("bob approves stop 1"), "{}", said(&output));
    assert!(said(&output).contains("in force"), "{}", said(&output));
    bench.assert_quiet();
}

#[test]
fn a_revoked_operators_run_is_ended_at_once() {
    if !labs() {
        return;
    }
    let bench = Bench::up("revoked");
    let pki = bench.pki();
    let pki = |words: &[&str]| {
        let dir = ["pki", "--dir", pki.to_str().unwrap()];
        assert_ends(&bench.firedrill(&[&dir[..], words].concat()).output().unwrap(), 0, "");
        fs::File::open(pki.join("crl.pem")).unwrap()
    };
    let put = |host: &str, list: fs::File| {
        let put = "cat > /etc/firedrill/new && mv /etc/firedrill/new /etc/firedrill/crl.pem";
        let words = ["lab", "exec", "--name", &bench.lab, host, "--", "sh", "-c", put];
        assert_ends(&bench.firedrill(&words).stdin(list).output().unwrap(), 0, "");
    };
    // An expired list is told, and stops harm.
    put("app2", pki(&["crl", "--days", "0"]));
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let doctor = bench.on(&["doctor", "--host", "app2"]).output().unwrap();
        if said(&doctor).contains("EXPIRED") {
            assert_ends(&doctor, 3, "every fault is refused");
            break;
        }
        assert!(Instant::now() < end, "{}", said(&doctor));
        std::thread::sleep(Duration::from_millis(100));
    }

    let (mut child, _) = bench.until_in_force(&scenario(1, "40s", "", ""));
    let since = Instant::now();
    put("app1", pki(&["revoke", "person", "lab-operator"]));
    // It could not prove that all is as before: nobody answers it any more.
    assert_eq!(wait(&mut child).code(), Some(6), "{}", bench.stderr());
    let took = since.elapsed();
    assert!(
        took < Duration::from_secs(8),
        "{took:?}, which its hold or lease would have taken: {}",
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
    let text = scenario(2, "40s", "", "");
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
    // Another run cannot have what this one has.
    fs::create_dir(bench.folder.path().join("other")).unwrap();
    let second = bench.on(&["run", "scenario.toml", "--out", "other"]).output().unwrap();
    assert!(matches!(second.status.code(), Some(3 | 4)), "{}", said(&second));
    end(&mut child, Signal::KILL);
    assert_eq!(wait(&mut child).signal(), Some(9));
    let folder = folder.to_str().unwrap();
    assert_ends(&bench.firedrill(&["watch", folder]).output().unwrap(), 3, "its coordinator is gone");
    let collected = bench.on(&["collect", folder]).output().unwrap();
    assert_ends(&collected, 3, "app1 ended clean");
    assert!(Path::new(folder).join("report.html").is_file());
    bench.assert_quiet();
}

/// The coordinator reaches hosts that an undo does not: it must learn of it all the same, and renew nothing any more.
#[test]
fn an_undo_ends_a_run_whose_targets_it_does_not_reach() {
    if !labs() {
        return;
    }
    let bench = Bench::up("apart");
    let text = scenario(1, "60s", "", "").replace("[\"coordinator\"]", "[\"coordinator\", \"edge1\"]");
    let runs = |bench: &Bench| fs::read_dir(bench.reports()).unwrap().count();

    // From the events of a host that only measures.
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

    // On the coordinator's own machine, with no host in reach.
    let (mut child, folder) = bench.until_in_force(&text);
    assert_eq!(runs(&bench), 1);
    let run = folder.file_name().unwrap().to_str().unwrap();
    bench.file("nowhere.toml", &FLEET.replace("10.78.1", "127.78.1"));
    let pki = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let pki = pki.join(format!("firedrill-lab-{}-{}/pki", nix::unistd::geteuid(), bench.lab));
    let words = ["undo", "--run", run, "--fleet", "nowhere.toml", "--pki", pki.to_str().unwrap()];
    let undo = bench.firedrill(&words).output().unwrap();
    assert_ends(&undo, 6, "on this machine, was told and ends it");
    assert!(
        said(&undo).contains("app1: NOT HEARD") && said(&undo).contains("ends with its lease"),
        "{}",
        said(&undo)
    );
    assert_eq!(wait(&mut child).code(), Some(5), "{}", bench.stderr());
    assert!(bench.logs()[0].contains("undid the run on this machine"), "{}", bench.stderr());
    bench.assert_quiet();
    // Another fleet's undo of everything is none of its business; see `bell.rs`.
    assert_ends(&bench.firedrill(&words).output().unwrap(), 6, "only if no coordinator lives");
}

/// Neither what stands in clear in a scenario nor what is read from a file stands in anything that a drill writes.
#[test]
fn secrets_stand_in_nothing_that_a_drill_writes() {
    if !labs() {
        return;
    }
    let bench = Bench::up("secrets");
    let file = bench.file("key", "FILESECRET5\n");
    let asked = r#"http = { url = "http://edge1/checkout?api_key=QKEY99&p={key}", status = 200, method = "POST", body = "BODY66"
headers = { Authorization = "Basic HDRSECRET", X-Api-Key = "APIKEY77", X-Token = "${token}", X-Key = "{key}" }
secrets = { key = { secret_file = "KEYFILE" } } }"#;
    let asked = asked.replace('\n', ", ").replace("KEYFILE", file.to_str().unwrap());
    let plain = "http = { url = \"http://edge1/checkout\", status = 200 }";
    let text = scenario(1, "1s", "[params]\ntoken = { type = \"string\" }", "").replace(plain, &asked);
    assert!(text.contains("APIKEY77"), "{text}");
    let given = ["--param", "token=PARAMTOK"];
    let secrets = ["FILESECRET5", "QKEY99", "BODY66", "HDRSECRET", "APIKEY77", "PARAMTOK"];
    let clean = |what: &str, text: &str| {
        let found: Vec<_> = secrets.iter().filter(|secret| text.contains(*secret)).collect();
        assert!(found.is_empty(), "{what} has {found:?}: {text}");
    };
    for words in [&["--plan"][..], &["--plan", "--json"], &["--json"]] {
        let output = bench.run(&text, &[words, &given].concat());
        assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{}", said(&output));
        if words.contains(&"--plan") {
            assert!(said(&output).contains("edge1/checkout?api_key=***"), "{}", said(&output));
        }
        clean(&words.join(" "), &said(&output));
    }
    let folder = fs::read_dir(bench.reports()).unwrap().next().unwrap().unwrap().path();
    let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        clean(&file.display().to_string(), &fs::read_to_string(&file).unwrap());
    }
    let log = fs::read_to_string(folder.join("events.jsonl")).unwrap();
    assert!(log.contains("\"good\":"), "nothing was asked");
    for verb in ["watch", "report"] {
        clean(verb, &said(&bench.firedrill(&[verb, folder.to_str().unwrap()]).output().unwrap()));
    }
    let fleet = ["check", "scenario.toml", "--fleet", "fleet.toml"];
    for words in [&[][..], &["--json"]] {
        let output = bench.firedrill(&[&fleet, words, &given].concat()).output().unwrap();
        assert!(said(&output).contains("looks like a secret in clear"), "{}", said(&output));
        clean("check", &said(&output));
    }
}

#[test]
fn a_terminal_that_is_closed_heals() {
    if !labs() {
        return;
    }
    let bench = Bench::up("closed");
    bench.file("scenario.toml", &scenario(1, "40s", "", ""));
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
fn people_approve_while_a_run_waits() {
    if !labs() {
        return;
    }
    let bench = Bench::up("approve");
    let pki = bench.pki();
    let pki = pki.to_str().unwrap();
    for name in ["ann", "bob"] {
        assert_ends(
            &bench.firedrill(&["pki", "--dir", pki, "issue", "person", name]).output().unwrap(),
            0,
            "",
        );
    }
    bench.file("scenario.toml", &scenario(1, "1s", "", "approve = { people = 2, expires = \"40s\" }"));
    let (mut window, mut child) = on_a_terminal(&mut bench.on(&["run", "scenario.toml"]));
    let mut shown = String::new();
    let mut until = |window: &mut fs::File, text: &str| {
        let mut some = [0; 4096];
        while !shown.contains(text) {
            let read = window.read(&mut some).unwrap_or(0);
            assert!(read > 0, "no `{text}` in {shown}");
            shown += &String::from_utf8_lossy(&some[..read]);
        }
    };
    until(&mut window, "needs 2 more within 40s");
    // Names and a yes of the one who runs it are nobody's approval.
    window.write_all(b"mickey-mouse\nyes\n").unwrap();
    until(&mut window, "mickey-mouse: no approval can be read");
    until(&mut window, "lab-operator runs this");
    let run = fs::read_dir(bench.reports()).unwrap().next().unwrap().unwrap().path();
    let approve = |name: &str, more: &[&str]| {
        let words = ["approve", run.to_str().unwrap(), "--pki", pki, "--as", name];
        assert_ends(
            &bench.firedrill(&[&words[..], more].concat()).output().unwrap(),
            0,
            "service-stop on app1",
        );
    };
    approve("lab-operator", &[]);
    until(&mut window, "approval-lab-operator.json: lab-operator runs this");
    approve("ann", &[]);
    until(&mut window, "ann approves stop 1");
    approve("bob", &["--out", "bobs-word"]);
    window.write_all(b"bobs-word\n").unwrap();
    until(&mut window, "bob approves stop 1");
    until(&mut window, "in force");
    drop(window);
    wait(&mut child);
    bench.assert_quiet();
    let log = &bench.logs()[0];
    assert!(log.contains("\"by\":\"ann\",\"yes\":true,\"certificate\":\""), "{log}");
}

/// Starts a program on a terminal of its own, and gives the terminal's other side.
fn on_a_terminal(command: &mut Command) -> (fs::File, Child) {
    use std::os::{
        fd::AsRawFd as _,
        unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    };
    let open = |path: &str| {
        let mut options = fs::File::options();
        options.read(true).write(true).custom_flags(nix::libc::O_NOCTTY).open(path).unwrap()
    };
    let window = open("/dev/ptmx");
    let (unlock, mut number): (nix::libc::c_int, nix::libc::c_uint) = (0, 0);
    // SAFETY: the descriptor is open, and both calls read or write one integer that lives as long.
    let made = unsafe {
        nix::libc::ioctl(window.as_raw_fd(), nix::libc::TIOCSPTLCK, &raw const unlock) == 0
            && nix::libc::ioctl(window.as_raw_fd(), nix::libc::TIOCGPTN, &raw mut number) == 0
    };
    assert!(made, "no terminal: {}", std::io::Error::last_os_error());
    let inside = open(&format!("/dev/pts/{number}"));
    command.stdin(inside.try_clone().unwrap()).stdout(Stdio::null()).stderr(inside);
    // SAFETY: both are system calls that allocate nothing and take no lock.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            if nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) == -1 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let child = command.spawn().unwrap();
    // The parent's copies of the inside would keep the terminal open.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    (window, child)
}

#[test]
fn a_log_that_cannot_be_written_heals_first() {
    if !labs() {
        return;
    }
    let bench = Bench::up("disk");
    bench.file("scenario.toml", &scenario(1, "40s", "", ""));
    // A limit on the size of files is as good as a full disk, and needs no right to mount one.
    let mut command = bench.on(&["run", "scenario.toml", "--json"]);
    let limited = limit_files(&mut command, 9 * 1024);
    let output = limited.output().unwrap();
    assert_ends(&output, 3, "everything was put back");
    assert!(said(&output).contains("app1 is clean"), "{}", said(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["scorecard"]["exit"], 3, "{document}");
    bench.assert_quiet();
}

/// The command, unable to write files that are longer.
fn limit_files(command: &mut Command, bytes: u64) -> &mut Command {
    use nix::sys::{
        resource::{Resource, setrlimit},
        signal::{SigHandler, Signal, signal},
    };
    use std::os::unix::process::CommandExt as _;
    // SAFETY: all are system calls that allocate nothing and take no lock. With the signal ignored, which is inherited,
    // writing fails as it does on a full disk.
    unsafe {
        command.pre_exec(move || {
            signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
            Ok(setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes)?)
        })
    }
}

/// A run does not count another's faults as its own, and together they keep the guard of each.
#[test]
fn several_runs_on_one_fleet() {
    if !labs() {
        return;
    }
    let bench = Bench::up("several");
    let stop = |host: &str| {
        scenario(1, "25s", "[guard]\nkeep = { app = 1 }", "")
            .replace("where = { name = \"app1\" }", &format!("where = {{ name = \"{host}\" }}"))
            .replace("name = \"verbs\"", &format!("name = \"stop-{host}\""))
    };
    let (mut first, _) = bench.until_in_force(&stop("app1"));
    let refused = bench.run(&stop("app2"), &[]);
    assert_ends(&refused, 4, "keep (1 of the 2 hosts of role `app`) would be exceeded");
    for part in ["app1 has service-stop of run ", "(stop-app1, by ", "wait for that to end"] {
        assert!(
            said(&refused).split_whitespace().collect::<Vec<_>>().join(" ").contains(part),
            "{}",
            said(&refused)
        );
    }
    // On the same host, begun and ended while the other run's fault is in force.
    let slow = scenario(1, "3s", "", "").replace("name = \"verbs\"", "name = \"slow\"").replace(
        "service-stop = { service = \"checkout\" }",
        "net-slow = { to = \"edge1\", delay = \"20ms\" }",
    );
    let beside = bench.run(&slow, &[]);
    assert_ne!(beside.status.code(), Some(6), "{}", said(&beside));
    assert!(first.try_wait().unwrap().is_none(), "the first one still runs, or nothing was tried");
    assert_eq!(wait(&mut first).code(), Some(0), "{}", bench.stderr());
    let ends: Vec<String> = bench
        .logs()
        .concat()
        .lines()
        .filter(|line| line.contains("\"host-ended\""))
        .map(str::to_owned)
        .collect();
    assert!(ends.len() == 2 && ends.iter().all(|line| line.contains("\"clean\"")), "{ends:?}");

    // At once: one of them loses.
    fs::rename(bench.reports(), bench.folder.path().join("before")).unwrap();
    let mut both: Vec<Child> = ["app1", "app2"]
        .iter()
        .map(|host| {
            let file = bench.file(&format!("{host}.toml"), &stop(host).replace("25s", "5s"));
            bench
                .on(&["run", file.to_str().unwrap()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let codes: Vec<_> = both.iter_mut().map(|child| wait(child).code()).collect();
    let in_force = bench.logs().iter().filter(|log| log.contains("\"to\":\"in-force\"")).count();
    let lost = bench.logs().iter().filter(|log| log.contains("keep (1 of the 2 hosts")).count();
    assert_eq!((in_force, lost), (1, 1), "{codes:?}");
    bench.assert_quiet();
}
