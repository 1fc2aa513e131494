//! The name of the person at the terminal.

use firedrill_wire::text::{NAME_MOST, clean};

/// Returns the login name, as the environment has it.
pub(super) fn login_name() -> Option<String> {
    let found = ["LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok())?;
    let name = clean(found.trim(), NAME_MOST).into_owned();
    (!name.is_empty()).then_some(name)
}
