//! Makes one try to send a message by a channel, and returns the result. Never tries again by itself.

use std::{collections::BTreeMap, future::Future, io, time::Duration};

use firedrill_probe::{Anything, Fetched, Fetcher};
use firedrill_sources::clock::date_us;
use firedrill_wire::{
    probe::HttpProbe,
    text::{clean, joined},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, UdpSocket, lookup_host},
    time::timeout,
};

use crate::{
    file::Channel,
    kind::{Kind, Parcel},
    message::{Message, now},
    secrets::Opened,
    smtp,
    spool::micros,
};

/// Maximum time of one try.
const LONGEST: Duration = Duration::from_secs(10);
/// Maximum length of the part of an answer that is shown to people, in characters.
const TOLD: usize = 200;
/// Maximum length of the reason of a failure, in characters. It has the part of the answer in it.
const WHY_MOST: usize = TOLD * 2;

/// The result of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The channel accepted the message.
    Taken {
        /// The part of the answer that later messages need.
        receipt: Option<String>,
    },
    /// The channel may accept the message later.
    Later {
        /// The failure; a clause for people.
        why: String,
        /// The time for which the channel asks to wait.
        after: Option<Duration>,
    },
    /// The channel will never accept the message.
    Never {
        /// The reason; a clause for people.
        why: String,
    },
}

impl Sent {
    const fn later(why: String) -> Self {
        Self::Later { why, after: None }
    }
}

/// Sends a message. `receipt` is the receipt for the beginning of the same run. Secrets are hidden in all texts of the result.
pub async fn send(channel: &Channel, message: &Message, receipt: Option<&str>) -> Sent {
    let Some((_, kind)) = channel.kind() else {
        return Sent::later("the channel has no kind".to_owned());
    };
    let secrets = match Opened::read(kind.secrets()) {
        Ok(secrets) => secrets,
        Err(why) => return Sent::later(why),
    };
    let sent = match kind.parcel(message, &secrets, receipt) {
        Ok(Parcel::Http(request)) => http(kind, &request, &secrets).await,
        Ok(Parcel::Udp { to, datagrams }) => without_answer(udp(&to, &datagrams)).await,
        Ok(Parcel::Tcp { to, bytes }) => without_answer(tcp(&to, &bytes)).await,
        Ok(Parcel::Mail(mail)) => match smtp::send(&mail, LONGEST).await {
            Ok(()) => Sent::Taken { receipt: None },
            Err(smtp::Failed { is_final: true, why }) => Sent::Never { why },
            Err(smtp::Failed { is_final: false, why }) => Sent::later(why),
        },
        Err(why) => Sent::later(why),
    };
    let hide = |why: String| clean(&joined(&secrets.hide(&why)), WHY_MOST).into_owned();
    match sent {
        Sent::Later { why, after } => Sent::Later { why: hide(why), after },
        Sent::Never { why } => Sent::Never { why: hide(why) },
        taken @ Sent::Taken { .. } => taken,
    }
}

/// Sends an HTTP request.
async fn http(kind: &dyn Kind, request: &HttpProbe, secrets: &Opened) -> Sent {
    let fetcher = match Fetcher::new(request, &BTreeMap::new(), &Anything) {
        Ok(fetcher) => fetcher,
        Err(refusals) => {
            return Sent::later(
                refusals.into_iter().map(|refusal| refusal.what).collect::<Vec<_>>().join("; "),
            );
        }
    };
    match fetcher.fetch(request, LONGEST, &Anything).await {
        Ok(answer) => answered(kind, &answer, secrets),
        Err(why) => Sent::later(why),
    }
}

/// Decides by the answer to an HTTP request.
fn answered(kind: &dyn Kind, answer: &Fetched, secrets: &Opened) -> Sent {
    // Secrets are hidden before the text is cut, because a secret that was cut would not be found.
    let body = secrets.hide(&String::from_utf8_lossy(&answer.without_secrets(&answer.body)));
    let told = clean(&joined(body.trim()), TOLD).into_owned();
    let why = if told.is_empty() {
        format!("status {}", answer.status)
    } else {
        format!("status {}: {told}", answer.status)
    };
    let after = answer.retry_after.as_deref().and_then(|text| after(text, micros(now())));
    by_status(answer.status, why, after, || kind.receipt(&answer.body))
}

/// Decides by the status of an answer. `receipt` reads the receipt of a good answer.
fn by_status(
    status: u16,
    why: String,
    after: Option<Duration>,
    receipt: impl FnOnce() -> Option<String>,
) -> Sent {
    match status {
        200..=299 => Sent::Taken { receipt: receipt() },
        300..=399 => Sent::Never { why: format!("{why}; redirects are not followed") },
        408 | 425 | 429 => Sent::Later { why, after },
        400..=499 => Sent::Never { why },
        _ => Sent::Later { why, after },
    }
}

/// Parses the header `Retry-After`, which has seconds or a date; `None` if it has neither.
fn after(text: &str, now_us: u64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = u64::try_from(date_us(text.trim())?).ok()?;
    Some(Duration::from_micros(at.saturating_sub(now_us)))
}

/// Waits for the end of a transmission to which there is no answer.
async fn without_answer(sending: impl Future<Output = io::Result<()>>) -> Sent {
    match timeout(LONGEST, sending).await {
        Ok(Ok(())) => Sent::Taken { receipt: None },
        Ok(Err(error)) => Sent::later(error.to_string()),
        Err(_) => Sent::later(format!("not sent within {} s", LONGEST.as_secs())),
    }
}

/// Sends datagrams to the first address of a host that can be used.
async fn udp(to: &str, datagrams: &[Vec<u8>]) -> io::Result<()> {
    let mut last = io::Error::other("its name has no address");
    for address in lookup_host(to).await? {
        let from = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(from).await?;
        match socket.connect(address).await {
            Ok(()) => {
                for datagram in datagrams {
                    socket.send(datagram).await?;
                }
                return Ok(());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Sends bytes on a new connection.
async fn tcp(to: &str, bytes: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(status: u16, after: Option<Duration>) -> &'static str {
        match by_status(status, String::new(), after, || None) {
            Sent::Taken { .. } => "taken",
            Sent::Later { after: Some(_), .. } => "later, as asked",
            Sent::Later { .. } => "later",
            Sent::Never { .. } => "never",
        }
    }

    #[test]
    fn the_status_decides_whether_a_message_is_tried_again() {
        for (status, wanted) in [
            (200, "taken"),
            (202, "taken"),
            (204, "taken"),
            (301, "never"),
            (307, "never"),
            (400, "never"),
            (403, "never"),
            (404, "never"),
            (408, "later"),
            (429, "later"),
            (500, "later"),
            (503, "later"),
        ] {
            assert_eq!(decided(status, None), wanted, "{status}");
        }
        assert_eq!(decided(429, Some(Duration::from_secs(7))), "later, as asked");
        assert_eq!(decided(503, Some(Duration::from_secs(7))), "later, as asked");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(after("120", 0), Some(Duration::from_secs(120)));
        assert_eq!(after(" 0 ", 0), Some(Duration::ZERO));
        let now_us = 784_111_777_000_000 - 30_000_000;
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT", now_us), Some(Duration::from_secs(30)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT", now_us + 60_000_000), Some(Duration::ZERO));
        assert_eq!(after("soon", 0), None);
    }
}
