//! Recognises private keys that extend over several lines of a log.

/// Maximum number of lines of a key.
const LINES_MOST: u32 = 1000;
/// Minimum length of a word that counts as a line of a key even after any other words. A logger may put words before each line.
const LONG: usize = 40;
/// The dashes around the heading of a key.
const DASHES: &[u8] = b"-----";
/// Maximum length of a heading, in bytes.
const HEADING_MOST: usize = 80;

/// Finds the lines of private keys in a log that is read line by line.
#[derive(Clone, Debug, Default)]
pub struct KeyBlock {
    /// Maximum number of further lines of the key; 0 outside of a key.
    left: u32,
    /// Number of words in the previous line of the key.
    before: usize,
}

impl KeyBlock {
    /// Takes the next line of the log. Returns whether it belongs to a key that began in an earlier line. The first line that cannot be part
    /// of a key ends it, because many lines only mention a key.
    pub fn takes(&mut self, line: &[u8]) -> bool {
        self.left = self.left.saturating_sub(1);
        let mut inside = self.left > 0;
        let mut ends = false;
        let mut rest = line;
        while let Some(at) = find(rest, DASHES) {
            rest = &rest[at + DASHES.len()..];
            let heading = &rest[..find(rest, DASHES).unwrap_or(rest.len()).min(HEADING_MOST)];
            if find(heading, b"PRIVATE KEY").is_none() {
                continue;
            }
            let after = rest.get(heading.len() + DASHES.len()..).unwrap_or_default();
            if heading.starts_with(b"BEGIN ") {
                let quoted = after.first().is_some_and(|byte| b"\"'`".contains(byte));
                self.left = if quoted { 0 } else { LINES_MOST + 1 };
                self.before = words(line).count();
                (inside, ends) = (inside && ends, true);
                rest = after;
            } else if heading.starts_with(b"END ") {
                (self.left, ends) = (0, true);
            }
        }
        if inside && !ends {
            inside = self.goes_on(line);
            self.left = if inside { self.left } else { 0 };
        }
        inside
    }

    /// Whether a line may belong to a key: a part of it, one of its headers, or an empty line.
    fn goes_on(&mut self, line: &[u8]) -> bool {
        const HEADERS: [&[u8]; 6] =
            [b"Proc-Type:", b"DEK-Info:", b"Comment:", b"Version:", b"Hash:", b"Charset:"];
        let count = words(line).count();
        let Some(last) = words(line).last() else { return true };
        if words(line).any(|word| HEADERS.contains(&word)) {
            return true;
        }
        let is_base64 = last.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte));
        let mixed = last.iter().skip(1).any(|byte| !byte.is_ascii_lowercase());
        let inside = is_base64 && (last.len() >= LONG || (mixed && (count == 1 || count == self.before)));
        self.before = count;
        inside
    }
}

/// Returns the words of a line.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Returns the place of a part in a text; `None` if the text does not contain it.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_between_begin_and_end_are_inside() {
        let mut key = KeyBlock::default();
        let mut inside = |line: &str| key.takes(line.as_bytes());
        assert!(!inside("ERROR key: -----BEGIN RSA PRIVATE KEY-----"));
        assert!(inside("Proc-Type: 4,ENCRYPTED") && inside("") && inside("MIIEpAIBAAKCAQEA7"));
        assert!(inside("-----END RSA PRIVATE KEY-----"));
        assert!(!inside("next"));
        assert!(!inside("-----BEGIN PGP PRIVATE KEY BLOCK-----"));
        assert!(inside("") && inside("lQOYBF"));
        assert!(inside("-----END PGP PRIVATE KEY BLOCK-----") && !inside("next"));
        assert!(!inside("-----BEGIN CERTIFICATE-----") && !inside("MIIE"));
        assert!(!inside("-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----") && !inside("next"));
        assert!(!inside("-----BEGIN PRIVATE KEY-----"));
        assert_eq!((0..2000).filter(|_| inside("MIIEpAIBAAKCAQEA7")).count(), LINES_MOST as usize);
    }

    #[test]
    fn a_line_that_mentions_a_key_hides_no_other() {
        for mention in [
            "ERROR no '-----BEGIN PRIVATE KEY-----' found in /etc/x.pem",
            "GET / agent: x -----BEGIN PRIVATE KEY----- y",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            for next in ["ERROR timeout", "timeout", "Stopped.", "2026-11-26 ERROR connection refused"] {
                let mut key = KeyBlock::default();
                assert!(!key.takes(mention.as_bytes()), "{mention}");
                assert!(!key.takes(next.as_bytes()) && !key.takes(b"MIIEpAIBAAKCAQEA7"), "{mention}: {next}");
            }
        }
    }

    #[test]
    fn a_logger_may_write_words_before_each_line_of_a_key() {
        let mut key = KeyBlock::default();
        let long = "MIIEpAIBAAKCAQEA7bq3mVdQxZk1n5s0tYwP2uRjHfLgCeXaBoNiKv8D4z6T9yWM";
        let mut inside = |line: String| key.takes(line.as_bytes());
        assert!(!inside("Nov 26 host app[1]: -----BEGIN PRIVATE KEY-----".to_owned()));
        assert!(inside(format!("Nov 26 host app[1]: {long}")));
        assert!(inside("Nov 26 host app[1]: Zm9vYg==".to_owned()));
        assert!(!inside("Nov 26 host app[1]: connection refused".to_owned()));
        assert!(!inside("Nov 26 host app[1]: Zm9vYg==".to_owned()));
    }
}
