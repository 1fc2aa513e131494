//! A scenario resolved against a fleet: the types of a plan. Making one is `plan::resolve`'s work; nothing here decides.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use firedrill_wire::{
    Fault, Share, Span,
    fault::PeerTable,
    hide::{self, HIDDEN},
    probe::{Arrivals, Connection, ProbeKind},
};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::hex;

/// Everything that a run will do and measure, and to whom. What is not in here does not happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Plan {
    /// The version of this format.
    pub schema: u32,
    /// The scenario's name.
    pub name: String,
    /// What the drill is to show.
    pub hypothesis: String,
    /// Free text about the drill: owner, ticket, …
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// The environment, for the hosts' policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The scenario's file, as it was named.
    pub file: String,
    /// The parameters' values, as text.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What picks were made with.
    pub seed: u64,
    /// The fleet, frozen.
    pub hosts: Vec<Host>,
    /// What is measured.
    pub probes: Vec<Probe>,
    /// What is judged.
    pub objectives: Vec<Objective>,
    /// What aborts.
    #[serde(default)]
    pub guard: Guard,
    /// Lists of peers that several injections have, each once; made by [`Plan::share_peers`].
    #[serde(default, skip_serializing_if = "PeerTable::is_empty")]
    pub peer_sets: PeerTable,
    /// The attacks, in order.
    pub attacks: Vec<Attack>,
    /// Settings for CI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<Ci>,
    /// Silence of the coordinator for so long heals.
    pub lease: Span,
    /// Good to know before the run; nothing that prevents it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A host of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name; also the name in its agent's certificate.
    pub name: String,
    /// Its addresses, as peers see it; the first is the one that names resolve to first.
    pub addresses: Vec<IpAddr>,
    /// All labels by which it can be selected: `provider`, `region`, `zone`, `env`, and any other.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How to reach its agent. It is written without what may be a secret.
    #[serde(serialize_with = "hidden::write_reach")]
    pub agent: Reach,
    /// The way to it that it shares with others: a bastion, most often. None where it is reached directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Way>,
}

/// A way to hosts, such as a bastion, which takes only so many newcomers at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Way {
    /// The fleet's `connect`, its places not filled in: what is the same for all hosts that are reached by it.
    pub connect: String,
    /// Maximum number of links that are opened over it at a time.
    pub at_once: usize,
}

impl Way {
    /// The default: sshd usually drops new connections at random from 10 on (`MaxStartups`), and two are left for others.
    pub const AT_ONCE: usize = 8;
}

/// How to reach an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// TCP to `host:port`.
    Tcp(String),
    /// A program whose standard streams are the link; an argument vector, `%h` and `%p` already filled in.
    Command(Vec<String>),
}

impl Reach {
    /// For people, without what may be a secret.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Tcp(address) => address.clone(),
            Self::Command(words) => hide::argv(words).join(" "),
        }
    }
}

/// A probe and where it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// The request. It is written and read without what may be a secret: a plan that was read is shown, and never run.
    #[serde(serialize_with = "hidden::write", deserialize_with = "hidden::read")]
    pub kind: ProbeKind,
    /// Requests a second at each vantage.
    pub rate: f64,
    /// How the moments of requests are chosen; plans of before had even ones.
    #[serde(default = "Arrivals::even")]
    pub arrivals: Arrivals,
    /// Bad if slower, from when it was due.
    pub timeout: Span,
    /// Connections.
    pub connection: Connection,
    /// The vantages: `coordinator` or a host's name.
    pub from: Vec<String>,
    /// Addresses of names that the fleet knows.
    #[serde(default)]
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

/// The request of a probe, and how a host is reached, on their way into a log, a report or a digest: without what may be a
/// secret. Requests are read without it, too: older logs had it.
mod hidden {
    use firedrill_wire::{hide, probe::ProbeKind};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Reach;

    pub(super) fn write_reach<S: Serializer>(reach: &Reach, serializer: S) -> Result<S::Ok, S::Error> {
        match reach {
            Reach::Tcp(_) => reach.serialize(serializer),
            Reach::Command(words) => Reach::Command(hide::argv(words)).serialize(serializer),
        }
    }

    pub(super) fn write<S: Serializer>(kind: &ProbeKind, serializer: S) -> Result<S::Ok, S::Error> {
        kind.without_secrets().serialize(serializer)
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ProbeKind, D::Error> {
        ProbeKind::deserialize(deserializer).map(|kind| kind.without_secrets())
    }
}

/// The vantage that is the coordinator itself.
pub const COORDINATOR: &str = "coordinator";

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Its name.
    pub name: String,
    /// The probe that it is over.
    pub probe: String,
    /// What must hold.
    pub goal: Goal,
    /// For `mitigate_within` and `recover_within`: from this share of good requests on it is good again.
    #[serde(default = "Objective::good_at", skip_serializing_if = "Objective::is_usual")]
    pub good_at: Share,
    /// In which phases it is judged; for `recover_within` and `mitigate_within` this has no meaning.
    pub during: Vec<Phase>,
}

/// From this share of good requests on a system is good again, unless the objective says another.
pub const GOOD_AT: Share = Share::per_cent(90);

impl Objective {
    const fn good_at() -> Share {
        GOOD_AT
    }

    fn is_usual(share: &Share) -> bool {
        *share == GOOD_AT
    }
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// At least this share of requests is good.
    Good(Share),
    /// This quantile of the latency of all requests is at most that time; a bad request counts as infinitely slow.
    Latency {
        /// Between 0 and 1.
        quantile: f64,
        /// The limit.
        below: Span,
    },
    /// Good again within this time from the fault's start, while it still holds.
    MitigateWithin(Span),
    /// Good again within this time from the heal.
    RecoverWithin(Span),
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

/// What aborts a run and heals everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Conditions, any of which aborts.
    #[serde(default)]
    pub abort: Vec<AbortWhen>,
    /// A condition that could not be evaluated for so long aborts too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_for: Option<Span>,
    /// At most this share of each group of hosts may be under a fault at once, from whichever run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_share: Option<MaxShare>,
    /// Minimum number of hosts of a role that stay without a fault of any run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keep: BTreeMap<String, u32>,
}

/// At most this share of each group of hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxShare {
    /// The label that makes the groups; `fleet` is one group of all hosts.
    pub of: String,
    /// The share.
    pub share: Share,
}

/// A condition that aborts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbortWhen {
    /// Over which probe.
    pub probe: String,
    /// Abort when less than this share is good …
    pub good_below: Share,
    /// … over this time.
    pub over: Span,
}

/// One act of a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    /// Its name; with `for_each`, the group's name is in it: `isolate (us-west-2a)`.
    pub name: String,
    /// Its name in the scenario file, the same for all groups.
    pub base: String,
    /// How long objectives must hold before the fault.
    pub baseline: Span,
    /// How long the fault holds.
    pub hold: Span,
    /// How long recovery is measured.
    pub recovery: Span,
    /// How long the system must be healthy before the next attack.
    pub settle: Span,
    /// It must have become so within this time, or the run stops.
    pub settle_within: Span,
    /// The objectives that it is judged by.
    pub judge: Vec<String>,
    /// Attacks that must have run and not been violated before; else it is not run.
    #[serde(default)]
    pub needs: Vec<String>,
    /// After a violated verdict.
    pub on_violated: Then,
    /// After an unknown verdict.
    pub on_unknown: Then,
    /// People who must agree just before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approve>,
    /// What its faults come to together, where one alone does not say it; each a sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub means: Vec<String>,
    /// What is done to whom.
    pub injections: Vec<Injection>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Go on with the next attack.
    #[default]
    Continue,
    /// Stop; the rest is `not run`.
    Stop,
}

/// People who must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// How many.
    #[serde(default = "Approve::one")]
    pub people: u32,
    /// Without an answer by then, the attack is not run.
    #[serde(default = "Approve::quarter")]
    pub expires: Span,
}

impl Plan {
    /// The format's version that this build writes.
    pub const SCHEMA: u32 = 1;

    /// A digest over all of the plan: what people approve and what agents are told. Equal plans have equal digests.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = std::io::BufWriter::with_capacity(1 << 16, Hash(Context::new(&SHA256)));
        let written = serde_json::to_writer(&mut hash, self).is_ok();
        let Some(Hash(hash)) = hash.into_inner().ok().filter(|_| written) else { return String::new() };
        hex(hash.finish().as_ref().get(..16).unwrap_or_default())
    }

    /// A digest over all that the probes send, in clear, salted because it is shown. Meaningless for a plan that was read: it
    /// has no texts in clear.
    #[must_use]
    pub fn requests(&self, salt: &str) -> String {
        let mut hash = Context::new(&SHA256);
        for part in std::iter::once(Ok(salt.as_bytes().to_vec()))
            .chain(self.probes.iter().map(|probe| serde_json::to_vec(&(&probe.name, &probe.kind))))
        {
            let Ok(part) = part else { return String::new() };
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(&part);
        }
        hex(hash.finish().as_ref())
    }

    /// The probes of which the plan does not show all that they send.
    #[must_use]
    pub fn hiding(&self) -> Vec<&str> {
        let hides = |probe: &&Probe| match &probe.kind {
            ProbeKind::Http(http) => {
                !http.in_clear().is_empty()
                    || serde_json::to_string(http).is_ok_and(|text| text.contains(HIDDEN))
            }
            ProbeKind::Tcp(_) => false,
        };
        self.probes.iter().filter(hides).map(|probe| probe.name.as_str()).collect()
    }

    /// Has the plan hold each list of peers once where it is written. Its injections must not change afterwards.
    pub fn share_peers(&mut self) {
        self.peer_sets = PeerTable::gather(self.attacks.iter_mut().flat_map(Attack::faults_mut));
    }

    /// A digest over all that people agree to: equal wherever the scenario's file lies, and whatever is warned of.
    #[must_use]
    pub fn agreement(&self) -> String {
        Self { file: String::new(), warnings: Vec::new(), ..self.clone() }.digest()
    }

    /// The host of that name. For many names, [`Plan::by_name`].
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The hosts by their names.
    #[must_use]
    pub fn by_name(&self) -> HashMap<&str, &Host> {
        self.hosts.iter().map(|host| (host.name.as_str(), host)).collect()
    }

    /// The names of the hosts that some attack touches, each once.
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
    fn faults_mut(&mut self) -> impl Iterator<Item = &mut Fault> {
        self.injections.iter_mut().map(|injection| &mut injection.fault)
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Faults hold the lists of peers that they refer to afterwards.
impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut plan = Self::deserialize(deserializer)?;
        let faults = plan.attacks.iter_mut().flat_map(Attack::faults_mut);
        plan.peer_sets.bind(faults).map_err(de::Error::custom)?;
        Ok(plan)
    }
}

/// A digest that is written to.
struct Hash(Context);

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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
    /// Starts so long after the attack's fault phase began.
    #[serde(default)]
    pub at: Span,
    /// Stays so long.
    pub hold: Span,
    /// Those of an attack with the same number are one fault together, which is exercised when one of them is: what one
    /// side of a partition drops, the other never sees.
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
    /// How often a run that ended `unknown` is tried again. Never retries a violated one.
    #[serde(default)]
    pub retry_unknown: u32,
}
