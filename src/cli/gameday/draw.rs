//! `firedrill gameday draw`: shows the drill that a slot draws, before it is held. Asks no host.

use std::path::PathBuf;

use firedrill_gameday::{Gameday, Slot};
use jiff::Timestamp;
use serde::Serialize;

use super::which::{Which, WhichArgs, gameday};
use crate::{
    cli::{
        approve::{headline, step_line},
        days::local,
        failure::{Failure, Result},
        hosts::wrong,
        output::print_json,
    },
    fleet::FleetSource,
    plan::{Plan, inspect, model::Attack},
    verdict::Exit,
};

/// Options of `gameday draw`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday draw gamedays/chaos-monkey.toml
  firedrill gameday draw gamedays/chaos-monkey.toml --slot 2026-12-04T10:00
  firedrill gameday draw gamedays/chaos-monkey.toml --seed 7 --json

The game day's name and the slot make the seed, so everybody can know the draw beforehand. With the same scenario, fleet and seed the drill is
the same; `firedrill gameday start FILE --now --seed N` repeats it.

Exit codes: 0 it is shown, 2 something is wrong.")]
pub(super) struct Args {
    /// The game day
    file: PathBuf,
    /// The slot, by its name as `gameday list` shows it, such as 2026-12-04T10:00 [default: the next one]
    #[arg(long, value_name = "TIME")]
    slot: Option<String>,
    /// Draw with this seed, in place of that of the slot
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// For machines: one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// A draw for machines.
#[derive(Serialize)]
struct JsonDraw<'a> {
    gameday: &'a str,
    slot: String,
    starts: String,
    seed: u64,
    /// Number of attacks of the scenario that they are drawn from.
    of: usize,
    attacks: Vec<JsonAttack<'a>>,
    /// The command that repeats the drill.
    repeat: String,
}

#[derive(Serialize)]
struct JsonAttack<'a> {
    name: &'a str,
    injections: Vec<JsonInjection<'a>>,
}

#[derive(Serialize)]
struct JsonInjection<'a> {
    host: &'a str,
    fault: &'a str,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let now = Timestamp::now();
    let Some(gameday) = gameday(&args.file, now) else { return Ok(Exit::Usage) };
    let slot = slot(&gameday, args, now)?;
    let seed = args.seed.unwrap_or_else(|| gameday.seed_of(&slot.civil_text()));
    let plan = draw(&gameday, seed)?;
    let of = plan.drawn.as_ref().map_or(0, |drawn| drawn.of);
    let repeat = plan.drawn.as_ref().map(|drawn| drawn.repeat(seed)).unwrap_or_default();
    if args.json {
        print_json(&JsonDraw {
            gameday: &gameday.name,
            slot: slot.civil_text(),
            starts: slot.starts().timestamp().to_string(),
            seed,
            of,
            attacks: plan.attacks.iter().map(for_machines).collect(),
            repeat,
        })?;
        return Ok(Exit::Held);
    }
    let (name, civil) = (&gameday.name, slot.civil_text());
    outln!("{name} of {civil}, starts {}, seed {seed}", local(&slot.starts()));
    if let Some(why) = gameday.why_closed(&slot) {
        outln!("  this slot is skipped: {why}");
    }
    outln!("  draws {} of {of} attacks of \"{}\" ({})", plan.attacks.len(), plan.name, plan.file);
    for (number, attack) in plan.attacks.iter().enumerate() {
        outln!("  attack {}: {}", number + 1, headline(attack));
    }
    for (number, step) in plan.steps.iter().enumerate() {
        outln!("  step {}: {}", number + 1, step_line(step));
    }
    outln!("  `{repeat}` repeats it");
    Ok(Exit::Held)
}

/// Returns the slot that --slot names, by default the next one.
fn slot(gameday: &Gameday, args: &Args, now: Timestamp) -> Result<Slot> {
    if let Some(civil) = &args.slot {
        return Ok(Which::of(gameday, &WhichArgs { slot: Some(civil.clone()), now: false }, now)?.slot);
    }
    let next = gameday.schedule.upcoming(now).next();
    next.ok_or_else(|| Failure::new(format!("{} has no slot left", gameday.name)).help("move its schedule"))
}

/// Returns the plan of the drill that a seed draws. The error is that the game day draws nothing, or that the draw or a file is wrong.
fn draw(gameday: &Gameday, seed: u64) -> Result<Plan> {
    let (Some(monkey), Some(drill)) = (&gameday.monkey, gameday.drills.first()) else {
        let why = format!("{} draws nothing: it runs its scenarios as they are", gameday.name);
        return Err(Failure::new(why)
            .help("`[monkey]` in its file, in place of `scenarios`, draws a drill for each slot"));
    };
    let fleet = FleetSource::File(gameday.fleet.clone());
    let found = inspect(&drill.file, Some(&fleet), &drill.params, Some(seed));
    let Some(whole) = found.plan else { return Err(wrong(&found.report)) };
    let plan = monkey.draw(&gameday.file, whole).map_err(|why| Failure::new(why.message).help(why.help))?;
    for warning in &plan.warnings {
        errln!("warning: {warning}");
    }
    Ok(plan)
}

fn for_machines(attack: &Attack) -> JsonAttack<'_> {
    let injections = attack
        .injections
        .iter()
        .map(|injection| JsonInjection { host: &injection.host, fault: injection.fault.kind() })
        .collect();
    JsonAttack { name: &attack.name, injections }
}
