//! Opens a connection to any one of a name's addresses within the time that is left. Never retries an address.

use std::net::SocketAddr;

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::{
    clock::boot_us,
    outcome::{Cause, Failure, Phases, of_io},
    resolve::Resolver,
};

/// The rate of new connections above which ports would soon be missing, in connections a second: each local port waits for a minute after
/// its connection.
const ABORT_ABOVE: f64 = 100.0;

/// The opening of a probe's connections.
#[derive(Debug)]
pub struct Connector {
    pub(crate) resolver: Resolver,
    /// Whether connections are closed by a reset.
    abort: bool,
}

impl Connector {
    /// `opened_each_second` is the number of new connections a second. At high rates they are closed by a reset once the answer was
    /// read, because each would otherwise hold a local port for a minute, and there are only 28,000.
    #[must_use]
    pub fn new(resolver: Resolver, opened_each_second: f64) -> Self {
        Self { resolver, abort: opened_each_second > ABORT_ABOVE }
    }

    /// Returns the addresses that would be tried; at least one.
    ///
    /// # Errors
    /// The name could not be looked up.
    pub async fn addresses(&self) -> Result<std::sync::Arc<[SocketAddr]>, Failure> {
        self.resolver.addresses().await
    }

    /// Opens a connection, and notes how long its phases took.
    ///
    /// # Errors
    /// No address could be had, or none took the connection in time.
    pub async fn open(&self, until: Instant, phases: &mut Phases) -> Result<TcpStream, Failure> {
        let addresses = self.resolver.timed(phases).await?;
        let begun = boot_us();
        let stream = any(&addresses, until, |address| async move {
            TcpStream::connect(address).await.map_err(|why| of_io(&why))
        })
        .await?;
        phases.connect = boot_us() - begun;
        let set = stream
            .set_nodelay(true)
            .and_then(|()| if self.abort { stream.set_zero_linger() } else { Ok(()) });
        set.map_err(|why| of_io(&why))?;
        Ok(stream)
    }
}

/// Tries one address after another, each for its share of the time that is left.
pub(crate) async fn any<T, F: Future<Output = Result<T, Failure>>>(
    addresses: &[SocketAddr],
    until: Instant,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, Failure> {
    let mut worst = Failure::Bad(Cause::Unreachable);
    for (at, address) in addresses.iter().enumerate() {
        let share = share(until, addresses.len() - at);
        worst = match timeout_at(share, attempt(*address)).await {
            Ok(Ok(had)) => return Ok(had),
            Ok(Err(why)) => telling(worst, why),
            Err(_) => telling(worst, Cause::Timeout.into()),
        };
    }
    Err(worst)
}

/// Returns the end of an equal share of the time until `until`. `left` is the number of those that are still to be tried.
#[must_use]
pub fn share(until: Instant, left: usize) -> Instant {
    let now = Instant::now();
    now + until.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

/// Returns the failure that says more, of two. A host without IPv6 finds every v6 address unreachable.
fn telling(one: Failure, other: Failure) -> Failure {
    let rank = |failure: &Failure| match failure {
        Failure::Bad(Cause::Unreachable) => 0,
        Failure::Vantage => 1,
        Failure::Bad(Cause::Refused) => 2,
        Failure::Bad(_) => 3,
    };
    if rank(&other) > rank(&one) { other } else { one }
}
