//! For tests only: deterministic records of simulated runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod records;
pub mod simulated;

use std::{collections::BTreeMap, fs, path::Path};

use base64::Engine as _;
use firedrill_plan::plan::{
    Plan,
    model::{
        Asks, Attack, COORDINATOR, GOOD_AT, Goal, Guard, Host, Injection, Metric, MetricGoal, Objective,
        Phase, Probe, Reach, Step, Then,
    },
};
use firedrill_probe::requests::Outcome as End;
use firedrill_wire::{
    Fault, Share, Span,
    api::HostState,
    evidence::Seen,
    exchange::{Exchange, Exchanged, Way},
    fault::{HostIsolate, PeerTable, ServiceManager, ServiceStop},
    journal::{HealReason, State},
    probe::{Arrivals, Bin, Connection, HttpProbe, ProbeKind, Requests},
};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer as _, V2Serializer},
};

use crate::log::{Event, Moment, Outcome, RunOutcome, Writer};

/// Microseconds of a second.
pub const S: i64 = 1_000_000;
/// The id of a drill's run.
pub const RUN: &str = "20261120-1402-friday-7f3a";
/// The start of a drill's run.
pub const WALL: &str = "2026-11-20T14:02:11Z";
/// Requests a second of the drill's probe.
pub const RATE: u64 = 100;

/// Returns a bin of one second; all bad requests come first, and latencies vary a little with the second.
pub fn bin(probe: &str, second: i64, good: u64, bad: u64) -> Bin {
    bin_with(probe, second, [good, bad, 0])
}

/// Returns a bin with good, bad and slipped requests; bad ones come first, and slipped ones last.
pub fn bin_with(probe: &str, second: i64, [good, bad, slipped]: [u64; 3]) -> Bin {
    // Two digits are enough, and tests decode very many of them.
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 1_000_000, 2).unwrap();
    for request in 0..good {
        histogram.record(9_000 + request * 130 + (second.unsigned_abs() % 7) * 400).unwrap();
    }
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
    let due = good + bad + slipped;
    // Requests are at equal distances, at the drill's rate.
    let step = 1_000_000 / RATE;
    let ends = [(bad, End::Bad), (good, End::Good), (slipped, End::Slipped)];
    let ends: Vec<End> = ends
        .into_iter()
        .flat_map(|(count, end)| std::iter::repeat_n(end, usize::try_from(count).unwrap()))
        .collect();
    Bin {
        seq: u64::try_from(second).unwrap_or(0) + 1,
        probe: probe.to_owned(),
        start_boot_us: u64::try_from(second + 100).unwrap_or(0) * 1_000_000,
        boot_id: "boot".to_owned(),
        length_us: 1_000_000,
        due,
        good,
        bad: if bad > 0 { BTreeMap::from([("timeout".to_owned(), bad)]) } else { BTreeMap::new() },
        slipped,
        worst_slip_us: 300,
        lateness: String::new(),
        requests: (due > 0).then(|| Requests {
            first: second.unsigned_abs() * RATE,
            first_us: 0,
            outcomes: firedrill_probe::requests::pack(&ends),
        }),
        first_bad_us: (bad > 0).then_some(0),
        last_bad_us: (bad > 0).then(|| (bad - 1) * step),
        latency: if good > 0 {
            base64::engine::general_purpose::STANDARD.encode(bytes)
        } else {
            String::new()
        },
        phases: BTreeMap::new(),
    }
}

/// Returns a metric that is sampled each second, and known a second later.
#[must_use]
pub fn metric(goal: MetricGoal) -> Metric {
    Metric {
        name: "errors".to_owned(),
        source: "prom".to_owned(),
        asks: Asks::One { query: "x".to_owned() },
        goal,
        every: Span::secs(1),
        lag: Span::secs(1),
        stale_after: Span::secs(5),
        window: Span::ZERO,
        unit: String::new(),
        during: vec![Phase::Fault],
    }
}

/// One attack of a [`Drill`], in seconds after its fault's start.
#[derive(Clone)]
pub struct Act {
    /// Its name.
    pub name: &'static str,
    /// The hosts that it is on.
    pub hosts: Vec<&'static str>,
    /// Its fault.
    pub fault: Fault,
    /// Seconds from the fault's start in which requests are bad, and the number of bad requests in each of them.
    pub bad: Vec<(std::ops::Range<i64>, u64)>,
    /// The reason of its undo.
    pub reason: HealReason,
    /// The time of its undo, in seconds after its start.
    pub lifted: i64,
    /// Whether the fault was seen in force.
    pub in_force: Seen,
    /// Whether anything met it.
    pub exercised: Seen,
    /// Whether agents looked at it while it was in force.
    pub looks: bool,
    /// Number of packets per second that it affects.
    pub packets: u64,
    /// Its outcome.
    pub outcome: Outcome,
    /// The last state of its injections.
    pub end: State,
}

impl Act {
    /// Creates an attack in which three of a hundred requests fail in each of the first four seconds, and none after that.
    #[must_use]
    pub fn new(name: &'static str, hosts: &[&'static str], fault: Fault) -> Self {
        Self {
            name,
            hosts: hosts.to_vec(),
            fault,
            bad: vec![(0..4, 3)],
            reason: HealReason::HoldOver,
            lifted: HOLD,
            in_force: Seen::Yes,
            exercised: Seen::Yes,
            looks: true,
            packets: 120,
            outcome: Outcome::Ran,
            end: State::Undone,
        }
    }
}

/// Seconds of the baseline.
pub const BASELINE: i64 = 20;
/// Seconds of the fault.
pub const HOLD: i64 = 60;
/// Seconds of the recovery.
pub const RECOVERY: i64 = 40;
/// Seconds of settling.
pub const SETTLE: i64 = 10;
const LENGTH: i64 = BASELINE + HOLD + RECOVERY + SETTLE;

/// Returns a fault that causes no traffic itself.
#[must_use]
pub fn stop() -> Fault {
    Fault::ServiceStop(ServiceStop { service: "checkout".to_owned(), manager: ServiceManager::Auto })
}

/// Returns a fault on all traffic of a host.
#[must_use]
pub fn isolate() -> Fault {
    Fault::HostIsolate(HostIsolate::default())
}

/// A simulated run: change its fields, then call [`Drill::records`].
pub struct Drill {
    /// The attacks, one after another.
    pub acts: Vec<Act>,
    /// The vantages of its probe.
    pub vantages: Vec<&'static str>,
    /// Changes or drops a bin; gets its vantage and its second of the run.
    #[expect(clippy::type_complexity, reason = "a plain hook")]
    pub bins: Box<dyn Fn(&str, i64, Bin) -> Option<Bin>>,
    /// More events, by second of the run.
    pub extra: Vec<(i64, Event)>,
    /// The steps between attacks.
    pub steps: Vec<Step>,
    /// The final states of hosts.
    pub ends: Vec<(&'static str, HostState)>,
    /// Its outcome; none if the log is cut.
    pub outcome: Option<RunOutcome>,
    /// The objectives: name, goal and phases.
    pub goals: Vec<(&'static str, Goal, Vec<Phase>)>,
    /// Whether each host has its own address; otherwise all share one.
    pub own_addresses: bool,
}

impl Drill {
    /// Returns a drill with two attacks that hold, measured by the coordinator and a canary.
    #[must_use]
    pub fn good() -> Self {
        Self {
            acts: vec![
                Act::new("stop checkout", &["app1"], stop()),
                Act::new("lose fremont", &["app2", "db2"], isolate()),
            ],
            vantages: vec![COORDINATOR, "canary"],
            bins: Box::new(|_, _, bin| Some(bin)),
            extra: Vec::new(),
            steps: Vec::new(),
            ends: vec![("app1", HostState::Clean), ("app2", HostState::Clean), ("db2", HostState::Clean)],
            outcome: Some(RunOutcome::Completed),
            own_addresses: false,
            goals: vec![
                ("users", Goal::Good(Share::from_fraction(0.98).unwrap()), vec![]),
                (
                    "fast",
                    Goal::Latency { quantile: 0.95, below: Span::millis(300) },
                    vec![Phase::Baseline, Phase::Fault],
                ),
                ("failover", Goal::MitigateWithin(Span::secs(15)), vec![]),
                ("back", Goal::RecoverWithin(Span::secs(10)), vec![]),
            ],
        }
    }

    /// Returns a drill with the first attack of [`Self::good`] only.
    #[must_use]
    pub fn one() -> Self {
        let mut drill = Self::good();
        drill.acts.truncate(1);
        drill.ends.truncate(1);
        drill
    }

    /// Returns a drill with one attack and one objective, “users”, with `bad` failed requests out of a hundred in each second of the fault.
    #[must_use]
    pub fn users(bad: u64) -> Self {
        let mut drill = Self::one();
        drill.goals.truncate(1);
        drill.acts[0].bad = if bad > 0 { vec![(0..HOLD, bad)] } else { Vec::new() };
        drill
    }

    /// Writes the log of a run of that id into a folder, which is made. `change` changes the plan and the start in it.
    pub fn write(&self, folder: &Path, run: &str, change: impl FnOnce(&mut Plan, &mut String)) {
        let mut records = self.records();
        let begun = records.iter_mut().find_map(|record| match &mut record.event {
            Event::RunStarted { plan, wall, .. } => Some((plan, wall)),
            _ => None,
        });
        let (plan, wall) = begun.unwrap();
        change(plan, wall);
        fs::create_dir_all(folder).unwrap();
        let log = folder.join("events.jsonl");
        let mut writer = Writer::create(&log).unwrap();
        for record in records {
            writer.append(record.at_us, record.event).unwrap();
        }
        drop(writer);
        // The run's id is a part of the ids of its injections, too.
        let text = fs::read_to_string(&log).unwrap().replace(RUN, run);
        fs::write(&log, text).unwrap();
    }

    /// Returns a drill with one attack on app1 by a fault about the canary's address, with the results of exchanges before, during
    /// and after.
    #[must_use]
    pub fn exchanging(act: Act, all: [Option<Exchanged>; 3]) -> Self {
        let mut drill = Self::one();
        drill.acts[0] = act;
        drill.own_addresses = true;
        let start = Self::start(0);
        let moments = [(Moment::Before, -5), (Moment::During, 10), (Moment::After, HOLD + 5)];
        for ((moment, second), met) in moments.into_iter().zip(all) {
            let event = Event::Exchanged {
                attack: 0,
                injection: format!("{RUN}-0-0").parse().unwrap(),
                moment,
                asker: "app1".to_owned(),
                other: "canary".to_owned(),
                from_us: (start + second) * 1_000_000 - 500_000,
                ask: Exchange {
                    to: "10.9.0.4".parse().unwrap(),
                    way: Way::Echo,
                    count: 20,
                    every: Span::millis(25),
                    within: Span::secs(1),
                },
                failed: met.is_none().then(|| "the link was cut".to_owned()),
                met,
            };
            drill.extra.push((start + second, event));
        }
        drill
    }

    /// Returns the plan of the drill.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let host = |last: u8, name: &str, region: &str| Host {
            name: name.to_owned(),
            addresses: vec![[10, 9, 0, if self.own_addresses { last } else { 1 }].into()],
            labels: BTreeMap::from([("region".to_owned(), region.to_owned())]),
            roles: vec!["app".to_owned()],
            tags: vec![],
            agent: Reach::Tcp(format!("{name}:7790")),
            via: None,
        };
        let at = |seconds: i64| Span::secs(u64::try_from(seconds).unwrap());
        Plan {
            moving: Vec::new(),
            schema: Plan::SCHEMA,
            name: "friday".to_owned(),
            hypothesis: "Two failures, one after another; no user notices for more than 15 s.".to_owned(),
            meta: BTreeMap::from([("ticket".to_owned(), "OPS-7".to_owned())]),
            environment: Some("ci".to_owned()),
            file: "scenarios/friday.toml".to_owned(),
            files: None,
            params: BTreeMap::new(),
            seed: 7,
            drawn: None,
            origins: Vec::new(),
            hosts: vec![
                host(1, "app1", "dallas"),
                host(2, "app2", "fremont"),
                host(3, "db2", "fremont"),
                host(4, "canary", "london"),
            ],
            probes: vec![Probe {
                name: "buy".to_owned(),
                kind: ProbeKind::Http(HttpProbe {
                    status: Some(200.into()),
                    ..HttpProbe::get("http://edge/buy")
                }),
                rate: RATE as f64,
                arrivals: Arrivals::Even,
                timeout: Span::millis(500),
                connection: Connection::New,
                from: self.vantages.iter().map(|name| (*name).to_owned()).collect(),
                names: BTreeMap::new(),
            }],
            sources: Vec::new(),
            metrics: Vec::new(),
            alerts: Vec::new(),
            logs: Vec::new(),
            budgets: BTreeMap::new(),
            log_objectives: Vec::new(),
            steps: self.steps.clone(),
            objectives: self
                .goals
                .iter()
                .map(|(name, goal, during)| Objective {
                    name: (*name).to_owned(),
                    probe: "buy".to_owned(),
                    goal: *goal,
                    good_at: GOOD_AT,
                    during: during.clone(),
                })
                .collect(),
            guard: Guard::default(),
            peer_sets: PeerTable::default(),
            attacks: self
                .acts
                .iter()
                .map(|act| Attack {
                    leader: None,
                    name: act.name.to_owned(),
                    base: act.name.to_owned(),
                    baseline: at(BASELINE),
                    hold: at(HOLD),
                    recovery: at(RECOVERY),
                    settle: at(SETTLE),
                    settle_within: at(SETTLE * 4),
                    judge: self.goals.iter().map(|(name, ..)| (*name).to_owned()).collect(),
                    needs: vec![],
                    on_violated: Then::Continue,
                    on_unknown: Then::Continue,
                    approve: None,
                    means: vec![],
                    injections: act
                        .hosts
                        .iter()
                        .map(|host| Injection {
                            host: (*host).to_owned(),
                            fault: act.fault.clone(),
                            at: Span::ZERO,
                            hold: at(HOLD),
                            together: None,
                        })
                        .collect(),
                })
                .collect(),
            ci: None,
            lease: Span::secs(15),
            warnings: vec![],
        }
    }
}
