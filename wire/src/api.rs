//! The bodies of `/v1`, in the order in which a run uses them.
//!
//! | call | body → answer |
//! |---|---|
//! | `GET /v1/status` | → [`AgentStatus`] |
//! | `GET /v1/clock` | → [`Clock`] |
//! | `GET /v1/doctor` | → [`Doctor`] |
//! | `POST /v1/runs/{run}/prepare` | [`Prepare`] → [`PrepareAnswer`] |
//! | `POST /v1/runs/{run}/arm` | [`Arm`] → [`Armed`] |
//! | `POST /v1/runs/{run}/renew` | [`Renew`] → [`Renewed`] |
//! | `POST /v1/runs/{run}/probes` | [`StartProbes`] → `{}`; a second call replaces the first |
//! | `DELETE /v1/runs/{run}/probes` | → `{}`; what was measured stays to be read |
//! | `POST /v1/runs/{run}/exchange` | [`crate::exchange::Exchange`] → [`crate::exchange::Exchanged`], when it is over |
//! | `GET /v1/runs/{run}/bins?after=N` | → server-sent events, each a [`crate::probe::Bin`], id = its `seq` |
//! | `GET /v1/events?after=N` | → server-sent events, each a [`crate::journal::AgentEvent`], id = its `seq` |
//! | `POST /v1/undo` | [`Undo`] → [`UndoAnswer`] |
//! | `POST /v1/release` | `{}` → `{}` |
//! | `POST /v1/runs/{run}/finish` | `{}` → [`EndState`]: compares with the snapshot from the run's first prepare |
//!
//! Both streams also resume by the `Last-Event-ID` header, and stay open for what comes. A comment comes every second.
//! One that has ended in order (the run's probes have stopped, all was handed out) says so by an event of the type
//! [`END`]; one that just ends was cut.
//! Every refusal has status 4xx or 5xx and a [`Problem`].

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Fault, InjectionId, RunId, Span, fault::PeerTable, journal::State, probe::ProbeSpec, text};

/// The type of the server-sent event that says that a stream has ended in order.
pub const END: &str = "end";

/// Why a call was not done. `application/problem+json`, after RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Short and stable, for programs: `not-allowed`, `halted`, `unknown-run`, `tombstone`, `too-late`, …
    pub code: String,
    /// What was tried, on what, and what is wrong.
    pub title: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// The agent's clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// CLOCK_BOOTTIME in microseconds.
    pub boot_us: u64,
    /// Which boot.
    pub boot_id: String,
    /// Wall clock, microseconds since 1970 UTC.
    pub wall_us: u64,
}

/// Asks what some faults would do. Reads only. As JSON it holds each list of peers once ([`PeerTable`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Prepare {
    /// The plan that they are part of.
    pub plan_digest: String,
    /// Environment of the scenario, for the policy (`prod`, `ci`, …).
    pub environment: Option<String>,
    /// The injections.
    pub injections: Vec<PrepareOne>,
    /// Nothing of it will be armed: the agent answers and keeps nothing. Older agents do not know this field, and keep what they
    /// keep for any run.
    pub only_look: bool,
}

impl Prepare {
    /// An agent takes at most so many injections of one run.
    pub const MOST_OF_RUN: usize = 1_000;
    /// A question takes at most so many bytes as JSON.
    pub const MOST_BYTES: usize = 8 << 20;
}

impl Arm {
    /// An agent arms at most so many injections at once: each has a thread, and is looked into again before.
    pub const MOST: usize = 100;
}

/// [`Prepare`] in JSON.
#[derive(Serialize, Deserialize)]
struct PrepareBody<'a> {
    plan_digest: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "PeerTable::is_empty")]
    peer_sets: PeerTable,
    #[serde(deserialize_with = "of_one_run")]
    injections: Vec<PrepareOne>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    only_look: bool,
}

/// Reads no more injections than an agent takes of one run: what comes after them takes no memory.
fn of_one_run<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PrepareOne>, D::Error> {
    struct OfOneRun;
    impl<'de> de::Visitor<'de> for OfOneRun {
        type Value = Vec<PrepareOne>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of injections")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = seq.next_element()? {
                if all.len() == Prepare::MOST_OF_RUN {
                    return Err(de::Error::custom(format_args!(
                        "more than {} injections in one question, and an agent takes so many of one run; put some of them into another run",
                        Prepare::MOST_OF_RUN
                    )));
                }
                all.push(one);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_seq(OfOneRun)
}

impl Serialize for Prepare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut injections = self.injections.clone();
        let peer_sets = PeerTable::gather(injections.iter_mut().map(|one| &mut one.fault));
        let environment = self.environment.as_deref().map(Cow::Borrowed);
        let plan_digest = Cow::Borrowed(self.plan_digest.as_str());
        let only_look = self.only_look;
        PrepareBody { plan_digest, environment, peer_sets, injections, only_look }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Prepare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut body = PrepareBody::deserialize(deserializer)?;
        let faults = body.injections.iter_mut().map(|one| &mut one.fault);
        body.peer_sets.bind_plain(faults).map_err(de::Error::custom)?;
        Ok(Self {
            plan_digest: body.plan_digest.into_owned(),
            environment: body.environment.map(|text| text::cleaned(text.into_owned(), text::NAME_MOST)),
            injections: body.injections,
            only_look: body.only_look,
        })
    }
}

/// One fault that is to be prepared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrepareOne {
    /// Its id.
    pub id: InjectionId,
    /// The fault; peers are addresses, CIDRs and names to look up.
    pub fault: Fault,
    /// How long it is to stay.
    pub hold: Span,
}

/// The answers, in the order of the question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareAnswer {
    /// The agent's clocks at the time of the answer.
    pub clock: Clock,
    /// One for each injection.
    pub injections: Vec<PreparedOne>,
}

/// What one fault would do, or why it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedOne {
    /// Its id.
    pub id: InjectionId,
    /// The answer.
    #[serde(flatten)]
    pub answer: Prepared,
}

/// What one fault would do, or why it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Prepared {
    /// It can be done.
    Ready {
        /// What it touches.
        claims: Vec<Claim>,
        /// What will happen, each a sentence for people: `drop packets to and from 10.9.0.2 (table inet fd_…)`.
        effects: Vec<String>,
        /// How it is undone, each a sentence; empty where it cannot be.
        undo: Vec<String>,
        /// What holds it if the agent dies: `kernel`, `guardian`, `service manager`.
        switches: Vec<String>,
        /// Things that people should know beforehand: what is exempt, what the fault will not reach.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
        /// What the agent based this on; arming is refused when it has changed.
        fingerprint: String,
    },
    /// It will not be done.
    Refused(Problem),
}

/// Something on a host that an injection touches, such as `unit:checkout`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// What, as `class:name`.
    pub what: String,
    /// Whether others may touch it at the same time.
    #[serde(default)]
    pub shared: bool,
}

/// Journals injections that were prepared, to start together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// The plan's digest, as at prepare.
    pub plan_digest: String,
    /// The boot that the coordinator's clock offset was measured in.
    pub boot_id: String,
    /// Silence of the coordinator for so long heals everything of the run.
    pub lease: Span,
    /// For people on the host: scenario's name, operator, ticket.
    #[serde(default)]
    pub about: About,
    /// The injections.
    pub injections: Vec<ArmOne>,
}

/// What people on a host are told about a drill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The scenario's name.
    #[serde(deserialize_with = "text::short")]
    pub drill: String,
    /// Who started it. An agent takes the name of the certificate instead.
    #[serde(deserialize_with = "text::short")]
    pub operator: String,
    /// The ticket, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::short_option")]
    pub ticket: Option<String>,
}

/// One injection that is to be armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmOne {
    /// Its id, as at prepare.
    pub id: InjectionId,
    /// When to start, by the agent's CLOCK_BOOTTIME, in microseconds.
    pub start_boot_us: u64,
    /// How long it stays; the agent heals it by itself at the end.
    pub hold: Span,
    /// As prepare gave it.
    pub fingerprint: String,
}

/// All of the call's injections are journaled and will start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// The ids.
    pub injections: Vec<InjectionId>,
}

/// The coordinator is alive. An armed injection starts only if this came at least once after arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// From now on, so long.
    pub lease: Span,
}

/// The lease was renewed. A run whose lease has ended is not revived: that is a [`Problem`] `lease-over`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The agent's clocks, so that each renewal also measures the offset.
    pub clock: Clock,
    /// The newest event in the journal.
    pub last_seq: u64,
    /// What of the run is open.
    pub open: Vec<OpenOne>,
}

/// One injection on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOne {
    /// Its id.
    pub id: InjectionId,
    /// Its run.
    pub run: RunId,
    /// The fault's kind.
    pub kind: String,
    /// Its state.
    pub state: State,
    /// When it ends by itself, by CLOCK_BOOTTIME in microseconds. Until it is in force, as planned: a start that
    /// takes its time moves the end.
    pub ends_boot_us: u64,
    /// What it does, for people.
    pub effects: Vec<String>,
    /// About the drill.
    #[serde(default)]
    pub about: About,
    /// It is armed, and the lease was renewed since: it starts when its time comes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub due: bool,
}

/// Puts things back. Never refused to a person whose certificate this agent's authority has signed and not revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// What to put back.
    pub scope: UndoScope,
    /// Latch a halt: refuse every further injection until somebody releases it.
    #[serde(default)]
    pub halt: bool,
}

/// What to put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoScope {
    /// One injection. An id that is not known leaves a tombstone: a delayed arm for it is refused.
    Injection(InjectionId),
    /// All of a run. A run that is not known leaves a tombstone.
    Run(RunId),
    /// Everything.
    All,
}

/// How putting back went. Sent when it has ended, not before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoAnswer {
    /// Each injection that was open, with the state it is in now.
    pub injections: Vec<OpenOne>,
    /// Runs that this ends and that are known here: a coordinator that follows this agent's events hears of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunId>,
    /// What could not be put back, each with what was tried and how to do it by hand.
    pub stuck: Vec<String>,
    /// Objects that were removed from the kernel because they had Firedrill's name and belonged to no live injection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swept: Vec<String>,
    /// Damage to the records of injections, found when the agent started: more may have been in
    /// force than is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// What is on a host now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// The host's name, from its certificate.
    pub host: String,
    /// The agent's version.
    pub version: String,
    /// Its clocks.
    pub clock: Clock,
    /// Who halted it, if it is halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted_by: Option<String>,
    /// What is open.
    pub open: Vec<OpenOne>,
    /// The newest event in the journal.
    pub last_seq: u64,
    /// What the agent looked like when it came to serve: damage in its journal, for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What a host can do, and what people should know about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// The host's name.
    pub host: String,
    /// The agent's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// One line for each thing that was looked at.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What: `nftables owner tables`, `foreign qdisc on eth0`, `runit`, …
    pub what: String,
    /// How it is.
    pub grade: Grade,
    /// What was seen.
    pub detail: String,
    /// What to do about it, where something is to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// How a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As wanted.
    Good,
    /// Good to know.
    Note,
    /// Some kinds will be refused.
    Missing,
    /// Something is wrong.
    Bad,
}

impl Grade {
    /// A sign for people.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Note => "·",
            Self::Missing => "–",
            Self::Bad => "✗",
        }
    }
}

/// Starts probes on the agent. They outlive a cut link; what they measure is kept until it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartProbes {
    /// The probes.
    pub probes: Vec<ProbeSpec>,
    /// They stop by themselves after this time, whoever dies; at most [`StartProbes::LONGEST`].
    pub at_most: Span,
    /// Environment of the scenario, for the policy (`prod`, `ci`, …).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::short_option")]
    pub environment: Option<String>,
}

impl StartProbes {
    /// More probes are not started on one agent for one run.
    pub const MOST: usize = 256;
    /// No agent measures longer for one run: seven days.
    pub const LONGEST: Span = Span::secs(7 * 24 * 3600);
}

/// How a host ended a run, as the agent can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndState {
    /// Clean, dirty, stuck or unproven.
    pub state: HostState,
    /// What of ours remains, or what differs in what we claimed; where it is unproven, why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ours: Vec<String>,
    /// What others changed meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<String>,
    /// How many things were compared.
    pub compared: u64,
}

/// How a host ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// Nothing of ours remains, and each claimed resource has the value it had before.
    Clean,
    /// Something of ours remains, or a claimed resource has another value.
    Dirty,
    /// An undo failed after its retries.
    Stuck,
    /// Replaced, or never came back.
    Gone,
    /// Could not be asked, or nobody can tell whose doing it is that something differs.
    Unproven,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{NetBlock, PeerSet};

    fn prepare(to: &[PeerSet]) -> Prepare {
        let one = |(number, to): (usize, &PeerSet)| PrepareOne {
            id: format!("run-1-{number}").parse().expect("an id"),
            fault: Fault::NetBlock(NetBlock { to: to.clone(), ..NetBlock::default() }),
            hold: Span::secs(1),
        };
        let injections = to.iter().enumerate().map(one).collect();
        Prepare { plan_digest: "d".to_owned(), environment: None, injections, only_look: false }
    }

    #[test]
    fn a_question_has_each_list_of_peers_once() {
        let all =
            PeerSet::from((0..1_000).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect::<Vec<_>>());
        let one = serde_json::to_string(&prepare(std::slice::from_ref(&all))).expect("prints");
        let many = prepare(&std::iter::repeat_n(all, 50).collect::<Vec<_>>());
        let text = serde_json::to_string(&many).expect("prints");
        assert!(text.len() < one.len() + 50 * 200, "{} and {} bytes", one.len(), text.len());
        assert!(!one.contains("peer_sets"), "an older agent reads it");
        assert_eq!(serde_json::from_str::<Prepare>(&text).expect("reads"), many);
    }

    #[test]
    fn a_question_of_more_injections_than_a_run_has_is_refused_with_the_bound() {
        let to = PeerSet::from(vec!["10.0.0.1".to_owned()]);
        let read = |count: usize| {
            let ask = prepare(&vec![to.clone(); count]);
            serde_json::from_str::<Prepare>(&serde_json::to_string(&ask).expect("prints"))
        };
        assert_eq!(read(Prepare::MOST_OF_RUN).expect("reads").injections.len(), Prepare::MOST_OF_RUN);
        let told = read(Prepare::MOST_OF_RUN + 1).expect_err("too many").to_string();
        assert!(told.contains("more than 1000 injections"), "{told}");
    }

    #[test]
    fn questions_of_older_coordinators_are_read() {
        let old = r#"{"plan_digest":"d","injections":[{"id":"run-1-0","hold":"1s","fault":{"net-block":{"to":["10.0.0.1"]}}}]}"#;
        let to = PeerSet::from(vec!["10.0.0.1".to_owned()]);
        assert_eq!(serde_json::from_str::<Prepare>(old).expect("reads"), prepare(&[to]));
        let lost = old.replace("10.0.0.1", "@0");
        let error = serde_json::from_str::<Prepare>(&lost).expect_err("no such list").to_string();
        assert!(error.contains("list `0`"), "{error}");
    }
}
