//! The master. Sentinels name it, each from what it has heard, so several are asked, and the server itself has the last word.

use std::{collections::BTreeSet, net::SocketAddr};

use firedrill_probe::client::{Cause, Failure, Phases, Server, Told};
use redis::{Value, cmd};
use tokio::time::Instant;

use super::{Redis, Sentinels, errors, line::Line};
use crate::servers::{Opens as _, shares, telling, within};

impl Redis {
    /// Returns a connection to the master: the first one that a sentinel names and that says so itself.
    pub(super) async fn master(
        &self,
        sentinels: &Sentinels,
        until: Instant,
        phases: &mut Phases,
    ) -> Result<Line, Failure> {
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
                self.open(server, share, &mut own).await.map(Some)
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
        for server in self.servers.iter() {
            if server.connector.addresses().await.is_ok_and(|all| all.contains(&address)) {
                return Some(server);
            }
        }
        None
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
