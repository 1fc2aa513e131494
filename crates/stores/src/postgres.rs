//! PostgreSQL: a statement for each request, and the roles of servers.

mod errors;
mod line;
mod rows;
mod tls;
mod writes;

use std::sync::Arc;

use firedrill_probe::{
    Terms,
    client::{Ask, Cause, Due, Failure, Phases, Server, boot_us, secret_of},
};
use firedrill_wire::probe::{Field, PostgresProbe, PostgresRole, Refusal};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_postgres::{
    Config,
    config::{ChannelBinding, SslMode},
};

use self::line::Line;
use crate::servers::{HasAuthority, Kept, Opens, servers, within};

/// A client of one PostgreSQL database, on one or more servers.
pub(crate) struct Postgres {
    servers: Arc<Vec<Server>>,
    config: Config,
    statement: String,
    expect: Option<String>,
    role: PostgresRole,
    kept: Kept<Line>,
}

impl Postgres {
    pub(crate) fn new(probe: &PostgresProbe, terms: &Terms<'_>) -> Result<Self, Vec<Refusal>> {
        let servers = servers(probe.servers()?, probe.ca_file.as_deref(), terms)?;
        let mut config = Config::new();
        config
            .user(&probe.user)
            .dbname(probe.database.as_ref().unwrap_or(&probe.user))
            .application_name("firedrill")
            .channel_binding(ChannelBinding::Disable)
            .ssl_mode(if probe.tls { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = &probe.password {
            let text = secret_of(&Field::request(&["password"]), "the password", password, terms.reads);
            config.password(text.map_err(|one| vec![one])?);
        }
        Ok(Self {
            servers: Arc::new(servers),
            config,
            statement: probe.statement.clone(),
            expect: probe.expect.clone(),
            role: probe.role,
            kept: Kept::new(terms),
        })
    }

    /// Returns a client of the same servers for records. It has no connection yet.
    pub(crate) fn for_writes(&self) -> Self {
        Self {
            servers: Arc::clone(&self.servers),
            config: self.config.clone(),
            statement: self.statement.clone(),
            expect: self.expect.clone(),
            role: self.role,
            kept: self.kept.for_writes(),
        }
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
        let answer = line.ask(&self.statement).await.map_err(|why| errors::failure(&why))?;
        phases.first_byte = boot_us() - begun;
        let good = self.expect.as_ref().is_none_or(|text| answer.first.as_ref() == Some(text));
        self.done(line);
        if good { Ok(phases) } else { Err(Cause::Answer.into()) }
    }

    /// Keeps a connection that is in order, or closes one.
    fn done(&self, line: Line) {
        if let Some(line) = self.kept.keep(line) {
            line.close();
        }
    }
}

impl Opens for Postgres {
    type Line = Line;

    async fn open(&self, server: &Server, until: Instant, phases: &mut Phases) -> Result<Line, Failure> {
        let mut line = Line::open(server, &self.config, until, phases).await?;
        line.must_be(self.role).await?;
        Ok(line)
    }
}

impl HasAuthority for Postgres {
    async fn must_have_authority(&self, line: &mut Line) -> Result<(), Failure> {
        line.must_be(PostgresRole::Primary).await
    }
}

impl Ask for Postgres {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(within(until, self.once(until)))
    }
}
