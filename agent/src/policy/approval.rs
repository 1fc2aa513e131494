//! The people who must have signed a fault before it may be armed here, and whether they have.

use std::collections::BTreeSet;

use firedrill_approval::{Digest, Opened, leaf, proves};
use firedrill_wire::{
    Fault, RunId,
    api::{PrepareOne, Signed},
};
use serde::Deserialize;

use super::pattern::like;
use crate::caller::Caller;

/// The rule about approvals.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Number of people who must have approved; whoever runs the drill does not count.
    pub people: u32,
    /// The kinds of faults that need it; `*` matches any text. Without this all do.
    #[serde(default)]
    pub kinds: Vec<String>,
}

impl Approval {
    pub(super) fn validate(&self) -> Result<(), String> {
        let most = u32::try_from(Signed::MOST).unwrap_or(u32::MAX);
        if !(1..=most).contains(&self.people) {
            return Err(format!("policy.approval: people = {}; it is 1 to {most}", self.people));
        }
        match self.kinds.iter().find(|kind| !Fault::KINDS.iter().any(|known| like(kind, known))) {
            Some(kind) => Err(format!(
                "policy.approval: there is no kind of fault `{kind}`; there are {}",
                Fault::KINDS.join(", ")
            )),
            None => Ok(()),
        }
    }

    /// Returns the number of people whose approval a kind needs.
    pub(super) fn wants(&self, kind: &str) -> u32 {
        let any = self.kinds.is_empty() || self.kinds.iter().any(|known| like(known, kind));
        if any { self.people } else { 0 }
    }

    /// Returns what is missing in words; `None` if enough people have approved.
    pub(super) fn lacks(&self, kind: &str, approved: &Approved) -> Option<String> {
        let wants = self.wants(kind);
        if approved.by.len() >= usize::try_from(wants).unwrap_or(usize::MAX) {
            return None;
        }
        let by = if approved.by.is_empty() {
            "nobody has".to_owned()
        } else {
            format!("only {} did", approved.by.iter().cloned().collect::<Vec<_>>().join(", "))
        };
        let people = if wants == 1 { "1 person".to_owned() } else { format!("{wants} people") };
        let unfit = if approved.unfit.is_empty() { String::new() } else { format!("; {}", approved.unfit) };
        Some(format!(
            "{kind}: this host wants it approved by {people} other than the one who runs it, and {by}{unfit}"
        ))
    }
}

/// The people who approved one fault on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Approved {
    /// Their names.
    by: BTreeSet<String>,
    /// The reasons why other approvals do not count.
    unfit: String,
}

impl Approved {
    /// Counts the approvals of a fault: of people other than the caller, whose certificates are for this host's environment, and who
    /// signed exactly this fault on this host.
    pub(crate) fn of(
        (host, environment): (&str, Option<&str>),
        (caller, run): (&Caller, &RunId),
        one: &PrepareOne,
        opened: &[Result<Opened, String>],
    ) -> Self {
        if opened.is_empty() {
            return Self::default();
        }
        // An id that is not of the run has no place in a plan, so nobody approved it.
        let place = one.id.as_str().strip_prefix(run.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let leaf = leaf(host, place.unwrap_or_default(), &one.fault, one.hold);
        let mut approved = Self::default();
        let mut unfit = Vec::new();
        for opened in opened {
            match counted(opened, caller, environment, leaf, &one.proof) {
                Ok(name) => {
                    approved.by.insert(name.to_owned());
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
        self.by.iter().map(String::len).sum::<usize>() + self.unfit.len()
    }
}

/// Returns the approver's name if the approval counts for the fault with that leaf, and otherwise the reason why it does not.
fn counted<'a>(
    opened: &'a Result<Opened, String>,
    caller: &Caller,
    environment: Option<&str>,
    leaf: Digest,
    proof: &[String],
) -> Result<&'a str, String> {
    let Opened { by, statement, .. } = opened.as_ref().map_err(Clone::clone)?;
    let name = by.name.as_str();
    let elsewhere = !by.environments.is_empty()
        && !environment.is_some_and(|here| by.environments.iter().any(|one| one == here));
    if name == caller.name {
        return Err(format!("{name} runs this drill"));
    }
    if elsewhere {
        return Err(format!("{name} approves only for {}", by.environments.join(", ")));
    }
    match &statement.faults {
        None => Err(format!("{name} signed with a version that names no faults, and must approve again")),
        Some(root) if !proves(leaf, proof, root) => {
            Err(format!("{name} approved other faults than this one"))
        }
        Some(_) => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use firedrill_approval::{Statement, Tree};
    use firedrill_wire::{
        Span,
        fault::NetBlock,
        identity::{Person, Role},
    };

    use super::*;

    const HOLD: Span = Span::secs(30);

    fn alice() -> Caller {
        Caller {
            name: "alice".into(),
            team: None,
            environments: Vec::new(),
            may_harm: true,
            certificate: None,
        }
    }

    fn run() -> RunId {
        "friday".parse().unwrap()
    }

    fn block() -> Fault {
        Fault::NetBlock(NetBlock { to: vec!["db1".to_owned()].into(), ..NetBlock::default() })
    }

    /// An approval of a net-block on app1 and on app2.
    fn opened(by: &str, environments: &[&str]) -> (Result<Opened, String>, PrepareOne) {
        let tree = Tree::of(vec![leaf("app1", "1-1", &block(), HOLD), leaf("app2", "1-2", &block(), HOLD)]);
        let statement = Statement {
            plan: "d".into(),
            name: "friday".into(),
            run: None,
            given: "2026-12-04T14:00:00Z".into(),
            until: "2026-12-05T14:00:00Z".into(),
            requests: None,
            faults: Some(tree.root()),
        };
        let by = Person {
            name: by.into(),
            team: None,
            role: Role::Viewer,
            environments: environments.iter().map(|one| (*one).to_owned()).collect(),
            flaws: Vec::new(),
        };
        let one = PrepareOne {
            id: "friday-1-1".parse().unwrap(),
            fault: block(),
            hold: HOLD,
            proof: tree.proof(0),
        };
        (Ok(Opened { by, serial: "01".into(), statement }), one)
    }

    fn lacks(people: u32, one: &PrepareOne, opened: &[Result<Opened, String>]) -> Option<String> {
        let approved = Approved::of(("app1", Some("prod")), (&alice(), &run()), one, opened);
        Approval { people, kinds: vec!["net-*".into()] }.lacks(one.fault.kind(), &approved)
    }

    #[test]
    fn enough_people_who_signed_this_fault_on_this_host_and_do_not_run_it() {
        let (bob, one) = opened("bob", &[]);
        let (carol, _) = opened("carol", &["prod"]);
        let of = |opened: &[&Result<Opened, String>]| -> Vec<Result<Opened, String>> {
            opened.iter().map(|one| (*one).clone()).collect()
        };
        assert_eq!(lacks(1, &one, &of(&[&bob])), None);
        assert_eq!(lacks(2, &one, &of(&[&bob, &carol])), None);
        let said = |people, one: &PrepareOne, opened: &[Result<Opened, String>], why: &str| {
            let lacks = lacks(people, one, opened).expect(why);
            assert!(lacks.contains(why), "no `{why}` in {lacks}");
        };
        said(1, &one, &[], "approved by 1 person other than the one who runs it, and nobody has");
        said(2, &one, &of(&[&bob, &bob]), "only bob did");
        said(1, &one, &[opened("alice", &[]).0], "alice runs this drill");
        said(1, &one, &[opened("dave", &["staging"]).0], "dave approves only for staging");
        said(1, &one, &[Err("it expired".to_owned())], "nobody has; it expired");
        let other = |one: PrepareOne| said(1, &one, &of(&[&bob]), "bob approved other faults than this one");
        other(PrepareOne { hold: Span::secs(31), ..one.clone() });
        other(PrepareOne { fault: Fault::NetBlock(NetBlock::default()), ..one.clone() });
        other(PrepareOne { proof: Vec::new(), ..one.clone() });
        for id in ["friday-1-2", "other-1-1", "friday1-1"] {
            other(PrepareOne { id: id.parse().unwrap(), ..one.clone() });
        }
        let elsewhere = Approved::of(("app3", Some("prod")), (&alice(), &run()), &one, &of(&[&bob]));
        assert!(elsewhere.by.is_empty(), "it is for another host: {elsewhere:?}");
        let mut earlier = bob;
        if let Ok(opened) = &mut earlier {
            opened.statement.faults = None;
        }
        said(1, &one, &[earlier], "names no faults");
    }

    #[test]
    fn only_the_kinds_that_are_named_need_it() {
        let rule = Approval { people: 1, kinds: vec!["service-*".into()] };
        assert_eq!(rule.lacks("net-block", &Approved::default()), None);
        assert!(rule.lacks("service-stop", &Approved::default()).is_some());
        assert!(Approval { people: 1, kinds: Vec::new() }.lacks("net-block", &Approved::default()).is_some());
        assert_eq!(rule.validate(), Ok(()));
        assert!(Approval { people: 0, ..rule.clone() }.validate().unwrap_err().contains("1 to 16"));
        let unknown = Approval { kinds: vec!["net-blok".into()], ..rule };
        assert!(unknown.validate().unwrap_err().contains("no kind of fault `net-blok`"));
    }
}
