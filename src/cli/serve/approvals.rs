//! Approvals that people give on a page of the control room: the statement that they sign, and the file in the run's folder where its
//! program finds the approval. Does not decide whether the certificate is trusted.

use std::{path::Path, time::SystemTime};

use firedrill_approval::{BY_PASSKEY_MOST, Opened, open};
use firedrill_files::whole;
use firedrill_room::Proposal;
use firedrill_wire::{
    api::{Means, Signed},
    identity::Identity,
    text::{TEXT_MOST, clean},
};

use crate::{
    approval::{faults_of, statement},
    cli::{
        approve::{headline, step_line},
        runs::{LOG, begun_of},
    },
    plan::{self, Plan},
    run::APPROVAL_FILE,
};

/// Width of the plan's text, in characters.
const WIDTH: usize = 100;

/// Returns the plan of the run in a folder as a page shows it, with the statement that a person signs to approve it.
pub(super) fn proposal(folder: &Path) -> Result<Proposal, String> {
    let (run, plan) = begun(folder)?;
    let statement = statement(&plan, Some(&run), BY_PASSKEY_MOST)?;
    let statement = serde_json::to_string(&statement).map_err(|error| error.to_string())?;
    let shown = |text: &str| clean(text, TEXT_MOST).into_owned();
    let steps = plan.steps.iter().enumerate();
    let steps = steps.map(|(number, step)| format!("step {}: {}", number + 1, step_line(step)));
    let attacks = plan.attacks.iter().map(headline).chain(steps).collect();
    Ok(Proposal {
        name: shown(&plan.name),
        run: run.to_string(),
        seed: plan.seed,
        digest: plan.digest(),
        attacks,
        unseen: plan.hiding().map(|hiding| shown(&hiding)),
        plan: plan::print::text(&plan, &[], WIDTH),
        statement,
    })
}

/// Writes an approval by passkey into the run's folder, where the run's program looks for it. Returns the approver's name.
///
/// # Errors
/// The approval is not by passkey, is for another plan, run or page, has an invalid signature, or cannot be written.
pub(super) fn approve(folder: &Path, signed: &Signed) -> Result<String, String> {
    let (run, plan) = begun(folder)?;
    // Whether the certificate is trusted is decided by the run's program and by agents, because the control room may have no authority. The
    // person's name becomes part of a file's name; `from_uris` refuses names that are not safe for that.
    let named = |chain: &[rustls_pki_types::CertificateDer<'_>], means| {
        let leaf = chain.first().filter(|_| means == Means::Passkey).ok_or("it is not by passkey")?;
        let names = firedrill_certs::uris(leaf)?;
        match Identity::from_uris(names.iter().map(String::as_str)) {
            Ok(Identity::Person(person)) => Ok(person),
            Ok(Identity::Host(name)) => Err(format!("its certificate is that of host {name}")),
            Err(error) => Err(error.to_string()),
        }
    };
    let Opened { by, origin, statement, .. } = open(signed, &run, SystemTime::now(), named)?;
    if !origin.is_some_and(|origin| plan.origins.contains(&origin)) {
        return Err(
            "the run's fleet does not name this page ([approval] origins), so it would not count".to_owned()
        );
    }
    let is_same = statement.plan == plan.agreement()
        && statement.run.as_ref() == Some(&run)
        && statement.faults.as_deref() == Some(faults_of(&plan).root().as_str());
    if !is_same {
        return Err("it is for another plan or another run than this".to_owned());
    }
    let text = serde_json::to_string_pretty(signed).map_err(|error| error.to_string())? + "\n";
    let path = folder.join(format!("{}{}-by-passkey{}", APPROVAL_FILE.0, by.name, APPROVAL_FILE.1));
    whole::replace(&path, text.as_bytes(), whole::USUAL)
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    Ok(by.name)
}

/// Returns the id and the plan of the run in a folder.
fn begun(folder: &Path) -> Result<(firedrill_wire::RunId, Plan), String> {
    begun_of(&folder.join(LOG)).map_err(|failure| failure.to_string())
}
