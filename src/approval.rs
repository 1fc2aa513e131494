//! Approvals: what somebody signed who agrees to a plan.
//!
//! An approval is a small file. It says which plan, by its digest, who agrees, until when, and, where it was given to a run
//! on its way, to which. It carries the approver's certificate and signature. It counts where the certificate is one of a
//! person, of the coordinator's authority, in date and not revoked. Agents never see it: the coordinator asks for it.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_wire::{
    RunId,
    text::{self, Breaks, clean, short},
    x509,
};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::{link::Identity, text::read};

/// Larger files are no approvals, in bytes.
const MOST_BYTES: u64 = 256 * 1024;
/// Stands before what is signed, so that no other signature of the same key is one of an approval.
const PURPOSE: &str = "firedrill approval v1\n";
/// Clocks of people differ by so much at most.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The plan's digest.
    pub plan: String,
    /// The scenario's name, for people.
    #[serde(deserialize_with = "short")]
    pub name: String,
    /// The run that it is for; without it, every run of that plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// When it was given, RFC 3339 UTC.
    pub given: String,
    /// Until when it counts, RFC 3339 UTC.
    pub until: String,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    schema: u32,
    /// A [`Statement`] in JSON, letter by letter as it was signed.
    statement: String,
    scheme: String,
    /// In base64.
    signature: String,
    /// DER in base64: the approver's, then those between it and the authority.
    certificates: Vec<String>,
}

/// Somebody who agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Their name, from the certificate.
    pub by: String,
    /// The certificate's serial number.
    pub serial: String,
    /// What they agreed to.
    pub statement: Statement,
}

/// An approval does not count.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct ApprovalError {
    path: PathBuf,
    why: String,
}

/// Signs that the identity's owner agrees to a plan; the text of the file.
///
/// # Errors
/// Its key cannot sign.
pub fn sign(
    identity: &Identity,
    plan: &str,
    name: &str,
    run: Option<&RunId>,
    lasts: Duration,
) -> Result<String, String> {
    let now = SystemTime::now();
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let statement = Statement {
        plan: plan.to_owned(),
        name: name.to_owned(),
        run: run.cloned(),
        given: time(now),
        until: time(now + lasts),
    };
    let statement = serde_json::to_string(&statement).map_err(|error| error.to_string())?;
    let (scheme, signature) = identity.signer.sign(format!("{PURPOSE}{statement}").as_bytes())?;
    let certificates = identity.signer.chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect();
    let file = File {
        schema: 1,
        statement,
        scheme: scheme.to_owned(),
        signature: BASE64_STANDARD.encode(signature),
        certificates,
    };
    serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Reads an approval and says who gave it, if it counts for that plan and run now, by what the identity trusts.
///
/// # Errors
/// It cannot be read, or does not count; why, and what to do.
pub fn verify(path: &Path, identity: &Identity, plan: &str, run: &RunId) -> Result<Approval, ApprovalError> {
    check(path, identity, plan, run, SystemTime::now())
        .map_err(|why| ApprovalError { path: path.to_owned(), why: clean(&why, 1000).into_owned() })
}

fn check(
    path: &Path,
    identity: &Identity,
    plan: &str,
    run: &RunId,
    now: SystemTime,
) -> Result<Approval, String> {
    let make = "an approver makes one with `firedrill approve`";
    let text = read(path, MOST_BYTES).map_err(|error| format!("no approval can be read: {error}; {make}"))?;
    let file: File = text::from_json(text.text.as_bytes(), Breaks::None)
        .map_err(|error| format!("it is no approval ({error}); {make}"))?;
    if file.schema != 1 {
        return Err(format!("it has the schema {}, and this version reads 1", file.schema));
    }
    let chain = file
        .certificates
        .iter()
        .map(|text| BASE64_STANDARD.decode(text).map(CertificateDer::from))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    let signature = BASE64_STANDARD
        .decode(&file.signature)
        .map_err(|error| format!("its signature cannot be read: {error}"))?;
    // Who, before what: a text that nobody signed says nothing.
    let by = identity.trusted_person(&chain)?;
    let message = format!("{PURPOSE}{}", file.statement);
    if !chain.first().is_some_and(|leaf| identity.signed(leaf, &file.scheme, message.as_bytes(), &signature))
    {
        return Err(format!("{} has not signed what stands there", by.name));
    }
    let statement: Statement = text::from_json(file.statement.as_bytes(), Breaks::None)
        .map_err(|error| format!("what was signed cannot be read: {error}"))?;
    let time = |text: &str| {
        humantime::parse_rfc3339(text).map_err(|error| format!("its time `{text}` cannot be read: {error}"))
    };
    let (given, until) = (time(&statement.given)?, time(&statement.until)?);
    if given > now + CLOCKS_DIFFER {
        return Err(format!("it was given at {}, which is still to come; do clocks agree?", statement.given));
    }
    if until < now {
        return Err(format!("it counted until {}; {} approves again", statement.until, by.name));
    }
    if statement.plan != plan {
        return Err(format!(
            "{} approved another plan ({} of \"{}\"), this one is {plan}: scenario, fleet, parameters and seed must be \
             the same",
            by.name, statement.plan, statement.name
        ));
    }
    if let Some(other) = statement.run.as_ref().filter(|other| *other != run) {
        return Err(format!("{} approved run {other} only, this is {run}", by.name));
    }
    let serial = chain.first().and_then(|leaf| x509::certificate(leaf)).map(|facts| facts.serial);
    Ok(Approval { by: by.name, serial: serial.unwrap_or_default(), statement })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Kind, PersonAsk, Pki, Validity};
    use firedrill_wire::identity::Role;

    const PLAN: &str = "0123456789abcdef";

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

        fn signed(&self, by: &Identity, plan: &str, run: Option<&str>, lasts: u64) -> PathBuf {
            let run = run.map(run_id);
            let text = sign(by, plan, "Friday", run.as_ref(), Duration::from_secs(lasts)).expect("signed");
            self.file(&text)
        }

        fn file(&self, text: &str) -> PathBuf {
            let path = self.dir.path().join("approval.json");
            std::fs::write(&path, text).expect("written");
            path
        }

        /// Who approved, or why it does not count.
        fn says(&self, path: &Path) -> Result<String, String> {
            let counted = verify(path, &self.identity("alice"), PLAN, &run_id("friday-1"));
            counted.map(|approval| approval.by).map_err(|error| error.to_string())
        }

        #[track_caller]
        fn refuses(&self, path: &Path, why: &str) {
            let said = self.says(path).expect_err("it does not count");
            assert!(said.contains(why) && said.contains("approval.json"), "no `{why}` in {said}");
        }
    }

    fn run_id(text: &str) -> RunId {
        text.parse().expect("an id")
    }

    #[test]
    fn what_a_known_person_signed_counts_for_what_it_says() {
        let house = House::new();
        let bob = house.identity("bob");
        assert_eq!(house.says(&house.signed(&bob, PLAN, None, 60)).as_deref(), Ok("bob"));
        assert_eq!(house.says(&house.signed(&bob, PLAN, Some("friday-1"), 60)).as_deref(), Ok("bob"));
        house.refuses(&house.signed(&bob, PLAN, Some("friday-2"), 60), "run friday-2 only");
        house.refuses(&house.signed(&bob, "other", None, 60), "approved another plan");
        let path = house.signed(&bob, PLAN, None, 60);
        let later = SystemTime::now() + Duration::from_secs(120);
        let lapsed = check(&path, &house.identity("alice"), PLAN, &run_id("friday-1"), later);
        assert!(lapsed.expect_err("too late").contains("bob approves again"));
        let before = SystemTime::now() - Duration::from_secs(3600);
        let early = check(&path, &house.identity("alice"), PLAN, &run_id("friday-1"), before);
        assert!(early.expect_err("too early").contains("still to come"));
    }

    #[test]
    fn what_was_changed_or_signed_by_others_does_not() {
        let (house, other) = (House::new(), House::new());
        let bob = house.identity("bob");
        let text = std::fs::read_to_string(house.signed(&bob, "other", None, 60)).expect("reads");
        house.refuses(&house.file(&text.replace("other", PLAN)), "bob has not signed what stands there");
        // The signature of one with the certificate of another.
        let of_alice =
            std::fs::read_to_string(house.signed(&house.identity("alice"), PLAN, None, 60)).expect("reads");
        let part = |text: &str| serde_json::from_str::<File>(text).expect("a file");
        let mixed = File { certificates: part(&text).certificates, ..part(&of_alice) };
        house.refuses(&house.file(&serde_json::to_string(&mixed).expect("prints")), "bob has not signed");
        house.refuses(&house.signed(&other.identity("bob"), PLAN, None, 60), "is not trusted");
        house.refuses(&house.file("mickey-mouse"), "it is no approval");
        house.refuses(&house.dir.path().join("no-approval.json"), "no approval can be read");
    }

    #[test]
    fn only_people_approve_who_are_in_date_and_not_revoked() {
        let house = House::new();
        let hosts = house.pki.issue_host(&crate::pki::HostAsk::new("app1", 9)).expect("issued");
        let ca = crate::pki::ca_file(house.dir.path());
        let host = Identity::from_files("bob", &hosts.cert, &hosts.key, &ca, None).expect("loads");
        house.refuses(&house.signed(&host, PLAN, None, 60), "is not trusted");
        let day = Duration::from_secs(86_400);
        let valid = Validity { from: SystemTime::now() - 2 * day, until: SystemTime::now() - day };
        house
            .pki
            .issue_person(&PersonAsk { valid, ..PersonAsk::new("old", Role::Viewer, 1) })
            .expect("issued");
        house.refuses(&house.signed(&house.identity("old"), PLAN, None, 60), "is not trusted");
        let path = house.signed(&house.identity("bob"), PLAN, None, 60);
        house.pki.revoke(Kind::Person, "bob", 9).expect("revoked");
        house.refuses(&path, "was revoked");
        assert_eq!(
            house.says(&house.signed(&house.identity("alice"), PLAN, None, 60)).as_deref(),
            Ok("alice")
        );
    }

    #[test]
    fn a_certificate_says_its_owners_name_and_a_hosts_is_nobodys() {
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
}
