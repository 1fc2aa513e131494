//! Looks up the users that faults name. Reads only.

use firedrill_wire::{RefusalCode, api::Problem};

use crate::injection::refuse;

/// Returns the number of a user, who is given by name or by number.
///
/// # Errors
/// The refusal: the host has no such user, or the name cannot be looked up.
pub(super) fn user_id(user: &str) -> Result<u32, Problem> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    let refusal = |title: String, hint: &str| Err(refuse(RefusalCode::NoUser, title, hint));
    match nix::unistd::User::from_name(user) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => refusal(
            format!("there is no user `{user}` on this host"),
            "use a name that `getent passwd` knows there, or a number",
        ),
        Err(error) => {
            refusal(format!("user `{user}` could not be looked up: {error}"), "use the user's number")
        }
    }
}
