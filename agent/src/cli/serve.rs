//! `firedrill-agent serve`: an agent that cannot start for its configuration puts back what an earlier one left.

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

pub(super) fn run(usable: Usable, wiring: Wiring) -> io::Result<ExitCode> {
    if usable.trouble.is_some() {
        let code = put_back(&usable.config, None, wiring);
        tracing::error!("the agent does not start with a configuration that cannot be used");
        return Ok(ExitCode::from(if code == 0 { EXIT_USAGE } else { code }));
    }
    // The copy of these paths is replaced when the agent starts: they are looked at now or never.
    if let Some(before) = &usable.before {
        let state = before.paths.state.display();
        if local::listens(&before.paths()) {
            return Err(io::Error::other(format!(
                "an agent runs that keeps its journal in {state}, as the configuration said before; stop it first"
            )));
        }
        if put_back(before, Some(&usable.config), wiring) == EXIT_STUCK {
            tracing::error!(
                "the agent does not start before all is put back that stands in the journal in {state}"
            );
            return Ok(ExitCode::from(EXIT_STUCK));
        }
    }
    guardian::serve(usable.config, wiring)
}

/// Puts back what is open where no agent runs; the exit code that says how that went.
fn put_back(config: &Config, elsewhere: Option<&Config>, wiring: Wiring) -> u8 {
    if local::listens(&config.paths()) {
        tracing::info!("an agent runs already; what is in force is left to it");
        return 0;
    }
    put_back_without_agent(config, elsewhere, wiring, DYING_TIME, &HealReason::FoundAtStart, false)
        .said(false)
}
