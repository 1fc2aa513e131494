//! Asks the API of a control room (docs/api.md) with a token. Never sends the token where others on the way could read it.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use firedrill_files::text;
use firedrill_wire::text::{Breaks, TEXT_MOST, cleaned, from_json};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    failure::{Failure, Result, Wrap as _},
    post::{Answer, Sent, Server},
};

/// The environment variable that has the token.
const TOKEN: &str = "FIREDRILL_TOKEN";
/// Maximum size of a file with a token, in bytes.
const TOKEN_MOST: u64 = 4096;
/// Maximum size of an answer, in bytes.
const ANSWER_MOST: usize = 32 << 20;
/// The time for which a control room that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest time between two tries.
const PAUSE_MOST: Duration = Duration::from_secs(5);

/// The options that name a control room.
#[derive(Debug, clap::Args)]
pub(super) struct RoomArgs {
    /// Ask this control room: https://drills.example
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
    /// With --server: the file that has the token; default the variable FIREDRILL_TOKEN
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

/// Reads the address of a control room. The error says why a token cannot be sent there.
fn server(text: &str) -> Result<Server, String> {
    let server = Server::parse(text, "a control room's address such as https://drills.example is wanted")?;
    if server.has_login() {
        return Err(format!(
            "no USER:PASSWORD@: the token is in the variable {TOKEN}, or in the file of --token-file"
        ));
    }
    if server.is_private() {
        return Ok(server);
    }
    Err("without TLS others on the way can read the token: https:// is wanted, or an address of this machine"
        .to_owned())
}

/// A control room, and the token for it.
pub(super) struct RoomClient {
    server: Server,
    token: HeaderValue,
}

/// The parts of an error of the API (RFC 9457) that are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    detail: String,
    help: String,
}

impl RoomClient {
    /// Reads the address of a control room, and the token for it.
    ///
    /// # Errors
    /// The address is invalid, or the token would be sent there unencrypted; there is no token, or it cannot be read.
    pub(super) fn of(address: &str, args: &RoomArgs) -> Result<Self> {
        // The address is not checked by the parser of arguments: that repeats a refused text, which may have a password in it.
        let server = server(address)
            .map_err(|why| Failure::new("the address of --server cannot be used").help(why))?;
        let text = match &args.token_file {
            Some(file) => {
                let failed = |why| Failure::new(format!("the token in {} cannot be read: {why}", file.display()));
                text::read(file, TOKEN_MOST).map_err(failed)?.text
            }
            None => std::env::var(TOKEN).map_err(|_| {
                Failure::new(format!("there is no token for {server}"))
                    .help(format!("put it into the variable {TOKEN}, or name its file by --token-file; `firedrill serve token new` makes one"))
            })?,
        };
        let mut token = HeaderValue::try_from(format!("Bearer {}", text.trim()))
            .map_err(|_| Failure::new("the token has signs that no token has"))?;
        token.set_sensitive(true);
        Ok(Self { server, token })
    }

    /// Sends a request that does no harm if it arrives twice: a question, a halt, or a start with a key. If the control room cannot be reached
    /// or is busy, sends it again, for two minutes.
    ///
    /// # Errors
    /// The control room refuses, it cannot be reached in this time, or its answer is not understood.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        let (mut pause, mut is_told) = (Duration::from_millis(500), false);
        loop {
            let asked = self.send(method, path, headers, Vec::new());
            let may_change = match &asked {
                Ok(answer) => is_temporary(answer.status),
                Err(_) => true,
            };
            if !may_change || Instant::now() + pause > end {
                return asked
                    .and_then(|answer| read(&answer))
                    .wrap(format!("the control room {} was asked in vain", self.server));
            }
            if !is_told {
                let why = asked.and_then(|answer| read::<()>(&answer)).err();
                let why = why.map(|why| why.to_string()).unwrap_or_default();
                errln!(
                    "{} does not answer yet ({why}); it is asked again for {} s",
                    self.server,
                    PATIENCE.as_secs()
                );
                is_told = true;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    /// Asks once, without another try. `None` if there is no answer, or if it is not understood.
    pub(super) fn once<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        read(&self.send(&Method::GET, path, &[], Vec::new()).ok()?).ok()
    }

    /// Sends a body that must not arrive twice: there is no second try.
    ///
    /// # Errors
    /// The control room refuses, it cannot be reached, or its answer is not understood. Only after a refusal it is known that nothing was done.
    pub(super) fn tell<T: DeserializeOwned>(&self, path: &str, body: &impl serde::Serialize) -> Result<T> {
        let sent = self.send(&Method::POST, path, &[], serde_json::to_vec(body)?);
        sent.and_then(|answer| read(&answer))
            .wrap(format!("the control room {} did not say that it was done", self.server))
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Vec<u8>,
    ) -> Result<Answer> {
        let mut headers = headers.to_vec();
        headers.push((header::AUTHORIZATION, self.token.clone()));
        self.server.send(Sent {
            method: method.clone(),
            path: format!("{}{path}", self.server.path),
            content_type: "application/json",
            headers,
            body,
            most: ANSWER_MOST,
        })
    }
}

/// Whether a later try may have another result: the control room, or a proxy in front of it, is busy or out of order for now.
fn is_temporary(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Reads an answer. An error of the API becomes a failure with the API's own words.
fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T> {
    if answer.status == StatusCode::OK {
        // Its texts may come from logs and files of others, and are made harmless.
        return from_json(answer.body.as_bytes(), Breaks::Kept)
            .wrap("its answer is not understood; is this a control room?");
    }
    match serde_json::from_str::<Problem>(&answer.body) {
        Ok(problem) if !problem.detail.is_empty() => {
            Err(Failure::new(cleaned(problem.detail, TEXT_MOST)).help(cleaned(problem.help, TEXT_MOST)))
        }
        _ => Err(answer.failure().help("is this a control room, and its path right?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_only_over_tls_or_to_this_machine() {
        for good in [
            "https://drills.example",
            "http://127.0.0.1:7788",
            "http://[::1]:7788",
            "http://localhost:7788/room",
        ] {
            assert!(server(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://drills.example", "without TLS"),
            ("http://10.0.0.1:7788", "without TLS"),
            ("https://bob:secret@drills.example", "no USER:PASSWORD@"),
            ("drills.example", "is wanted"),
        ] {
            let told = server(bad).unwrap_err();
            assert!(told.contains(why) && !told.contains("secret"), "{bad}: {told}");
        }
    }

    #[test]
    fn an_error_of_the_api_is_shown_in_its_own_words() {
        let answer = |body: &str| Answer { status: StatusCode::FORBIDDEN, body: body.to_owned() };
        let told =
            read::<()>(&answer("{\"detail\":\"It may not\\u001b[2J.\",\"help\":\"Ask.\"}")).unwrap_err();
        assert_eq!(told, Failure::new("It may not␛[2J.").help("Ask."));
        let told = read::<()>(&answer("<html>")).unwrap_err().to_string();
        assert!(told.contains("403"), "{told}");
    }
}
