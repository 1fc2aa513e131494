//! One connection to a PostgreSQL server. Nothing drives it but the statement on it, so that dropping the request drops everything, and no
//! notice is lost.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use firedrill_probe::client::{Failure, Phases, Server, Told};
use firedrill_wire::probe::PostgresRole;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, SimpleQueryMessage};

use super::{errors, tls::Over};

/// The beginning of the codes that are warnings.
const WARNINGS: &str = "01";

/// A connection over a stream of any type.
trait Drive: Send {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>>;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send, T: AsyncRead + AsyncWrite + Unpin + Send> Drive
    for Connection<S, T>
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        self.poll_message(cx)
    }
}

/// The answer to a statement.
pub(super) struct Answer {
    /// The text of the first column of the first row; `None` where there is no row, or the value is null.
    pub(super) first: Option<String>,
    /// The whole answer.
    pub(super) messages: Vec<SimpleQueryMessage>,
    /// Whether the server warned of something.
    pub(super) warned: bool,
}

/// One connection.
pub(crate) struct Line {
    client: Client,
    connection: Box<dyn Drive>,
}

impl Line {
    /// Opens a connection, and logs in.
    pub(super) async fn open(
        server: &Server,
        config: &Config,
        until: Instant,
        phases: &mut Phases,
    ) -> Result<Self, Failure> {
        let stream: TcpStream = server.connector.open(until, phases).await?;
        let (client, connection): (Client, Box<dyn Drive>) = match &server.tls {
            None => {
                let made = config.connect_raw(stream, NoTls).await;
                let (client, connection) = made.map_err(|why| errors::failure(&why))?;
                (client, Box::new(connection))
            }
            Some(handshake) => {
                let made = config.connect_raw(stream, Over { handshake, phases }).await;
                let (client, connection) = made.map_err(|why| errors::failure(&why))?;
                (client, Box::new(connection))
            }
        };
        Ok(Self { client, connection })
    }

    /// Whether a kept connection is still open. Sends nothing.
    pub(super) fn usable(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.connection.poll(&mut cx) {
                Poll::Pending => return !self.client.is_closed(),
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None | Some(Err(_))) => return false,
            }
        }
    }

    /// Refuses a server that does not have the wanted role. Where any role is good, the server is not asked.
    pub(super) async fn must_be(&mut self, role: PostgresRole) -> Result<(), Failure> {
        let wrong = match role {
            PostgresRole::Any => return Ok(()),
            PostgresRole::Primary => Told::Standby,
            PostgresRole::Standby => Told::Primary,
        };
        let answer = self.ask("select pg_is_in_recovery()").await.map_err(|why| errors::failure(&why))?;
        let wanted = if role == PostgresRole::Standby { "t" } else { "f" };
        if answer.first.as_deref() == Some(wanted) { Ok(()) } else { Err(wrong.into()) }
    }

    /// Sends a statement and waits for its whole answer.
    pub(super) async fn ask(&mut self, statement: &str) -> Result<Answer, Error> {
        let Self { client, connection } = self;
        let mut asked = pin!(client.simple_query(statement));
        let mut warned = false;
        let messages = poll_fn(|cx| {
            // The end of the connection says more than the statement, which nobody would answer any more.
            let end = loop {
                match connection.poll(cx) {
                    Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                        warned |= notice.code().code().starts_with(WARNINGS);
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(why))) => break Some(why),
                    Poll::Ready(None) | Poll::Pending => break None,
                }
            };
            match (asked.as_mut().poll(cx), end) {
                (Poll::Ready(Ok(all)), _) => Poll::Ready(Ok(all)),
                (Poll::Ready(Err(why)), Some(end)) => {
                    Poll::Ready(Err(if why.is_closed() { end } else { why }))
                }
                (Poll::Pending, Some(end)) => Poll::Ready(Err(end)),
                (how, None) => how,
            }
        })
        .await?;
        let first = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.try_get(0).ok().flatten().map(ToOwned::to_owned)),
            _ => None,
        });
        Ok(Answer { first: first.flatten(), messages, warned })
    }

    /// Says goodbye, so that the server's log has no cut connection. Does not wait.
    pub(super) fn close(self) {
        let Self { client, mut connection } = self;
        drop(client);
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut connection).poll(&mut cx) {}
    }
}
