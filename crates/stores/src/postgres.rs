//! PostgreSQL: a statement for each request, and the roles of servers.

mod errors;
mod line;
mod rows;
mod tls;
mod writes;

use firedrill_probe::{
    Terms,
    client::{Ask, Cause, Failure, Phases, Told, boot_us, secret_of},
};
use firedrill_wire::probe::{Field, PostgresProbe, PostgresRole, Refusal};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_postgres::{
    Config,
    config::{ChannelBinding, SslMode},
};

use self::line::Line;
use crate::servers::{Kept, Server, Tls, servers, shares, telling, within};

/// A client of one PostgreSQL database, on one or more servers.
pub(crate) struct Postgres {
    servers: Vec<Server>,
    config: Config,
    statement: String,
    expect: Option<String>,
    role: PostgresRole,
    kept: Kept<Line>,
}

impl Postgres {
    pub(crate) fn new(probe: &PostgresProbe, terms: &Terms<'_>) -> Result<Self, Vec<Refusal>> {
        let tls = Tls {
            on: probe.tls,
            ca_file: probe.ca_file.as_deref(),
            server_name: probe.server_name.as_deref(),
        };
        let servers = servers(&probe.servers()?, &Field::request(&["address"]), &tls, terms)?;
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
            servers,
            config,
            statement: probe.statement.clone(),
            expect: probe.expect.clone(),
            role: probe.role,
            kept: Kept::new(terms),
        })
    }

    /// Returns a connection that is in order: the kept one, or a new one to a server of that role.
    async fn line(&self, role: PostgresRole, until: Instant, phases: &mut Phases) -> Result<Line, Failure> {
        if let Some(mut line) = self.kept.take()
            && line.usable()
        {
            // Its server may have another role than before, which is an answer.
            line.must_be(role).await?;
            return Ok(line);
        }
        let mut worst = Failure::Bad(Cause::Unreachable);
        for (server, share) in shares(&self.servers, until) {
            // Only one server's counts: the one that is asked.
            let mut own = Phases::default();
            match within(share, self.opened(server, role, share, &mut own)).await {
                Ok(line) => {
                    *phases = own;
                    return Ok(line);
                }
                Err(why) => worst = telling(worst, why),
            }
        }
        Err(worst)
    }

    /// Opens a connection to a server, which must have that role.
    async fn opened(
        &self,
        server: &Server,
        role: PostgresRole,
        until: Instant,
        phases: &mut Phases,
    ) -> Result<Line, Failure> {
        let mut line = Line::open(server, &self.config, until, phases).await?;
        line.must_be(role).await?;
        Ok(line)
    }

    /// Good once the statement was carried out, and its first value is what is wanted.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let mut line = self.line(self.role, until, &mut phases).await?;
        let begun = boot_us();
        let answer = line.ask(&self.statement).await.map_err(|why| errors::failure(&why))?;
        phases.first_byte = boot_us() - begun;
        let good = self.expect.as_ref().is_none_or(|text| answer.first.as_ref() == Some(text));
        self.done(line);
        if good { Ok(phases) } else { Err(Cause::Answer.into()) }
    }

    fn done(&self, line: Line) {
        if let Some(line) = self.kept.keep(line) {
            line.close();
        }
    }

    /// Returns a connection to the one server that says it is the primary. Servers that are not there do not count, because what they have is
    /// not the store's as long as another one is its primary.
    async fn authority(&self, until: Instant) -> Result<Line, Failure> {
        let mut primary = None;
        let mut why = Failure::Bad(Cause::Unreachable);
        for (server, share) in shares(&self.servers, until) {
            let mut phases = Phases::default();
            let opened = self.opened(server, PostgresRole::Primary, share, &mut phases);
            match within(share, opened).await {
                Ok(_) if primary.is_some() => return Err(Told::SeveralPrimaries.into()),
                Ok(line) => primary = Some(line),
                Err(other) => why = telling(why, other),
            }
        }
        primary.ok_or(why)
    }
}

impl Ask for Postgres {
    fn ask(&self, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(within(until, self.once(until)))
    }
}
