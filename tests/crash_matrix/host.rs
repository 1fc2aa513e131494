//! The lab, its hosts, and the actions of a test on one of them.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    net::IpAddr,
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use firedrill::{
    link::{Agent, Identity, LinkError},
    pki::{PersonAsk, Pki},
    plan::model::{self, Reach},
    rehearsal,
};
use firedrill_agent::snapshot::{Snapshot, compare};
use firedrill_lab::{Lab, LabSpec, LabStatus, Options, SELF_EXE, ServiceSpec};
use firedrill_wire::{
    InjectionId, RunId,
    api::HostState,
    identity::Role,
    journal::{State, What},
};
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::inside::{INSIDE, Look};

/// Number of tests that run at once, each on another host.
pub(crate) const HOSTS: usize = 16;
/// The service that faults attack.
pub(crate) const VICTIM: &str = "victim";
/// Maximum time until a dead agent is back, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Timings with short waits, so that tests are quick. A start may be late, because the machine is busy.
const TIMINGS: &str = "
[timings]
start_tolerance = \"6s\"
look_every = \"500ms\"
stale_after = \"1500ms\"
grace = \"500ms\"
undo_tries = 5
undo_pause = \"100ms\"
undo_pause_most = \"400ms\"
undo_budget = \"8s\"
";

/// The lab, and a coordinator's side in it.
pub(crate) struct World {
    lab: Lab,
    identity: Arc<Identity>,
    /// The numbers of the hosts that no test uses.
    free: Mutex<Vec<usize>>,
    /// The state of each host when it is quiet.
    known: Mutex<BTreeMap<usize, Snapshot>>,
    /// Notified when a host is free again.
    back: Condvar,
    /// Number of runs so far.
    runs: AtomicU32,
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// Returns the host with a number, as a plan has it.
fn model(number: usize) -> model::Host {
    let address: IpAddr = format!("10.77.1.{}", number + 10).parse().unwrap();
    let second: IpAddr = format!("fd77:1::{}", number + 10).parse().unwrap();
    model::Host {
        name: format!("host{number}"),
        addresses: vec![address, second],
        labels: BTreeMap::new(),
        roles: Vec::new(),
        tags: Vec::new(),
        agent: Reach::Tcp(format!("{address}:{}", firedrill_wire::DEFAULT_PORT)),
        via: None,
    }
}

impl World {
    /// Starts the lab and enters it. The process must have one thread.
    pub(crate) fn up() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::init(&dir.path().join("pki")).unwrap();
        pki.issue_person(&PersonAsk::new("alice", Role::Operator, 1)).unwrap();
        let hosts = (0..HOSTS).map(|number| {
            let mut host = rehearsal::host(&pki, &model(number), TIMINGS).unwrap();
            let argv = [SELF_EXE, INSIDE, "nap"].map(str::to_owned).to_vec();
            host.services.push(ServiceSpec { name: VICTIM.into(), argv, ..ServiceSpec::default() });
            host.region = "here".into();
            host
        });
        let mut spec = LabSpec::new(format!("crash-matrix-{}", std::process::id()), hosts.collect());
        spec.boot_delay_ms = 300;
        let lab = Lab::up(&spec, &Options::default()).unwrap();
        let identity = Arc::new(Identity::load_as(pki.dir(), "alice").unwrap());
        drop(dir);
        lab.enter().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (free, back, known) = (Mutex::new((0..HOSTS).collect()), Condvar::new(), Mutex::default());
        Self { lab, identity, free, known, back, runs: AtomicU32::new(0), runtime }
    }

    /// Takes the lab down.
    pub(crate) fn down(self) {
        let Self { lab, runtime, .. } = self;
        drop(runtime);
        lab.down().unwrap();
    }

    /// Returns a host that no other test uses until it is dropped.
    pub(crate) fn host(&self) -> Host<'_> {
        let mut free = self.back.wait_while(self.free.lock().unwrap(), |free| free.is_empty()).unwrap();
        let number = free.pop().unwrap();
        Host { world: self, number, model: model(number) }
    }

    pub(crate) fn new_run(&self) -> RunId {
        format!("r{}", self.runs.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
    }
}

/// A host of the lab. Other tests can use it when this is dropped.
pub(crate) struct Host<'w> {
    world: &'w World,
    number: usize,
    model: model::Host,
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The next test must not find leftovers of this one.
            let _ = self.world.lab.plug(&self.model.name);
            self.switch_off_and_on();
        }
        self.world.free.lock().unwrap().insert(0, self.number);
        self.world.back.notify_one();
    }
}

/// A process of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Worker,
    Guardian,
    Helper,
}

impl Who {
    pub(crate) const ALL: &'static [Self] = &[Self::Worker, Self::Guardian, Self::Helper];
}

/// The agent's processes. Descriptors (pidfds) hold them, so that a signal never hits another process.
#[derive(Debug)]
pub(crate) struct Processes(Vec<(Who, OwnedFd)>);

impl Processes {
    /// Sends a signal to these processes. On a busy machine a process may have been replaced in the meantime. Then the test goes on with the
    /// others, and its output says so.
    pub(crate) fn signal(&self, whom: &[Who], signal: Signal) {
        let send = |signal| {
            whom.iter().copied().filter(|who| self.signal_if_there(*who, signal)).collect::<Vec<Who>>()
        };
        if signal == Signal::KILL && whom.len() > 1 {
            // All are stopped first, so that none acts on the death of another.
            send(Signal::STOP);
        }
        let reached = send(signal);
        assert!(!reached.is_empty(), "none of {whom:?} exists any more");
        if reached.len() < whom.len() {
            eprintln!("{signal:?} to {whom:?}: only {reached:?} exists any more");
        }
    }

    /// Sends a signal to a process, unless it has ended already. Returns whether the signal was sent.
    pub(crate) fn signal_if_there(&self, whom: Who, signal: Signal) -> bool {
        let (_, process) = self.0.iter().find(|(who, _)| *who == whom).unwrap();
        match pidfd_send_signal(process, signal) {
            Ok(()) => true,
            Err(Errno::SRCH) => false,
            Err(error) => panic!("cannot send {signal:?} to the {whom:?}: {error}"),
        }
    }
}

impl Host<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.model.name
    }

    /// Returns a new connection to the host's agent.
    pub(crate) fn agent(&self) -> Agent {
        Agent::new(&self.model, Arc::clone(&self.world.identity))
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.world.lab
    }

    /// Runs this program inside the host with these words, and returns its output.
    pub(crate) fn inside(&self, words: &[&str]) -> String {
        let argv: Vec<OsString> = [SELF_EXE, INSIDE].iter().chain(words).map(OsString::from).collect();
        let output = self.world.lab.output(&self.model.name, &argv).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?} in {}: {}, {complaint}", self.model.name, output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns the host's state, as the observer in it sees it.
    pub(crate) fn look(&self) -> Look {
        serde_json::from_str(&self.inside(&["look"])).unwrap()
    }

    /// Waits until the host is quiet (agent and service are up, nothing is open), and returns its state.
    pub(crate) async fn quiet(&self) -> Look {
        self.healed().await;
        let mut before = self.look();
        let known = self.world.known.lock().unwrap().get(&self.number).cloned();
        if known.is_some_and(|known| known == before.snapshot) {
            return before;
        }
        wait("the host to be quiet", async || {
            let now = self.look();
            // The kernel gives each of three interfaces this address some time after the host was booted.
            let own = now.snapshot.seen.keys().filter(|key| key.starts_with("route:ip6 table 255 fe80::"));
            let same = own.count() >= 3 && now.snapshot == before.snapshot && self.victim().is_some();
            before = now;
            same
        })
        .await;
        self.world.known.lock().unwrap().insert(self.number, before.snapshot.clone());
        before
    }

    /// Waits until the agent serves and nothing is open.
    pub(crate) async fn healed(&self) {
        let (mut last, agent) = (String::new(), self.agent());
        wait_or("the agent to serve with nothing open", PATIENCE, async || {
            let status = agent.status().await;
            let is_healed = status.as_ref().is_ok_and(|status| status.open.is_empty());
            last = format!("{status:?}");
            is_healed
        })
        .await
        .unwrap_or_else(|late| panic!("{late}: {last}\n{:?}\n{}", self.find(), self.story()));
    }

    /// Checks that the host is as before: by the agent's proof, and by a comparison from outside.
    pub(crate) async fn clean(&self, before: &Look, run: &RunId) -> Look {
        self.healed().await;
        let (mut last, mut after) = (Vec::new(), None);
        // A cable that was plugged in again takes a moment until its interface is as before, and so does a service that
        // starts.
        wait_or("the host to be as before", PATIENCE / 4, async || {
            let now = self.look();
            let difference = compare(&before.snapshot, &now.snapshot, &[]);
            last = [difference.ours, difference.foreign].concat();
            after = Some(now);
            last.is_empty()
        })
        .await
        .unwrap_or_else(|late| panic!("{late}; it differs: {last:#?}\n{}", self.story()));
        // A worker whose guardian hangs ends after it has undone everything. Then the next worker answers.
        let mut answer = None;
        wait_or("an answer to finish", PATIENCE / 4, async || {
            let end = self.agent().finish(run).await;
            let again = end.as_ref().is_err_and(LinkError::passing);
            answer = Some(end);
            !again
        })
        .await
        .unwrap_or_else(|late| panic!("{late}: {answer:?}\n{}", self.story()));
        let end = answer.unwrap().unwrap();
        assert_eq!(
            (end.state, &end.ours[..], &end.foreign[..]),
            (HostState::Clean, &[][..], &[][..]),
            "{}",
            self.story()
        );
        assert!(end.compared > 10, "the agent compared next to nothing");
        after.unwrap()
    }

    /// Returns the agent's journal and log, for the message of a failed test.
    pub(crate) fn story(&self) -> String {
        let log = self.world.lab.log(&self.model.name, "firedrill-agent").unwrap_or_default();
        let log: Vec<&str> = log.lines().rev().take(30).collect();
        let log: Vec<&str> = log.into_iter().rev().collect();
        let events: Vec<String> =
            self.look().events.iter().rev().take(15).rev().map(|event| format!("{event:?}")).collect();
        format!("events:\n{}\nlog:\n{}", events.join("\n"), log.join("\n"))
    }

    pub(crate) fn status(&self) -> LabStatus {
        self.world.lab.status().unwrap()
    }

    /// Returns the number of the host's boots.
    pub(crate) fn boots(&self) -> u32 {
        let status = self.status();
        status.hosts.iter().find(|host| host.name == self.model.name).unwrap().boots
    }

    fn switch_off_and_on(&self) {
        let lab = &self.world.lab;
        lab.kill(&self.model.name).unwrap();
        // The call is refused until the host is off.
        while lab.power_on(&self.model.name).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Switches the host off and on, and waits until it is healed.
    pub(crate) async fn power_cycle(&self) {
        self.switch_off_and_on();
        self.healed().await;
    }

    /// Returns the pid, in the host, of a service; `None` if it is down.
    fn service(&self, name: &str) -> Option<i32> {
        let status = self.status();
        let host = status.hosts.iter().find(|host| host.name == self.model.name)?;
        host.services.iter().find(|service| service.name == name)?.pid
    }

    /// Returns the pid, in the host, of the service that faults attack; `None` if it is down.
    pub(crate) fn victim(&self) -> Option<i32> {
        self.service(VICTIM)
    }

    /// Waits until the agent has its three processes, and returns them.
    pub(crate) async fn processes(&self) -> Processes {
        let mut found = None;
        wait("the agent to have its three processes", async || {
            found = self.find();
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Returns the agent's processes; `None` if it does not have exactly three.
    fn find(&self) -> Option<Processes> {
        const SERVES: &[u8] = b"agent\0serve\0";
        let agents: Vec<(i32, i32, usize)> = self
            .world
            .lab
            .pids(&self.model.name)
            .unwrap()
            .into_iter()
            .filter_map(|pid| {
                let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
                let is_agent = words.windows(SERVES.len()).any(|part| part == SERVES);
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
                let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
                let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.count();
                is_agent.then_some((pid, parent, threads))
            })
            .collect();
        let &(guardian, ..) =
            agents.iter().find(|(_, parent, _)| agents.iter().all(|(pid, ..)| pid != parent))?;
        let mut children = agents.iter().filter(|(_, parent, _)| *parent == guardian);
        let (first, second) = (children.next()?, children.next()?);
        // The worker has several threads, and the helper one.
        let (worker, helper) = if first.2 > 1 { (first, second) } else { (second, first) };
        if agents.len() != 3 || worker.2 < 2 || helper.2 != 1 {
            return None;
        }
        let hold = |pid: i32| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok();
        Some(Processes(vec![
            (Who::Guardian, hold(guardian)?),
            (Who::Worker, hold(worker.0)?),
            (Who::Helper, hold(helper.0)?),
        ]))
    }
}

/// Returns the states of an injection in the journal, in order, and what others had changed when it was undone.
pub(crate) fn states(look: &Look, id: &InjectionId) -> (Vec<State>, Vec<String>) {
    let changes = look.events.iter().filter_map(|event| match &event.what {
        What::Changed { injection, to, foreign, .. } if injection == id => Some((*to, foreign.clone())),
        _ => None,
    });
    let (states, foreign): (Vec<State>, Vec<Vec<String>>) = changes.unzip();
    (states, foreign.concat())
}

/// Waits until a condition holds. Panics after [`PATIENCE`].
pub(crate) async fn wait(what: &str, good: impl AsyncFnMut() -> bool) {
    wait_or(what, PATIENCE, good).await.unwrap_or_else(|late| panic!("{late}"));
}

/// Waits until a condition holds; an error after `at_most`.
async fn wait_or(what: &str, at_most: Duration, mut good: impl AsyncFnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !good().await {
        if began.elapsed() > at_most {
            return Err(format!("waited {at_most:?} for {what}"));
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}
