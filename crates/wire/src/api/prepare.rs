//! The question about the effects of some faults, and its answer.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Clock, Problem};
use crate::{Fault, InjectionId, Span, fault::PeerTable, text};

/// Asks for the effects of some faults, and changes nothing. In JSON it holds each list of peers once ([`PeerTable`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Prepare {
    /// The digest of the plan that the faults are part of.
    pub plan_digest: String,
    /// The environment of the scenario, for the policy (`prod`, `ci`, …).
    pub environment: Option<String>,
    /// The injections.
    pub injections: Vec<PrepareOne>,
    /// Whether none of the injections will be armed, so that the agent answers and keeps nothing. Older agents do not know this field and
    /// treat the run like any other.
    pub only_look: bool,
    /// The approvals that the run has so far. An agent whose policy asks for some verifies them.
    pub approvals: Vec<Signed>,
}

impl Prepare {
    /// Maximum number of injections of one run on an agent.
    pub const MOST_OF_RUN: usize = 1_000;
    /// Maximum size of a question as JSON, in bytes.
    pub const MOST_BYTES: usize = 8 << 20;
}

/// [`Prepare`] in JSON.
#[derive(Serialize, Deserialize)]
struct PrepareBody<'a> {
    plan_digest: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "PeerTable::is_empty")]
    peer_sets: PeerTable,
    #[serde(deserialize_with = "at_most_of_run")]
    injections: Vec<PrepareOne>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    only_look: bool,
    #[serde(default, skip_serializing_if = "<[Signed]>::is_empty", deserialize_with = "at_most_approvals")]
    approvals: Cow<'a, [Signed]>,
}

/// Reads at most [`Signed::MOST`] approvals.
fn at_most_approvals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, [Signed]>, D::Error> {
    let approvals = Vec::<Signed>::deserialize(deserializer)?;
    if approvals.len() > Signed::MOST {
        let most = Signed::MOST;
        return Err(de::Error::custom(format_args!("{} approvals; an agent takes {most}", approvals.len())));
    }
    Ok(approvals.into())
}

/// Reads at most as many injections as an agent takes of one run. Further ones take no memory.
fn at_most_of_run<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PrepareOne>, D::Error> {
    struct AtMostOfRun;
    impl<'de> de::Visitor<'de> for AtMostOfRun {
        type Value = Vec<PrepareOne>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of injections")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut injections = Vec::new();
            while let Some(injection) = seq.next_element()? {
                if injections.len() == Prepare::MOST_OF_RUN {
                    return Err(de::Error::custom(format_args!(
                        "more than {} injections in one question, and an agent takes so many of one run; put some of them into another run",
                        Prepare::MOST_OF_RUN
                    )));
                }
                injections.push(injection);
            }
            Ok(injections)
        }
    }
    deserializer.deserialize_seq(AtMostOfRun)
}

impl Serialize for Prepare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut injections = self.injections.clone();
        let peer_sets =
            PeerTable::gather(injections.iter_mut().flat_map(|injection| injection.fault.selectors_mut()));
        let environment = self.environment.as_deref().map(Cow::Borrowed);
        let plan_digest = Cow::Borrowed(self.plan_digest.as_str());
        let only_look = self.only_look;
        let approvals = Cow::Borrowed(self.approvals.as_slice());
        PrepareBody { plan_digest, environment, peer_sets, injections, only_look, approvals }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Prepare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut body = PrepareBody::deserialize(deserializer)?;
        let peers = body.injections.iter_mut().flat_map(|injection| injection.fault.selectors_mut());
        body.peer_sets.bind_plain(peers).map_err(de::Error::custom)?;
        Ok(Self {
            plan_digest: body.plan_digest.into_owned(),
            environment: body.environment.map(|text| text::cleaned(text.into_owned(), text::NAME_MOST)),
            injections: body.injections,
            only_look: body.only_look,
            approvals: body.approvals.into_owned(),
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
    /// Duration of the hold.
    pub hold: Span,
    /// The proof that the approvals cover the fault. The plan's faults are the leaves of a tree of digests; the proof has the neighbours on the
    /// way from this fault to the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof: Vec<String>,
}

/// An approval, as in its file. `firedrill-approval` makes and opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The version of this format.
    pub schema: u32,
    /// The statement in JSON, exactly as it was signed.
    pub statement: String,
    /// The signature's scheme.
    pub scheme: String,
    /// The signature, in base64.
    pub signature: String,
    /// DER in base64: the approver's certificate, then the intermediate ones.
    pub certificates: Vec<String>,
    /// The data that a passkey signed; absent if a certificate's key signed the statement itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
}

impl Signed {
    /// Maximum number of approvals in one question.
    pub const MOST: usize = 16;
}

/// The data that a passkey signs, as a browser returns them (WebAuthn, `AuthenticatorAssertionResponse`). Both are in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// The authenticator's data: digest of the relying party's id, flags, counter.
    pub authenticator_data: String,
    /// The browser's data in JSON: type, challenge, origin.
    pub client_data: String,
}

/// The means by which a person approves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// The key of a person's certificate, by `firedrill approve`.
    Certificate,
    /// A passkey, in a browser.
    Passkey,
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Certificate => "certificate",
            Self::Passkey => "passkey",
        })
    }
}

/// The answers, in the order of the question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareAnswer {
    /// The agent's clocks at the time of the answer.
    pub clock: Clock,
    /// One for each injection.
    pub injections: Vec<PreparedOne>,
}

/// The effects of one fault, or the reason for its refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedOne {
    /// Its id.
    pub id: InjectionId,
    /// The answer.
    #[serde(flatten)]
    pub answer: Prepared,
}

/// The effects of one fault, or the reason for its refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Prepared {
    /// It can be done.
    Ready {
        /// Claims: the objects that it touches.
        claims: Vec<Claim>,
        /// Effects, each a sentence for people: `drop packets to and from 10.9.0.2 (table inet fd_…)`.
        effects: Vec<String>,
        /// The actions of its undo, each a sentence; empty if it cannot be undone.
        undo: Vec<String>,
        /// The parts that still end it if the agent dies: `kernel`, `guardian`, `service manager`.
        switches: Vec<String>,
        /// Remarks that people should know beforehand, such as exempt traffic, or targets that the fault will not reach.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
        /// Number of people, other than the one who arms it, whose approval the host's policy asks for.
        #[serde(default, skip_serializing_if = "crate::is_default")]
        wants: u32,
        /// The missing approvals, in words; `None` if none is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lacks: Option<String>,
        /// A fingerprint of the state on which the answer is based. Arming is refused if the state has changed.
        fingerprint: String,
    },
    /// It will not be done.
    Refused(Problem),
}

/// An object of a host that an injection touches, such as `unit:checkout`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The object, as `class:name`.
    pub what: String,
    /// Whether other injections may touch it at the same time.
    #[serde(default)]
    pub shared: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{NetBlock, PeerSet};

    fn prepare(to: &[PeerSet]) -> Prepare {
        let injection = |(number, to): (usize, &PeerSet)| PrepareOne {
            id: format!("run-1-{number}").parse().expect("an id"),
            fault: Fault::NetBlock(NetBlock { to: to.clone(), ..NetBlock::default() }),
            hold: Span::secs(1),
            proof: Vec::new(),
        };
        let injections = to.iter().enumerate().map(injection).collect();
        Prepare {
            plan_digest: "d".to_owned(),
            environment: None,
            injections,
            only_look: false,
            approvals: Vec::new(),
        }
    }

    #[test]
    fn a_question_has_each_list_of_peers_once() {
        let peers =
            PeerSet::from((0..1_000).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect::<Vec<_>>());
        let single = serde_json::to_string(&prepare(std::slice::from_ref(&peers))).expect("prints");
        let many = prepare(&std::iter::repeat_n(peers, 50).collect::<Vec<_>>());
        let text = serde_json::to_string(&many).expect("prints");
        assert!(text.len() < single.len() + 50 * 200, "{} and {} bytes", single.len(), text.len());
        assert!(!single.contains("peer_sets"), "an older agent reads it");
        assert_eq!(serde_json::from_str::<Prepare>(&text).expect("reads"), many);
    }

    #[test]
    fn a_question_with_more_injections_than_a_run_may_have_is_refused() {
        let to = PeerSet::from(vec!["10.0.0.1".to_owned()]);
        let read = |count: usize| {
            let ask = prepare(&vec![to.clone(); count]);
            serde_json::from_str::<Prepare>(&serde_json::to_string(&ask).expect("prints"))
        };
        assert_eq!(read(Prepare::MOST_OF_RUN).expect("reads").injections.len(), Prepare::MOST_OF_RUN);
        let error = read(Prepare::MOST_OF_RUN + 1).expect_err("too many").to_string();
        assert!(error.contains("more than 1000 injections"), "{error}");
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
