//! The name of the person at the terminal, for records. It is claimed, and verified by nothing.

use firedrill_wire::text::{NAME_MOST, clean};

use super::failure::{Failure, Result};

/// Returns the name that a person gives (`--by`), or else the login name. The error is that both are empty or missing.
pub(super) fn named(by: Option<&str>) -> Result<String> {
    let by = by.map(|name| clean(name.trim(), NAME_MOST).into_owned());
    let name = by.or_else(login_name).unwrap_or_default();
    if name.is_empty() {
        return Err(Failure::new("nobody is named as the one who does this").help("name one: --by WHO"));
    }
    Ok(name)
}

/// Returns the login name from the environment; `None` if it is empty or missing.
pub(super) fn login_name() -> Option<String> {
    let found = ["LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok())?;
    let name = clean(found.trim(), NAME_MOST).into_owned();
    (!name.is_empty()).then_some(name)
}
