//! `firedrill gameday start`: checks all conditions of a game day, claims its slot, and holds it (`hold.rs`). Nothing is started before all
//! conditions are met.

use std::path::{Path, PathBuf};

use firedrill_gameday::{
    Gameday,
    record::{self, Event, Firing, NotClaimed, Reason, Writer},
};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::{
    hold::{Held, of, write},
    incident,
    promotion::{promoted, runs},
    remote,
    which::{Which, WhichArgs, gameday},
};
use crate::{
    cli::{
        args::{FleetArgs, IdentityArgs},
        ask::runtime,
        channels::{check, of_gameday},
        failure::{Failure, Result, Wrap as _},
        hosts::wrong,
        post::Server,
        reached::Reached,
        room_client::{RoomArgs, RoomClient},
        runs::ReportsArgs,
    },
    plan::{self, Options, Plan},
    told::GamedayTold,
    verdict::Exit,
};

/// Options of `gameday start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday start gamedays/friday.toml --slot 2026-12-04T14:00
  firedrill gameday start gamedays/friday.toml --now
  firedrill gameday start gamedays/friday.toml --now --approve approval-bob.json
  firedrill gameday start gamedays/friday.toml --now --incident-unknown
  firedrill gameday start gamedays/friday.toml --now --once build-1234
  firedrill gameday start payments-friday --server https://drills.example --now --once build-1234
  firedrill gameday start gamedays/chaos-monkey.toml --now --seed 7     repeats a drill that was drawn

Nothing starts unless the day is open (`not_on`), the budget of drawn drills has room (`at_most`), enough people have agreed (`go_no_go`, `firedrill gameday agree`), each scenario has
held where it has to (`requires`), no alert of an incident fires (`skip_if`), and all files are right. A slot is held once, whoever starts it. `firedrill serve --start-gamedays`
starts slots at their time. A scenario that a person stops, or that leaves something behind, is the last.

With --server a control room starts it, with its own certificate, for a token that names the game day (`serve token new --start`, docs/api.md).
This command follows it and ends with its exit code; if this command ends before, the game day goes on.

Exit codes: those of `firedrill run`, the worst of all scenarios; 4 also if the game day was not held.")]
pub(super) struct Args {
    /// The game day: its file; with --server its name
    #[arg(value_name = "FILE|NAME")]
    file: PathBuf,
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    room: RoomArgs,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// A signed approval of attacks that need one (`firedrill approve`)
    #[arg(long, value_name = "FILE")]
    approve: Vec<PathBuf>,
    /// With --now: draw with this seed, which repeats a drill that was drawn (`[monkey]`)
    #[arg(long, value_name = "N", requires = "now")]
    seed: Option<u64>,
    /// With --now: start once for this key, such as the number of a build; a second start with it is refused
    #[arg(long, value_name = "KEY", requires = "now", value_parser = key)]
    once: Option<String>,
    /// With --server: print the start as it ended, as JSON
    #[arg(long)]
    json: bool,
    /// Start although a source of `skip_if` cannot be asked, so that nobody knows whether an incident is running
    #[arg(long)]
    incident_unknown: bool,
    /// Run on the hosts of a lab that was started with `firedrill lab up`, in place of the game day's fleet
    #[cfg(feature = "lab")]
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "lab")]
    lab: Option<String>,
}

impl Args {
    const fn is_on_lab(&self) -> bool {
        #[cfg(feature = "lab")]
        return self.lab.is_some();
        #[cfg(not(feature = "lab"))]
        false
    }
}

/// Reads the key of a start that happens once.
fn key(text: &str) -> Result<String, String> {
    record::check_key(text).map(|()| text.to_owned())
}

/// The reason why a game day is not held, and the exit code.
struct NotHeld {
    why: String,
    reason: Reason,
    /// The alerts of an incident that is running.
    firing: Vec<Firing>,
    exit: Exit,
}

impl NotHeld {
    const fn refused(reason: Reason, why: String) -> Self {
        Self { why, reason, firing: Vec::new(), exit: Exit::Refused }
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Exit> {
    if let Some(server) = &args.room.server {
        return there(args, server);
    }
    if args.json {
        return Err(
            Failure::new("--json goes with --server").help("reports of the runs are in their folders")
        );
    }
    let now = Timestamp::now();
    let Some(gameday) = gameday(&args.file, now) else { return Ok(Exit::Usage) };
    drawable(args, &gameday)?;
    let which = Which { once: args.once.clone(), ..Which::of(&gameday, &args.which, now)? };
    which.in_reach(now)?;
    let (words, slot) = (which.words(&gameday), which.recorded_as());
    let ready = ready(args, &gameday, &which, now);
    if let Err(NotHeld { why, exit, .. }) = &ready
        && now < which.slot.starts().timestamp()
    {
        errln!("{words} does not start yet, nothing was touched: {why}");
        return Ok(*exit);
    }
    let claim = Writer::claim_late(&args.reports.reports, &gameday.name, &slot);
    let Some(mut record) = claimed(claim, &words)? else { return Ok(Exit::Refused) };
    // After the lab's network was entered, which no other thread may be there for.
    let told = of_gameday(&args.reports.reports, &gameday).map(GamedayTold::new);
    let ended = start((&gameday, &which), ready, &mut record, told.as_ref());
    if let Some(told) = told {
        told.teller().finish();
    }
    ended
}

/// Has a control room start the game day.
fn there(args: &Args, server: &Server) -> Result<Exit> {
    let Some(key) = &args.once else {
        return Err(Failure::new("a start by --server needs --once KEY")
            .help("a key that is new for each start that is meant, such as the number of a build, keeps a second try from starting it twice"));
    };
    let its_own = [
        (!args.approve.is_empty(), "--approve"),
        (args.seed.is_some(), "--seed"),
        (args.incident_unknown, "--incident-unknown"),
        (args.is_on_lab(), "--lab"),
    ];
    if let Some((_, option)) = its_own.iter().find(|(is_given, _)| *is_given) {
        return Err(Failure::new(format!(
            "{option} does not go with --server: the control room decides that"
        ))
        .help("start it there: `firedrill gameday start FILE` on its machine"));
    }
    let room = RoomClient::of(server, &args.room)?;
    remote::run(&room, &args.file.display().to_string(), key, args.json)
}

/// Refuses options that do not go with a drill that is drawn, or with one that is not.
fn drawable(args: &Args, gameday: &Gameday) -> Result<()> {
    let name = &gameday.name;
    if args.seed.is_some() && gameday.monkey.is_none() {
        let why = format!("{name} draws no drill, so --seed has no meaning");
        return Err(Failure::new(why).help("`seed` of a scenario in its file picks the same hosts each time"));
    }
    if !args.approve.is_empty() && gameday.monkey.is_some() {
        let why = format!("{name} draws its drill, and an approval in a file covers a whole scenario");
        let help = "without --approve the run waits, and `firedrill approve` with its folder approves what was drawn";
        return Err(Failure::new(why).help(help));
    }
    Ok(())
}

/// Holds the game day, or writes why it is not held.
fn start(
    (gameday, which): (&Gameday, &Which),
    ready: Result<Held, NotHeld>,
    record: &mut Writer,
    told: Option<&GamedayTold>,
) -> Result<Exit> {
    let (words, slot) = (which.words(gameday), which.recorded_as());
    // After the slot was claimed: of two who start the same slot, the one who has it keeps the hosts.
    let kept = ready.and_then(|held| within_budget(&held.out, gameday, which).map(|()| held));
    let kept = kept.and_then(|held| match held.keep(&words) {
        Ok(whole) => Ok((held, whole)),
        Err(why) => Err(NotHeld::refused(Reason::Busy, why)),
    });
    let (held, whole) = match kept {
        Ok(kept) => kept,
        Err(NotHeld { why, reason, firing, exit }) => {
            errln!("{words} is not held, nothing was touched: {why}");
            let event = Event::NotHeld { why, reason, firing };
            if let Some(told) = told {
                told.not_held(gameday, &slot, &event);
            }
            write(record, event)?;
            return Ok(exit);
        }
    };
    held.begin(gameday, which, record)?;
    if let Some(told) = told {
        told.begun(gameday, &slot, &held.reached.operator, held.hosts());
    }
    let (exit, why) = held.hold(&whole, record, told);
    if let Some(told) = told {
        told.ended(gameday, &slot, exit, why.as_deref());
    }
    let written = write(record, Event::Ended { exit: exit as u8, why: why.clone() });
    if let Some(why) = why {
        errln!("{why}");
    }
    errln!("{words} has ended: {}", exit.word());
    if let Err(failure) = written {
        errln!("{}", failure.styled());
        return Ok(exit.worst(Exit::Usage));
    }
    Ok(exit)
}

/// Returns the record of a claim. Says so, and returns `None`, if the slot was claimed before; `words` name it.
pub(super) fn claimed(claim: Result<Writer, NotClaimed>, words: &str) -> Result<Option<Writer>> {
    match claim {
        Ok(record) => Ok(Some(record)),
        Err(NotClaimed::Taken) => {
            let taken = Failure::new(format!("{words} has a record already: a slot is held once"))
                .help("`firedrill gameday held` shows it; --now starts the game day outside of its schedule");
            errln!("{}", taken.styled());
            Ok(None)
        }
        Err(NotClaimed::Io { path, source }) => {
            Err(Failure::from(source).wrap(format!("the record {} cannot be made", path.display())))
        }
    }
}

/// Checks all conditions, the cheap ones first. Writes nothing.
fn ready(args: &Args, gameday: &Gameday, which: &Which, now: Timestamp) -> Result<Held, NotHeld> {
    let refused = |failure: Failure| NotHeld::refused(Reason::Other, failure.to_string());
    if let Some(why) = gameday.why_closed(&which.slot) {
        return Err(NotHeld::refused(Reason::Closed, why.to_owned()));
    }
    within_budget(&args.reports.reports, gameday, which)?;
    let agreed = agreed(args, gameday, which, now)
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
    let seed =
        gameday.monkey.as_ref().map(|_| args.seed.unwrap_or_else(|| gameday.seed_of(&which.recorded_as())));
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
    let plans = drawn(gameday, plans)?;
    // After the draw: what is warned of in an attack that was not drawn is no warning of this drill.
    for warning in plans.iter().flat_map(|plan| &plan.warnings) {
        errln!("warning: {warning}");
    }
    // After the lab's network was entered.
    let runtime = runtime().map_err(refused)?;
    let words = which.words(gameday);
    let asked = match runtime.block_on(of(&words, &plans, &reached).busy()) {
        Some(why) => Err(NotHeld::refused(Reason::Busy, why)),
        // As late as possible: an incident may begin at any time.
        None => no_incident(args, gameday, &reached, &runtime),
    };
    match asked {
        Ok(unasked) => Ok(Held {
            approve: args.approve.clone(),
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

/// Returns the sources that could not be asked although the person starts the game day all the same. The error is that an incident is
/// running, or that nobody knows.
fn no_incident(
    args: &Args,
    gameday: &Gameday,
    reached: &Reached,
    runtime: &Runtime,
) -> Result<Vec<String>, NotHeld> {
    let answers = incident::ask(gameday, &reached.source, runtime);
    if let Some((reason, why)) = answers.refuses(args.incident_unknown) {
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

/// Returns the people who have agreed. The error is that there are not enough of them.
fn agreed(args: &Args, gameday: &Gameday, which: &Which, now: Timestamp) -> Result<Vec<String>> {
    let Some(wanted) = &gameday.go_no_go else { return Ok(Vec::new()) };
    let given = record::agreements(&args.reports.reports, &gameday.name, &which.agreed_as())
        .wrap("the agreements to this start cannot be read")?;
    let go = record::go(wanted, &gameday.roles, &given, which.counts_at(now));
    if go.is_go() {
        return Ok(go.agreed);
    }
    Err(Failure::new(format!("no go: {}, within {}", go.words(), wanted.expires)))
}

/// Refuses a start beyond the budget of drills. A start by hand counts, and is refused by no budget: a person decides. One with a key is
/// made by a program, and so it is within the budget.
fn within_budget(reports: &Path, gameday: &Gameday, which: &Which) -> Result<(), NotHeld> {
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

/// Draws the attacks of a game day that does so; any other has its plans as they are. Each plan was made, and so checked, with all attacks.
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

/// Plans all scenarios before the first is run, so that an error in the last one is found in time. `seed` is that of a draw.
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
