//! The head of an audit log: the number and digest of its last line. A person who keeps a head elsewhere can see later whether the log was cut.

use std::{fmt, str::FromStr};

use super::line::NONE;

/// A head. As text it is the number, a colon and the digest, such as `17:` and 64 hexadecimal digits. The head of an empty log has number 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last line, which is also the number of lines.
    pub n: u64,
    /// The SHA-256 of the last line, without its line break, in hexadecimal digits.
    pub digest: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { n: 0, digest: NONE.to_owned() }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.n, self.digest)
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = text.split_once(':').and_then(|(n, digest)| {
            let fits = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            fits.then_some(Self { n: n.parse().ok()?, digest: digest.to_ascii_lowercase() })
        });
        read.ok_or_else(|| "a head is a number, a colon and 64 hexadecimal digits".to_owned())
    }
}
