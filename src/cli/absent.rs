//! Verbs of features that this build does not have.

use std::ffi::OsString;

use super::failure::Failure;

/// Options of a verb that this build does not have.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct Args {
    /// All arguments of the verb; they are ignored
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _all: Vec<OsString>,
}

/// Returns the error of a verb, or an option, that needs a feature.
pub(super) fn failure(verb: &str, feature: &str) -> Failure {
    Failure::new(format!("this firedrill was built without the feature `{feature}`, which `{verb}` needs"))
        .help(format!("build it with the feature: cargo build --release --features {feature}"))
}
