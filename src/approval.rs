//! Approvals: signed statements of people who agree to a plan.
//!
//! An approval is a small file. It names the plan by its digest, the approver, and its validity. The plan shows `***`
//! in place of secrets, so there is a second, salted digest over everything that probes send and over the commands that
//! lead to agents. Who approves a waiting run has only the run's log, which contains no secrets: such an approval names the run instead of
//! that digest, and counts for that run alone.
//!
//! The file has the approver's certificate and signature. The approval counts if the certificate belongs to a person, was issued by the
//! coordinator's authority, is in date, is not revoked, and is valid for the plan's environments. For an approval by passkey, the
//! certificate is over the passkey's key (`firedrill pki enrol`), and the fleet must name the origin of the page that asked for the passkey.
//! Agents whose policy asks for approvals get the files, and verify themselves that the approvals are about their own faults
//! (`firedrill-approval`).

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use firedrill_approval::{Leaves, Opened, Requests, Standing, Statement, Tree, open, seal};
use firedrill_files::text::{hex, read};
use firedrill_wire::{
    RunId,
    api::{Means, Signed},
    identity::Person,
    text::{self, Breaks, clean},
};

use crate::{
    link::Identity,
    plan::{self, Plan},
};

/// Maximum size of an approval's file, in bytes.
const MOST_BYTES: u64 = 256 * 1024;

/// Makes the salted digest over the secrets that a plan shows as `***`. The error says that this machine gives no random numbers.
fn requests_of(plan: &Plan) -> Result<Requests, String> {
    let random = ring::rand::generate::<[u8; 16]>(&ring::rand::SystemRandom::new())
        .map_err(|_| "this machine gives no random numbers".to_owned())?;
    let salt = hex(&random.expose());
    let digest = plan.requests(&salt);
    Ok(Requests { salt, digest })
}

/// Returns the tree of a plan's faults: attack by attack, in the plan's order.
#[must_use]
pub fn faults_of(plan: &Plan) -> Tree {
    let mut leaves = Leaves::default();
    let mut in_order = Vec::new();
    for (attack_index, attack) in plan.attacks.iter().enumerate() {
        for (index, injection) in attack.injections.iter().enumerate() {
            let place = format!("{}-{}", attack_index + 1, index + 1);
            in_order.push(leaves.leaf(&injection.host, &place, &injection.fault, injection.hold));
        }
    }
    Tree::of(in_order)
}

/// A valid approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The approver's name, from the certificate.
    pub by: String,
    /// The certificate's serial number.
    pub serial: String,
    /// The means by which it was signed.
    pub means: Means,
    /// The signed statement.
    pub statement: Statement,
    /// The content of the file, for agents.
    pub signed: Signed,
}

/// An approval is not valid.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct ApprovalError {
    path: PathBuf,
    why: String,
}

/// Signs that the identity's owner agrees to a plan; returns the text of the file. `lasts` is the approval's validity from now on. With
/// `run`, the plan was read from that run's log, which contains no secrets, and the approval counts for that run alone.
///
/// # Errors
/// The identity's key cannot sign, its certificate is not valid for the plan's environments, or revocations are unknown.
pub fn sign(
    identity: &Identity,
    plan: &Plan,
    run: Option<&RunId>,
    lasts: Duration,
) -> Result<String, String> {
    check_revocations(identity)?;
    if let Some(person) = identity.person() {
        within_environments(person, plan)?;
    }
    signed_file(identity, &statement(plan, run, lasts)?)
}

/// Checks that revocations are known; the error says where a fresh list belongs.
fn check_revocations(identity: &Identity) -> Result<(), String> {
    identity.revocations().map(drop).map_err(|why| {
        format!("nothing can be approved while revocations are unknown: {why}; copy a fresh crl.pem there")
    })
}

/// Signs a statement with the identity's key; returns the text of the approval's file.
fn signed_file(identity: &Identity, statement: &Statement) -> Result<String, String> {
    let file = seal(statement, &identity.signer.chain, |message| identity.signer.sign(message))?;
    serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Returns the statement that a person signs to agree to a plan from now on, for the time `lasts`. With `run`, the plan was read from that
/// run's log.
///
/// # Errors
/// This machine gives no random numbers.
pub fn statement(plan: &Plan, run: Option<&RunId>, lasts: Duration) -> Result<Statement, String> {
    let now = SystemTime::now();
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    Ok(Statement {
        plan: plan.agreement(),
        name: plan.name.clone(),
        run: run.cloned(),
        given: time(now),
        until: time(now + lasts),
        requests: if run.is_none() { Some(requests_of(plan)?) } else { None },
        faults: Some(faults_of(plan).root()),
        standing: None,
    })
}

/// A game day as a standing approval names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GamedayFiles {
    /// Its name.
    pub name: String,
    /// The digest of its files.
    pub digest: String,
}

impl GamedayFiles {
    /// Takes the text of a game day's file, the digests of its scenarios' files ([`Plan::files`]), and the text of its fleet.
    #[must_use]
    pub fn of<'t>(
        name: &str,
        gameday: &'t str,
        scenarios: impl Iterator<Item = &'t str>,
        fleet: &'t str,
    ) -> Self {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        for part in [gameday, fleet].into_iter().chain(scenarios) {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self { name: name.to_owned(), digest: hex(hash.finish().as_ref()) }
    }
}

/// Signs that the identity's owner agrees to the drills of a game day within bounds, without being asked each time; returns the text of the
/// file. `plans` are the plans of the game day's scenarios; `lasts` is the approval's validity from now on.
///
/// # Errors
/// The identity's key cannot sign, its certificate is not valid for an environment of the plans, revocations are unknown, the bounds are
/// too large for a statement, or `lasts` is too long.
pub fn sign_standing(
    identity: &Identity,
    standing: Standing,
    plans: &[Plan],
    lasts: Duration,
) -> Result<String, String> {
    check_revocations(identity)?;
    if let Some(person) = identity.person() {
        plans.iter().try_for_each(|plan| within_environments(person, plan))?;
    }
    if !standing.is_small() {
        return Err(Standing::TOO_LARGE.to_owned());
    }
    if lasts > Standing::MOST {
        return Err("a standing approval is valid for 30 days at most".to_owned());
    }
    let now = SystemTime::now();
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let statement = Statement {
        plan: String::new(),
        name: standing.gameday.clone(),
        run: None,
        given: time(now),
        until: time(now + lasts),
        requests: None,
        faults: None,
        standing: Some(standing),
    };
    signed_file(identity, &statement)
}

/// Reads an approval and returns it, if it is valid now for the plan and the run. The identity's trust anchors decide whose signatures
/// count. `root` returns the root of the plan's faults ([`faults_of`]); it is called only if the approval names such a root. `run` is the
/// run and the game day that the run belongs to, if any; a standing approval counts only for the game day that it names.
///
/// # Errors
/// The approval cannot be read, or is not valid; with the reason and the next step.
pub fn verify(
    path: &Path,
    identity: &Identity,
    plan: &Plan,
    root: impl FnOnce() -> String,
    run: (&RunId, Option<&GamedayFiles>),
) -> Result<Approval, ApprovalError> {
    check(path, identity, plan, root, run, SystemTime::now())
        .map_err(|why| ApprovalError { path: path.to_owned(), why: clean(&why, 1000).into_owned() })
}

/// As [`verify`], at the time `now`.
fn check(
    path: &Path,
    identity: &Identity,
    plan: &Plan,
    root: impl FnOnce() -> String,
    (run, gameday): (&RunId, Option<&GamedayFiles>),
    now: SystemTime,
) -> Result<Approval, String> {
    let signed = read_file(path)?;
    let Opened { by, serial, means, origin, statement } =
        open(&signed, run, now, |chain, means| identity.trusted_person(chain, means))?;
    if means == Means::Passkey {
        from_known_page(&by, origin.as_deref().unwrap_or_default(), plan)?;
    }
    if let Some(standing) = &statement.standing {
        stands_for(standing, plan, gameday)
            .map_err(|why| format!("{}'s standing approval {why}", by.name))?;
        within_environments(&by, plan)?;
        return Ok(Approval { by: by.name, serial, means, statement, signed });
    }
    let digest = plan.agreement();
    if statement.plan != digest {
        return Err(format!(
            "{} approved another plan ({} of \"{}\"), this one is {digest}: scenario, fleet, parameters and seed must be \
             the same",
            by.name, statement.plan, statement.name
        ));
    }
    let hiding = plan.hiding();
    match &statement.requests {
        Some(requests) if plan.requests(&requests.salt) != requests.digest => {
            return Err(format!(
                "{} approved other requests: the signed plan has other secrets than those that {} in place of `***`; \
                 {} reads the scenario and the fleet and approves again",
                by.name,
                hiding.as_deref().unwrap_or("the probes send and `connect` has"),
                by.name
            ));
        }
        None if statement.run.is_none()
            && let Some(hiding) = hiding =>
        {
            return Err(format!(
                "{} did not sign the secrets that {hiding} in place of `***`; approve again with this version",
                by.name
            ));
        }
        _ => {}
    }
    within_environments(&by, plan)?;
    if statement.faults.as_ref().is_some_and(|signed| *signed != root()) {
        return Err(format!("{} approved other faults than those of this plan", by.name));
    }
    Ok(Approval { by: by.name, serial, means, statement, signed })
}

/// Reads the file of an approval, and verifies nothing.
///
/// # Errors
/// The file cannot be read, or is no approval; with the next step.
pub fn read_file(path: &Path) -> Result<Signed, String> {
    let make = "an approver makes one with `firedrill approve`";
    let text = read(path, MOST_BYTES).map_err(|error| format!("no approval can be read: {error}; {make}"))?;
    text::from_json(text.text.as_bytes(), Breaks::None)
        .map_err(|error| format!("it is not an approval ({error}); {make}"))
}

/// Whether a signed statement is a standing approval. Nothing is verified.
#[must_use]
pub fn is_standing(signed: &Signed) -> bool {
    text::from_json::<Statement>(signed.statement.as_bytes(), Breaks::None)
        .is_ok_and(|statement| statement.standing.is_some())
}

/// Checks that the fleet names the origin of the page on which a passkey was used.
fn from_known_page(by: &Person, origin: &str, plan: &Plan) -> Result<(), String> {
    if plan.origins.iter().any(|known| known == origin) {
        return Ok(());
    }
    let known = match plan.origins.as_slice() {
        [] => "names none".to_owned(),
        origins => format!("names {}", origins.join(", ")),
    };
    Err(format!(
        "{} approved by passkey on {origin}, and the fleet {known}; if that is your control room, write it into the fleet: \
         [approval] origins = [\"{origin}\"]",
        by.name
    ))
}

/// Checks that a standing approval names the game day that the run belongs to, and that all faults of the plan are within its bounds.
/// The error continues a sentence that begins with the approval.
fn stands_for(standing: &Standing, plan: &Plan, gameday: Option<&GamedayFiles>) -> Result<(), String> {
    let Some(gameday) = gameday else {
        return Err(format!("is to the game day {}, and this run is of none", standing.gameday));
    };
    if standing.gameday != gameday.name {
        return Err(format!("is to the game day {}, and this is {}", standing.gameday, gameday.name));
    }
    if standing.digest != gameday.digest {
        return Err(format!(
            "is to other files of {} (its own, its scenarios', its fleet's): whoever changed them asks for a new one \
             (`firedrill gameday approve`)",
            gameday.name
        ));
    }
    for injection in plan.attacks.iter().flat_map(|attack| &attack.injections) {
        let (host, kind) = (&injection.host, injection.fault.kind());
        let covers = standing.covers((host, plan.environment.as_deref()), kind, injection.hold);
        covers.map_err(|why| format!("does not cover {kind} on {host}: {why}"))?;
    }
    Ok(())
}

/// Checks that a person who is trusted only in some environments does not approve a plan for others.
fn within_environments(person: &Person, plan: &Plan) -> Result<(), String> {
    match plan::left_out(person, plan).as_slice() {
        [] => Ok(()),
        reasons => Err(format!("{} cannot approve this plan: {}", person.name, reasons.join("; "))),
    }
}

#[cfg(test)]
mod tests;
