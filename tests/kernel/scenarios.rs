//! Runs the scenarios of the library in a lab on a kernel that has netem. Each fault has to be in force, by the kernel's engine if it can
//! carry it out, and each host has to be as before.
//!
//! The lab's hosts share an emulated machine that is about thirty times slower than real hosts. So probes send few requests and wait long, and
//! the objectives are not judged.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    machine::{OUT, call, program, step},
    runs::run_folders,
};

/// The scenarios of the library with faults on traffic.
const SCENARIOS: [&str; 5] = ["slowness", "partition", "flaky-link", "slow-database", "dns-failure"];

/// A scenario of delay and loss with few requests, because the emulated machine is slow.
const LATE: &str = r#"schema = 1
name = "late"
hypothesis = "Packets are late and lost as they are on a kernel that has netem."
[params]
hold = { type = "duration" }
[targets.one]
where = { role = "app" }
pick = 1
[probes.checkout]
http = { url = "http://edge1/checkout", status = 200 }
rate = 2
timeout = "8s"
[objectives.users]
probe = "checkout"
good = "20%"
[[attack]]
name = "late and lossy"
on = "one"
faults = [
  { net-slow = { to = "edge", delay = "500ms", jitter = "100ms" } },
  { net-lose = { to = "edge", share = "5%" }, at = "5s" },
]
baseline = "10s"
hold = { param = "hold" }
recovery = "10s"
"#;

/// Maximum number of runs of a scenario.
const TRIES: u32 = 3;

/// Runs all scenarios, and one without netem, or only those that `FIREDRILL_SCENARIOS` names.
pub(crate) fn in_the_lab() {
    let folder = slowed();
    let named = std::env::var("FIREDRILL_SCENARIOS").unwrap_or_default();
    let wanted: Vec<&str> = SCENARIOS
        .into_iter()
        .filter(|name| named.is_empty() || named.split(' ').any(|word| word == *name))
        .collect();
    step("a lab");
    let up = firedrill(&["lab", "up"]).output().expect("firedrill");
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    for name in wanted {
        step(&format!("scenario {name}"));
        run(&folder, name, "engine: kernel");
    }
    if named.is_empty() || named.contains("without-netem") {
        without_netem(&folder);
    }
    assert!(firedrill(&["lab", "down"]).status().expect("firedrill").success());
}

/// Runs a scenario without netem, as on kernels of Red Hat and its derivatives, where netem is in a separate package.
/// `doctor` and the plan must say so, and the fault must work.
fn without_netem(folder: &Path) {
    step("a kernel without netem");
    call("modprobe", &["-r", "sch_netem"]);
    let release = call("uname", &["-r"]);
    let modules = format!("/lib/modules/{}/kernel/net/sched", release.trim());
    let netem = fs::read_dir(&modules).expect("modules").flatten();
    for file in netem.filter(|file| file.file_name().to_string_lossy().starts_with("sch_netem.")) {
        fs::remove_file(file.path()).expect("a file of this machine only");
    }
    let said = |words: &[&str]| {
        let done = firedrill(words).output().expect("firedrill");
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    };
    let doctor = said(&["doctor", "--lab", "--host", "app1"]);
    assert!(doctor.contains("user space, because this kernel has no netem"), "{doctor}");
    // `doctor` is also run by hand, on the host itself.
    fs::write("/etc/os-release", "NAME=\"Rocky Linux\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n")
        .expect("a file of this machine only");
    let doctor = call(&program("firedrill-agent").display().to_string(), &["doctor"]);
    assert!(doctor.contains("dnf install kernel-modules-extra-$(uname -r)"), "{doctor}");
    let scenario = folder.join("late.toml");
    fs::write(&scenario, LATE).expect("written");
    let plan = said(&["run", "--lab", "--plan", "--param", "hold=20s", &scenario.display().to_string()]);
    assert!(plan.contains("user space is used, because this kernel has no netem"), "{plan}");
    run(folder, "late", "engine: user space");
}

/// Returns the command of a verb.
fn firedrill(words: &[&str]) -> Command {
    let mut command = Command::new(program("firedrill"));
    command.args(words).current_dir(OUT);
    command
}

/// Makes copies of the scenarios whose probes send few requests and wait long, and whose objectives demand little.
fn slowed() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let target = Path::new(OUT).join("scenarios");
    for folder in ["", "lib"] {
        fs::create_dir_all(target.join(folder)).expect("a folder");
        for entry in fs::read_dir(source.join(folder)).expect("scenarios").flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "toml") {
                let text = fs::read_to_string(entry.path()).expect("a scenario");
                let rate = match entry.file_name().to_str() {
                    // Two probes from four vantages send requests.
                    Some("dns-failure.toml") => "rate = 1",
                    // `check` asks for 72 samples, for a quantile.
                    Some("slow-database.toml") => "rate = 5",
                    _ => "rate = 4",
                };
                let slow = |line: &str| match line.split_once(" = ") {
                    Some(("rate", number)) if number.trim().parse::<u32>().is_ok() => rate.to_owned(),
                    Some(("timeout", _)) => "timeout = \"8s\"".to_owned(),
                    Some(("good", _)) => "good = \"20%\"".to_owned(),
                    Some((goal @ ("mitigate_within" | "recover_within"), _)) => {
                        format!("{goal} = \"10s\"\ngood_at = \"20%\"")
                    }
                    Some(("abort", _)) => String::new(),
                    // The objectives are not judged, so short phases are enough. `check` wants a recovery that is a second
                    // longer than the goal.
                    Some(("baseline", _)) => "baseline = \"10s\"".to_owned(),
                    Some(("recovery", _)) => "recovery = \"12s\"".to_owned(),
                    _ => line.to_owned(),
                };
                let lines: Vec<String> = text.lines().map(slow).collect();
                fs::write(target.join(folder).join(entry.file_name()), lines.join("\n")).expect("written");
            }
        }
    }
    target
}

/// Runs a scenario, several times if a fault began too late. In emulation an agent may be too late and then refuses to begin.
fn run(folder: &Path, name: &str, engine: &str) {
    for attempt in 1..=TRIES {
        let report = report(folder, name);
        let late =
            |injection: &Value| injection["detail"].as_str().is_some_and(|detail| detail.contains(" late, "));
        let begun = list(&report["scorecard"], "attacks")
            .iter()
            .all(|attack| !list(attack, "injections").iter().any(late));
        if begun || attempt == TRIES {
            return check(&report, engine);
        }
        step("a fault would have begun too late; once more");
    }
}

/// Runs a scenario once, and returns its report.
fn report(folder: &Path, name: &str) -> Value {
    let up = fs::read_to_string("/proc/uptime").expect("uptime");
    let out = Path::new(OUT).join(format!("{name}-{}", up.split('.').next().expect("a number")));
    let ran = firedrill(&["run", "--lab", "--param", "hold=20s", "--out"])
        .args([&out, &folder.join(format!("{name}.toml"))])
        .output()
        .expect("firedrill");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let report = run_folders(&out).into_iter().next();
    let report = report.and_then(|run| fs::read(run.join("report.json")).ok());
    report.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_else(|| panic!("{said}"))
}

/// Returns a list of a report; empty if there is none.
fn list(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().cloned().unwrap_or_default()
}

/// Checks that all faults were in force by that engine, and that all hosts are clean.
fn check(report: &Value, engine: &str) {
    let card = &report["scorecard"];
    let attacks = list(card, "attacks");
    assert!(!attacks.is_empty(), "{report:#}");
    for attack in attacks {
        step(&format!("{}: {} {}", attack["name"], attack["verdict"], attack["why"]));
        let injections = list(&attack, "injections");
        assert!(!injections.is_empty(), "{attack:#}");
        for injection in injections {
            let detail = injection["detail"].as_str().unwrap_or_default();
            // In emulation the last look can come after the kernel has already ended the hold.
            let late = detail.contains("hold over") && injection["looks"].as_u64() > Some(5);
            assert!(injection["in_force"] == "yes" || late, "{injection:#}");
            let shapes =
                ["net-slow", "net-lose", "net-duplicate", "net-corrupt", "net-reorder", "net-throttle"];
            let shaped = shapes.iter().any(|kind| injection["kind"] == *kind);
            assert!(!shaped || detail.starts_with(engine), "{injection:#}");
            for exchange in list(&injection, "exchanges") {
                assert!(exchange["contradiction"].is_null(), "{exchange:#}");
            }
        }
    }
    for host in list(card, "hosts") {
        assert_eq!(host["state"], "clean", "{host:#}");
    }
}
