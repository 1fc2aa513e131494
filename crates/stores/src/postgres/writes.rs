//! PostgreSQL as a store of numbered records: a row each, in a table of their own.

use firedrill_probe::{
    client::{Cause, Failure, Phases, Told},
    writes::store::{Found, Record, Store, Written},
};
use firedrill_wire::probe::PostgresRole;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::SimpleQueryMessage;

use super::{Postgres, errors, rows};
use crate::servers::{HasAuthority as _, within};

/// The code of a key that is there already.
const DUPLICATE: &str = "23505";

impl Postgres {
    async fn written(&self, record: Record<'_>, until: Instant) -> Written {
        let mut phases = Phases::default();
        let opened = within(until, self.line(until, &mut phases)).await;
        // Where this failed, nothing of the record was sent.
        let mut line = match opened {
            Ok(line) => line,
            Err(why) => return Written::Refused(why.into()),
        };
        let insert = rows::insert(record.key, record.value);
        let Ok(answer) = timeout_at(until, line.ask(&insert)).await else {
            return Written::Unknown(Cause::Timeout);
        };
        match answer {
            Ok(answer) => {
                self.done(line);
                if answer.warned {
                    return Written::Unknown(Cause::Store(Told::Warning));
                }
                let rows = answer.messages.iter().find_map(|message| match message {
                    SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
                    _ => None,
                });
                if rows == Some(1) { Written::Acked } else { Written::Unknown(Cause::Protocol) }
            }
            Err(why) => {
                let cause = Cause::from(errors::failure(&why));
                match why.as_db_error() {
                    Some(said) if said.code().code() == DUPLICATE && record.attempt > 0 => Written::Acked,
                    // Something between sent it twice, or the key is another's.
                    Some(said) if said.code().code() == DUPLICATE => {
                        Written::Unknown(Cause::Store(Told::Exists))
                    }
                    Some(said) if errors::certain(said) => Written::Refused(cause),
                    _ => Written::Unknown(cause),
                }
            }
        }
    }

    /// Makes the table, if it is not there.
    async fn made(&self, until: Instant) -> Result<(), Failure> {
        let mut tried_again = false;
        loop {
            let mut line = self.line(until, &mut Phases::default()).await?;
            let there = line.ask(rows::IS_THERE).await.map_err(|why| errors::failure(&why))?;
            // A user who may not make tables is enough where the table is there.
            if there.first.as_deref() == Some("t") {
                line.close();
                return Ok(());
            }
            match line.ask(rows::MAKE).await {
                Ok(_) => {
                    // Writes may be made on another runtime. This connection would not live there.
                    line.close();
                    return Ok(());
                }
                // Another vantage made it in the same moment.
                Err(why) if !tried_again && why.code().is_some_and(|code| code.code() == DUPLICATE) => {
                    tried_again = true;
                }
                Err(why) => return Err(errors::failure(&why)),
            }
        }
    }

    async fn read(
        &self,
        prefix: &str,
        until: Instant,
        each: &mut (dyn FnMut(Found) + Send),
    ) -> Result<(), Failure> {
        let mut line = self.open_authority(&self.servers, until).await?;
        let mut after: Option<String> = None;
        loop {
            let answer = line.ask(&rows::page(prefix, after.as_deref())).await;
            let answer = answer.map_err(|why| errors::failure(&why))?;
            let mut count = 0;
            for message in &answer.messages {
                let SimpleQueryMessage::Row(row) = message else { continue };
                let key = row.try_get(0).ok().flatten().ok_or(Cause::Protocol)?;
                let value = row.try_get(1).ok().flatten().and_then(|text| text.parse().ok());
                each(Found { key: key.to_owned(), value: value.ok_or(Cause::Protocol)? });
                after = Some(key.to_owned());
                count += 1;
            }
            if count < rows::PAGE {
                // The server may have been demoted meanwhile. Then the pages say nothing about the store.
                line.must_be(PostgresRole::Primary).await?;
                line.close();
                return Ok(());
            }
        }
    }
}

impl Store for Postgres {
    fn prepare(&self, until: Instant) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(within(until, self.made(until)))
    }

    fn write<'a>(&'a self, record: Record<'a>, until: Instant) -> BoxFuture<'a, Written> {
        Box::pin(self.written(record, until))
    }

    fn read_back<'a>(
        &'a self,
        prefix: &'a str,
        until: Instant,
        each: &'a mut (dyn FnMut(Found) + Send),
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(within(until, self.read(prefix, until, each)))
    }
}
