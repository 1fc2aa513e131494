//! The tables of iptables that may have chains of ours.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table of iptables that may have chains of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// `filter`, which accepts or drops packets.
    Filter,
    /// `raw`, which comes first.
    Raw,
}

impl Table {
    pub(super) const ALL: [Self; 2] = [Self::Filter, Self::Raw];

    /// Returns its name for iptables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
