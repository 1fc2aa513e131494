//! `firedrill demo`: a whole drill on this machine, from nothing to a report.

use std::{fs, path::PathBuf};

use firedrill_lab::demo::Shop;

use super::{
    failure::{Result, Wrap as _},
    hosts::wrong,
    lab::{
        Setup, builtin,
        files::{folder, forget},
    },
    reached::Reached,
    run::{Settings, execute},
};
use crate::{plan, verdict::Exit};

/// The name of the demo's lab: one demo at a time per user, beside other labs.
const NAME: &str = "demo";

/// Options of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill demo
  firedrill demo --break health-check     what a violated objective looks like; exits 1
  firedrill demo --plan                   every effect and its undo, before any harm

Six hosts in three regions at two providers are made of namespaces on this machine, broken on purpose, and taken away.")]
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
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Broken {
    /// The load balancer treats every backend as healthy, always
    HealthCheck,
}

/// Shows on a terminal that something is in progress, and for how long, until the value is dropped.
fn waiting(what: &'static str) -> impl Drop {
    struct Waiting(indicatif::ProgressBar);
    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.finish_and_clear();
        }
    }
    let bar = indicatif::ProgressBar::new_spinner();
    bar.set_style(
        indicatif::ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_spinner()),
    );
    bar.set_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    Waiting(bar)
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    firedrill_lab::preflight().wrap("a lab cannot start here")?;
    if !args.json {
        errln!(
            "six hosts are made of namespaces on this machine and broken six times, one after another, in two minutes; nothing outside of \
             them is touched"
        );
    }
    let shop = Shop { health_check: !matches!(args.broken, Some(Broken::HealthCheck)), ..Shop::default() };
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
        out: args.out.clone(),
        plan_only: args.plan,
        beside_others: false,
        json: args.json,
    };
    let exit = execute(&plan, &reached, &settings);
    lab.down()?;
    forget(NAME);
    exit
}
