//! Hides secrets in lines of logs. Only their form and the words before them show that they are secrets.
//!
//! The line is decoded first, so that all steps see names, signs and marks without escapes. Then the hidden ranges are applied to the line
//! as it was written. Each step reads the line once from left to right.

mod names;
mod pairs;
mod ranges;
pub(super) mod text;
mod tokens;
mod urls;

use super::HIDDEN;
use ranges::Ranges;
use text::Text;

/// Maximum number of times that a line is read. Hiding a text may change the meaning of the rest, so the line is read again.
const READINGS: usize = 6;

/// Returns a line of a log with `***` in place of each text that may be a secret: values with the name of a secret, the text after
/// `Authorization` and its schemes, users in URLs, private keys, tokens of well-known services, and long words that look random. UUIDs are
/// shown. Codes and numbers are shown even if their name may be that of a secret.
#[must_use]
pub fn line(text: &str) -> String {
    let mut line = text.to_owned();
    for _ in 0..READINGS {
        let shown = read(&line);
        if shown == line {
            return line;
        }
        line = shown;
    }
    // Nothing of the line is shown if it still changes at the last reading.
    HIDDEN.to_owned()
}

/// Reads a line once, and hides all texts that may be secrets.
fn read(line: &str) -> String {
    let text = Text::new(line);
    let mut hide = Ranges::default();
    tokens::keys(&text, &mut hide);
    tokens::schemes(&text, &mut hide);
    urls::users(&text, &mut hide);
    pairs::Pairs::new(&text, &mut hide).read();
    tokens::services(&text, &mut hide);
    tokens::random(&text, &mut hide);
    hide.without(line, &text)
}

#[cfg(test)]
mod tests;
