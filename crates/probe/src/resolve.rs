//! Finds the addresses of a name: those that the fleet gives, else those that this machine's resolver gives. It is asked for every connection.
//!
//! No answer is remembered: users' resolvers differ, and a name that moves is part of what is measured.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use firedrill_wire::probe::given;
use futures_util::{FutureExt, future::Shared};
use tokio::sync::oneshot;

use crate::{
    clock::boot_us,
    outcome::{Cause, Failure, Phases, of_io},
};

/// Requests that come within this time of a question share its answer.
const SHARE: Duration = Duration::from_millis(50);

/// Maximum number of questions that are open at once. When the resolver hangs, later requests share the newest question.
const MOST_OPEN: usize = 16;

type Answer = Result<Arc<[SocketAddr]>, Failure>;

/// The destination of a probe.
#[derive(Debug)]
pub struct Resolver {
    host: String,
    port: u16,
    fixed: Option<Arc<[SocketAddr]>>,
    open: Mutex<Vec<(Instant, Shared<oneshot::Receiver<Answer>>)>>,
}

impl Resolver {
    /// Returns the destination of a host and port; `None` where `names` has the host without an address. `host` is a name, or an address without
    /// brackets.
    #[must_use]
    pub fn new(host: &str, port: u16, names: &BTreeMap<String, Vec<IpAddr>>) -> Option<Self> {
        let known = given(host, names);
        if known.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let fixed =
            known.map(|list| list.into_iter().map(|address| SocketAddr::new(address, port)).collect());
        Some(Self { host: host.to_owned(), port, fixed, open: Mutex::default() })
    }

    /// Returns the addresses that the fleet gives; `None` if this machine's resolver is asked.
    pub(crate) fn known(&self) -> Option<&[SocketAddr]> {
        self.fixed.as_deref()
    }

    /// Returns the addresses, in the resolver's order; at least one.
    ///
    /// # Errors
    /// The name could not be looked up.
    pub async fn addresses(&self) -> Result<Arc<[SocketAddr]>, Failure> {
        if let Some(fixed) = &self.fixed {
            return Ok(Arc::clone(fixed));
        }
        // The question is a task of its own, so that it outlives a request that gives up and is not asked twice.
        self.question().await.unwrap_or(Err(Failure::Vantage))
    }

    /// Returns the addresses as [`Resolver::addresses`] does, and notes the time that the resolver took.
    pub(crate) async fn timed(&self, phases: &mut Phases) -> Answer {
        let begun = boot_us();
        let addresses = self.addresses().await?;
        if self.fixed.is_none() {
            phases.resolve = boot_us() - begun;
        }
        Ok(addresses)
    }

    fn question(&self) -> Shared<oneshot::Receiver<Answer>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, answer)| answer.peek().is_none());
        if let Some((asked, answer)) = open.last()
            && (asked.elapsed() < SHARE || open.len() >= MOST_OPEN)
        {
            return answer.clone();
        }
        let (tell, told) = oneshot::channel();
        let (host, port) = (self.host.clone(), self.port);
        tokio::spawn(async move {
            // Nobody may be waiting any more.
            let _ = tell.send(look_up(&host, port).await);
        });
        let told = told.shared();
        open.push((Instant::now(), told.clone()));
        told
    }
}

async fn look_up(host: &str, port: u16) -> Answer {
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => {
            let found: Arc<[SocketAddr]> = found.collect();
            if found.is_empty() { Err(Cause::Dns.into()) } else { Ok(found) }
        }
        Err(why) => Err(match of_io(&why) {
            Failure::Vantage => Failure::Vantage,
            Failure::Bad(_) => Cause::Dns.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_fleet_goes_first() {
        let names = BTreeMap::from([
            ("Edge".to_owned(), vec!["192.0.2.7".parse().unwrap()]),
            ("none".to_owned(), vec![]),
        ]);
        let edge = Resolver::new("edge", 80, &names).unwrap();
        assert_eq!(edge.addresses().await.unwrap().as_ref(), ["192.0.2.7:80".parse().unwrap()]);
        assert!(Resolver::new("none", 80, &names).is_none());
        assert!(Resolver::new("elsewhere", 80, &names).unwrap().known().is_none());
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_a_dns_failure() {
        let lost = Resolver::new("no-such-host.invalid", 80, &BTreeMap::new()).unwrap();
        let (one, two) = tokio::join!(lost.addresses(), lost.addresses());
        assert_eq!((one, two), (Err(Cause::Dns.into()), Err(Cause::Dns.into())));
    }
}
