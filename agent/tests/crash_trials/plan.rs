//! Chooses a trial by its number: the faults, the moment, the hits on processes, other damage, and the process that
//! undoes.
//!
//! The same number always gives the same trial.

use std::fmt;

use fastrand::Rng;
use firedrill_wire::Fault;
use rustix::process::Signal;

use super::harness::Who;

/// A kind of fault with parameters whose effect shows from outside.
pub(crate) struct Kind {
    /// The name in the table of results.
    pub(crate) name: &'static str,
    /// The fault as a scenario has it.
    pub(crate) json: &'static str,
    /// Whether only the machine's root can make it in a namespace.
    pub(crate) root_only: bool,
    /// The resource that it needs exclusively: faults of one trial need different ones.
    takes: &'static str,
}

const fn kind(name: &'static str, takes: &'static str, json: &'static str) -> Kind {
    Kind { name, json, root_only: false, takes }
}

const fn by_iptables(name: &'static str, takes: &'static str, json: &'static str) -> Kind {
    Kind { name, json, root_only: true, takes }
}

/// The engine of the isolation is set in the host's configuration.
const ISOLATE_BY_IPTABLES: &str = "host-isolate by iptables";

/// Every kind that can be undone, with every engine.
pub(crate) const KINDS: &[Kind] = &[
    kind("service-stop", "victim", r#"{"service-stop":{"service":"victim"}}"#),
    kind("process-pause", "victim", r#"{"process-pause":{"match":{"service":"victim"}}}"#),
    kind("net-block", "10.9.0.2", r#"{"net-block":{"to":["10.9.0.2","fd09::2"]}}"#),
    kind("host-isolate", "all", r#"{"host-isolate":{}}"#),
    kind("net-slow", "10.9.0.3", r#"{"net-slow":{"to":["10.9.0.3"],"delay":"200ms","jitter":"50ms"}}"#),
    kind("net-lose", "10.9.0.4", r#"{"net-lose":{"to":["10.9.0.4"],"share":"20%"}}"#),
    kind(
        "net-throttle",
        "10.9.0.5",
        r#"{"net-throttle":{"to":["10.9.0.5"],"rate":"10mbit","direction":"both","engine":"kernel"}}"#,
    ),
    kind("net-duplicate", "10.9.0.9", r#"{"net-duplicate":{"to":["10.9.0.9"],"share":"20%"}}"#),
    kind("net-corrupt", "10.9.0.10", r#"{"net-corrupt":{"to":["10.9.0.10"],"share":"20%"}}"#),
    kind("net-reorder", "10.9.0.11", r#"{"net-reorder":{"to":["10.9.0.11"],"share":"20%","delay":"20ms"}}"#),
    kind("net-down", "spare0", r#"{"net-down":{"interface":"spare0"}}"#),
    kind("net-flap", "spare0", r#"{"net-flap":{"interface":"spare0","down":"300ms","up":"300ms"}}"#),
    kind("net-dns", "10.9.0.6", r#"{"net-dns":{"zones":".","how":"nxdomain","to":["10.9.0.6"]}}"#),
    by_iptables(
        "net-block by iptables",
        "10.9.0.7",
        r#"{"net-block":{"to":["10.9.0.7","fd09::7"],"engine":"iptables"}}"#,
    ),
    by_iptables(ISOLATE_BY_IPTABLES, "all", r#"{"host-isolate":{}}"#),
    by_iptables(
        "net-slow by iptables",
        "10.9.0.8",
        r#"{"net-slow":{"to":["10.9.0.8"],"delay":"200ms","engine":"iptables"}}"#,
    ),
];

/// Kinds without trials, and why.
const WITHOUT: [(&str, &str); 8] = [
    ("net-partition", "a host of a partition has a net-block"),
    ("net-reset", "it ends with the process that does it"),
    ("service-kill", "nothing is undone"),
    ("service-restart", "nothing is undone"),
    ("process-kill", "nothing is undone"),
    ("host-reboot", "nothing is undone"),
    ("host-poweroff", "nothing is undone"),
    ("region-kill", "an agent is never asked for it"),
];

/// Fails unless each kind has trials, or a reason to have none.
pub(crate) fn every_kind_has_trials() {
    for kind in Fault::KINDS {
        let has = KINDS.iter().any(|known| known.name.split(' ').next() == Some(kind));
        let without = WITHOUT.iter().any(|(known, _)| *known == kind);
        assert!(has != without, "{kind} is in none or both of `KINDS` and `WITHOUT` of the crash trials");
    }
}

/// The moment at which the first of the agent's processes is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// This long after the faults were armed: before, at or after their start.
    After(u64),
    /// At a place in the agent's code.
    Place(&'static str),
}

/// Places in the agent's code: three before an undo, then two in an undo.
const PLACES: [&str; 5] = ["staged", "before-inject", "injected", "before-undo", "put-back"];

impl Moment {
    /// Whether the place is in an undo, so that the run has to be undone.
    pub(crate) fn is_in_undo(self) -> bool {
        matches!(self, Self::Place("before-undo" | "put-back"))
    }
}

/// A signal to one of the agent's processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) who: Who,
    pub(crate) signal: Signal,
    /// Milliseconds since the previous hit.
    pub(crate) pause: u64,
}

/// Defines the kinds of damage other than signals to the agent's processes, and a list of them.
macro_rules! damages {
    ($($damage:ident),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Damage {
            None,
            $($damage),+
        }

        const DAMAGES: &[Damage] = &[$(Damage::$damage),+];
    };
}

damages!(
    MachineId,
    UnknownKey,
    NoConfiguration,
    EmptyConfiguration,
    OtherPaths,
    StateReadOnly,
    StateFull,
    StateIsAFile,
    StateRemoved,
    JournalUnreadable,
    JournalCut,
    JournalTorn,
    CopyRemoved,
    CopyDamaged,
);

impl Damage {
    /// Whether the journal is lost or shortened, so that only the copy is complete.
    pub(crate) fn loses_the_journal(self) -> bool {
        matches!(
            self,
            Self::StateIsAFile
                | Self::StateRemoved
                | Self::JournalUnreadable
                | Self::JournalCut
                | Self::JournalTorn
        )
    }
}

/// The command that undoes if no process of the agent is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Healer {
    Serve,
    UndoAll,
    Sweep,
}

impl Healer {
    pub(crate) const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Serve => &["serve"],
            Self::UndoAll => &["undo", "--all", "--no-halt"],
            Self::Sweep => &["sweep"],
        }
    }
}

/// A trial.
pub(crate) struct Plan {
    pub(crate) faults: Vec<&'static Kind>,
    /// Milliseconds from arming to the start.
    pub(crate) ahead: u64,
    /// Milliseconds.
    pub(crate) hold: u64,
    pub(crate) moment: Moment,
    pub(crate) hits: Vec<Hit>,
    /// Whether the coordinator falls silent with the first hit.
    pub(crate) silent: bool,
    pub(crate) damage: Damage,
    pub(crate) healer: Healer,
    /// Whether the first healer is killed this many milliseconds after its start.
    pub(crate) healer_dies: Option<u64>,
    /// Whether somebody runs `undo --all` while the agent's processes are hit.
    pub(crate) undo_besides: bool,
}

impl Plan {
    /// Returns the trial of a number. `places` is whether the agent can be stopped at places, `root` whether this is
    /// the machine's root.
    pub(crate) fn of(seed: u64, places: bool, root: bool) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let faults = choose_faults(&mut rng, root);
        let moment = if places && rng.u8(..100) < 40 {
            Moment::Place(PLACES[rng.usize(..PLACES.len())])
        } else {
            Moment::After(rng.u64(0..1400))
        };
        // Staging begins half a second before the start.
        let ahead = rng.u64(50..900);
        let hold = if rng.u8(..100) < 20 { rng.u64(100..800) } else { 100_000 };
        let hits = choose_hits(&mut rng);
        // An agent that only lost its helper has no reason to undo anything, so its coordinator falls silent.
        let must_heal = hits.iter().any(|hit| hit.who != Who::Helper);
        Self {
            faults,
            ahead,
            hold,
            moment,
            silent: !must_heal || rng.bool(),
            hits,
            damage: if rng.bool() { Damage::None } else { DAMAGES[rng.usize(..DAMAGES.len())] },
            healer: [Healer::Serve, Healer::UndoAll, Healer::Sweep][rng.usize(..3)],
            healer_dies: (rng.u8(..100) < 30).then(|| rng.u64(0..120)),
            undo_besides: rng.u8(..100) < 10,
        }
    }

    /// Returns the lines of the agent's configuration for these faults.
    pub(crate) fn configuration(&self) -> &'static str {
        let isolates = self.faults.iter().any(|kind| kind.name == ISOLATE_BY_IPTABLES);
        if isolates { "firewall = \"iptables\"\n" } else { "" }
    }

    /// Whether no hit is on this process.
    pub(crate) fn is_left(&self, who: Who) -> bool {
        self.hits.iter().all(|hit| hit.who != who)
    }
}

fn choose_faults(rng: &mut Rng, root: bool) -> Vec<&'static Kind> {
    let mut faults: Vec<&Kind> = Vec::new();
    for _ in 0..=rng.u8(..3) {
        let kind = &KINDS[rng.usize(..KINDS.len())];
        let fits = faults.iter().all(|other| {
            other.takes != kind.takes
                && (other.takes != "all" || !kind.name.starts_with("net-"))
                && (kind.takes != "all" || !other.name.starts_with("net-"))
        });
        if fits && (root || !kind.root_only) {
            faults.push(kind);
        }
    }
    if faults.is_empty() {
        // The first kinds need no root.
        faults.push(&KINDS[rng.usize(..9)]);
    }
    faults
}

fn choose_hits(rng: &mut Rng) -> Vec<Hit> {
    let mut processes = [Who::Guardian, Who::Worker, Who::Helper];
    rng.shuffle(&mut processes);
    let count = [1, 2, 3, 3][rng.usize(..4)];
    let kill_all = count == 3 && rng.bool();
    processes[..count]
        .iter()
        .map(|&who| Hit {
            who,
            signal: if kill_all || rng.u8(..100) < 60 { Signal::KILL } else { Signal::STOP },
            pause: [0, rng.u64(0..20), rng.u64(0..300)][rng.usize(..3)],
        })
        .collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.faults.iter().map(|kind| kind.name).collect();
        let hits: Vec<String> = self
            .hits
            .iter()
            .map(|hit| format!("{:?} {:?} after {} ms", hit.signal, hit.who, hit.pause))
            .collect();
        write!(
            f,
            "{} armed {} ms ahead for {} ms; {:?}: {}; coordinator {}; {:?}; then {:?}",
            kinds.join(" + "),
            self.ahead,
            self.hold,
            self.moment,
            hits.join(", "),
            if self.silent { "silent" } else { "renews" },
            self.damage,
            self.healer,
        )?;
        if let Some(after) = self.healer_dies {
            write!(f, ", which dies after {after} ms, and again")?;
        }
        if self.undo_besides {
            f.write_str("; `undo --all` besides")?;
        }
        Ok(())
    }
}
