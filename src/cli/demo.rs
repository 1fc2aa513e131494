//! `firedrill demo`: makes a lab, runs a whole drill on it, writes the report, and removes the lab. With `--serve` the drill is a game day,
//! and a control room shows it. Touches nothing outside of the lab.

#[cfg(feature = "serve")]
mod owner;
#[cfg(feature = "serve")]
mod place;
#[cfg(feature = "serve")]
mod served;
#[cfg(feature = "serve")]
mod stop;

use std::{fs, path::PathBuf};

use firedrill_lab::demo::Shop;

use super::{
    failure::{Result, Wrap as _},
    hosts::wrong,
    lab::{
        Setup, builtin,
        files::{DEMO as NAME, folder, forget},
    },
    reached::Reached,
    run::{Settings, execute},
    waiting::waiting,
};
use crate::{plan, run::Asks, verdict::Exit};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill demo
  firedrill demo --break health-check     what a violated objective looks like; exits 1
  firedrill demo --plan                   every effect and its undo, before any harm
  firedrill demo --serve                  a game day in about a minute, to watch, note and halt on a page
  firedrill demo --serve --break health-check --in 2m
  firedrill demo --serve --approve        an attack waits until a second person approves it with a passkey

Six hosts in three regions at two providers are made of namespaces on this machine, broken on purpose, and taken away.

With --serve the drill is a game day in a folder that can be read, changed and copied. The control room starts it at its time, and goes on
until Ctrl-C. Nobody has to agree; the game day's file says how a second person is asked. Exit codes with --serve: 0 a signal or
`firedrill lab down --name demo` ended it · 2 it cannot start")]
pub(super) struct Args {
    /// Break the shop on purpose, so that a drill finds something
    #[arg(long = "break", value_name = "WHAT")]
    broken: Option<Broken>,
    /// Stop after prepare: print every effect on every host, and how it is undone
    #[arg(long)]
    plan: bool,
    /// The directory in which the run's folder is created
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// For machines: the report on standard output
    #[arg(long)]
    json: bool,
    /// Hold the drill as a game day in about a minute, and serve the control room until Ctrl-C
    #[arg(long, conflicts_with_all = ["plan", "out", "json"])]
    serve: bool,
    #[cfg(feature = "serve")]
    #[command(flatten)]
    serve_args: served::ServeArgs,
}

/// The parts of the shop that can be broken on purpose.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Broken {
    /// The load balancer treats every backend as healthy, always
    HealthCheck,
}

/// Fails if no lab can start here. Removes the lab that a killed demo left.
fn prepare_machine() -> Result<()> {
    firedrill_lab::preflight().wrap("a lab cannot start here")?;
    #[cfg(feature = "serve")]
    owner::clear()?;
    Ok(())
}

/// Runs `demo --serve`.
#[cfg(feature = "serve")]
fn served(args: &Args, shop: &Shop) -> Result<Exit> {
    prepare_machine()?;
    served::run(&args.serve_args, shop)
}

#[cfg(not(feature = "serve"))]
fn served(_: &Args, _: &Shop) -> Result<Exit> {
    Err(super::absent::failure("demo --serve", "serve"))
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let shop = Shop { health_check: !matches!(args.broken, Some(Broken::HealthCheck)), ..Shop::default() };
    if args.serve {
        return served(args, &shop);
    }
    prepare_machine()?;
    if !args.json {
        errln!(
            "six hosts are made of namespaces on this machine and broken six times, one after another, in two minutes; nothing outside of \
             them is touched"
        );
    }
    let setup = Setup::demo(NAME, &shop)?;
    let folder = folder(NAME);
    fs::create_dir(folder.join("lib"))?;
    fs::write(folder.join("lib/shop.toml"), builtin::SHOP)?;
    fs::write(folder.join("demo.toml"), builtin::DEMO)?;
    // The folder is created before the lab's user namespace is entered, because other users' paths may be out of
    // reach there.
    fs::create_dir_all(&args.out).wrap(format!("cannot make {}", args.out.display()))?;
    let progress = (!args.json).then(|| waiting("making the hosts, their agents and the shop"));
    let lab = setup.up(false)?;
    drop(progress);
    if !args.json {
        errln!("six hosts in three regions are up; their load balancer is {}", shop.balancer.describe());
    }
    let reached = Reached::in_lab(NAME)?;
    let mut plan = plan::load(&plan::Options {
        scenario: folder.join("demo.toml"),
        fleet: reached.source.clone(),
        params: Vec::new(),
        seed: Some(1),
    })
    .map_err(|report| wrong(&report))?;
    // The path for readers of the report; the copy that was read is removed with the lab.
    plan.file = "scenarios/demo.toml".to_owned();
    let settings = Settings {
        approve: Vec::new(),
        gameday: None,
        asks: Asks::Nowhere,
        out: args.out.clone(),
        plan_only: args.plan,
        beside_others: false,
        within: None,
        json: args.json,
        told: None,
    };
    let exit = execute(&plan, &reached, &settings);
    lab.down()?;
    forget(NAME);
    exit
}
