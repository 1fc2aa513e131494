//! The rule about the people who must approve a fault before it may be armed on this host, and whether they have. Never opens an approval
//! or checks its signature.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use firedrill_approval::{Digest, Opened, Standing, leaf, proves};
use firedrill_wire::{
    Fault, RunId, Span,
    api::{Means, PrepareOne, Signed},
    origin::check_origin,
    pattern::like,
};
use serde::Deserialize;

use crate::caller::Caller;

/// The rule about approvals.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Number of people who must have approved. The person who runs the drill does not count.
    pub people: u32,
    /// The kinds of faults that need approvals; `*` matches any text. Without this key all kinds do.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The means by which people may approve.
    #[serde(default = "by_certificate")]
    pub means: Vec<Means>,
    /// The origins of the control rooms whose pages may ask for a passkey: `https://drills.example`.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The longest validity of standing approvals that count (`firedrill gameday approve`). Without this key none counts.
    #[serde(default)]
    pub standing: Option<Span>,
}

fn by_certificate() -> Vec<Means> {
    vec![Means::Certificate]
}

impl Approval {
    pub(super) fn validate(&self) -> Result<(), String> {
        let most = u32::try_from(Signed::MOST).unwrap_or(u32::MAX);
        if !(1..=most).contains(&self.people) {
            return Err(format!("policy.approval: people = {}; it is 1 to {most}", self.people));
        }
        let passkeys = self.means.contains(&Means::Passkey);
        if self.means.is_empty() {
            return Err("policy.approval: means = [] lets nobody approve; there are certificate and passkey"
                .to_owned());
        }
        if passkeys && self.origins.is_empty() {
            return Err("policy.approval: means has passkey, and origins is missing: it names the control room's address, \
                        such as origins = [\"https://drills.example\"]"
                .to_owned());
        }
        if !passkeys && !self.origins.is_empty() {
            return Err("policy.approval: origins is only about passkeys, and means has none; name passkey there, or leave \
                        origins out"
                .to_owned());
        }
        if self.standing.is_some_and(|most| most.is_zero() || most.0 > Standing::MOST) {
            return Err("policy.approval: standing is at least a moment and at most 30d; without the key no standing approval counts"
                .to_owned());
        }
        for origin in &self.origins {
            check_origin(origin).map_err(|why| format!("policy.approval: origins: {why}"))?;
        }
        match self.kinds.iter().find(|kind| !Fault::KINDS.iter().any(|known| like(kind, known))) {
            Some(kind) => Err(format!(
                "policy.approval: there is no kind of fault `{kind}`; there are {}",
                Fault::KINDS.join(", ")
            )),
            None => Ok(()),
        }
    }

    /// Returns the number of people who must approve faults of a kind.
    pub(super) fn wants(&self, kind: &str) -> u32 {
        let is_meant = self.kinds.is_empty() || self.kinds.iter().any(|pattern| like(pattern, kind));
        if is_meant { self.people } else { 0 }
    }

    /// Returns the means that count, for people: `certificate or passkey`.
    pub(crate) fn means_in_words(&self) -> String {
        let sorted: BTreeSet<String> = self.means.iter().map(ToString::to_string).collect();
        sorted.into_iter().collect::<Vec<_>>().join(" or ")
    }

    /// Returns the reason why an approval in that way does not count here; `None` if it does.
    fn refuses(&self, way: &Way) -> Option<String> {
        match (way.standing, self.standing) {
            (Some(_), None) => {
                return Some("by a standing approval, and this host wants each drill approved".to_owned());
            }
            (Some(lasts), Some(most)) if lasts > most.0 => {
                return Some(format!("by a standing approval of more than {most}"));
            }
            _ => {}
        }
        match way {
            Way { means, .. } if !self.means.contains(means) => {
                Some(format!("by {means}, and only by {} counts", self.means_in_words()))
            }
            Way { means: Means::Passkey, origin, .. } => match origin {
                Some(origin) if self.origins.contains(origin) => None,
                origin => {
                    let origin = origin.as_deref().unwrap_or("an unknown page");
                    Some(format!("by passkey on {origin}, which policy.approval.origins does not name"))
                }
            },
            Way { means: Means::Certificate, .. } => None,
        }
    }

    /// Returns a sentence on the approvals that are missing; `None` if enough people have approved.
    pub(super) fn lacks(&self, kind: &str, approved: &Approved) -> Option<String> {
        let wants = self.wants(kind);
        let (mut by, mut unfit) = (Vec::new(), Vec::new());
        for (name, ways) in &approved.by {
            let refused: Vec<String> = ways.iter().filter_map(|way| self.refuses(way)).collect();
            // One way that counts is enough.
            if refused.len() < ways.len() {
                by.push(name.as_str());
            } else {
                unfit.push(format!("{name} approved {}", refused.join(" and ")));
            }
        }
        if by.len() >= usize::try_from(wants).unwrap_or(usize::MAX) {
            return None;
        }
        let by = if by.is_empty() { "nobody has".to_owned() } else { format!("only {} did", by.join(", ")) };
        let people = if wants == 1 { "1 person".to_owned() } else { format!("{wants} people") };
        unfit.extend((!approved.unfit.is_empty()).then(|| approved.unfit.clone()));
        let unfit = if unfit.is_empty() { String::new() } else { format!("; {}", unfit.join("; ")) };
        Some(format!(
            "{kind}: this host wants it approved by {people} other than the one who runs it, and {by}{unfit}"
        ))
    }
}

/// The way in which somebody approved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    means: Means,
    /// The origin of the page on which a passkey was used.
    origin: Option<String>,
    /// The validity of a standing approval; `None` if it is about one plan.
    standing: Option<Duration>,
}

/// The people who approved one fault on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Approved {
    /// Their names, and the ways in which each approved. The policy decides which of them count.
    by: BTreeMap<String, BTreeSet<Way>>,
    /// The reasons why other approvals do not count.
    unfit: String,
}

impl Approved {
    /// Selects the approvals that are for a fault: those of people other than the caller, whose certificates are for this host's
    /// environment, and who signed exactly this fault on this host. `opened` are the approvals of the run, or why one cannot be used.
    pub(crate) fn of(
        (host, environment): (&str, Option<&str>),
        (caller, run): (&Caller, &RunId),
        asked: &PrepareOne,
        opened: &[Result<Opened, String>],
    ) -> Self {
        if opened.is_empty() {
            return Self::default();
        }
        // An id is the run's id, `-`, and the fault's place in the plan. Another id has no place, so it is in no approved plan.
        let place = asked.id.as_str().strip_prefix(run.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let leaf = leaf(host, place.unwrap_or_default(), &asked.fault, asked.hold);
        let mut approved = Self::default();
        let mut unfit = Vec::new();
        for opened in opened {
            match counted(opened, caller, environment, (host, asked, leaf)) {
                Ok(Opened { by, means, origin, statement, .. }) => {
                    let standing = statement.standing.as_ref().map(|_| statement.lasts());
                    let way = Way { means: *means, origin: origin.clone(), standing };
                    approved.by.entry(by.name.clone()).or_default().insert(way);
                }
                Err(why) => unfit.push(why),
            }
        }
        approved.unfit = unfit.join("; ");
        approved
    }

    /// Whether nobody has approved it.
    pub(crate) fn is_empty(&self) -> bool {
        self.by.is_empty()
    }

    /// Returns its size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let way = |way: &Way| size_of::<Way>() + way.origin.as_ref().map_or(0, String::len);
        let person =
            |(name, ways): (&String, &BTreeSet<Way>)| name.len() + ways.iter().map(way).sum::<usize>();
        self.by.iter().map(person).sum::<usize>() + self.unfit.len()
    }
}

/// Returns the approval if it is for the fault in `asked`; otherwise the reason why not. `leaf` is the fault's leaf in the tree of its plan.
fn counted<'a>(
    opened: &'a Result<Opened, String>,
    caller: &Caller,
    environment: Option<&str>,
    (host, asked, leaf): (&str, &PrepareOne, Digest),
) -> Result<&'a Opened, String> {
    let opened = opened.as_ref().map_err(Clone::clone)?;
    let Opened { by, statement, .. } = opened;
    let name = by.name.as_str();
    let elsewhere = !by.environments.is_empty()
        && !environment.is_some_and(|here| by.environments.iter().any(|name| name == here));
    if name == caller.name {
        return Err(format!("{name} runs this drill"));
    }
    if elsewhere {
        return Err(format!("{name} approves only for {}", by.environments.join(", ")));
    }
    if let Some(standing) = &statement.standing {
        let covers = standing.covers((host, environment), asked.fault.kind(), asked.hold);
        return covers.map(|()| opened).map_err(|why| {
            format!("the standing approval of {name} for {} does not cover this: {why}", standing.gameday)
        });
    }
    match &statement.faults {
        None => Err(format!("{name} signed with a version that names no faults, and must approve again")),
        Some(root) if !proves(leaf, &asked.proof, root) => {
            Err(format!("{name} approved other faults than this one"))
        }
        Some(_) => Ok(opened),
    }
}

#[cfg(test)]
mod tests;
