//! Causes that programs tell: how one ended, or what is wrong with the number that it printed. Never a program's own text.

use std::fmt;

/// The reason why a program was bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ended {
    /// It ended with another exit code than the probe wants.
    Exit(u8),
    /// That signal ended it.
    Signal(u8),
    /// It printed more than is read.
    TooLong,
    /// The output of the program is not one number.
    NoNumber,
    /// The number is above its bound.
    Above,
    /// The number is below its bound.
    Below,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exit(code) => return write!(f, "exit {code}"),
            Self::Signal(signal) => return write!(f, "killed by signal {signal}"),
            Self::TooLong => "output too long",
            Self::NoNumber => "not a number",
            Self::Above => "number above",
            Self::Below => "number below",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_probes_has_each() {
        let page = include_str!("../../../../docs/probes.md");
        let (_, table) = page.split_once("## Causes").expect("a table of causes");
        for ended in
            [Ended::Exit(3), Ended::Signal(9), Ended::TooLong, Ended::NoNumber, Ended::Above, Ended::Below]
        {
            assert!(table.contains(&format!("`{ended}`")), "docs/probes.md does not explain `{ended}`");
        }
    }
}
