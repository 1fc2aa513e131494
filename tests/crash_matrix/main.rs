//! Real agents inject real faults in lab hosts. Then processes die at a known moment, and the host has to be as before. The tests do not trust
//! the agent for that: they compare the host independently of it, and any difference is an error.
//!
//! This program is also the lab's hosts, agents and services, so it has a `main`. It takes the usual arguments of a
//! test program.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod drill;
mod host;
mod inside;
mod irreversible;
mod matrix;
mod overlap;
mod races;
mod random;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};

use host::{HOSTS, Host, World};

type Run = Box<dyn FnOnce(&World, &Host<'_>) + Send>;

/// One test.
pub(crate) struct Case {
    name: String,
    /// Whether the case needs an agent that stops at a named place.
    points: bool,
    run: Run,
}

impl Case {
    /// Makes a case whose agent stops nowhere.
    pub(crate) fn new(name: impl Into<String>, run: impl FnOnce(&World, &Host<'_>) + Send + 'static) -> Self {
        Self { name: name.into(), points: false, run: Box::new(run) }
    }

    /// Sets whether the case needs an agent that stops at a named place.
    pub(crate) fn with_points(self, points: bool) -> Self {
        Self { points, ..self }
    }
}

fn main() -> ExitCode {
    if let Some(code) =
        firedrill_lab::dispatch(|args| firedrill_agent::cli::main(args, firedrill::stores::clients()))
    {
        return code;
    }
    if let Some(code) = inside::dispatch() {
        return code;
    }
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(HOSTS);
    let cases = random::cases().unwrap_or_else(|| {
        [matrix::cases(), races::cases(), overlap::cases(), irreversible::cases()]
            .into_iter()
            .flatten()
            .collect()
    });
    let cases = cases.into_iter();
    if args.list {
        let listed = cases.map(|case| Trial::test(case.name, || Ok(()))).collect();
        return libtest_mimic::run(&args, listed).exit_code();
    }
    let world = match firedrill_lab::preflight() {
        Ok(()) => Some(Arc::new(World::up())),
        Err(why) => {
            eprintln!("skipped: a lab cannot start here: {why}");
            None
        }
    };
    let points = cfg!(debug_assertions);
    if !points {
        eprintln!("skipped: deaths at exact moments; they need a build with debug assertions");
    }
    let trials = cases
        .map(|case| {
            let (world, skipped) = (world.clone(), world.is_none() || (case.points && !points));
            let trial = Trial::test(case.name, move || {
                if let Some(world) = world {
                    (case.run)(&world, &world.host());
                }
                Ok(())
            });
            trial.with_ignored_flag(skipped)
        })
        .collect();
    let conclusion = libtest_mimic::run(&args, trials);
    if let Some(world) = world {
        Arc::into_inner(world).unwrap().down();
    }
    conclusion.exit_code()
}
