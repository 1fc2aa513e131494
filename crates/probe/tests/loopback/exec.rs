//! Programs of probes: how they end, what they get, and that nothing of them is left.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use firedrill_probe::{Account, Anything, NoStores, Reads, Use, once, refusals};
use firedrill_wire::{
    Span,
    probe::{ProbeKind, ProbeSpec},
};
use serde_json::{Value, json};

use crate::common::{http, outcome};

/// Lets all programs run as one user.
struct As(Account);

impl Reads for As {
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String> {
        Anything.file(path, what_for)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        Anything.variable(name)
    }

    fn program(&self, _command: &[String]) -> Result<Option<Account>, String> {
        Ok(Some(self.0.clone()))
    }
}

/// Lets no program run.
struct Nothing;

impl Reads for Nothing {
    fn file(&self, _path: &str, _what_for: Use) -> Result<Vec<u8>, String> {
        Err("no".to_owned())
    }

    fn variable(&self, _name: &str) -> Result<String, String> {
        Err("no".to_owned())
    }
}

/// A folder with a script in it. A shell reads it, because a file that was just written cannot always be executed: another test's new process may have
/// it open.
struct Script(tempfile::TempDir);

impl Script {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("is ours");
        let path = folder.path().join("check");
        fs::write(&path, text).expect("writes");
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("check")
    }

    /// Returns the path of a file beside the script. It is the script's first argument.
    fn beside(&self) -> PathBuf {
        self.0.path().join("written")
    }

    fn spec(&self, more: &Value) -> ProbeSpec {
        let mut json = json!({ "command": ["/bin/sh", self.path(), self.beside()] });
        json.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
        spec(json)
    }

    fn written(&self) -> String {
        fs::read_to_string(self.beside()).unwrap_or_default()
    }
}

fn spec(json: Value) -> ProbeSpec {
    let kind = ProbeKind::Exec(serde_json::from_value(json).expect("a probe"));
    ProbeSpec { kind, timeout: Span::secs(20), ..http("") }
}

async fn asked(spec: &ProbeSpec) -> String {
    once(spec, &Anything, &NoStores).await.map_or_else(|why| why, |()| "good".to_owned())
}

/// Waits until no process of these numbers is left.
fn gone(numbers: &str) {
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    assert!(!numbers.is_empty(), "the program told no process");
    let until = Instant::now() + Duration::from_secs(20);
    let is_there = |number: &&&str| {
        fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    while let Some(left) = numbers.iter().find(is_there) {
        assert!(Instant::now() < until, "process {left} is left");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn the_end_and_the_number_decide() {
    let number = |most: u32| json!({ "number": { "at_least": 2, "at_most": most } });
    for (text, more, said) in [
        ("exit 0", json!({}), "good"),
        ("exit 3", json!({}), "exit 3"),
        ("exit 3", json!({ "exit": [1, 3] }), "good"),
        ("exit 0", json!({ "exit": 1 }), "exit 0"),
        ("kill -9 $$", json!({}), "killed by signal 9"),
        ("kill -TERM $$", json!({}), "killed by signal 15"),
        ("echo x; exit 0", json!({}), "good"),
        ("yes", json!({ "number": { "at_most": 1 } }), "output too long"),
        ("echo 5", number(5), "good"),
        ("echo 5.5", number(5), "number above"),
        ("echo 1", number(5), "number below"),
        ("echo 5 of 6", number(5), "not a number"),
        ("exit 0", number(5), "not a number"),
        ("echo 5; exit 2", number(5), "exit 2"),
    ] {
        let script = Script::new(text);
        assert_eq!(asked(&script.spec(&more)).await, said, "{text} {more}");
    }
    // Nobody reads it, so that it may be long.
    let long = Script::new("head -c 1000000 /dev/zero");
    assert_eq!(asked(&long.spec(&json!({}))).await, "good");
}

#[tokio::test]
async fn a_program_gets_few_variables_no_input_and_no_files() {
    let script = Script::new(
        "exec > \"$1\"; env; pwd; cat; ls /proc/self/fd; grep NoNewPrivs /proc/self/status; ulimit -c",
    );
    assert_eq!(asked(&script.spec(&json!({}))).await, "good");
    let written = script.written();
    let lines: Vec<&str> = written.lines().collect();
    let variable = |line: &&&str| line.contains('=');
    let mut names: Vec<&str> =
        lines.iter().filter(variable).filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.retain(|name| !["_", "OLDPWD", "PWD", "SHLVL"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LC_ALL", "LOGNAME", "PATH", "USER"], "{written}");
    let rest: Vec<&str> = lines.iter().filter(|line| !variable(line)).copied().collect();
    // `ls` has opened the folder that it lists.
    assert_eq!(rest, ["/", "0", "1", "2", "3", "NoNewPrivs:\t1", "0"], "{written}");
}

#[tokio::test]
async fn a_program_is_another_user_where_that_is_wanted() {
    if !is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let script = Script::new(
        "exec > \"$1\"; id -u; id -g; id -G; echo $HOME $USER; grep -E 'Cap(Prm|Eff)' /proc/self/status",
    );
    let account = Account {
        name: "nobody".to_owned(),
        home: "/nonexistent".to_owned(),
        user: 65534,
        group: 65533,
        groups: vec![65532],
    };
    assert_eq!(once(&script.spec(&json!({})), &As(account), &NoStores).await, Ok(()));
    let none = "0000000000000000";
    let said = format!("65534\n65533\n65533 65532\n/nonexistent nobody\nCapPrm:\t{none}\nCapEff:\t{none}\n");
    assert_eq!(script.written(), said);
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("Uid:\t0\t0"))
}

/// Leaves processes that have left the group, the session and the parent.
const LEAVES: &str = "
: >> \"$1\"
(sleep 1000 & echo $! >> \"$1\")
setsid sh -c 'sleep 1000 & echo $! >> \"$0\"; setsid sh -c \"echo \\$\\$ >> $0; trap \\\"\\\" TERM HUP INT; while :; do sleep 1000; done\" & sleep 1000' \"$1\" &
while [ $(wc -l < \"$1\") -lt 3 ]; do :; done
";

#[tokio::test]
async fn nothing_outlives_a_program_that_ends() {
    let script = Script::new(&format!("{LEAVES}\nexit 7"));
    assert_eq!(asked(&script.spec(&json!({}))).await, "exit 7");
    gone(&script.written());
}

#[tokio::test]
async fn nothing_outlives_the_time_out() {
    let script = Script::new(&format!("{LEAVES}\necho $$ >> \"$1\"; sleep 1000"));
    let spec = ProbeSpec { timeout: Span::secs(2), ..script.spec(&json!({})) };
    assert_eq!(asked(&spec).await, "timeout");
    gone(&script.written());
}

/// The prober of the next test, which is killed.
#[tokio::test]
#[ignore = "run by the test of a prober that is killed"]
async fn never_ends() {
    let path = std::env::var("FIREDRILL_TEST_SCRIPT").expect("the script of the other test");
    let beside = Path::new(&path).with_file_name("written");
    let said = asked(&ProbeSpec {
        timeout: Span::secs(60),
        ..spec(json!({ "command": ["/bin/sh", path, beside] }))
    })
    .await;
    unreachable!("it was to be killed before: {said}");
}

#[test]
fn nothing_outlives_a_prober_that_is_killed() {
    let script = Script::new(&format!("{LEAVES}\necho $$ >> \"$1\"; sleep 1000"));
    let mut prober = Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "exec::never_ends"])
        .env("FIREDRILL_TEST_SCRIPT", script.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let until = Instant::now() + Duration::from_secs(20);
    while script.written().lines().count() < 4 {
        assert!(Instant::now() < until, "{}", script.written());
        std::thread::yield_now();
    }
    prober.kill().expect("is ours");
    assert_eq!(prober.wait().expect("is ours").signal(), Some(9));
    gone(&script.written());
}

#[tokio::test]
async fn a_probe_of_a_program_is_open_loop() {
    let script = Script::new("exit 4");
    let (good, causes) = outcome(ProbeSpec { timeout: Span::millis(400), ..script.spec(&json!({})) }).await;
    assert_eq!((good, causes), (0, vec!["exit 4".to_owned()]));
}

#[tokio::test]
async fn programs_that_cannot_be_run_are_refused() {
    let script = Script::new("exit 0");
    let said = once(&script.spec(&json!({})), &Nothing, &NoStores).await.expect_err("refused");
    assert!(said.contains("no program is run here"), "{said}");
    fs::write(script.beside(), "no program").expect("writes");
    for (path, why) in [
        (script.beside(), "nobody may execute it"),
        (script.0.path().to_owned(), "not a file"),
        (script.0.path().join("missing"), "No such file"),
    ] {
        let said = asked(&spec(json!({ "command": [path] }))).await;
        assert!(said.contains(why), "{said}");
    }
    let fast = ProbeSpec { rate: 101.0, ..script.spec(&json!({})) };
    assert!(refusals(&fast).iter().any(|refusal| refusal.what.contains("at most 100")), "{fast:?}");
}
