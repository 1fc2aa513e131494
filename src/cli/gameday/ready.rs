//! The conditions of a game day: checks whether it may be held now, and gathers its plans and connections. Writes nothing, and harms no host.

use std::path::{Path, PathBuf};

use firedrill_gameday::{
    Gameday,
    record::{self, Firing, Reason},
};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::{
    hold::{Held, of},
    incident,
    promotion::{promoted, runs},
    standing::{approvals_of, files_of},
    which::Which,
};
use crate::{
    cli::{
        args::{FleetArgs, IdentityArgs},
        ask::runtime,
        channels::check,
        failure::{Failure, Result, Wrap as _},
        hosts::wrong,
        reached::Reached,
        runs::ReportsArgs,
    },
    plan::{self, Options, Plan},
    verdict::Exit,
};

/// The options by which a game day is held.
#[derive(Debug, clap::Args)]
pub(super) struct Means {
    #[command(flatten)]
    pub(super) reports: ReportsArgs,
    #[command(flatten)]
    pub(super) identity: IdentityArgs,
    /// A signed approval of attacks that need one (`firedrill approve`)
    #[arg(long, value_name = "FILE")]
    pub(super) approve: Vec<PathBuf>,
    /// With --now: draw with this seed, which repeats a drill that was drawn (`[monkey]`)
    #[arg(long, value_name = "N", requires = "now")]
    pub(super) seed: Option<u64>,
    /// Start although a source of `skip_if` cannot be asked, so that nobody knows whether an incident is running
    #[arg(long)]
    pub(super) incident_unknown: bool,
    /// Run on the hosts of a lab that was started with `firedrill lab up`, in place of the game day's fleet
    #[cfg(feature = "lab")]
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "lab")]
    pub(super) lab: Option<String>,
}

impl Means {
    /// Whether the hosts of a lab are used.
    pub(super) const fn is_on_lab(&self) -> bool {
        #[cfg(feature = "lab")]
        return self.lab.is_some();
        #[cfg(not(feature = "lab"))]
        false
    }

    /// Refuses --seed where no drill is drawn, and --approve where one is drawn.
    pub(super) fn drawable(&self, gameday: &Gameday) -> Result<()> {
        let name = &gameday.name;
        if self.seed.is_some() && gameday.monkey.is_none() {
            let why = format!("{name} draws no drill, so --seed has no meaning");
            return Err(
                Failure::new(why).help("`seed` of a scenario in its file picks the same hosts each time")
            );
        }
        if !self.approve.is_empty() && gameday.monkey.is_some() {
            let why = format!("{name} draws its drill, and an approval in a file covers a whole scenario");
            let help = "without --approve the run waits, and `firedrill approve` with its folder approves what was drawn";
            return Err(Failure::new(why).help(help));
        }
        Ok(())
    }
}

/// The reason why a game day is not held, and the exit code.
pub(super) struct NotHeld {
    pub(super) why: String,
    pub(super) reason: Reason,
    /// The alerts of an incident that is running.
    pub(super) firing: Vec<Firing>,
    pub(super) exit: Exit,
}

impl NotHeld {
    /// A refusal: nothing was touched.
    pub(super) const fn refused(reason: Reason, why: String) -> Self {
        Self { why, reason, firing: Vec::new(), exit: Exit::Refused }
    }
}

/// Checks all conditions, the cheap ones first. Writes nothing.
pub(super) fn ready(args: &Means, gameday: &Gameday, which: &Which, now: Timestamp) -> Result<Held, NotHeld> {
    let refused = |failure: Failure| NotHeld::refused(Reason::Other, failure.to_string());
    if let Some(why) = gameday.why_closed(&which.slot) {
        return Err(NotHeld::refused(Reason::Closed, why.to_owned()));
    }
    within_budget(&args.reports.reports, gameday, which)?;
    let agreed = agreed(&args.reports.reports, gameday, which, now)
        .map_err(|failure| NotHeld::refused(Reason::NoGo, failure.to_string()))?;
    check(gameday).map_err(|failure| NotHeld {
        exit: Exit::Usage,
        ..NotHeld::refused(Reason::Other, failure.to_string())
    })?;
    let fleet = FleetArgs { fleet: Some(gameday.fleet.clone()), ..FleetArgs::default() };
    #[cfg(feature = "lab")]
    let fleet = match &args.lab {
        Some(lab) => FleetArgs { lab: Some(lab.clone()), ..FleetArgs::default() },
        None => fleet,
    };
    let reached = Reached::to_harm(&fleet, &args.identity).map_err(refused)?;
    let seed = gameday.monkey.as_ref().map(|_| seed(args, gameday, which)).transpose().map_err(refused)?;
    let plans = plans(gameday, &reached, seed)?;
    if let Some(requires) = &gameday.requires {
        let runs = if args.reports.reports.is_dir() {
            runs(&args.reports.reports).map_err(refused)?
        } else {
            Vec::new()
        };
        for plan in &plans {
            let (is_promoted, words) = promoted(requires, plan, now, &runs);
            if !is_promoted {
                let why = format!("promotion of {}: {words}", plan.name);
                return Err(NotHeld::refused(Reason::Promotion, why));
            }
        }
    }
    let files = files_of(gameday, &plans).map_err(refused)?;
    let mut approve = args.approve.clone();
    approve.extend(approvals_of(gameday).map_err(refused)?);
    let plans = drawn(gameday, plans)?;
    // After the draw, because warnings of attacks that were not drawn are not about this drill.
    for warning in plans.iter().flat_map(|plan| &plan.warnings) {
        errln!("warning: {warning}");
    }
    // After `Reached::to_harm`: it may enter a lab's network, which a process with several threads cannot.
    let runtime = runtime().map_err(refused)?;
    let words = which.words(gameday);
    let asked = match runtime.block_on(of(&words, &plans, &reached).busy()) {
        Some(why) => Err(NotHeld::refused(Reason::Busy, why)),
        // As late as possible: an incident may begin at any time.
        None => no_incident(args, gameday, &reached, &runtime),
    };
    match asked {
        Ok(unasked) => Ok(Held {
            files,
            approve,
            out: args.reports.reports.clone(),
            reached,
            plans,
            agreed,
            fleet: fleet.shown(),
            unasked,
            runtime,
        }),
        Err(not_held) => {
            runtime.shutdown_background();
            Err(not_held)
        }
    }
}

/// Returns the seed of a draw: the one of --seed, else the slot's. For a start with a key (--once) it is random, so that the choice of the
/// key cannot choose the hosts; the record has the seed.
fn seed(args: &Means, gameday: &Gameday, which: &Which) -> Result<u64> {
    if let Some(seed) = args.seed {
        return Ok(seed);
    }
    if which.once.is_none() {
        return Ok(gameday.seed_of(&which.recorded_as()));
    }
    let random = ring::rand::generate::<[u8; 4]>(&ring::rand::SystemRandom::new());
    let random = random.map_err(|_| Failure::new("the system gives no random numbers"))?;
    Ok(u32::from_be_bytes(random.expose()).into())
}

/// Checks that no incident is running. Returns one text for each source that could not be asked, which `--incident-unknown` allows. The
/// error is that an incident is running, or that it is unknown whether one is.
fn no_incident(
    args: &Means,
    gameday: &Gameday,
    reached: &Reached,
    runtime: &Runtime,
) -> Result<Vec<String>, NotHeld> {
    let answers = incident::ask(gameday, &reached.source, runtime);
    if let Some((reason, why)) = answers.refusal(args.incident_unknown) {
        if reason == Reason::Unasked {
            errln!("help: --incident-unknown starts it all the same");
        }
        let firing = answers.firing.into_iter().take(incident::RECORDED).collect();
        return Err(NotHeld { firing, ..NotHeld::refused(reason, why) });
    }
    for unasked in &answers.unasked {
        errln!("warning: nobody knows whether an incident is running: {unasked}");
    }
    Ok(answers.unasked)
}

/// Returns the people who have agreed. The error is that too few have, or that the agreements cannot be read.
pub(super) fn agreed(
    reports: &Path,
    gameday: &Gameday,
    which: &Which,
    now: Timestamp,
) -> Result<Vec<String>> {
    let Some(wanted) = &gameday.go_no_go else { return Ok(Vec::new()) };
    let given = record::agreements(reports, &gameday.name, &which.agreed_as())
        .wrap("the agreements to this start cannot be read")?;
    let go = record::go(wanted, &gameday.roles, &given, which.counts_at(now));
    if go.is_go() {
        return Ok(go.agreed);
    }
    Err(Failure::new(format!("no go: {}, within {}", go.words(), wanted.expires)))
}

/// Refuses a start beyond the budget of drills. A start by hand counts for the budget, but is never refused by it, because a person decides.
/// A start with a key (--once) comes from a program, and is refused like one by the schedule.
pub(super) fn within_budget(reports: &Path, gameday: &Gameday, which: &Which) -> Result<(), NotHeld> {
    let budget = gameday.monkey.as_ref().and_then(|monkey| monkey.at_most);
    let Some(budget) = budget.filter(|_| !which.by_hand || which.once.is_some()) else { return Ok(()) };
    let now = Timestamp::now();
    let begun = record::beginnings(reports, &gameday.name, &which.recorded_as(), now).map_err(|error| {
        let why = format!("the drills that count for its budget cannot be listed: {error}");
        NotHeld::refused(Reason::Other, why)
    })?;
    let used_up = budget.used_up(&now.to_zoned(gameday.schedule.zone().clone()), &begun);
    used_up.map_or(Ok(()), |why| Err(NotHeld::refused(Reason::Budget, why)))
}

/// Draws the attacks if the game day draws its drill; otherwise returns the plans unchanged. The plans were made, and so checked, with all
/// attacks.
fn drawn(gameday: &Gameday, plans: Vec<Plan>) -> Result<Vec<Plan>, NotHeld> {
    let Some(monkey) = &gameday.monkey else { return Ok(plans) };
    let draw = |plan| {
        monkey.draw(&gameday.file, plan).map_err(|why| NotHeld {
            exit: Exit::Usage,
            ..NotHeld::refused(Reason::Other, format!("{}; {}", why.message, why.help))
        })
    };
    plans.into_iter().map(draw).collect()
}

/// Plans all scenarios before the first is run, so that an error in the last scenario is found before any harm. `seed` is the seed of a
/// draw; `None` if the game day draws nothing.
fn plans(gameday: &Gameday, reached: &Reached, seed: Option<u64>) -> Result<Vec<Plan>, NotHeld> {
    let mut plans = Vec::new();
    for drill in &gameday.drills {
        let options = Options {
            scenario: drill.file.clone(),
            fleet: reached.source.clone(),
            params: drill.params.clone(),
            seed: seed.or(drill.seed),
        };
        let plan = plan::load_as(&options, reached.identity.person()).map_err(|report| {
            errln!("{}", wrong(&report).styled());
            let why = format!("{} cannot be run as it is", drill.file.display());
            NotHeld { exit: Exit::Usage, ..NotHeld::refused(Reason::Other, why) }
        })?;
        plans.push(plan);
    }
    Ok(plans)
}
