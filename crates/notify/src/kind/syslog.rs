//! `syslog`: lines of syslog (RFC 5424), by UDP (RFC 5426) or by TCP (RFC 6587, with the line's length before it).

use std::{fs, process};

use firedrill_wire::probe::{Refusal, Secret};
use serde::{Deserialize, Serialize};

use super::{Kind, Parcel, place};
use crate::{
    message::{Message, What},
    secrets::Opened,
};

/// Maximum length of a datagram, in bytes. RFC 5426 recommends that all receivers accept this length.
const DATAGRAM_MOST: usize = 2048;

/// The severity "warning" (RFC 5424).
const WARNING: u16 = 4;
/// The severity "notice" (RFC 5424).
const NOTICE: u16 = 5;

/// The protocol below syslog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Datagrams. A lost one is not noticed.
    #[default]
    Udp,
    /// A connection for each message. The receiver confirms nothing.
    Tcp,
}

/// A receiver of syslog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// Its host and port, such as `"logs.example:514"`.
    pub to: String,
    /// The protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// The number of the facility: 1 is `user`, 16 to 23 are `local0` to `local7`.
    #[serde(default = "Syslog::usual_facility")]
    #[schemars(range(min = 0, max = 23))]
    pub facility: u8,
}

impl Syslog {
    const fn usual_facility() -> u8 {
        1
    }

    /// Returns the line for a message.
    fn line(&self, message: &Message, host: &str) -> String {
        let severity = match message.what {
            What::Aborted | What::Halted | What::Missed | What::Skipped => WARNING,
            What::Announced | What::Started | What::Landed | What::Ended | What::Test => NOTICE,
        };
        let priority = u16::from(self.facility) * 8 + severity;
        let (pid, what) = (process::id(), message.what.word());
        format!(
            "<{priority}>1 {} {host} firedrill {pid} {what} - {}; event: {}",
            message.at,
            message.line(),
            message.id
        )
    }
}

impl Kind for Syslog {
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        Vec::new()
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> = place("to", &self.to, "logs.example:514").into_iter().collect();
        if self.facility > 23 {
            let field = firedrill_wire::probe::Field::request(&["facility"]);
            refusals.push(Refusal::new(
                field,
                format!("there is no facility {}", self.facility),
                "0 to 23",
                "facility = 16 is local0",
            ));
        }
        refusals
    }

    fn parcel(&self, message: &Message, _: &Opened, _: Option<&str>) -> Result<Parcel, String> {
        let line = self.line(message, &host());
        Ok(match self.protocol {
            Protocol::Udp => {
                let end = line.floor_char_boundary(line.len().min(DATAGRAM_MOST));
                Parcel::Udp { to: self.to.clone(), datagrams: vec![line.as_bytes()[..end].to_vec()] }
            }
            Protocol::Tcp => {
                Parcel::Tcp { to: self.to.clone(), bytes: format!("{} {line}", line.len()).into_bytes() }
            }
        })
    }
}

/// Returns this host's name in the form that syslog allows; `-` if it is not known.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syslog(rest: &str) -> Syslog {
        serde_json::from_str(&format!(r#"{{"to":"127.0.0.1:514"{rest}}}"#)).expect("its parameters")
    }

    #[test]
    fn a_line_is_one_of_rfc_5424() {
        let mut message = Message::new("r/aborted", What::Aborted, "Firedrill: ä");
        message.at = "2026-12-04T14:00:00.000Z".to_owned();
        let pid = process::id();
        assert_eq!(
            syslog(r#","facility":16"#).line(&message, "box"),
            format!(
                "<132>1 2026-12-04T14:00:00.000Z box firedrill {pid} aborted - Firedrill: ä; event: r/aborted"
            )
        );
        let tcp = syslog(r#","protocol":"tcp""#).parcel(&message, &Opened::of(&[]), None);
        let Ok(Parcel::Tcp { bytes, .. }) = tcp else { panic!("a stream") };
        let text = String::from_utf8(bytes).expect("text");
        let (count, line) = text.split_once(' ').expect("a count");
        assert_eq!(count.parse(), Ok(line.len()), "octets are counted, not characters");
        message.why = Some("ä".repeat(4000));
        let Ok(Parcel::Udp { datagrams, .. }) = syslog("").parcel(&message, &Opened::of(&[]), None) else {
            panic!("a datagram")
        };
        assert!(datagrams[0].len() <= DATAGRAM_MOST && String::from_utf8(datagrams[0].clone()).is_ok());
    }

    #[test]
    fn a_place_without_a_port_is_refused() {
        assert!(syslog("").invalid().is_empty());
        for to in ["logs.example", "logs.example:", ":514", "logs.example:70000", "a b:514"] {
            assert_eq!(Syslog { to: to.to_owned(), ..syslog("") }.invalid().len(), 1, "{to}");
        }
        assert_eq!(syslog(r#","facility":24"#).invalid().len(), 1);
    }
}
