//! MySQL and MariaDB: a statement for each request, and the roles of servers.

mod errors;
mod line;
mod login;
mod packets;

use firedrill_probe::{
    Terms,
    client::{Ask, Cause, Due, Failure, Phases, Server, boot_us, secret_of},
};
use firedrill_wire::probe::{Field, MysqlProbe, MysqlRole, Refusal};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::{
    line::{FIRST, Line},
    login::Login,
};
use crate::servers::{Kept, Opens, servers, within};

/// A client of one MySQL or MariaDB database, on one or more servers.
pub(crate) struct Mysql {
    servers: Vec<Server>,
    login: Login,
    statement: String,
    expect: Option<String>,
    role: MysqlRole,
    kept: Kept<Line>,
}

impl Mysql {
    pub(crate) fn new(probe: &MysqlProbe, terms: &Terms<'_>) -> Result<Self, Vec<Refusal>> {
        let password = match &probe.password {
            None => None,
            Some(password) => {
                let text = secret_of(&Field::request(&["password"]), "the password", password, terms.reads);
                Some(text.map_err(|one| vec![one])?)
            }
        };
        Ok(Self {
            servers: servers(probe.servers()?, probe.ca_file.as_deref(), terms)?,
            login: Login { user: probe.user.clone(), database: probe.database.clone(), password },
            statement: probe.statement.clone(),
            expect: probe.expect.clone(),
            role: probe.role,
            kept: Kept::new(terms),
        })
    }

    /// Returns a connection that is in order: the kept one, or a new one.
    async fn line(&self, until: Instant, phases: &mut Phases) -> Result<Line, Failure> {
        if let Some(mut line) = self.kept.take()
            && line.usable()
        {
            // The server may have another role by now. That is an answer, too.
            line.must_be(self.role).await?;
            return Ok(line);
        }
        self.open_any(&self.servers, until, phases).await
    }

    /// Asks once. The request is good once the statement was carried out, and its first value is the wanted one.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let mut line = self.line(until, &mut phases).await?;
        let begun = boot_us();
        let answer = line.ask(&self.statement, FIRST).await?;
        phases.first_byte = boot_us() - begun;
        let good = self.expect.as_ref().is_none_or(|text| answer.as_deref() == Some(text.as_bytes()));
        if let Some(line) = self.kept.keep(line) {
            line.close();
        }
        if good { Ok(phases) } else { Err(Cause::Answer.into()) }
    }
}

impl Opens for Mysql {
    type Line = Line;

    async fn open(&self, server: &Server, until: Instant, phases: &mut Phases) -> Result<Line, Failure> {
        let mut line = Line::open(server, &self.login, until, phases).await?;
        line.must_be(self.role).await?;
        Ok(line)
    }
}

impl Ask for Mysql {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(within(until, self.once(until)))
    }
}
