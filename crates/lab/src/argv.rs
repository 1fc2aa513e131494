//! The command-line words with which a lab starts this binary as one of its parts. Starts nothing.

use std::path::Path;

/// Placeholder for `argv[0]` of a service or of a command in a host: it means the binary that built the lab.
pub const SELF_EXE: &str = "@self";
/// The hidden first argument, which says that the process is a part of a lab.
pub const HIDDEN: &str = "__lab";

/// The directories in which hosts look for the programs of services.
pub const SERVICE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the command line with which a host's supervisor runs the agent.
#[must_use]
pub fn agent_argv(config: &Path) -> Vec<String> {
    [SELF_EXE, HIDDEN, "agent", "serve", "--config", &config.to_string_lossy()].map(String::from).to_vec()
}
