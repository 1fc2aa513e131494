//! One connection to a Redis server or a sentinel. Nothing drives it but the command on it, so that dropping the request drops everything.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use firedrill_probe::client::{Cause, Failure, Phases, Server, Told};
use firedrill_wire::probe::RedisRole;
use redis::{
    AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, RedisResult, Value,
    aio::MultiplexedConnection, cmd,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::errors;

/// A login, as it is sent.
pub(super) struct Login(Cmd);

impl Login {
    pub(super) fn new(user: Option<&str>, password: &str) -> Self {
        let mut auth = cmd("AUTH");
        if let Some(user) = user {
            auth.arg(user);
        }
        auth.arg(password);
        Self(auth)
    }
}

/// One connection.
pub(crate) struct Line {
    client: MultiplexedConnection,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether the driver has ended.
    has_ended: bool,
}

impl Line {
    /// Opens a connection, and logs in.
    pub(super) async fn open(
        server: &Server,
        login: Option<&Login>,
        until: Instant,
        phases: &mut Phases,
    ) -> Result<Self, Failure> {
        let mut line = Self::over(server.open(until, phases).await?).await?;
        if let Some(Login(auth)) = login {
            line.ask(auth).await.map_err(|why| errors::of_login(&why))?;
        }
        Ok(line)
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Self, Failure> {
        // With these settings the client sends nothing by itself. The login is a command like others.
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (client, driver) = made.map_err(|why| errors::failure(&why))?;
        Ok(Self { client, driver: Box::pin(driver), has_ended: false })
    }

    /// Whether a kept connection is still open. Sends nothing.
    pub(super) fn usable(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.has_ended |= self.driver.as_mut().poll(&mut cx).is_ready();
        !self.has_ended
    }

    /// Refuses a server that does not have the wanted role. Where any role is good, the server is not asked.
    pub(super) async fn must_be(&mut self, role: RedisRole) -> Result<(), Failure> {
        let wrong = match role {
            RedisRole::Any => return Ok(()),
            RedisRole::Master => Told::Standby,
            RedisRole::Replica => Told::Primary,
        };
        let wanted: &[u8] = if role == RedisRole::Replica { b"slave" } else { b"master" };
        let answer = self.ask(&cmd("ROLE")).await.map_err(|why| errors::failure(&why))?;
        let Value::Array(parts) = answer else { return Err(Cause::Protocol.into()) };
        match parts.first() {
            Some(Value::BulkString(is)) if is == wanted => Ok(()),
            Some(Value::BulkString(_)) => Err(wrong.into()),
            _ => Err(Cause::Protocol.into()),
        }
    }

    /// Sends a command and waits for its answer. An answer that is an error is returned as an error.
    pub(super) async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let Self { client, driver, has_ended } = self;
        let mut asked = pin!(client.send_packed_command(command));
        let answer: RedisResult<Value> = poll_fn(|cx| {
            // The command is handed to the driver first.
            if let Poll::Ready(answer) = asked.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            if !*has_ended && driver.as_mut().poll(cx).is_ready() {
                *has_ended = true;
            }
            asked.as_mut().poll(cx)
        })
        .await;
        answer?.extract_error()
    }
}
