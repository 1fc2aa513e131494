//! Sends a message to a mail server by SMTP (RFC 5321), with TLS (RFC 3207, RFC 8314) and a login (RFC 4954). Never tries again by itself.

use std::{net::IpAddr, time::Duration};

use firedrill_probe::without_protocol;
use firedrill_wire::probe::TcpProbe;
use mail_send::{
    Credentials, Error, SmtpClient,
    smtp::{AssertReply, message::Parameters},
};
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, EXT_START_TLS, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, error::Elapsed, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::mail::{Mail, Tls};

/// Maximum time to wait for the answer to QUIT. The result of the message is already known by then.
const QUIT: Duration = Duration::from_secs(1);

/// The failure of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Whether another try is of no use: the server refused with a status 5xx, or some recipients already have the message.
    pub(crate) is_final: bool,
    /// The failure; a clause for people.
    pub(crate) why: String,
}

impl Failed {
    const fn later(why: String) -> Self {
        Self { is_final: false, why }
    }

    /// Returns the failure of a step of the conversation.
    fn at(step: &str, error: Error) -> Self {
        match error {
            Error::UnexpectedReply(reply) => {
                Self { is_final: is_final(&reply), why: format!("{step}: {}", said(&reply)) }
            }
            Error::Io(error) => Self::later(format!("{step}: {error}")),
            Error::Timeout => Self::later(format!("{step}: no answer in time")),
            Error::Tls(error) => Self::later(format!("{step}: TLS failed: {error}")),
            Error::UnparseableReply => {
                Self::later(format!("{step}: the server ended the connection, or does not speak SMTP"))
            }
            error => Self::later(format!("{step}: {error}")),
        }
    }
}

/// Whether an answer says that the server will never accept the message.
fn is_final(reply: &Response<String>) -> bool {
    (500..600).contains(&reply.code)
}

/// Returns the status and the text of an answer.
fn said(reply: &Response<String>) -> String {
    format!("{} {}", code(reply), reply.message).trim().to_owned()
}

/// Returns the status of an answer, with the enhanced status (RFC 3463) if there is one.
fn code(reply: &Response<String>) -> String {
    let [class, subject, detail] = reply.esc;
    if class == 0 { reply.code.to_string() } else { format!("{} {class}.{subject}.{detail}", reply.code) }
}

/// Sends a message, and waits for the server's answer.
///
/// # Errors
/// The server did not accept it for all recipients, or did not answer within the time `within`.
pub(crate) async fn send(mail: &Mail, within: Duration) -> Result<(), Failed> {
    let until = Instant::now() + within;
    let late = |_| Failed::later(format!("no answer within {} s", within.as_secs()));
    match timeout_at(until, open(mail, within)).await.map_err(late)?? {
        (Line::Clear(client), name) => finish(client, &name, mail, until).await,
        (Line::Tls(client), name) => finish(*client, &name, mail, until).await,
    }
    .map_err(late)?
}

/// Sends the message until a moment at most, and ends the conversation.
async fn finish<T: AsyncRead + AsyncWrite + Unpin>(
    mut client: SmtpClient<T>,
    name: &str,
    mail: &Mail,
    until: Instant,
) -> Result<Result<(), Failed>, Elapsed> {
    let result = timeout_at(until, deliver(&mut client, name, mail)).await?;
    let _ = timeout(QUIT, client.quit()).await;
    Ok(result)
}

/// A connection after the server's greeting, with or without TLS.
enum Line {
    Clear(SmtpClient<TcpStream>),
    Tls(Box<SmtpClient<TlsStream<TcpStream>>>),
}

/// Opens the connection. Returns it with the name of this machine for EHLO. The name is the machine's address, because a host name may be unknown to the
/// server.
async fn open(mail: &Mail, within: Duration) -> Result<(Line, String), Failed> {
    let address = TcpProbe::opens(mail.server.as_str());
    let (host, port) = address.parsed().map_err(|refusal| Failed::later(refusal.what))?;
    let connector = match mail.tls {
        Tls::None => None,
        _ => Some(TlsConnector::from(without_protocol(mail.ca_file.as_deref()).map_err(Failed::later)?)),
    };
    let unreached = |error| Failed::later(format!("no connection to {}: {error}", mail.server));
    let stream = TcpStream::connect((host, port)).await.map_err(unreached)?;
    let (own, peer) = (stream.local_addr().map_err(unreached)?, stream.peer_addr().map_err(unreached)?);
    let name = match own.ip() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    };
    let mut client = SmtpClient { stream, timeout: within };
    let Some(connector) = connector else {
        if is_exposed(mail, peer.ip()) {
            let why = format!(
                "{} is {}, not this machine: the password is not sent without TLS",
                mail.server,
                peer.ip()
            );
            return Err(Failed::later(why));
        }
        greeted(&mut client).await?;
        return Ok((Line::Clear(client), name));
    };
    let secured = |error| Failed::at("TLS", error);
    if mail.tls == Tls::Implicit {
        let mut client = client.into_tls(&connector, host).await.map_err(secured)?;
        greeted(&mut client).await?;
        return Ok((Line::Tls(Box::new(client)), name));
    }
    greeted(&mut client).await?;
    let offers = client.ehlo(&name).await.map_err(|error| Failed::at("EHLO", error))?;
    if !offers.has_capability(EXT_START_TLS) {
        let why = "the server offers no STARTTLS, so nothing is sent; `tls = \"implicit\"` is for port 465"
            .to_owned();
        return Err(Failed::later(why));
    }
    let client = client.start_tls(&connector, host).await.map_err(secured)?;
    Ok((Line::Tls(Box::new(client)), name))
}

/// Whether a password would cross a network in clear. The address of the connection decides, because a name such as `localhost` may have any address.
const fn is_exposed(mail: &Mail, peer: IpAddr) -> bool {
    matches!(mail.tls, Tls::None) && mail.login.is_some() && !peer.is_loopback()
}

/// Reads the server's greeting.
async fn greeted<T: AsyncRead + AsyncWrite + Unpin>(client: &mut SmtpClient<T>) -> Result<(), Failed> {
    let greeting = client.read().await.and_then(AssertReply::assert_positive_completion);
    greeting.map_err(|error| Failed::at("the greeting", error))
}

/// Logs in, and sends the message.
async fn deliver<T: AsyncRead + AsyncWrite + Unpin>(
    client: &mut SmtpClient<T>,
    name: &str,
    mail: &Mail,
) -> Result<(), Failed> {
    let mut offers = client.ehlo(name).await.map_err(|error| Failed::at("EHLO", error))?;
    if let Some((user, password)) = &mail.login {
        // Only these two: after a failed login the library would try other mechanisms, which need MD5, and it was built without that.
        offers.auth_mechanisms &= AUTH_PLAIN | AUTH_LOGIN;
        let login = Credentials::new(user.as_str(), password.as_str());
        client.authenticate(&login, &offers).await.map_err(login_failed)?;
    }
    let none = Parameters::default();
    client.mail_from(&mail.from, &none).await.map_err(|error| Failed::at("MAIL FROM", error))?;
    let mut refused = Vec::new();
    for to in &mail.to {
        match client.rcpt_to(to, &none).await {
            Ok(()) => {}
            // With the status 421 the server closes the connection.
            Err(Error::UnexpectedReply(reply)) if reply.code != 421 => refused.push((to, reply)),
            Err(error) => return Err(Failed::at("RCPT TO", error)),
        }
    }
    let reasons =
        || refused.iter().map(|(to, reply)| format!("{to}: {}", said(reply))).collect::<Vec<_>>().join("; ");
    let accepted = mail.to.len() - refused.len();
    if accepted == 0 {
        let is_final = refused.iter().all(|(_, reply)| is_final(reply));
        return Err(Failed { is_final, why: format!("no recipient was accepted: {}", reasons()) });
    }
    client.data(&mail.text).await.map_err(|error| Failed::at("DATA", error))?;
    if refused.is_empty() {
        return Ok(());
    }
    // Final, because another try would send it a second time to the recipients that have it.
    let why = format!("sent to {accepted} of {} recipients, and not to {}", mail.to.len(), reasons());
    Err(Failed { is_final: true, why })
}

/// Returns the failure of a login, without the server's text. A server may repeat the password there in base64, and secrets in base64 are not found.
fn login_failed(error: Error) -> Failed {
    match error {
        Error::AuthenticationFailed(reply) | Error::UnexpectedReply(reply) => Failed {
            is_final: is_final(&reply),
            why: format!("the server did not accept `user` and `password`: {}", code(&reply)),
        },
        Error::UnsupportedAuthMechanism => {
            Failed::later("the server offers no login by PLAIN or LOGIN on this connection".to_owned())
        }
        error => Failed::at("the login", error),
    }
}

#[cfg(test)]
mod tests;
