//! Roles, which decide what a person may do, and the check of people's names.

use std::str::FromStr;

use crate::error::RoomError;

/// A role. Each role may do everything that the roles before it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads pages, and manages the person's own passkeys and sessions.
    Viewer,
    /// Writes notes and findings, halts runs and lets them pause, skips and approves attacks, answers steps by hand, decides about slots, starts game
    /// days, and asks the hosts of fleets.
    Operator,
    /// Makes login links and tokens, ends sessions of other people, and removes their passkeys.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Returns its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.word() == text)
            .ok_or_else(|| format!("`{text}` is no role; there are {}", Self::ALL.map(Self::word).join(", ")))
    }
}

/// Maximum length of a person's name, in characters.
const NAME_MOST: usize = 64;

/// Checks a person's name, and returns it without the blanks at its ends. Few characters are allowed, because logs and pages show names.
///
/// # Errors
/// The text is empty, too long, or has a character that is not allowed.
pub fn person(text: &str) -> Result<String, RoomError> {
    let name = text.trim();
    let fits = (1..=NAME_MOST).contains(&name.chars().count());
    if fits && name.chars().all(|c| c.is_alphanumeric() || " .-_@".contains(c)) {
        Ok(name.to_owned())
    } else {
        Err(RoomError::Name(firedrill_wire::text::clean(name, NAME_MOST).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_control_or_markup_characters() {
        assert_eq!(person(" Zoë @ops ").unwrap(), "Zoë @ops");
        for bad in ["", " ", "a\nb", "a\u{202e}b", "<b>", &"x".repeat(65)] {
            assert!(person(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn roles_are_ordered_and_have_names() {
        assert!(Role::Admin > Role::Operator && Role::Operator > Role::Viewer);
        assert!("root".parse::<Role>().is_err());
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
        }
    }
}
