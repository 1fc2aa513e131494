//! Approvals: signed statements of people who agree to a plan.
//!
//! An approval is a small file. It names the plan by its digest, the approver, and its validity. The plan shows `***`
//! in place of secrets, so there is a second, salted digest over everything that probes send and over the commands that
//! lead to agents. An approver of a waiting run has only its log, which contains no secrets: such an approval names the run instead, and counts for
//! that run alone.
//!
//! The file has the approver's certificate and signature. It counts if the certificate is a person's, of the
//! coordinator's authority, in date, not revoked, and valid for the plan's environments. By passkey, the certificate is one over the passkey
//! (`firedrill pki enrol`), and it counts if a page of an origin that the fleet names asked for it. Agents whose policy asks for
//! approvals get the files, and verify for themselves that they are about their own faults (`firedrill-approval`).

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
/// Makes the digest over what a plan does not show completely.
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
    let mut all = Vec::new();
    for (number, attack) in plan.attacks.iter().enumerate() {
        for (place, one) in attack.injections.iter().enumerate() {
            let place = format!("{}-{}", number + 1, place + 1);
            all.push(leaves.leaf(&one.host, &place, &one.fault, one.hold));
        }
    }
    Tree::of(all)
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

/// Signs that the identity's owner agrees to a plan; returns the text of the file. With a run, the plan is that of
/// its log, which contains no secrets.
///
/// # Errors
/// Its key cannot sign, its certificate is not valid for the plan's environments, or revocations are unknown.
pub fn sign(
    identity: &Identity,
    plan: &Plan,
    run: Option<&RunId>,
    lasts: Duration,
) -> Result<String, String> {
    identity.revocations().map_err(|why| {
        format!("nothing can be approved while revocations are unknown: {why}; copy a fresh crl.pem there")
    })?;
    if let Some(person) = identity.person() {
        within_environments(person, plan)?;
    }
    let statement = statement(plan, run, lasts)?;
    let file = seal(&statement, &identity.signer.chain, |message| identity.signer.sign(message))?;
    serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Returns the statement that a person signs to agree to a plan from now on. With a run, the plan is that of its log.
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
/// file. `environments` are those of its plans.
///
/// # Errors
/// Its key cannot sign, its certificate is not valid for an environment of the plans, revocations are unknown, or `lasts` is too long.
pub fn sign_standing(
    identity: &Identity,
    standing: Standing,
    plans: &[Plan],
    lasts: Duration,
) -> Result<String, String> {
    identity.revocations().map_err(|why| {
        format!("nothing can be approved while revocations are unknown: {why}; copy a fresh crl.pem there")
    })?;
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
    let file = seal(&statement, &identity.signer.chain, |message| identity.signer.sign(message))?;
    serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Reads an approval and returns the approver, if it is valid for that plan and run now, by the identity's trust
/// anchors. `root` returns the root of the plan's faults ([`faults_of`]); it is called if the approval has one. The run comes with the game day
/// that holds it, to which a standing approval has to be.
///
/// # Errors
/// It cannot be read, or is not valid; with the reason and the next step.
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
/// It cannot be read, or is none; with the next step.
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

/// Checks that the fleet names the page on which a passkey was used.
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

/// Checks that a standing approval is to the game day that holds a plan, and that all faults of the plan are within its bounds.
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
    for one in plan.attacks.iter().flat_map(|attack| &attack.injections) {
        let covers = standing.covers((&one.host, plan.environment.as_deref()), one.fault.kind(), one.hold);
        covers.map_err(|why| format!("does not cover {} on {}: {why}", one.fault.kind(), one.host))?;
    }
    Ok(())
}

/// Checks that a person who is trusted only in some environments approves no plan of others.
fn within_environments(person: &Person, plan: &Plan) -> Result<(), String> {
    match plan::left_out(person, plan).as_slice() {
        [] => Ok(()),
        reasons => Err(format!("{} cannot approve this plan: {}", person.name, reasons.join("; "))),
    }
}

#[cfg(test)]
mod tests;
