//! Tests of approvals.

use super::*;
use crate::{
    pki::{Kind, PersonAsk, Pki, Validity},
    plan::model::{Reach, Way},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_approval::PURPOSE;
use firedrill_judge::testing::Drill;
use firedrill_wire::{identity::Role, probe::ProbeKind};

mod passkeys;

/// A folder with an authority, and the people alice and bob.
struct House {
    dir: tempfile::TempDir,
    pki: Pki,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let pki = Pki::init(dir.path()).expect("an authority");
        for name in ["alice", "bob"] {
            pki.issue_person(&PersonAsk::new(name, Role::Viewer, 9)).expect("issued");
        }
        Self { dir, pki }
    }

    fn identity(&self, name: &str) -> Identity {
        Identity::load_as(self.dir.path(), name).expect("an identity")
    }

    fn signed(&self, by: &Identity, plan: &Plan, run: Option<&str>, lasts: u64) -> PathBuf {
        let run = run.map(run_id);
        let text = sign(by, plan, run.as_ref(), Duration::from_secs(lasts)).expect("signed");
        self.file(&text)
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("approval.json");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Returns the approver, or the reason why the approval is not valid.
    fn says(&self, path: &Path) -> Result<String, String> {
        let counted = of_plan(path, &self.identity("alice"), &plan());
        counted.map(|approval| approval.by).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refuses(&self, path: &Path, why: &str) {
        let said = self.says(path).expect_err("it does not count");
        assert!(said.contains(why) && said.contains("approval.json"), "no `{why}` in {said}");
    }
}

/// Verifies an approval of a plan, for the run `friday-1`.
fn of_plan(path: &Path, by: &Identity, plan: &Plan) -> Result<Approval, ApprovalError> {
    verify(path, by, plan, || faults_of(plan).root(), (&run_id("friday-1"), None))
}

fn plan() -> Plan {
    Drill::good().plan()
}

fn other_plan() -> Plan {
    Plan { seed: 8, ..plan() }
}

/// A plan with that token in a header of its probe; it is shown as `***`.
fn sending(token: &str) -> Plan {
    let mut plan = plan();
    for probe in &mut plan.probes {
        if let ProbeKind::Http(http) = &mut probe.kind {
            http.headers.insert("x-token".to_owned(), token.to_owned());
        }
    }
    plan
}

fn run_id(text: &str) -> RunId {
    text.parse().expect("an id")
}

#[test]
fn an_approval_of_a_known_person_counts_for_its_plan_run_and_time_only() {
    let house = House::new();
    let bob = house.identity("bob");
    assert_eq!(house.says(&house.signed(&bob, &plan(), None, 60)).as_deref(), Ok("bob"));
    assert_eq!(house.says(&house.signed(&bob, &plan(), Some("friday-1"), 60)).as_deref(), Ok("bob"));
    house.refuses(&house.signed(&bob, &plan(), Some("friday-2"), 60), "run friday-2 only");
    house.refuses(&house.signed(&bob, &other_plan(), None, 60), "approved another plan");
    let path = house.signed(&bob, &plan(), None, 60);
    let (plan, alice) = (plan(), house.identity("alice"));
    let at = |now| check(&path, &alice, &plan, || faults_of(&plan).root(), (&run_id("friday-1"), None), now);
    let lapsed = at(SystemTime::now() + Duration::from_secs(120));
    assert!(lapsed.expect_err("too late").contains("bob must approve again"));
    let early = at(SystemTime::now() - Duration::from_secs(3600));
    assert!(early.expect_err("too early").contains("in the future"));
}

#[test]
fn an_approval_that_was_changed_or_that_a_stranger_signed_does_not_count() {
    let (house, other) = (House::new(), House::new());
    let bob = house.identity("bob");
    let text = std::fs::read_to_string(house.signed(&bob, &other_plan(), None, 60)).expect("reads");
    house.refuses(
        &house.file(&text.replace(&other_plan().agreement(), &plan().agreement())),
        "bob did not sign this text",
    );
    // The signature of one person with the certificate of another.
    let of_alice =
        std::fs::read_to_string(house.signed(&house.identity("alice"), &plan(), None, 60)).expect("reads");
    let part = |text: &str| serde_json::from_str::<Signed>(text).expect("a file");
    let mixed = Signed { certificates: part(&text).certificates, ..part(&of_alice) };
    house.refuses(&house.file(&serde_json::to_string(&mixed).expect("prints")), "bob did not sign");
    house.refuses(&house.signed(&other.identity("bob"), &plan(), None, 60), "is not trusted");
    house.refuses(&house.file("mickey-mouse"), "it is not an approval");
    house.refuses(&house.dir.path().join("no-approval.json"), "no approval can be read");
}

#[test]
fn only_people_with_certificates_in_date_and_not_revoked_approve() {
    let house = House::new();
    let hosts = house.pki.issue_host(&crate::pki::HostAsk::new("app1", 9)).expect("issued");
    let ca = crate::pki::ca_file(house.dir.path());
    let host = Identity::from_files("bob", &hosts.cert, &hosts.key, &ca, None).expect("loads");
    house.refuses(&house.signed(&host, &plan(), None, 60), "is not trusted");
    let day = Duration::from_secs(86_400);
    let valid = Validity { from: SystemTime::now() - 2 * day, until: SystemTime::now() - day };
    house.pki.issue_person(&PersonAsk { valid, ..PersonAsk::new("old", Role::Viewer, 1) }).expect("issued");
    house.refuses(&house.signed(&house.identity("old"), &plan(), None, 60), "is not trusted");
    let path = house.signed(&house.identity("bob"), &plan(), None, 60);
    house.pki.revoke(Kind::Person, "bob", 9).expect("revoked");
    house.refuses(&path, "was revoked");
    assert_eq!(
        house.says(&house.signed(&house.identity("alice"), &plan(), None, 60)).as_deref(),
        Ok("alice")
    );
}

#[test]
fn the_certificate_gives_the_owners_name_and_a_hosts_certificate_is_no_identity() {
    let house = House::new();
    let people = house.dir.path().join("people");
    for end in ["pem", "key"] {
        std::fs::rename(people.join(format!("bob.{end}")), people.join(format!("root.{end}")))
            .expect("moved");
    }
    assert_eq!(house.identity("root").name(), "bob");
    let hosts = house.pki.issue_host(&crate::pki::HostAsk::new("app1", 9)).expect("issued");
    std::fs::copy(hosts.cert, people.join("app1.pem")).expect("copied");
    std::fs::copy(hosts.key, people.join("app1.key")).expect("copied");
    let error = Identity::load_as(house.dir.path(), "app1").expect_err("nobody").to_string();
    assert!(error.contains("certificate of host app1"), "{error}");
}

#[test]
fn an_approval_covers_what_the_plan_does_not_show() {
    let house = House::new();
    let bob = house.identity("bob");
    let verdict = |path: &Path, plan: &Plan| {
        of_plan(path, &house.identity("alice"), plan)
            .map(|approval| approval.by)
            .map_err(|error| error.to_string())
    };
    let (seen, other) = (sending("s3same-s3same"), sending("0ther-0ther"));
    assert_eq!(seen.agreement(), other.agreement(), "the plan shows neither token");
    let path = house.signed(&bob, &seen, None, 60);
    assert_eq!(verdict(&path, &seen).as_deref(), Ok("bob"));
    let refused = verdict(&path, &other).expect_err("another token");
    assert!(
        refused.contains("bob approved other requests") && refused.contains("the probes buy send"),
        "{refused}"
    );
    let text = std::fs::read_to_string(&path).expect("reads");
    assert!(!text.contains("s3same"), "{text}");
    assert_ne!(text, std::fs::read_to_string(house.signed(&bob, &seen, None, 60)).expect("reads"), "salted");

    // The log of a run has no tokens. An approval of it is valid for that run alone.
    let logged: Plan = serde_json::from_str(&serde_json::to_string(&seen).expect("prints")).expect("a plan");
    let hiding = Some("the probes buy send".to_owned());
    assert_eq!((logged.hiding(), seen.hiding(), plan().hiding()), (hiding.clone(), hiding, None));
    let path = house.signed(&bob, &logged, Some("friday-1"), 60);
    assert_eq!(verdict(&path, &seen).as_deref(), Ok("bob"));
    let path = house.signed(&bob, &logged, Some("friday-2"), 60);
    assert!(verdict(&path, &seen).expect_err("another run").contains("run friday-2 only"));

    // A statement without a digest of requests, as an older version signs it, does not approve requests.
    let sign_without_requests = |plan: &Plan| {
        let text = sign(&bob, plan, None, Duration::from_secs(60)).expect("signed");
        let mut file: Signed = serde_json::from_str(&text).expect("a file");
        let mut statement: Statement = serde_json::from_str(&file.statement).expect("a statement");
        statement.requests = None;
        file.statement = serde_json::to_string(&statement).expect("prints");
        let (_, signature) =
            bob.signer.sign(format!("{PURPOSE}{}", file.statement).as_bytes()).expect("signs");
        file.signature = BASE64_STANDARD.encode(signature);
        house.file(&serde_json::to_string(&file).expect("prints"))
    };
    assert!(
        verdict(&sign_without_requests(&seen), &seen)
            .expect_err("nothing")
            .contains("did not sign the secrets that the probes buy")
    );
    assert_eq!(
        verdict(&sign_without_requests(&plan()), &plan()).as_deref(),
        Ok("bob"),
        "this plan hides nothing"
    );
}

#[test]
fn an_approval_covers_the_commands_that_lead_to_agents() {
    let house = House::new();
    let through = |token: &str| {
        let mut plan = plan();
        for host in &mut plan.hosts[..2] {
            let words = ["relay", "--token", token, &host.name].map(str::to_owned).to_vec();
            host.via = Some(Way { connect: words.clone(), at_once: Way::AT_ONCE });
            host.agent = Reach::Command(words);
        }
        plan
    };
    let verdict = |path: &Path, plan: &Plan| {
        of_plan(path, &house.identity("alice"), plan)
            .map(|approval| approval.by)
            .map_err(|error| error.to_string())
    };
    let (seen, other) = (through("s3same"), through("0ther"));
    assert_eq!(seen.agreement(), other.agreement(), "the plan shows neither token");
    assert_eq!(seen.hiding().as_deref(), Some("`connect` of app1, app2 has"));
    let path = house.signed(&house.identity("bob"), &seen, None, 60);
    assert_eq!(verdict(&path, &seen).as_deref(), Ok("bob"));
    let refused = verdict(&path, &other).expect_err("another token");
    assert!(refused.contains("bob approved other requests") && refused.contains("app1, app2"), "{refused}");

    let logged: Plan = serde_json::from_str(&serde_json::to_string(&seen).expect("prints")).expect("a plan");
    assert_eq!((logged.hiding(), logged.agreement()), (seen.hiding(), seen.agreement()));
    let path = house.signed(&house.identity("bob"), &logged, Some("friday-1"), 60);
    assert_eq!(verdict(&path, &seen).as_deref(), Ok("bob"));
}

#[test]
fn revocations_are_read_again_for_each_approval() {
    let house = House::new();
    // The operator's identity, loaded before any revocation.
    let operator = house.identity("alice");
    let path = house.signed(&house.identity("bob"), &plan(), None, 60);
    let verdict_of =
        |path: &Path, by: &Identity| of_plan(path, by, &plan()).map_err(|error| error.to_string());
    assert_eq!(verdict_of(&path, &operator).map(|approval| approval.by).as_deref(), Ok("bob"));
    house.pki.revoke(Kind::Person, "bob", 9).expect("revoked");
    assert!(verdict_of(&path, &operator).expect_err("revoked").contains("was revoked"));

    // With an empty revocation list hosts can still be healed, but nobody can approve.
    let crl = crate::pki::crl_file(house.dir.path());
    let list = std::fs::read(&crl).expect("reads");
    let path = house.signed(&operator, &plan(), None, 60);
    std::fs::write(&crl, "").expect("written");
    let refused = verdict_of(&path, &house.identity("alice")).expect_err("no list");
    assert!(
        refused.contains("certificates cannot be verified now") && refused.contains("crl.pem"),
        "{refused}"
    );
    let refused =
        sign(&house.identity("alice"), &plan(), None, Duration::from_secs(60)).expect_err("no list");
    assert!(refused.contains("revocations are unknown") && refused.contains("crl.pem"), "{refused}");
    std::fs::write(&crl, list).expect("written");

    // A list that existed must not disappear.
    let operator = house.identity("alice");
    let path = house.signed(&operator, &plan(), None, 60);
    std::fs::remove_file(crl).expect("removed");
    let refused = of_plan(&path, &operator, &plan()).expect_err("no list").to_string();
    assert!(
        refused.contains("certificates cannot be verified now") && refused.contains("crl.pem"),
        "{refused}"
    );
}

#[test]
fn an_approver_is_trusted_in_the_plans_environment() {
    let house = House::new();
    let issue = |name: &str, environments: &[&str]| {
        let environments = environments.iter().map(|one| (*one).to_owned()).collect();
        let ask = PersonAsk { environments, ..PersonAsk::new(name, Role::Viewer, 9) };
        house.pki.issue_person(&ask).expect("issued");
        house.identity(name)
    };
    let (carol, dave) = (issue("carol", &["ci", "staging"]), issue("dave", &["staging"]));
    assert_eq!(house.says(&house.signed(&carol, &plan(), None, 60)).as_deref(), Ok("carol"));
    let refused = sign(&dave, &plan(), None, Duration::from_secs(60)).expect_err("another environment");
    assert!(refused.contains("dave cannot approve this plan") && refused.contains("`ci`"), "{refused}");
    // A plan for which no file names an environment may be for any environment.
    let mut nowhere = Plan { environment: None, ..plan() };
    nowhere.hosts.iter_mut().for_each(|host| drop(host.labels.remove("env")));
    let refused = sign(&carol, &nowhere, None, Duration::from_secs(60)).expect_err("no environment");
    assert!(refused.contains("neither the scenario (`environment`) nor the fleet (`env`)"), "{refused}");
    sign(&house.identity("bob"), &nowhere, None, Duration::from_secs(60)).expect("bob is trusted everywhere");
    // An approval by a client that skips the check of environments: dave's valid signature over the plan for `ci`.
    let staging = Plan { environment: Some("staging".to_owned()), ..plan() };
    let text = sign(&dave, &staging, None, Duration::from_secs(60)).expect("signed");
    let mut file: Signed = serde_json::from_str(&text).expect("a file");
    file.statement = file.statement.replace(&staging.agreement(), &plan().agreement());
    let (_, signature) = dave.signer.sign(format!("{PURPOSE}{}", file.statement).as_bytes()).expect("signs");
    file.signature = BASE64_STANDARD.encode(signature);
    house.refuses(
        &house.file(&serde_json::to_string(&file).expect("prints")),
        "dave cannot approve this plan",
    );
}

#[test]
fn a_standing_approval_is_for_the_files_of_its_game_day_and_within_its_bounds() {
    let house = House::new();
    let (bob, alice) = (house.identity("bob"), house.identity("alice"));
    let files =
        |name: &str, scenario: &str| GamedayFiles::of(name, "gameday", [scenario].into_iter(), "fleet");
    let friday = files("friday", "one");
    let standing = |hosts: &str, environments: &[&str]| Standing {
        gameday: "friday".to_owned(),
        digest: friday.digest.clone(),
        environments: environments.iter().map(|one| (*one).to_owned()).collect(),
        hosts: vec![hosts.to_owned()],
        kinds: vec!["*".to_owned()],
        longest: firedrill_wire::Span::secs(3600),
    };
    let day = Duration::from_secs(86_400);
    let counts = |standing: Standing, gameday: Option<&GamedayFiles>, plan: &Plan| {
        let text = sign_standing(&bob, standing, &[], day).expect("signed");
        let path = house.file(&text);
        let verified = verify(&path, &alice, plan, || faults_of(plan).root(), (&run_id("friday-1"), gameday));
        verified.map(|approval| approval.by).map_err(|error| error.to_string())
    };
    // Plans that differ only in their seed are covered alike.
    assert_eq!(counts(standing("*", &[]), Some(&friday), &plan()).as_deref(), Ok("bob"));
    assert_eq!(counts(standing("*", &["ci"]), Some(&friday), &other_plan()).as_deref(), Ok("bob"));
    for (standing, gameday, why) in [
        (standing("*", &[]), None, "this run is of none"),
        (standing("*", &[]), Some(&files("monday", "one")), "and this is monday"),
        (standing("*", &[]), Some(&files("friday", "two")), "is to other files of friday"),
        (standing("nobody", &[]), Some(&friday), "is none of nobody"),
        (standing("*", &["prod"]), Some(&friday), "it is for prod only"),
    ] {
        let told = counts(standing, gameday, &plan()).expect_err(why);
        assert!(told.contains(why), "no `{why}` in {told}");
    }
    let swapped = |scenarios: [&'static str; 2]| GamedayFiles::of("friday", "g", scenarios.into_iter(), "f");
    assert_ne!(swapped(["a", "b"]), swapped(["b", "a"]), "scenarios that swap their texts are other drills");
    assert!(sign_standing(&bob, standing("*", &[]), &[], 31 * day).expect_err("long").contains("30 days"));
}
