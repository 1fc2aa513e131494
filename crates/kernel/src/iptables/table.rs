//! The tables of iptables in which this tool makes chains. Only their names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table of iptables in which this tool makes chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// `filter`, which accepts or drops packets.
    Filter,
    /// `raw`, which packets pass before all other tables.
    Raw,
}

impl Table {
    pub(super) const ALL: [Self; 2] = [Self::Filter, Self::Raw];

    /// Returns the table's name for iptables.
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
