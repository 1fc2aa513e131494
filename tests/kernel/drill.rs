//! Drills, which the real coordinator runs from the peer's side of the link.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

use serde_json::Value;

use crate::{
    machine::{OUT, program, step, told, until},
    runs::run_folders,
};

/// A fault: its kind and its parameters, as scenarios have them.
pub(crate) type Fault<'a> = (&'a str, &'a str);

/// Stops the service, which only an agent can undo.
pub(crate) const STOP: Fault<'_> = ("service-stop", "{ service = \"checkout\" }");

/// Writes a scenario with an attack for each fault, and returns its file.
fn scenario(name: &str, faults: &[Fault<'_>], hold: &str) -> PathBuf {
    // Only a connection that stays open can be reset.
    let connection = if faults.iter().any(|(kind, _)| *kind == "net-reset") { "reuse" } else { "new" };
    let mut text = format!(
        r#"schema = 1
name = "{name}"
hypothesis = "It comes back by itself."
[targets.it]
where = {{ role = "app" }}
[probes.checkout]
http = {{ url = "http://10.9.0.1:8080/checkout", status = 200 }}
rate = 10
timeout = "1s"
connection = "{connection}"
[objectives.back]
probe = "checkout"
good = "20%"
during = ["recovery"]
[attack_defaults]
baseline = "2s"
hold = "{hold}"
recovery = "3s"
"#
    );
    for (kind, parameters) in faults {
        text.push_str(&format!("[[attack]]\nname = \"{kind}\"\non = \"it\"\nfault.{kind} = {parameters}\n"));
    }
    let path = Path::new(OUT).join(format!("{name}.toml"));
    fs::write(&path, text).expect("scenario");
    path
}

/// Runs any verb of the coordinator against the one host.
pub(crate) fn firedrill(words: &[&str]) -> Output {
    command(words).output().expect("firedrill")
}

/// Returns the command of a verb, in the peer's network.
fn command(words: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", "peer"])
        .arg(program("firedrill"))
        .args(words)
        .env("FIREDRILL_FLEET", "/vm-out/fleet.toml")
        .env("FIREDRILL_PKI", "/vm-out/pki")
        .env("FIREDRILL_AS", "alice")
        .current_dir(OUT);
    command
}

/// Maximum number of starts of a drill whose fault begins too late.
const TRIES: u32 = 3;

/// A drill under way.
pub(crate) struct Drill {
    /// The name of the first try's files.
    base: String,
    /// The scenario's file.
    path: PathBuf,
    /// The number of this try, from 1.
    nth: u32,
    /// The name of this try's files.
    name: String,
    child: Child,
}

impl Drill {
    /// Starts a drill of these faults.
    pub(crate) fn start(name: &str, faults: &[Fault<'_>], hold: &str) -> Self {
        Self::of(name, &scenario(name, faults, hold))
    }

    /// Starts the drill of a scenario's file.
    pub(crate) fn of(name: &str, path: &Path) -> Self {
        Self::nth(name, path, 1)
    }

    /// Starts the try with a number.
    fn nth(base: &str, path: &Path, nth: u32) -> Self {
        let name = if nth == 1 { base.to_owned() } else { format!("{base}-{nth}") };
        let out = Path::new(OUT).join(&name);
        let log = File::create(Path::new(OUT).join(format!("{name}.log"))).expect("log");
        let child = command(&["run", &path.display().to_string(), "--out", &out.display().to_string()])
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("firedrill");
        Self { base: base.to_owned(), path: path.to_owned(), nth, name, child }
    }

    /// Waits until the drill's fault is in force.
    pub(crate) fn in_force(mut self) -> Self {
        loop {
            let mut is_in_force = false;
            until("the fault", || {
                is_in_force = told().is_some_and(|text| text.contains("InForce"));
                is_in_force || self.child.try_wait().expect("child").is_some()
            });
            if is_in_force {
                return self;
            }
            self = self.again_if_late().unwrap_or_else(|ended| panic!("it ended early:\n{}", ended.log));
        }
    }

    /// Waits for the end of the drill, after further tries while its fault begins too late.
    pub(crate) fn end_in_time(mut self) -> Ended {
        loop {
            match self.again_if_late() {
                Ok(again) => self = again,
                Err(ended) => return *ended,
            }
        }
    }

    /// Waits for the end of the drill, and starts it again if its fault began too late. In emulation an agent may be too late to begin, or too
    /// late to arm, so that the coordinator disarms it.
    fn again_if_late(self) -> Result<Self, Box<Ended>> {
        let (base, path, nth) = (self.base.clone(), self.path.clone(), self.nth + 1);
        let ended = self.end();
        if nth > TRIES || !ended.is_late() {
            return Err(Box::new(ended));
        }
        step(&format!("{base}: its fault began too late; once more"));
        Ok(Self::nth(&base, &path, nth))
    }

    /// Returns the folder of the run.
    pub(crate) fn folder(&self) -> PathBuf {
        run_folders(&Path::new(OUT).join(&self.name))
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no run:\n{}", self.log()))
    }

    /// Returns what the coordinator has printed so far.
    fn log(&self) -> String {
        fs::read_to_string(Path::new(OUT).join(format!("{}.log", self.name))).unwrap_or_default()
    }

    /// Waits for the end of the drill, and returns the exit code.
    pub(crate) fn code(mut self) -> Option<i32> {
        self.child.wait().expect("child").code()
    }

    /// Waits for the end of the drill, and returns its report and exit code.
    pub(crate) fn end(mut self) -> Ended {
        let status = self.child.wait().expect("child");
        let log = self.log();
        let report = fs::read_to_string(self.folder().join("report.json"))
            .unwrap_or_else(|error| panic!("no report: {error}\n{log}"));
        let report: Value = serde_json::from_str(&report).expect("JSON");
        Ended { code: status.code(), card: report["scorecard"].clone(), log }
    }
}

/// The result of a drill.
pub(crate) struct Ended {
    /// The exit code; `None` if a signal ended the coordinator.
    pub(crate) code: Option<i32>,
    /// The scorecard.
    pub(crate) card: Value,
    /// The output of the coordinator.
    pub(crate) log: String,
}

impl Ended {
    /// Whether the fault did not begin because the machine was too slow.
    fn is_late(&self) -> bool {
        let attack = &self.card["attacks"][0];
        let contains = |text: &Value, words: &str| text.as_str().is_some_and(|text| text.contains(words));
        contains(&attack["injections"][0]["detail"], " late, ")
            || contains(&attack["course"]["not-run"], " ms too long to arm")
    }

    /// Checks the exit code and the one host's state, which the drill proves by comparison with the state before.
    pub(crate) fn check(&self, code: i32, host: &str) {
        assert_eq!(self.code, Some(code), "{}\n{:#}", self.log, self.card);
        assert_eq!(self.card["hosts"][0]["state"], host, "{}\n{:#}", self.log, self.card["hosts"]);
    }
}
