//! `firedrill-agent serve`: starts the agent.
//!
//! Before that, it puts back what an agent with other paths left. If the configuration is unusable, it puts back what is in
//! force, and does not start.

use std::{io, process::ExitCode};

use firedrill_wire::journal::HealReason;

use super::{
    shared::{DYING_TIME, EXIT_USAGE},
    undo::put_back_without_agent,
};
use crate::{
    config::{Config, Usable},
    guardian::{self, EXIT_STUCK},
    local,
    wiring::Wiring,
};

/// Runs the agent until it ends. Returns the exit code.
///
/// # Errors
/// An agent with the earlier paths still runs, or the agent could not begin.
pub(super) fn run(usable: Usable, wiring: Wiring) -> io::Result<ExitCode> {
    if usable.trouble.is_some() {
        let code = put_back(&usable.config, None, wiring);
        tracing::error!("the agent does not start with a configuration that cannot be used");
        return Ok(ExitCode::from(if code == 0 { EXIT_USAGE } else { code }));
    }
    // The start of the agent replaces the only record of the earlier paths, so what was left there is put back now.
    if let Some(before) = &usable.before {
        let state = before.paths.state.display();
        if local::listens(&before.paths()) {
            return Err(io::Error::other(format!(
                "an agent runs with its journal in {state}, which the configuration named before; stop it first"
            )));
        }
        if put_back(before, Some(&usable.config), wiring) == EXIT_STUCK {
            tracing::error!(
                "the agent does not start until everything in the journal in {state} is put back"
            );
            return Ok(ExitCode::from(EXIT_STUCK));
        }
    }
    guardian::serve(usable.config, wiring)
}

/// Puts back what is in force by the journal of this configuration, unless an agent with this configuration runs. Does not
/// sweep what is in force by the journal of the configuration `elsewhere`. Returns the exit code.
fn put_back(config: &Config, elsewhere: Option<&Config>, wiring: Wiring) -> u8 {
    if local::listens(&config.paths()) {
        tracing::info!("an agent runs already; what is in force is left to it");
        return 0;
    }
    put_back_without_agent(config, elsewhere, wiring, DYING_TIME, &HealReason::FoundAtStart, false)
        .print(false)
}
