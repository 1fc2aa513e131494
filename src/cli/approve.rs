//! `firedrill approve`: signs that a person agrees to a plan.

use std::{borrow::Cow, collections::BTreeSet, path::PathBuf};

use firedrill_files::whole;
use firedrill_wire::{
    Span,
    text::{TEXT_MOST, clean},
};

use super::{
    args::DrillArgs,
    failure::{Failure, Result, Wrap as _},
    hosts::wrong,
    runs::{LOG, begun_of},
};
use crate::{
    approval,
    plan::{
        self,
        model::{Attack, Injection, Step},
    },
    run::APPROVAL_FILE,
    verdict::Exit,
};

/// Options of `approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill approve reports/20261120-1402-friday-7f3a --as bob      a run that waits for it, on the same machine
  firedrill approve scenarios/region.toml --fleet fleet.toml --seed 7 --as bob
  firedrill run scenarios/region.toml --fleet fleet.toml --seed 7 --approve approval-bob.json

An approval covers the plan, the data that its probes send and the fleet's `connect`: scenario, fleet, parameters and seed must be the same in
`run`. Read the plan first: `firedrill run … --plan`. The log of a run does not contain the secrets that the plan shows
as `***`: an approval of a run is valid for that run only, and does not cover them. If several approvals are needed,
they must come from people other than the one who runs the drill.")]
pub(super) struct Args {
    /// The folder of a run that waits for approval, or a scenario
    what: PathBuf,
    #[command(flatten)]
    drill: DrillArgs,
    /// Validity of the approval
    #[arg(long = "for", value_name = "TIME", default_value = "24h")]
    lasts: Span,
    /// Path of the approval [default: the run's folder, else approval-NAME.json here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Signs the approval, writes its file, and prints what was approved.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let identity = args.drill.identity.load()?;
    let (plan, run) = if args.what.is_dir() {
        let (run, plan) = begun_of(&args.what.join(LOG))?;
        (plan, Some(run))
    } else {
        let options = args.drill.options(&args.what, args.drill.fleet.needed()?);
        (plan::load(&options).map_err(|report| wrong(&report))?, None)
    };
    if plan.attacks.iter().all(|attack| attack.approve.is_none()) {
        errln!(
            "note: no attack of \"{}\" asks for approval (`approve = {{ people = 2 }}`); hosts whose policy asks for it do",
            shown(&plan.name)
        );
    }
    let text = approval::sign(&identity, &plan, run.as_ref(), args.lasts.into())
        .map_err(|why| Failure::new(shown(&why)))?;
    let name = format!("{}{}{}", APPROVAL_FILE.0, identity.name(), APPROVAL_FILE.1);
    let out = match (&args.out, &run) {
        (Some(out), _) => out.clone(),
        (None, Some(_)) => args.what.join(name),
        (None, None) => PathBuf::from(name),
    };
    // A run may read it at the same time, and the folder may be another user's.
    whole::replace(&out, text.as_bytes(), whole::USUAL).wrap(format!("cannot write {}", out.display()))?;
    outln!(
        "{} approves \"{}\" for {}: plan {}, seed {}",
        identity.name(),
        shown(&plan.name),
        args.lasts,
        plan.digest(),
        plan.seed
    );
    for (number, attack) in plan.attacks.iter().enumerate() {
        outln!("  attack {}: {}", number + 1, headline(attack));
    }
    for (number, step) in plan.steps.iter().enumerate() {
        outln!("  step {}: {}", number + 1, step_line(step));
    }
    if run.is_some()
        && let Some(hiding) = plan.hiding()
    {
        let hiding = shown(&hiding);
        outln!(
            "not seen: the secrets that {hiding} in place of `***`; the log of a run contains no secrets. This \
             approval counts for this run only. To approve those texts, too, approve the scenario"
        );
    }
    match run {
        Some(run) => outln!("wrote {}; run {run} looks there while it asks", out.display()),
        None => {
            outln!("wrote {}; run it with --seed {} --approve {}", out.display(), plan.seed, out.display());
        }
    }
    Ok(Exit::Held)
}

/// Makes a text of an untrusted plan safe to show.
fn shown(text: &str) -> Cow<'_, str> {
    clean(text, TEXT_MOST)
}

/// Describes a step between attacks in one line, safe to show.
pub(super) fn step_line(Step { name, does, .. }: &Step) -> String {
    let undo = does.undo().map(|undo| format!("; put back by: {}", shown(undo))).unwrap_or_default();
    format!("{} ({}): {}{undo}", shown(name), does.word(), shown(&does.said()))
}

/// Describes an attack in one line, safe to show: its kinds of faults, its hosts, and the longest hold.
pub(super) fn headline(attack: &Attack) -> String {
    let distinct = |part: fn(&Injection) -> &str| -> Vec<&str> {
        attack.injections.iter().map(part).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (kinds, hosts) =
        (distinct(|injection| injection.fault.kind()), distinct(|injection| &injection.host));
    let hosts = match hosts.as_slice() {
        [first, second, third, _, ..] => format!("{first}, {second}, {third} and {} more", hosts.len() - 3),
        few => few.join(", "),
    };
    let hold = attack.injections.iter().map(|injection| injection.hold).max().unwrap_or_default();
    shown(&format!("{}: {} on {hosts} for {hold}", attack.name, kinds.join(", "))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::{Does, Then};

    #[test]
    fn a_step_is_shown_with_what_is_done_and_how_it_is_put_back() {
        let step = |does| Step {
            name: "cable".to_owned(),
            before: 0,
            does,
            timeout: Span::secs(60),
            on_failure: Then::Stop,
        };
        let undo = Some("Plug it in.\u{1b}".to_owned());
        let by_hand = step(Does::Manual { text: "Pull it.".to_owned(), undo });
        let line = step_line(&by_hand);
        assert!(line.starts_with("cable (manual): Pull it.; put back by: Plug it in."), "{line}");
        assert!(!line.contains('\u{1b}'), "a plan is untrusted");
        let check = step(Does::Check { argv: vec!["verify".to_owned(), "all rows".to_owned()] });
        assert_eq!(step_line(&check), "cable (check): verify 'all rows'");
    }
}
