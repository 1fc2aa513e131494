//! The types of a plan: a scenario resolved against a fleet. `plan::resolve` makes plans; nothing here decides
//! anything.

mod alert;
mod budget;
mod digest;
mod guard;
mod host;
mod log;
mod metric;
mod moving;
mod step;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use firedrill_wire::{
    Fault, Share, Span,
    fault::PeerTable,
    probe::{Arrivals, Connection, ProbeKind},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use alert::{Alert, AlertGoal};
pub use budget::Budget;
pub use guard::{AbortOn, AbortWhen, Guard, MaxShare};
pub use host::{Host, Reach, Way};
pub use log::{Log, LogGoal, LogObjective};
pub use metric::{Asks, Metric, MetricGoal, Source, window};
pub use moving::{Ask, Candidate, HOST, Leader, Moving, names_candidate};
pub use step::{Does, Step};

/// Everything that a run will do and measure. A run does nothing that is not in its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Plan {
    /// The version of this format.
    pub schema: u32,
    /// The scenario's name.
    pub name: String,
    /// The drill's hypothesis.
    pub hypothesis: String,
    /// Free text about the drill: owner, ticket, …
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// The environment, for the hosts' policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The path of the scenario's file, as it was given.
    pub file: String,
    /// The digest of the texts of the scenario's files, with those that it includes, before parameters and fleet. It is
    /// the same for the same drill in another environment, and no part of the plan's own digest. Plans of earlier
    /// versions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// The parameters' values, as text.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The seed of random picks.
    pub seed: u64,
    /// The draw by which a game day chose the attacks, if it did ([`Plan::draw`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
    /// The origins of the control rooms in which people may approve by passkey.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// The hosts of the fleet.
    pub hosts: Vec<Host>,
    /// The measurements.
    pub probes: Vec<Probe>,
    /// The objectives that probes measure.
    pub objectives: Vec<Objective>,
    /// The sources that are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The objectives that sources measure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// The objectives of alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// The logs that agents read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<Log>,
    /// The objectives for logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_objectives: Vec<LogObjective>,
    /// The error budgets of objectives that have one, by the objective's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub budgets: BTreeMap<String, Budget>,
    /// The conditions that abort the run.
    #[serde(default)]
    pub guard: Guard,
    /// Lists of peers that several injections have, each once; made by [`Plan::share_peers`].
    #[serde(default, skip_serializing_if = "PeerTable::is_empty")]
    pub peer_sets: PeerTable,
    /// The targets whose host is asked for when an attack on them begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moving: Vec<Moving>,
    /// The attacks, in order. Of the alternatives of one base ([`Attack::leader`]) only one runs.
    pub attacks: Vec<Attack>,
    /// The steps between attacks, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// Settings for CI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<Ci>,
    /// Agents heal after this time without a renewal by the coordinator.
    pub lease: Span,
    /// Warnings; none of them prevents the run.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The draw by which the attacks of a plan were chosen from those of its scenario. The plan's seed decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// Number of attacks that could be drawn; each group of an attack with `for_each` counts.
    pub of: usize,
    /// The path of the game day's file, as it was given.
    pub gameday: String,
}

impl Drawn {
    /// Returns the command that repeats the draw of a seed.
    #[must_use]
    pub fn repeat(&self, seed: u64) -> String {
        format!("firedrill gameday start {} --now --seed {seed}", self.gameday)
    }
}

/// A probe and where it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// The request. It is serialized and parsed without secrets: a plan that was read is shown, and never run.
    #[serde(serialize_with = "hidden::write", deserialize_with = "hidden::read")]
    pub kind: ProbeKind,
    /// Requests a second at each vantage.
    pub rate: f64,
    /// The distribution of the moments of requests; plans of earlier versions had even ones.
    #[serde(default = "Arrivals::even")]
    pub arrivals: Arrivals,
    /// A request that takes longer, from when it was sent, counts as bad.
    pub timeout: Span,
    /// Connections.
    pub connection: Connection,
    /// The vantages: `coordinator` or a host's name.
    pub from: Vec<String>,
    /// Addresses of names that the fleet knows.
    #[serde(default)]
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

/// Serializes the request of a probe without secrets, for a log, a report or a digest. Parses it without secrets too, because
/// older logs had them.
mod hidden {
    use firedrill_wire::probe::ProbeKind;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn write<S: Serializer>(kind: &ProbeKind, serializer: S) -> Result<S::Ok, S::Error> {
        kind.without_secrets().serialize(serializer)
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ProbeKind, D::Error> {
        ProbeKind::deserialize(deserializer).map(|kind| kind.without_secrets())
    }
}

/// The name of the coordinator's own vantage.
pub const COORDINATOR: &str = "coordinator";

/// An objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Its name.
    pub name: String,
    /// Its probe.
    pub probe: String,
    /// Its goal.
    pub goal: Goal,
    /// For `mitigate_within` and `recover_within`: the share of good requests from which the system counts as good
    /// again.
    #[serde(default = "Objective::good_at", skip_serializing_if = "Objective::is_usual")]
    pub good_at: Share,
    /// The phases in which it is judged; without meaning for `recover_within` and `mitigate_within`.
    pub during: Vec<Phase>,
}

/// The share of good requests from which a system counts as good again, unless the objective sets another.
pub const GOOD_AT: Share = Share::per_cent(90);

impl Objective {
    const fn good_at() -> Share {
        GOOD_AT
    }

    fn is_usual(share: &Share) -> bool {
        *share == GOOD_AT
    }
}

/// The goal of an objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Minimum share of good requests.
    Good(Share),
    /// Limit of a quantile of the latency of all requests; a bad request counts as infinitely slow.
    Latency {
        /// The quantile, between 0 and 1.
        quantile: f64,
        /// The limit.
        below: Span,
    },
    /// Time to mitigate: the system must be good again within this time from the fault's start, while the fault
    /// holds.
    MitigateWithin(Span),
    /// Time to recover: the system must be good again within this time from the heal.
    RecoverWithin(Span),
    /// Records that a probe wrote are kept.
    LostWrites(LostWrites),
}

/// Maximum numbers of records that are not as they were written, in whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LostWrites {
    /// Maximum number of writes that the store acknowledged and lacks afterwards.
    pub at_most: u64,
    /// Maximum number of acknowledged records that the store has more than once; any number if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<u64>,
    /// Maximum number of records that the store refused and has all the same; any number if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ghosts: Option<u64>,
}

impl LostWrites {
    /// Describes the goal.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { at_most, duplicates, ghosts } = self;
        let lost = match at_most {
            0 => "no acknowledged write lost".to_owned(),
            most => format!("at most {most} acknowledged writes lost"),
        };
        let more = |most: &Option<u64>, what: &str| most.map(|most| format!("at most {most} {what}"));
        let parts = [Some(lost), more(duplicates, "duplicates"), more(ghosts, "ghosts")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The parts of an attack, in order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the fault: objectives must hold already.
    Baseline,
    /// The fault is in force.
    Fault,
    /// The fault is healed; the system recovers.
    Recovery,
    /// The system must stay healthy for a while before the next attack.
    Settle,
}

/// One attack of a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    /// Its name; with `for_each`, the group's name is in it: `isolate (us-west-2a)`; on a moving target, the candidate's.
    pub name: String,
    /// Its name in the scenario file, the same for all groups.
    pub base: String,
    /// Its candidate, if it is on a moving target: it runs only if that host is the leader when the attack begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Leader>,
    /// Time before the fault in which objectives must hold.
    pub baseline: Span,
    /// Duration of the fault.
    pub hold: Span,
    /// Time in which recovery is measured.
    pub recovery: Span,
    /// Time in which the system must be healthy before the next attack.
    pub settle: Span,
    /// Maximum time until the system has been healthy for that long; otherwise the run stops.
    pub settle_within: Span,
    /// The objectives that it is judged by.
    pub judge: Vec<String>,
    /// Attacks that must have run before without being violated; otherwise this one does not run.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The next step after a violated verdict.
    pub on_violated: Then,
    /// The next step after an unknown verdict.
    pub on_unknown: Then,
    /// The approval that is needed just before the attack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approve>,
    /// The joint effects of its faults, where single faults do not show them; each a sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub means: Vec<String>,
    /// The injections.
    pub injections: Vec<Injection>,
}

/// The next step after an attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Go on with the next attack.
    #[default]
    Continue,
    /// Stop; the rest is `not run`.
    Stop,
}

/// The approval that an attack needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Number of people who must agree.
    #[serde(default = "Approve::one")]
    pub people: u32,
    /// Without enough approvals within this time, the attack is not run.
    #[serde(default = "Approve::quarter")]
    pub expires: Span,
}

impl Plan {
    /// The format's version that this build writes.
    pub const SCHEMA: u32 = 1;

    /// Moves lists of peers that several injections have into a table, so that each is written once. Injections must
    /// not change afterwards.
    pub fn share_peers(&mut self) {
        self.peer_sets = PeerTable::gather(
            self.attacks.iter_mut().flat_map(Attack::faults_mut).flat_map(Fault::selectors_mut),
        );
    }

    /// Returns the host of that name. For many names, use [`Plan::by_name`].
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// Returns the hosts by their names.
    #[must_use]
    pub fn by_name(&self) -> HashMap<&str, &Host> {
        self.hosts.iter().map(|host| (host.name.as_str(), host)).collect()
    }

    /// Returns the longest time-out of a probe: the last bins of a phase arrive that long after its end.
    #[must_use]
    pub fn slowest(&self) -> Span {
        self.probes.iter().map(|probe| probe.timeout).max().unwrap_or_default()
    }

    /// Returns the source of a metric.
    #[must_use]
    pub fn source_of(&self, metric: &Metric) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == metric.source)
    }

    /// Returns the time-out of a question about a metric.
    #[must_use]
    pub fn timeout_of(&self, metric: &Metric) -> Span {
        self.source_of(metric).map_or(Span::ZERO, |source| source.timeout)
    }

    /// Returns the steps before the attack with this index, each with its own index. For the number of attacks, returns the
    /// steps after the last attack.
    pub fn steps_before(&self, attack: usize) -> impl Iterator<Item = (usize, &Step)> {
        self.steps.iter().enumerate().filter(move |(_, step)| step.before == attack)
    }

    /// Returns the names of the hosts that attacks touch, each once.
    #[must_use]
    pub fn targets(&self) -> std::collections::BTreeSet<&str> {
        self.attacks
            .iter()
            .flat_map(|attack| &attack.injections)
            .map(|injection| injection.host.as_str())
            .collect()
    }
}

impl Attack {
    /// Whether any of its faults cannot be undone.
    #[must_use]
    pub fn is_irreversible(&self) -> bool {
        self.injections.iter().any(|one| !one.fault.reversible())
    }

    fn faults_mut(&mut self) -> impl Iterator<Item = &mut Fault> {
        self.injections.iter_mut().map(|injection| &mut injection.fault)
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Replaces references by the lists of peers that they refer to.
impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut plan = Self::deserialize(deserializer)?;
        let peers = plan.attacks.iter_mut().flat_map(Attack::faults_mut).flat_map(Fault::selectors_mut);
        plan.peer_sets.bind(peers).map_err(de::Error::custom)?;
        Ok(plan)
    }
}

impl Approve {
    const fn one() -> u32 {
        1
    }
    const fn quarter() -> Span {
        Span::secs(15 * 60)
    }
}

/// One fault on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// The host.
    pub host: String,
    /// The fault, as the agent gets it: no `region-kill`, no `net-partition`, peers resolved.
    pub fault: Fault,
    /// Offset of its start from the start of the attack's fault phase.
    #[serde(default)]
    pub at: Span,
    /// Duration, from when it is in force.
    pub hold: Span,
    /// Injections of an attack with the same number are one fault, which counts as exercised if one of them is: packets
    /// that one side of a partition drops never reach the other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<u32>,
}

/// Settings for CI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ci {
    /// The run is stopped, healed and `unknown` after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Span>,
    /// Maximum number of retries of a run that ended `unknown`. A violated run is never retried.
    #[serde(default)]
    pub retry_unknown: u32,
}
