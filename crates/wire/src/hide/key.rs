//! Private keys over several lines of a log.

/// Maximum number of lines of a key. More are the log's own again: the end was lost.
const LINES_MOST: u32 = 1000;

/// The private key that has begun in a log and not ended.
#[derive(Clone, Debug, Default)]
pub struct KeyBlock {
    left: u32,
}

impl KeyBlock {
    /// Takes the next line of the log. Returns whether it is inside of a key that an earlier line began.
    pub fn takes(&mut self, line: &[u8]) -> bool {
        let inside = self.left > 0;
        self.left = self.left.saturating_sub(1);
        let mut rest = line;
        while let Some(at) = find(rest, b"-----") {
            rest = &rest[at + 5..];
            let heading = &rest[..find(rest, b"-----").unwrap_or(rest.len()).min(80)];
            if find(heading, b"PRIVATE KEY").is_none() {
                continue;
            }
            if heading.starts_with(b"BEGIN ") {
                self.left = LINES_MOST;
            } else if heading.starts_with(b"END ") {
                self.left = 0;
            }
        }
        inside
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|one| one == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_between_begin_and_end_are_inside() {
        let mut key = KeyBlock::default();
        let mut inside = |line: &str| key.takes(line.as_bytes());
        assert!(!inside("ERROR key: -----BEGIN RSA PRIVATE KEY-----"));
        assert!(inside("MIIEpAIBAAKCAQEA7"));
        assert!(inside("-----END RSA PRIVATE KEY-----"));
        assert!(!inside("next"));
        assert!(!inside("-----BEGIN PGP PRIVATE KEY BLOCK-----"));
        assert!(inside("") && inside("lQOYBF"));
        assert!(inside("-----END PGP PRIVATE KEY BLOCK-----") && !inside("next"));
        assert!(!inside("-----BEGIN CERTIFICATE-----") && !inside("MIIE"));
        assert!(!inside("-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----") && !inside("next"));
        assert!(!inside("-----BEGIN PRIVATE KEY-----"));
        assert_eq!((0..2000).filter(|_| inside("the end was lost")).count(), LINES_MOST as usize);
    }
}
