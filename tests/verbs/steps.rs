//! Steps between attacks: actions of people, and programs that the coordinator runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    bench::{Bench, assert_ends, end, labs, plain_scenario, wait},
    output::said,
};

/// Returns a drill of one attack with these steps before it and after it.
fn with_steps(before: &str, after: &str) -> String {
    let attack = plain_scenario(1, "1s");
    attack.replacen("[[attack]]", &format!("{before}\n[[attack]]"), 1) + after
}

/// Returns a step that a person takes and puts back by hand.
fn by_hand(timeout: &str) -> String {
    format!(
        "[[attack]]\nname = \"cable\"\nmanual = \"Pull the cable of sw3.\"\nundo = \"Plug it in again.\"\ntimeout = \"{timeout}\"\n"
    )
}

/// Tells a run, as ann, what became of a step.
fn says(bench: &Bench, run: &Path, words: &[&str]) -> Output {
    let run = run.file_name().unwrap().to_str().unwrap();
    bench.firedrill(&[&["step", run, "--by", "ann"], words].concat()).output().unwrap()
}

/// Waits until a condition holds, at most a minute.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the log of a run.
fn log(run: &Path) -> String {
    fs::read_to_string(run.join("events.jsonl")).unwrap_or_default()
}

/// Whether a process runs. A process that has ended does not run, even if its parent has not waited for it.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A command that starts a process in the background, and runs for a long time. Both write their pids.
const LONG: &str = "sleep 1000 & echo $! > inner; echo $$ > outer.new; mv outer.new outer; sleep 1000; true";

/// Waits until [`LONG`] runs, and returns the pids of both processes.
fn pids_of_long(folder: &Path) -> [String; 2] {
    until("the command runs", || folder.join("outer").exists());
    ["inner", "outer"].map(|name| fs::read_to_string(folder.join(name)).unwrap().trim().to_owned())
}

/// Returns a step that runs [`LONG`].
fn command(timeout: &str) -> String {
    format!("[[attack]]\nname = \"long\"\ncommand = [\"sh\", \"-c\", '{LONG}']\ntimeout = \"{timeout}\"\n")
}

#[test]
fn steps_are_shown_run_answered_and_put_back() {
    if !labs() {
        return;
    }
    let bench = Bench::up("steps");
    let seed = "[[attack]]\nname = \"seed\"\ncommand = [\"sh\", \"-c\", 'echo \"$FIREDRILL_RUN\" > seeded; echo token=hunter2abc; echo seeded']\n";
    let verify = "[[attack]]\nname = \"verify\"\ncheck = [\"sh\", \"-c\", 'test -s seeded && echo all rows are there']\n";
    let text = with_steps(&format!("{seed}{}", by_hand("10m")), verify);
    let plan = bench.run(&text, &["--plan"]);
    assert_ends(&plan, 0, "Step 1. seed [command] The coordinator runs this for at most 1m: sh -c 'echo");
    assert_ends(&plan, 0, "FIREDRILL CANNOT UNDO IT. At its end the run asks a person: Plug it in again.");
    let seeded = bench.folder.path().join("seeded");
    assert!(!seeded.exists(), "`--plan` runs nothing");
    let (mut child, run) = bench.until_log(&text, &[], "\"event\":\"step-began\",\"step\":1");
    assert_eq!(fs::read_to_string(&seeded).unwrap().trim(), run.file_name().unwrap().to_str().unwrap());
    assert_ends(
        &says(&bench, &run, &["done", "--step", "1"]),
        4,
        "it waits for step 2, \"cable\", and not for step 1",
    );
    let taken = says(&bench, &run, &["done", "--note", "it was stuck"]);
    assert_ends(&taken, 0, "it records step 2, \"cable\" as done");
    until("it is to be put back", || log(&run).contains("\"event\":\"put-back-asked\""));
    bench.assert_quiet();
    assert_ends(&says(&bench, &run, &["skip"]), 4, "is to be put back, which nobody can skip");
    assert_ends(&says(&bench, &run, &["done", "--step", "2"]), 4, "say back when it is, or failed");
    assert_ends(&says(&bench, &run, &["back", "--step", "2"]), 0, "it records step 2, \"cable\" as put back");
    assert_eq!(wait(&mut child).code(), Some(0), "{}", bench.stderr());
    assert!(bench.stderr().contains("PUT BACK step 2, \"cable\""), "{}", bench.stderr());
    let card = bench.card();
    let outcomes: Vec<_> =
        (0..3).map(|step| card["steps"][step]["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["done", "done", "done"]);
    assert_eq!(card["steps"][2]["verdict"], "held");
    assert_eq!(card["steps"][1]["why"], "done, says ann: it was stuck");
    assert_eq!(card["steps"][1]["back"]["why"], "put back, says ann");
    for file in ["report.html", "report.md", "report.json", "junit.xml"] {
        let report = fs::read_to_string(run.join(file)).unwrap();
        assert!(report.contains("Pull the cable of sw3.") && report.contains("all rows are there"), "{file}");
        assert!(!report.contains("hunter2abc"), "{file}");
    }
    assert!(log(&run).contains("***") && !log(&run).contains("hunter2abc"), "{}", log(&run));
}

#[test]
fn a_check_that_fails_stops_the_run_before_any_fault() {
    if !labs() {
        return;
    }
    let bench = Bench::up("check-fails");
    let check = "[[attack]]\nname = \"backup\"\ncheck = [\"sh\", \"-c\", 'echo no backup >&2; exit 7']\n";
    let output = bench.run(&with_steps(check, ""), &[]);
    assert_ends(&output, 1, "step \"backup\" (check): failed: exit code 7");
    bench.assert_untouched();
    let card = bench.card();
    assert_eq!(
        (card["verdict"].as_str(), card["steps"][0]["program"]["exit"].as_i64()),
        (Some("violated"), Some(7))
    );
    assert_eq!(card["steps"][0]["program"]["lines"][0], "no backup");
    fs::remove_dir_all(bench.reports()).unwrap();
    // If a program is missing, the run is refused before a host is asked.
    let absent = "[[attack]]\nname = \"backup\"\ncheck = [\"./no-such-program\"]\n";
    let output = bench.run(&with_steps(absent, ""), &["--plan"]);
    assert_ends(
        &output,
        4,
        "step 1, \"backup\" cannot be run here: `./no-such-program` is no file that can be run",
    );
}

#[test]
fn a_program_ends_with_its_time_with_the_run_and_with_its_coordinator() {
    if !labs() {
        return;
    }
    let bench = Bench::up("programs");
    let folder: PathBuf = bench.folder.path().to_owned();
    // Waits until both processes have ended, and prepares the next run.
    let ended = |what: &str| {
        let pids = pids_of_long(&folder);
        until(what, || !pids.iter().any(|pid| runs(pid)));
        fs::remove_file(folder.join("outer")).unwrap();
        fs::remove_dir_all(bench.reports()).unwrap();
    };
    let output = bench.run(&with_steps(&command("20s"), ""), &[]);
    assert_ends(&output, 3, "step \"long\" (command): unknown: it took longer than 20s, and was ended");
    bench.assert_untouched();
    ended("it ends with its time");
    for (signal, code) in [(Signal::INT, Some(5)), (Signal::KILL, None)] {
        let (mut child, run) =
            bench.until_log(&with_steps(&command("10m"), ""), &[], "\"event\":\"step-began\"");
        assert!(pids_of_long(&folder).iter().all(|pid| runs(pid)));
        end(&mut child, signal);
        assert_eq!(wait(&mut child).code(), code, "{}", bench.stderr());
        if signal == Signal::INT {
            assert!(
                log(&run).contains("it was ended, because the run had to stop: stopped by Ctrl-C"),
                "{}",
                log(&run)
            );
        }
        ended("it ends with its run");
    }
}

#[test]
fn what_nobody_says_was_put_back_is_not_held() {
    if !labs() {
        return;
    }
    let bench = Bench::up("not-put-back");
    let (mut child, run) = bench.until_log(&with_steps(&by_hand("10m"), ""), &[], "\"event\":\"step-began\"");
    assert_ends(&says(&bench, &run, &["done"]), 0, "as done");
    until("a fault is in force", || log(&run).contains("\"to\":\"in-force\""));
    end(&mut child, Signal::INT);
    until("it is to be put back", || log(&run).contains("\"event\":\"put-back-asked\""));
    bench.assert_quiet();
    // After the first signal the program says what it waits for, and the second signal ends the wait.
    end(&mut child, Signal::INT);
    until("it says what it waits for", || {
        bench.stderr().contains("a person is to put back step 1, \"cable\": Plug it in again.")
    });
    assert!(child.try_wait().unwrap().is_none(), "the run does not wait for the person");
    end(&mut child, Signal::INT);
    assert_eq!(wait(&mut child).code(), Some(6), "{}", bench.stderr());
    let report = bench.firedrill(&["report", run.to_str().unwrap()]).output().unwrap();
    assert!(said(&report).contains("What a person did by hand may still be in force"), "{}", said(&report));
    assert!(bench.card()["why"].to_string().contains("may still be in force"));
}

#[test]
fn of_a_program_that_did_not_end_by_itself_nobody_knows() {
    use std::os::unix::fs::PermissionsExt as _;
    if !labs() {
        return;
    }
    let bench = Bench::up("program-ends");
    let file = bench.folder.path().join("no-interpreter");
    fs::write(&file, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    // This program is killed from outside while a process of its group is left.
    let keeper = "echo $$ > inner; kill -KILL $PPID; sleep 1000; true";
    let all = [
        ("signal", "[\"sh\", \"-c\", 'kill -TERM $$']".to_owned(), "signal 15 ended it"),
        ("interpreter", "[\"./no-interpreter\"]".to_owned(), "it cannot be started"),
        ("keeper", format!("[\"sh\", \"-c\", '{keeper}']"), "it was ended from outside"),
    ];
    let steps = all.iter().map(|(name, argv, _)| {
        format!("[[attack]]\nname = \"{name}\"\ncheck = {argv}\non_failure = \"continue\"\n")
    });
    let output = bench.run(&with_steps(&steps.collect::<String>(), ""), &[]);
    for (name, _, why) in &all {
        assert_ends(&output, 3, &format!("step \"{name}\" (check): unknown: {why}"));
    }
    let pid = fs::read_to_string(bench.folder.path().join("inner")).unwrap();
    until("its group ends", || !runs(pid.trim()));
}
