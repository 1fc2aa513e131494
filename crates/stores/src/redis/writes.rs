//! Redis as a store of numbered records: a key each.

use std::collections::HashSet;

use firedrill_probe::{
    client::{Cause, Failure, Phases, Told},
    writes::store::{Found, Record, Store, Written},
};
use firedrill_wire::probe::RedisRole;
use futures_util::future::BoxFuture;
use redis::{Value, cmd};
use tokio::time::{Instant, timeout_at};

use super::{Redis, errors, line::Line};
use crate::servers::{HasAuthority as _, within};

/// The keys that are looked at, or read, at a time.
const PAGE: usize = 1000;

impl Redis {
    async fn written(&self, record: Record<'_>, until: Instant) -> Written {
        let mut phases = Phases::default();
        let opened = within(until, self.line(until, &mut phases)).await;
        // Where this failed, nothing of the record was sent.
        let mut line = match opened {
            Ok(line) => line,
            Err(why) => return Written::Refused(why.into()),
        };
        let mut set = cmd("SET");
        set.arg(record.key).arg(record.value).arg("NX");
        let Ok(answer) = timeout_at(until, line.ask(&set)).await else {
            return Written::Unknown(Cause::Timeout);
        };
        match answer {
            Ok(Value::Okay) => {
                drop(self.kept.keep(line));
                Written::Acked
            }
            Ok(Value::Nil) => {
                drop(self.kept.keep(line));
                // At the first attempt something between sent it twice, or the key is another's.
                if record.attempt > 0 { Written::Acked } else { Written::Unknown(Cause::Store(Told::Exists)) }
            }
            Ok(_) => Written::Unknown(Cause::Protocol),
            Err(why) => {
                let cause = errors::failure(&why).into();
                if errors::certain(&why) { Written::Refused(cause) } else { Written::Unknown(cause) }
            }
        }
    }

    async fn read(
        &self,
        prefix: &str,
        until: Instant,
        each: &mut (dyn FnMut(Found) + Send),
    ) -> Result<(), Failure> {
        // Not the master that a sentinel names: with two masters nobody knows which of them will stay.
        let mut line = self.open_authority(&self.servers, until).await?;
        let pattern = format!("{}*", literal(prefix));
        // While the table of keys grows or shrinks, a scan may give a key twice.
        let mut seen = HashSet::new();
        let mut cursor = b"0".to_vec();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(PAGE);
            let answer = line.ask(&scan).await.map_err(|why| errors::failure(&why))?;
            let (next, keys) = page(answer).ok_or(Cause::Protocol)?;
            let new: Vec<Vec<u8>> = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
            for keys in new.chunks(PAGE) {
                values(&mut line, keys, each).await?;
            }
            if next == b"0" {
                // The server may have been demoted meanwhile. Then the pages say nothing about the store.
                return line.must_be(RedisRole::Master).await;
            }
            cursor = next;
        }
    }
}

/// Reads the values of keys.
async fn values(
    line: &mut Line,
    keys: &[Vec<u8>],
    each: &mut (dyn FnMut(Found) + Send),
) -> Result<(), Failure> {
    let mut get = cmd("MGET");
    for key in keys {
        get.arg(key);
    }
    let answer = line.ask(&get).await.map_err(|why| errors::failure(&why))?;
    let Value::Array(values) = answer else { return Err(Cause::Protocol.into()) };
    if values.len() != keys.len() {
        return Err(Cause::Protocol.into());
    }
    for (key, value) in keys.iter().zip(values) {
        let Ok(key) = String::from_utf8(key.clone()) else { return Err(Cause::Protocol.into()) };
        match value {
            Value::BulkString(text) => {
                let value = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                each(Found { key, value: value.ok_or(Cause::Protocol)? });
            }
            // The key went away since it was scanned.
            Value::Nil => {}
            _ => return Err(Cause::Protocol.into()),
        }
    }
    Ok(())
}

/// Returns the next cursor and the keys of a page.
fn page(answer: Value) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(cursor), Value::Array(keys)] = <[Value; 2]>::try_from(parts).ok()? else {
        return None;
    };
    let keys = keys.into_iter().map(|key| if let Value::BulkString(key) = key { Some(key) } else { None });
    Some((cursor, keys.collect::<Option<_>>()?))
}

/// Returns a pattern that matches that text only.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if "*?[]\\^".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

impl Store for Redis {
    /// Opens a connection and nothing else, because keys need no table. Whether the server takes writes is seen at the first write.
    fn prepare(&self, until: Instant) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let mut phases = Phases::default();
            let line = within(until, self.line(until, &mut phases)).await;
            line.map(drop)
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(literal("r1:v[0]*?\\^:"), r"r1:v\[0\]\*\?\\\^:");
    }
}
