//! The severity of a finding, which people set. No decision depends on it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something could be better.
    Low,
    /// It will hurt, and there is time.
    Medium,
    /// It hurts users.
    High,
    /// It takes the service down.
    Critical,
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|one| one.word() == text).ok_or_else(|| {
            format!("`{text}` is no severity; there are {}", Self::ALL.map(Self::word).join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_ordered() {
        assert!(Severity::Critical > Severity::High && Severity::Medium > Severity::Low);
        for one in Severity::ALL {
            assert_eq!(one.word().parse(), Ok(one));
        }
        assert!("bad".parse::<Severity>().unwrap_err().contains("low, medium, high, critical"));
    }
}
