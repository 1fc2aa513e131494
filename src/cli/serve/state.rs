//! The option that names the folder of a control room's state.

use std::path::PathBuf;

/// The folder of the state.
#[derive(Debug, clap::Args)]
pub(super) struct StateArgs {
    /// The folder of the state: sessions, links, tokens, the audit log
    #[arg(long, value_name = "DIR", default_value = "room")]
    pub(super) state: PathBuf,
}
