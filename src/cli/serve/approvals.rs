//! Approvals that people give on a page: what they sign, and the file by which the run hears of it.

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

/// Returns what a person signs who approves the run of a folder.
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

/// Writes an approval into the run's folder, where its program looks for it.
pub(super) fn approve(folder: &Path, signed: &Signed) -> Result<String, String> {
    let (run, plan) = begun(folder)?;
    // Whether the certificate is trusted is for the run's program and for agents to decide: this program may have no authority. Its name goes
    // into the name of a file, and is checked for that by its parser.
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

/// Returns the run of a folder, and its plan.
fn begun(folder: &Path) -> Result<(firedrill_wire::RunId, Plan), String> {
    begun_of(&folder.join(LOG)).map_err(|failure| failure.to_string())
}
