//! Standing approvals of a game day: `firedrill gameday approve` signs one, and a start of the game day collects their files. Does not decide
//! whether an approval counts: `approval.rs` and the agents verify that.

use std::{collections::BTreeSet, io, path::PathBuf};

use firedrill_approval::Standing;
use firedrill_files::{text::read, whole};
use firedrill_gameday::Gameday;
use firedrill_wire::{Fault, Span, pattern::like};
use jiff::Timestamp;

use super::which::gameday;
use crate::{
    approval::{self, GamedayFiles},
    cli::{
        args::IdentityArgs,
        failure::{Failure, Result, Wrap as _},
        hosts::wrong,
    },
    fleet::FleetSource,
    plan::{self, Options, Plan, model::Injection},
    verdict::Exit,
};

/// Maximum size of a fleet's file, in bytes.
const FLEET_MOST: u64 = 64 << 20;

/// Options of `gameday approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday approve gamedays/chaos-monkey.toml --host 'app*' --kind 'service-*' --kind host-isolate --as bob
  firedrill gameday approve gamedays/friday.toml --host app1 --host edge1 --kind 'net-*' --longest 5m --for 7d --as bob

A standing approval is for drills that start by their schedule, while nobody sits there to approve each. It covers the game day with the files
that it has now (its own, its scenarios' with what they include, its fleet's), on these hosts, with these kinds of faults. `*` matches any text.
It lies in the folder `approvals` beside the game day, and each start takes the approvals there.

A host's agent sees neither the schedule nor the game day: whoever has the key of the program that starts it can start other faults within the
same bounds until the approval ends. So a host counts standing approvals only where its policy says so (`[policy.approval] standing = \"7d\"`).
To withdraw one, remove its file; against somebody who has a copy, revoke the approver's certificate (`firedrill pki revoke`).

Exit codes: 0 it is written, 2 it is not.")]
pub(super) struct Args {
    /// The game day
    file: PathBuf,
    /// Hosts that its faults may touch
    #[arg(long = "host", value_name = "PATTERN", required = true)]
    hosts: Vec<String>,
    /// Kinds of its faults
    #[arg(long = "kind", value_name = "PATTERN", required = true)]
    kinds: Vec<String>,
    /// The longest hold of a fault [default: the longest of its scenarios]
    #[arg(long, value_name = "TIME")]
    longest: Option<Span>,
    /// Validity of the approval, at most 30d
    #[arg(long = "for", value_name = "TIME", default_value = "30d")]
    lasts: Span,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Signs a standing approval.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let Some(gameday) = gameday(&args.file, Timestamp::now()) else { return Ok(Exit::Usage) };
    let identity = args.identity.load()?;
    for kind in &args.kinds {
        if !Fault::KINDS.iter().any(|known| like(kind, known)) {
            let help = format!("there are {}", Fault::KINDS.join(", "));
            return Err(Failure::new(format!("there is no kind of fault `{kind}`")).help(help));
        }
    }
    let plans = plans(&gameday)?;
    let files = files_of(&gameday, &plans)?;
    let longest = plans.iter().flat_map(injections_of).map(|one| one.hold).max().unwrap_or_default();
    let longest = args.longest.unwrap_or(longest);
    // If one plan has no environment, this is `None`, and the approval is not bound to environments.
    let environments: Option<BTreeSet<String>> = plans.iter().map(|plan| plan.environment.clone()).collect();
    let standing = Standing {
        environments: environments.unwrap_or_default().into_iter().collect(),
        gameday: files.name,
        digest: files.digest,
        hosts: args.hosts.clone(),
        kinds: args.kinds.clone(),
        longest,
    };
    // Only warnings: with another seed a scenario may pick other hosts. The start checks the bounds again.
    for plan in &plans {
        for Injection { host, fault, hold, .. } in injections_of(plan) {
            if let Err(why) = standing.covers((host, plan.environment.as_deref()), fault.kind(), *hold) {
                errln!("warning: this does not cover {} on {host}: {why}", fault.kind());
            }
        }
    }
    let text = approval::sign_standing(&identity, standing.clone(), &plans, args.lasts.into())
        .map_err(Failure::new)?;
    let out = gameday.approvals.join(format!("{}.json", identity.name()));
    std::fs::create_dir_all(&gameday.approvals)
        .wrap(format!("cannot make the folder {}", gameday.approvals.display()))?;
    whole::replace(&out, text.as_bytes(), whole::USUAL).wrap(format!("cannot write {}", out.display()))?;
    outln!(
        "{} approves the drills of {} for {}: {} on {}, for {} each at most",
        identity.name(),
        gameday.name,
        args.lasts,
        standing.kinds.join(", "),
        standing.hosts.join(", "),
        standing.longest
    );
    outln!("wrote {}; it ends early if one of the files of the game day changes", out.display());
    Ok(Exit::Held)
}

/// Returns the injections of all attacks of a plan.
fn injections_of(plan: &Plan) -> impl Iterator<Item = &Injection> {
    plan.attacks.iter().flat_map(|attack| &attack.injections)
}

/// Plans the scenarios with all their attacks. A scenario without a fixed seed may pick other hosts here than in a run.
fn plans(gameday: &Gameday) -> Result<Vec<Plan>> {
    let load = |drill: &firedrill_gameday::Drill| {
        let options = Options {
            scenario: drill.file.clone(),
            fleet: FleetSource::File(gameday.fleet.clone()),
            params: drill.params.clone(),
            seed: drill.seed.or(Some(1)),
        };
        plan::load(&options).map_err(|report| wrong(&report))
    };
    gameday.drills.iter().map(load).collect()
}

/// Returns the name of a game day and the digest of its files, which a standing approval must name.
pub(super) fn files_of(gameday: &Gameday, plans: &[Plan]) -> Result<GamedayFiles> {
    let fleet = read(&gameday.fleet, FLEET_MOST).map_err(|why| Failure::new(format!("the fleet: {why}")))?;
    // In the order of the game day: scenarios that swap their texts are other drills.
    let scenarios = plans.iter().map(|plan| plan.files.as_deref().unwrap_or_default());
    Ok(GamedayFiles::of(&gameday.name, &gameday.text, scenarios, &fleet.text))
}

/// Returns the files of the standing approvals of a game day; none if there is no folder of approvals.
///
/// # Errors
/// The folder exists and cannot be read.
pub(super) fn approvals_of(gameday: &Gameday) -> Result<Vec<PathBuf>> {
    let folder = &gameday.approvals;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let unread = || format!("the standing approvals in {} cannot be listed", folder.display());
    let mut files = Vec::new();
    for entry in entries.wrap(unread())? {
        let path = entry.wrap(unread())?.path();
        if path.extension().is_some_and(|end| end == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
