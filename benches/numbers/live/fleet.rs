//! A lab of agents with a fleet file and a scenario that fails nobody: each host loses its way to an address that nobody has. Its runs are
//! processes of `firedrill run`, and their logs.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use firedrill::cli::lab::files::OPERATOR;
use firedrill_judge::log::{Event, Record};
use firedrill_wire::{
    InjectionId, Span,
    journal::{State, What},
};

use crate::{Failure, place::Rig, receiver::Receiver};

/// Maximum wait for anything.
const PATIENCE: Duration = Duration::from_secs(180);

/// The lab, and a folder with the files of its runs.
pub(crate) struct Fleet {
    rig: Rig,
    folder: tempfile::TempDir,
    /// Time that the lab took to come up.
    pub(crate) took: Duration,
    /// The service that is measured.
    _service: Receiver,
}

impl Fleet {
    /// Starts the lab and writes the files.
    pub(crate) fn up(what: &str, hosts: u8, hold: &str) -> Result<Self, Failure> {
        let rig = Rig::up(what, hosts)?;
        let folder = tempfile::tempdir()?;
        let service = Receiver::start();
        let mut fleet = "schema = 1\n[defaults]\nenv = \"bench\"\nagent_port = 7790\n".to_owned();
        for host in &rig.hosts {
            let address = host.addresses.first().ok_or("a host without an address")?;
            fleet.push_str(&format!(
                "[[host]]\nname = \"{}\"\nregion = \"{}\"\naddresses = [\"{address}\"]\n",
                host.name, host.labels["region"]
            ));
        }
        let scenario = format!(
            "schema = 1\nname = \"bench\"\nhypothesis = \"Nobody misses an address that nobody has.\"\n\
             [targets.all]\nwhere = {{ env = \"bench\" }}\n\
             [probes.service]\nhttp = {{ url = \"{}\", status = 200 }}\nrate = 100\nconnection = \"new\"\nfrom = [\"coordinator\"]\n\
             [objectives.users]\nprobe = \"service\"\ngood = \"90%\"\n\
             [attack_defaults]\nbaseline = \"3s\"\nhold = \"{hold}\"\nrecovery = \"3s\"\n\
             [[attack]]\nname = \"an address of nobody\"\non = \"all\"\nfault.net-block = {{ to = \"192.0.2.1\" }}\n",
            service.url("/")
        );
        for (name, text) in [("fleet.toml", fleet), ("scenario.toml", scenario)] {
            fs::write(folder.path().join(name), text)?;
        }
        fs::create_dir(folder.path().join("reports"))?;
        let took = rig.took;
        Ok(Self { rig, folder, took, _service: service })
    }

    /// Returns the folder with `fleet.toml`, `scenario.toml` and `reports`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a command of `firedrill` with the lab's certificates.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
        command.args(words).args(["--fleet", "fleet.toml", "--as", OPERATOR, "--pki"]).arg(self.rig.pki());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Returns the folders of all runs that have a log.
    fn runs(&self) -> Vec<PathBuf> {
        let inside = fs::read_dir(self.folder.path().join("reports")).into_iter().flatten().flatten();
        inside.map(|entry| entry.path()).filter(|path| path.join("events.jsonl").is_file()).collect()
    }
}

/// A run that goes on.
pub(crate) struct Run {
    child: Child,
    folder: PathBuf,
    /// The file with the program's output.
    output: PathBuf,
    /// The name of its folder.
    pub(crate) name: String,
}

impl Run {
    /// Starts a run with further options, and waits until it has a log.
    pub(crate) fn start(fleet: &Fleet, words: &[&str]) -> Result<Self, Failure> {
        let known = fleet.runs();
        let path = fleet.folder().join("output.txt");
        let output = fs::File::create(&path)?;
        let mut child = fleet
            .command(&["run", "scenario.toml"])
            .args(words)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(folder) = fleet.runs().into_iter().find(|run| !known.contains(run)) {
                let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Ok(Self { child, folder, output: path, name });
            }
            if child.try_wait()?.is_some() || Instant::now() > end {
                return Err(fs::read_to_string(&path)?.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether its program has not ended.
    pub(crate) fn goes_on(&mut self) -> Result<bool, Failure> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Reads its log as it is.
    pub(crate) fn log(&self) -> Result<RunLog, Failure> {
        Ok(RunLog { folder: self.folder.clone(), records: records(&self.folder.join("events.jsonl"))? })
    }

    /// Waits until its log shows something.
    pub(crate) fn wait(&mut self, shows: impl Fn(&RunLog) -> bool) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while !shows(&self.log()?) {
            if !self.goes_on()? || Instant::now() > end {
                let said = fs::read_to_string(&self.output)?;
                return Err(format!("the run does not come so far: {said}").into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Waits until its program has ended, and returns its log.
    pub(crate) fn ended(mut self) -> Result<RunLog, Failure> {
        self.child.wait()?;
        self.log()
    }
}

/// The log of a run.
pub(crate) struct RunLog {
    folder: PathBuf,
    records: Vec<Record>,
}

impl RunLog {
    /// Returns the number of injections that are in a state.
    pub(crate) fn are(&self, state: State) -> usize {
        let mut newest = HashMap::new();
        newest.extend(self.changes().map(|(injection, to, _)| (injection, to)));
        newest.values().filter(|to| **to == state).count()
    }

    /// Returns the times at which injections came into a state, by this machine's clock that counts through suspend, in microseconds.
    pub(crate) fn moments(&self, state: State) -> Vec<u64> {
        self.changes().filter(|(_, to, _)| *to == state).map(|(.., at_us)| at_us).collect()
    }

    /// Returns the changes of injections: the injection, its new state, and the time by the same clock, in microseconds.
    fn changes(&self) -> impl Iterator<Item = (&InjectionId, State, u64)> {
        self.records.iter().filter_map(|record| match &record.event {
            Event::Agent { what, .. } => match &what.what {
                What::Changed { injection, to, .. } => Some((injection, *to, what.boot_us)),
                _ => None,
            },
            _ => None,
        })
    }

    /// Returns what was left of leases whenever a host looked at its fault. Renewals that come late show as less.
    pub(crate) fn leases_left(&self) -> Vec<Duration> {
        let looks = self.records.iter().filter_map(|record| match &record.event {
            Event::Agent { what, .. } => match &what.what {
                What::Looked { evidence, .. } => Some(evidence),
                _ => None,
            },
            _ => None,
        });
        let lease = |detail: &str| {
            detail.split(", ").find_map(|part| part.strip_prefix("lease ")?.parse::<Span>().ok())
        };
        looks.filter_map(|evidence| lease(&evidence.detail)).map(|left| left.0).collect()
    }

    /// Whether the run has ended in order.
    pub(crate) fn has_end(&self) -> bool {
        self.records.iter().any(|record| matches!(record.event, Event::RunEnded { .. }))
    }

    /// Returns the name of the run's folder.
    pub(crate) fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns the greatest lateness of requests (99th percentile) in the report, in milliseconds; 1 if it was less.
    pub(crate) fn late_ms(&self) -> Result<f64, Failure> {
        let report: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(self.folder.join("report.json"))?)?;
        let mut all = Vec::new();
        lates(&report, &mut all);
        Ok(all.into_iter().fold(1.0, f64::max))
    }
}

/// Collects all `late_p99_us` of a report, in milliseconds.
fn lates(value: &serde_json::Value, all: &mut Vec<f64>) {
    match value {
        serde_json::Value::Object(members) => {
            all.extend(members.get("late_p99_us").and_then(serde_json::Value::as_f64).map(|us| us / 1000.0));
            members.values().for_each(|member| lates(member, all));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|one| lates(one, all)),
        _ => {}
    }
}

/// Reads the complete lines of a log.
fn records(path: &Path) -> Result<Vec<Record>, Failure> {
    let text = fs::read(path)?;
    let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = text[..complete].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Ok(Record::of_line(line)?)).collect()
}
