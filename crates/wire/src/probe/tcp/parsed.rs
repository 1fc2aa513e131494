//! Checks the values of a TCP probe. Bytes that cannot be sent are refused, and so are conditions that no answer could meet.

use regex::bytes::Regex;
use rustls_pki_types::ServerName;

use super::TcpProbe;
use crate::{
    logs::pattern,
    probe::refused::{Field, Refusal, note},
};

/// The values of a TCP probe, checked. It has no `Debug`, because what is sent may hold a password.
#[expect(missing_debug_implementations, reason = "what is sent may hold a password")]
pub struct TcpParsed<'p> {
    /// The host, without brackets.
    pub host: &'p str,
    /// The port.
    pub port: u16,
    /// The name that the certificate must have; `None` without TLS.
    pub name: Option<ServerName<'static>>,
    /// The bytes that are sent; may be empty.
    pub sends: Vec<u8>,
    /// The condition for a good answer; `None` if the open connection is good.
    pub wants: Option<Wants>,
}

/// The condition for a good answer.
#[derive(Clone, Debug)]
pub enum Wants {
    /// The answer contains these bytes.
    Text(Vec<u8>),
    /// The answer matches the pattern.
    Pattern(Regex),
}

impl TcpProbe {
    /// Returns all values, checked.
    ///
    /// # Errors
    /// All values that cannot be sent, and all conditions that no answer could meet.
    pub fn checked(&self) -> Result<TcpParsed<'_>, Vec<Refusal>> {
        let mut wrong = Vec::new();
        let to = note(self.parsed(), &mut wrong);
        let sends = note(self.sends(), &mut wrong);
        let wants = note(self.wants(), &mut wrong);
        let host = to.map_or("localhost", |(host, _)| host);
        wrong.extend(self.secure().refusals(host, &["address"]));
        if (self.send.is_some() || self.send_hex.is_some()) && self.expect.is_none() && self.matches.is_none()
        {
            let key = if self.send.is_some() { "send" } else { "send_hex" };
            let what = format!("`{key}` sends something, and nothing says which answer is good");
            let help = "give `expect` a text that the answer contains, or leave it out: then the open connection is good";
            wrong.push(Refusal::new(Field::request(&[key]), what, "no answer to it", help));
        }
        match (to, sends, wants) {
            (Some((host, port)), Some(sends), Some(wants)) if wrong.is_empty() => {
                let name = self.secure().name_if_on(host, &["address"])?;
                Ok(TcpParsed { host, port, name, sends, wants })
            }
            _ => Err(wrong),
        }
    }

    /// Returns the bytes that are sent.
    fn sends(&self) -> Result<Vec<u8>, Refusal> {
        let refuse = |key, what: String, label, help: &str| {
            Err(Refusal::new(Field::request(&[key]), what, label, help))
        };
        let (key, bytes) = match (&self.send, &self.send_hex) {
            (None, None) => return Ok(Vec::new()),
            (Some(_), Some(_)) => {
                let what = "both `send` and `send_hex` say what is sent".to_owned();
                return refuse("send_hex", what, "besides `send`", "leave one of them out");
            }
            (Some(text), None) => ("send", text.clone().into_bytes()),
            (None, Some(digits)) => match bytes(digits) {
                Some(bytes) => ("send_hex", bytes),
                None => {
                    let what = "`send_hex` is not made of pairs of hexadecimal digits".to_owned();
                    return refuse("send_hex", what, "not bytes", "for example \"0000000804d2162f\"");
                }
            },
        };
        match bytes.len() {
            0 => refuse(
                key,
                format!("`{key}` is empty"),
                "sends nothing",
                "leave it out: then nothing is sent",
            ),
            length if length > Self::SEND_MOST => {
                let what = format!("`{key}` has {length} bytes; at most {} are sent", Self::SEND_MOST);
                refuse(key, what, "too long", "send less")
            }
            _ => Ok(bytes),
        }
    }

    /// Returns the condition for a good answer.
    fn wants(&self) -> Result<Option<Wants>, Refusal> {
        let refuse = |key, what: String, label, help: &str| {
            Err(Refusal::new(Field::request(&[key]), what, label, help))
        };
        match (&self.expect, &self.matches) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                let what = "both `expect` and `matches` say which answer is good".to_owned();
                refuse("matches", what, "besides `expect`", "leave one of them out")
            }
            (Some(text), None) if text.is_empty() => {
                let what = "an empty text is in every answer".to_owned();
                refuse("expect", what, "always found", "leave `expect` out, or give it a text")
            }
            (Some(text), None) if text.len() > Self::ANSWER_MOST => {
                let (length, most) = (text.len(), Self::ANSWER_MOST);
                let what =
                    format!("a text of {length} bytes is not found in the {most} that are read of an answer");
                refuse("expect", what, "never found", "give a shorter part of it")
            }
            (Some(text), None) => Ok(Some(Wants::Text(text.clone().into_bytes()))),
            (None, Some(text)) => match pattern(text) {
                Ok(pattern) if pattern.is_match(b"") => {
                    let what = "`matches` matches an answer of no bytes, so every answer is good".to_owned();
                    refuse("matches", what, "always found", "name a text that must be there")
                }
                Ok(pattern) => Ok(Some(Wants::Pattern(pattern))),
                Err(why) => {
                    let what = format!("`matches` is no regular expression that is searched: {why}");
                    refuse("matches", what, "not searched", "for example \"^220 \"")
                }
            },
        }
    }
}

/// Returns the bytes of pairs of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = digits.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits.chunks(2).map(|pair| u8::try_from(pair.iter().fold(0, |all, one| all * 16 + one)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(bytes("0000000804d2162f"), Some(vec![0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]));
        assert_eq!((bytes("0"), bytes("zz")), (None, None));
    }
}
