//! One connection to a MySQL or MariaDB server. Sends nothing by itself.

use firedrill_probe::client::{Cause, Failure, Phases, Server, Stream, Told};
use firedrill_wire::probe::MysqlRole;
use tokio::time::Instant;

use super::{
    errors::{self, Refused},
    login::{Answer, Hello, Login},
    packets::{Packets, Reader},
};

/// The first byte of a packet that says that all is well.
const WELL: u8 = 0;
/// The first byte of a packet that says more about the login.
const MORE: u8 = 1;
/// The first byte of a packet that asks for a file.
const FILE: u8 = 0xfb;
/// The first byte of a packet that ends columns or rows, or asks for another method of the login.
const END: u8 = 0xfe;
/// The first byte of a packet that is an error.
const ERROR: u8 = 0xff;

/// The command that says goodbye.
const QUIT: u8 = 1;
/// The command that has a statement.
const QUERY: u8 = 3;

/// The first column of a row.
pub(super) const FIRST: usize = 0;
/// The second column of a row.
const SECOND: usize = 1;

/// A flag in the status of a result: another result follows.
const ANOTHER: u16 = 8;
/// An end has fewer bytes; a longer packet of its first byte is a row.
const END_BELOW: usize = 9;

/// One connection.
pub(crate) struct Line(Packets<Box<dyn Stream>>);

impl Line {
    /// Opens a connection, and logs in.
    pub(super) async fn open(
        server: &Server,
        login: &Login,
        until: Instant,
        phases: &mut Phases,
    ) -> Result<Self, Failure> {
        let mut packets = Packets::new(server.connector.open(until, phases).await?);
        let first = packets.read().await?;
        if first.first() == Some(&ERROR) {
            return Err(errors::failure(&first, login.refused()));
        }
        let hello = Hello::read(&first).ok_or(Cause::Protocol)?;
        let packets = match &server.tls {
            None => packets.over(async |stream| Ok(Box::new(stream) as Box<dyn Stream>)).await?,
            Some(_) if !hello.has_tls() => return Err(Told::NoTls.into()),
            Some(handshake) => {
                packets.send(&login.wants_tls()).await?;
                packets
                    .over(async |stream| {
                        let stream = handshake.over(stream, phases).await?;
                        Ok(Box::new(stream) as Box<dyn Stream>)
                    })
                    .await?
            }
        };
        let mut line = Self(packets);
        line.log_in(login, &hello, server.tls.is_some()).await?;
        Ok(line)
    }

    /// Answers what the server asks until it says that all is well.
    async fn log_in(&mut self, login: &Login, hello: &Hello, tls: bool) -> Result<(), Failure> {
        let mut answer = Answer::Send(login.first(hello, tls));
        loop {
            if let Answer::Send(body) = &answer {
                self.0.send(body).await?;
            }
            let packet = self.0.read().await?;
            answer = match packet.first() {
                Some(&WELL) => return Ok(()),
                Some(&MORE) => login.more(&packet, tls)?,
                Some(&END) => login.switched(&packet, tls)?,
                Some(&ERROR) => return Err(errors::failure(&packet, login.refused())),
                _ => return Err(Cause::Protocol.into()),
            };
        }
    }

    /// Whether a kept connection is still open. Sends nothing.
    pub(super) fn usable(&mut self) -> bool {
        self.0.is_quiet()
    }

    /// Refuses a server that does not have the wanted role. Where any role is good, the server is not asked.
    pub(super) async fn must_be(&mut self, role: MysqlRole) -> Result<(), Failure> {
        let takes_writes = match role {
            MysqlRole::Any => return Ok(()),
            MysqlRole::Synced => return self.must_be_synced().await,
            MysqlRole::Primary => true,
            MysqlRole::Replica => false,
        };
        let answer = self.ask("select @@global.read_only", FIRST).await?;
        // The value is a number, and since MariaDB 12 a word.
        let is_writable = matches!(answer.as_deref(), Some(b"0" | b"OFF"));
        match (is_writable, takes_writes) {
            (false, true) => Err(Told::Standby.into()),
            (true, false) => Err(Told::Primary.into()),
            _ => Ok(()),
        }
    }

    async fn must_be_synced(&mut self) -> Result<(), Failure> {
        for (name, wanted) in [("wsrep_ready", "ON"), ("wsrep_local_state_comment", "Synced")] {
            // A row is the name and the value.
            let value = self.ask(&format!("show global status like '{name}'"), SECOND).await?;
            if value.as_deref() != Some(wanted.as_bytes()) {
                return Err(Told::NotSynced.into());
            }
        }
        Ok(())
    }

    /// Sends a statement and waits for its whole answer. Returns a column of the first row; `None` where there is none, it is NULL, or it is longer than
    /// a MiB.
    pub(super) async fn ask(&mut self, statement: &str, column: usize) -> Result<Option<Vec<u8>>, Failure> {
        self.0.begin();
        self.0.send(&[&[QUERY], statement.as_bytes()].concat()).await?;
        let mut first = None;
        loop {
            let packet = self.0.read().await?;
            let status = match packet.first() {
                Some(&WELL) => status_of_ok(&packet),
                Some(&ERROR) => return Err(errors::failure(&packet, Refused::Statement)),
                // A file of this machine is never sent.
                Some(&FILE) | None => None,
                Some(_) => Some(self.rows(&packet, column, &mut first).await?),
            };
            if status.ok_or(Cause::Protocol)? & ANOTHER == 0 {
                return Ok(first.flatten());
            }
        }
    }

    /// Reads the columns and the rows of a result. `head` is its first packet, which has the number of columns. Returns the result's status.
    async fn rows(
        &mut self,
        head: &[u8],
        column: usize,
        first: &mut Option<Option<Vec<u8>>>,
    ) -> Result<u16, Failure> {
        let columns = Reader(head).number().ok_or(Cause::Protocol)?;
        for _ in 0..columns {
            self.0.read().await?;
        }
        if !is_end(&self.0.read().await?) {
            return Err(Cause::Protocol.into());
        }
        loop {
            let packet = self.0.read().await?;
            if packet.first() == Some(&ERROR) {
                return Err(errors::failure(&packet, Refused::Statement));
            }
            if is_end(&packet) {
                let mut reader = Reader(&packet);
                // Before the status: the first byte, and the number of warnings.
                let _ = reader.bytes(3);
                return Ok(reader.short().ok_or(Cause::Protocol)?);
            }
            if first.is_none() {
                let mut row = Reader(&packet);
                let value = (0..=column).map(|_| row.value()).last().flatten().flatten();
                *first = Some(value.map(<[u8]>::to_vec));
            }
        }
    }

    /// Says goodbye, so that the server's log has no cut connection. Does not wait.
    pub(super) fn close(mut self) {
        self.0.begin();
        self.0.send_now(&[QUIT]);
    }
}

/// Whether a packet ends columns or rows.
fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&END) && packet.len() < END_BELOW
}

/// Returns the status of a result without rows: behind the number of rows and the last id.
fn status_of_ok(packet: &[u8]) -> Option<u16> {
    let mut reader = Reader(packet);
    let _ = reader.byte()?;
    let (_rows, _id) = (reader.number()?, reader.number()?);
    reader.short()
}
