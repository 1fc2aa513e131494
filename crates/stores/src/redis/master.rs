//! The master. Sentinels name it, each from what it has heard, so several are asked, and the server itself has the last word.

use std::{collections::BTreeSet, net::SocketAddr};

use firedrill_probe::client::{Cause, Failure, Phases, Told};
use firedrill_wire::probe::RedisRole;
use redis::{Value, cmd};
use tokio::time::Instant;

use super::{Redis, Sentinels, errors, line::Line};
use crate::servers::{Server, shares, telling, within};

impl Redis {
    /// Returns a connection to the master: the first one that a sentinel names and that says so itself.
    pub(super) async fn master(&self, until: Instant, phases: &mut Phases) -> Result<Line, Failure> {
        let Some(sentinels) = &self.sentinels else { return Err(Told::NoMaster.into()) };
        let mut asked = BTreeSet::new();
        let mut why = Failure::from(Cause::Unreachable);
        for (sentinel, share) in shares(&sentinels.servers, until) {
            let mut own = Phases::default();
            let tried = within(share, async {
                let address = sentinels.named(sentinel, share).await?;
                // An earlier sentinel named it, and it is not the master.
                if !asked.insert(address) {
                    return Ok(None);
                }
                let server = self.of(address).await.ok_or(Failure::from(Told::OtherMaster))?;
                self.opened(server, RedisRole::Master, share, &mut own).await.map(Some)
            });
            match tried.await {
                Ok(Some(line)) => {
                    *phases = own;
                    return Ok(line);
                }
                Ok(None) => {}
                Err(other) => why = telling(why, other),
            }
        }
        Err(why)
    }

    /// Returns the server of an address that a sentinel named; `None` if it is none of the probe's.
    async fn of(&self, address: SocketAddr) -> Option<&Server> {
        for server in &self.servers {
            if server.connector.addresses().await.is_ok_and(|all| all.contains(&address)) {
                return Some(server);
            }
        }
        None
    }

    /// Returns a connection to the one server that says it is the master, or to the one that sentinels name. Servers that are not there do not
    /// count.
    pub(super) async fn authority(&self, until: Instant) -> Result<Line, Failure> {
        if self.sentinels.is_some() {
            return self.master(until, &mut Phases::default()).await;
        }
        let mut master = None;
        let mut why = Failure::Bad(Cause::Unreachable);
        for (server, share) in shares(&self.servers, until) {
            let mut phases = Phases::default();
            let opened = self.opened(server, RedisRole::Master, share, &mut phases);
            match within(share, opened).await {
                Ok(_) if master.is_some() => return Err(Told::SeveralPrimaries.into()),
                Ok(line) => master = Some(line),
                Err(other) => why = telling(why, other),
            }
        }
        master.ok_or(why)
    }
}

impl Sentinels {
    /// Asks one sentinel for the master's address.
    async fn named(&self, sentinel: &Server, until: Instant) -> Result<SocketAddr, Failure> {
        let mut line = Line::open(sentinel, self.login.as_ref(), until, &mut Phases::default()).await?;
        let mut question = cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&self.master);
        let answer = line.ask(&question).await.map_err(|why| errors::failure(&why))?;
        if answer == Value::Nil {
            return Err(Told::NoMaster.into());
        }
        let Value::Array(parts) = answer else { return Err(Cause::Protocol.into()) };
        let [Value::BulkString(host), Value::BulkString(port)] = parts.as_slice() else {
            return Err(Cause::Protocol.into());
        };
        let (host, port) = (String::from_utf8_lossy(host), String::from_utf8_lossy(port));
        // A sentinel that resolves host names may name one; then only the probe's own addresses can tell which it is.
        let host = host.parse().map_err(|_| Failure::from(Told::OtherMaster))?;
        let port = port.parse().map_err(|_| Failure::from(Cause::Protocol))?;
        Ok(SocketAddr::new(host, port))
    }
}
