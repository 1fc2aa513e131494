//! The people who must have signed a fault before it may be armed here, and whether they have.

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
    /// Number of people who must have approved; whoever runs the drill does not count.
    pub people: u32,
    /// The kinds of faults that need it; `*` matches any text. Without this all do.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The means by which people may approve.
    #[serde(default = "by_certificate")]
    pub means: Vec<Means>,
    /// The origins of the control rooms whose pages may ask for a passkey: `https://drills.example`.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The longest validity of standing approvals that count (`firedrill gameday approve`). Without it none counts.
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

    /// Returns the number of people whose approval a kind needs.
    pub(super) fn wants(&self, kind: &str) -> u32 {
        let any = self.kinds.is_empty() || self.kinds.iter().any(|known| like(known, kind));
        if any { self.people } else { 0 }
    }

    /// Returns the means that count, in words.
    pub(crate) fn by(&self) -> String {
        self.means
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
            .join(" or ")
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
                Some(format!("by {means}, and only by {} counts", self.by()))
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

    /// Returns what is missing in words; `None` if enough people have approved.
    pub(super) fn lacks(&self, kind: &str, approved: &Approved) -> Option<String> {
        let wants = self.wants(kind);
        let (mut by, mut unfit) = (Vec::new(), Vec::new());
        for (name, ways) in &approved.by {
            let refused: Vec<String> = ways.iter().filter_map(|way| self.refuses(way)).collect();
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
    /// Takes the approvals of a fault: of people other than the caller, whose certificates are for this host's environment, and who
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
            match counted(opened, caller, environment, (host, one, leaf)) {
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
        let of = |(name, ways): (&String, &BTreeSet<Way>)| name.len() + ways.iter().map(way).sum::<usize>();
        self.by.iter().map(of).sum::<usize>() + self.unfit.len()
    }
}

/// Returns the approval if it is for that fault, which has that leaf in the tree of its plan, and otherwise the reason why it is not.
fn counted<'a>(
    opened: &'a Result<Opened, String>,
    caller: &Caller,
    environment: Option<&str>,
    (host, one, leaf): (&str, &PrepareOne, Digest),
) -> Result<&'a Opened, String> {
    let opened = opened.as_ref().map_err(Clone::clone)?;
    let Opened { by, statement, .. } = opened;
    let name = by.name.as_str();
    let elsewhere = !by.environments.is_empty()
        && !environment.is_some_and(|here| by.environments.iter().any(|one| one == here));
    if name == caller.name {
        return Err(format!("{name} runs this drill"));
    }
    if elsewhere {
        return Err(format!("{name} approves only for {}", by.environments.join(", ")));
    }
    if let Some(standing) = &statement.standing {
        let covers = standing.covers((host, environment), one.fault.kind(), one.hold);
        return covers.map(|()| opened).map_err(|why| {
            format!("the standing approval of {name} for {} does not cover this: {why}", standing.gameday)
        });
    }
    match &statement.faults {
        None => Err(format!("{name} signed with a version that names no faults, and must approve again")),
        Some(root) if !proves(leaf, &one.proof, root) => {
            Err(format!("{name} approved other faults than this one"))
        }
        Some(_) => Ok(opened),
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
            standing: None,
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
        let opened = Opened { by, serial: "01".into(), means: Means::Certificate, origin: None, statement };
        (Ok(opened), one)
    }

    fn rule(kind: &str) -> Approval {
        Approval {
            people: 1,
            kinds: vec![kind.into()],
            means: by_certificate(),
            origins: Vec::new(),
            standing: None,
        }
    }

    fn lacks(people: u32, one: &PrepareOne, opened: &[Result<Opened, String>]) -> Option<String> {
        let approved = Approved::of(("app1", Some("prod")), (&alice(), &run()), one, opened);
        Approval { people, ..rule("net-*") }.lacks(one.fault.kind(), &approved)
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
        let rule = rule("service-*");
        assert_eq!(rule.lacks("net-block", &Approved::default()), None);
        assert!(rule.lacks("service-stop", &Approved::default()).is_some());
        let all = Approval { kinds: Vec::new(), ..rule.clone() };
        assert!(all.lacks("net-block", &Approved::default()).is_some());
        assert_eq!(rule.validate(), Ok(()));
        assert!(Approval { people: 0, ..rule.clone() }.validate().unwrap_err().contains("1 to 16"));
        let unknown = Approval { kinds: vec!["net-blok".into()], ..rule };
        assert!(unknown.validate().unwrap_err().contains("no kind of fault `net-blok`"));
    }

    #[test]
    fn a_standing_approval_counts_within_its_bounds_where_the_host_takes_them() {
        let standing = |kinds: &str, days: u64| {
            let (opened, one) = opened("bob", &[]);
            let mut opened = opened.unwrap();
            opened.statement = Statement {
                faults: None,
                until: format!("2026-12-{:02}T14:00:00Z", 4 + days),
                standing: Some(Standing {
                    gameday: "friday".into(),
                    digest: "d".into(),
                    environments: vec!["prod".into()],
                    hosts: vec!["app*".into()],
                    kinds: vec![kinds.into()],
                    longest: HOLD,
                }),
                ..opened.statement
            };
            (Ok(opened), one)
        };
        let lacks = |rule: &Approval, (opened, one): &(Result<Opened, String>, PrepareOne)| {
            let approved =
                Approved::of(("app1", Some("prod")), (&alice(), &run()), one, std::slice::from_ref(opened));
            rule.lacks(one.fault.kind(), &approved).unwrap_or_default()
        };
        let each_drill = rule("net-*");
        let takes = Approval { standing: Some(Span::secs(7 * 86_400)), ..each_drill.clone() };
        assert_eq!(lacks(&takes, &standing("net-*", 7)), "");
        for (rule, of, why) in [
            (
                &each_drill,
                standing("net-*", 7),
                "bob approved by a standing approval, and this host wants each drill",
            ),
            (&takes, standing("net-*", 8), "by a standing approval of more than"),
            (&takes, standing("service-*", 7), "does not cover this: net-block is none of service-*"),
        ] {
            let lacks = lacks(rule, &of);
            assert!(lacks.contains(why), "no `{why}` in {lacks}");
        }
        let longer = |standing| Approval { standing: Some(standing), ..each_drill.clone() }.validate();
        assert!(longer(Span::secs(31 * 86_400)).unwrap_err().contains("at most 30d"));
        assert!(longer(Span::ZERO).is_err() && longer(Span::secs(30 * 86_400)).is_ok());
    }

    const ORIGIN: &str = "https://drills.example";

    #[test]
    fn only_the_means_and_the_pages_that_are_named_count() {
        let of = |means, origin: Option<&str>| {
            let (opened, one) = opened("bob", &[]);
            let opened = Opened { means, origin: origin.map(str::to_owned), ..opened.unwrap() };
            Approved::of(("app1", Some("prod")), (&alice(), &run()), &one, &[Ok(opened)])
        };
        let (signed, touched) = (of(Means::Certificate, None), of(Means::Passkey, Some(ORIGIN)));
        let elsewhere = of(Means::Passkey, Some("https://evil.example"));
        let by_default = rule("net-*");
        let passkeys =
            Approval { means: vec![Means::Passkey], origins: vec![ORIGIN.to_owned()], ..by_default.clone() };
        let both = Approval { means: vec![Means::Passkey, Means::Certificate], ..passkeys.clone() };
        let counts = |rule: &Approval, approved: &Approved| rule.lacks("net-block", approved).is_none();
        assert!(counts(&by_default, &signed) && counts(&both, &signed) && !counts(&passkeys, &signed));
        assert!(!counts(&by_default, &touched) && counts(&both, &touched) && counts(&passkeys, &touched));
        let why = |rule: &Approval, approved: &Approved| rule.lacks("net-block", approved).unwrap();
        assert!(
            why(&by_default, &touched).contains("bob approved by passkey, and only by certificate counts")
        );
        let told = why(&both, &elsewhere);
        assert!(
            told.contains("nobody has; bob approved by passkey on https://evil.example, which"),
            "{told}"
        );
        let (one, other) =
            (of(Means::Passkey, None), of(Means::Passkey, Some("https://drills.example.evil")));
        assert!(!counts(&both, &one) && !counts(&both, &other));
    }

    #[test]
    fn passkeys_are_named_together_with_the_pages_that_may_ask_for_them() {
        let read = |text: &str| -> Result<(), String> {
            let rule: Approval = toml::from_str(text).map_err(|error| error.to_string())?;
            rule.validate()
        };
        assert_eq!(read("people = 1"), Ok(()));
        let passkeys = "people = 2\nmeans = [\"passkey\", \"certificate\"]\norigins = ";
        assert_eq!(read(&format!("{passkeys}[\"https://drills.example\"]")), Ok(()));
        for (text, why) in [
            ("people = 1\nmeans = []", "lets nobody approve"),
            ("people = 1\nmeans = [\"passkey\"]", "origins is missing"),
            ("people = 1\norigins = [\"https://drills.example\"]", "means has none"),
            (&format!("{passkeys}[\"https://drills.example/\"]"), "no path"),
            (&format!("{passkeys}[\"http://127.0.0.1:7788\"]"), "for addresses"),
            ("people = 1\nmeans = [\"slack\"]", "unknown variant `slack`"),
        ] {
            let told = read(text).expect_err(why);
            assert!(told.contains(why), "{told}");
        }
    }
}
