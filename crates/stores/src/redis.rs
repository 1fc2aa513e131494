//! Redis: a command for each request, the roles of servers, and the master by sentinels.

mod errors;
mod line;
mod master;
mod writes;

use std::sync::Arc;

use ::redis::{Cmd, Value};
use firedrill_probe::{
    Terms,
    client::{Ask, Cause, Due, Failure, Phases, Server, boot_us, secret_of},
};
use firedrill_wire::probe::{Field, RedisProbe, RedisRole, Refusal, Secret};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::line::{Line, Login};
use crate::servers::{HasAuthority, Kept, Opens, servers, within};

/// A client of Redis, on one or more servers.
pub(crate) struct Redis {
    servers: Arc<Vec<Server>>,
    sentinels: Option<Arc<Sentinels>>,
    login: Option<Arc<Login>>,
    command: Cmd,
    expect: Option<Vec<u8>>,
    role: RedisRole,
    kept: Kept<Line>,
}

/// Sentinels of one master.
struct Sentinels {
    servers: Vec<Server>,
    login: Option<Login>,
    master: String,
}

impl Redis {
    pub(crate) fn new(probe: &RedisProbe, terms: &Terms<'_>) -> Result<Self, Vec<Refusal>> {
        let ca_file = probe.ca_file.as_deref();
        let login =
            |keys: &[&str], user: &Option<String>, password: &Option<Secret>| -> Result<_, Vec<Refusal>> {
                let Some(password) = password else { return Ok(None) };
                let text = secret_of(&Field::request(keys), "the password", password, terms.reads);
                Ok(Some(Login::new(user.as_deref(), &text.map_err(|one| vec![one])?)))
            };
        let sentinels = match &probe.sentinel {
            None => None,
            Some(sentinel) => Some(Arc::new(Sentinels {
                servers: servers(probe.sentinels()?, ca_file, terms)?,
                login: login(&["sentinel", "password"], &sentinel.user, &sentinel.password)?,
                master: sentinel.master.clone(),
            })),
        };
        let mut command = Cmd::new();
        for word in &probe.command {
            command.arg(word);
        }
        Ok(Self {
            servers: Arc::new(servers(probe.servers()?, ca_file, terms)?),
            login: login(&["password"], &probe.user, &probe.password)?.map(Arc::new),
            role: if sentinels.is_some() { RedisRole::Master } else { probe.role },
            sentinels,
            command,
            expect: probe.expect.as_ref().map(|text| text.as_bytes().to_vec()),
            kept: Kept::new(terms),
        })
    }

    /// Returns a client of the same servers for records. It has no connection yet.
    pub(crate) fn for_writes(&self) -> Self {
        Self {
            servers: Arc::clone(&self.servers),
            sentinels: self.sentinels.clone(),
            login: self.login.clone(),
            command: self.command.clone(),
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
        match &self.sentinels {
            Some(sentinels) => self.master(sentinels, until, phases).await,
            None => self.open_any(&self.servers, until, phases).await,
        }
    }

    /// Asks once. The request is good once the answer is there, is no error, and is the wanted one.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let mut line = self.line(until, &mut phases).await?;
        let begun = boot_us();
        let answer = line.ask(&self.command).await.map_err(|why| errors::failure(&why))?;
        phases.first_byte = boot_us() - begun;
        drop(self.kept.keep(line));
        let good = self.expect.as_ref().is_none_or(|text| says(&answer, text));
        if good { Ok(phases) } else { Err(Cause::Answer.into()) }
    }
}

impl Opens for Redis {
    type Line = Line;

    async fn open(&self, server: &Server, until: Instant, phases: &mut Phases) -> Result<Line, Failure> {
        let mut line = Line::open(server, self.login.as_deref(), until, phases).await?;
        line.must_be(self.role).await?;
        Ok(line)
    }
}

impl HasAuthority for Redis {
    async fn must_have_authority(&self, line: &mut Line) -> Result<(), Failure> {
        line.must_be(RedisRole::Master).await
    }
}

impl Ask for Redis {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(within(until, self.once(until)))
    }
}

/// Whether an answer is that text, or that number.
fn says(answer: &Value, text: &[u8]) -> bool {
    match answer {
        Value::BulkString(bytes) => bytes == text,
        Value::SimpleString(said) => said.as_bytes() == text,
        Value::Okay => text == b"OK",
        Value::Int(number) => number.to_string().as_bytes() == text,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_compared() {
        assert!(says(&Value::SimpleString("PONG".into()), b"PONG"));
        assert!(says(&Value::BulkString(b"a b".to_vec()), b"a b"));
        assert!(says(&Value::Okay, b"OK") && says(&Value::Int(-7), b"-7"));
        assert!(!says(&Value::Nil, b"") && !says(&Value::Array(vec![]), b"") && !says(&Value::Int(7), b"70"));
    }
}
