//! An ICMP echo request, and the reply to it. Each request has a socket of its own: one of the kernel's sockets for echoes, or a raw one
//! where only that is allowed.

mod echo;

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU16, Ordering},
};

use firedrill_wire::probe::{Field, IcmpProbe, ProbeSpec, Refusal};
use futures_util::future::BoxFuture;
use rustix::net::{SocketType, ipproto};
use tokio::time::Instant;

use self::echo::{Echo, NOT_RAW, RAW};
use crate::{
    ask::{Ask, Due, Make, Means, resolver},
    clock::boot_us,
    connect::any,
    datagrams::{Datagrams, open},
    outcome::{Failure, Phases, of_io},
    resolve::Resolver,
};

/// Maximum length of the head of an IPv4 packet, which raw sockets receive, too, and of the head of an echo, in bytes.
const HEADS: usize = 60 + 8;

/// An ICMP probe.
struct Icmp {
    resolver: Resolver,
    size: usize,
    next: AtomicU16,
}

impl Make for IcmpProbe {
    fn make(&self, spec: &ProbeSpec, _means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let resolver = resolver(spec, &self.host, 0)?;
        permitted(&resolver).map_err(|refusal| vec![refusal])?;
        Ok(Box::new(Icmp { resolver, size: usize::from(self.size), next: AtomicU16::new(0) }))
    }
}

/// Refuses a machine that lets this process send to none of the addresses.
fn permitted(resolver: &Resolver) -> Result<(), Refusal> {
    let either = [SocketAddr::from(([127, 0, 0, 1], 0)), SocketAddr::from(([0_u16; 8], 0))];
    let addresses = resolver.known().unwrap_or(&either);
    let mut why = None;
    for address in addresses {
        match socket(*address) {
            Ok(_) => return Ok(()),
            Err(error) => why = Some(error),
        }
    }
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    let what = format!("this machine lets this process send no ICMP echo requests{why}");
    let help = "have sysctl net.ipv4.ping_group_range include its group, such as \"0 2147483647\", or give it CAP_NET_RAW; or probe from \
                another vantage";
    Err(Refusal::new(Field::request(&["host"]), what, "not allowed here", help))
}

/// Opens a socket for echoes to an address. Also returns whether it is a raw one.
fn socket(to: SocketAddr) -> io::Result<(OwnedFd, bool)> {
    let protocol = if to.is_ipv4() { ipproto::ICMP } else { ipproto::ICMPV6 };
    match open(to, SocketType::DGRAM, Some(protocol)) {
        Ok(socket) => Ok((socket, NOT_RAW)),
        // The first error is returned, because a limit of this process is the same for both kinds.
        Err(first) => {
            open(to, SocketType::RAW, Some(protocol)).map(|socket| (socket, RAW)).map_err(|_| first)
        }
    }
}

impl Ask for Icmp {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(self.once(until))
    }
}

impl Icmp {
    /// Asks once. The request is good once its own bytes have come back.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let addresses = self.resolver.timed(&mut phases).await?;
        let begun = boot_us();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let ask = |to| self.echo(to, number);
        any(&addresses, until, ask).await?;
        phases.first_byte = boot_us() - begun;
        Ok(phases)
    }

    async fn echo(&self, to: SocketAddr, number: u16) -> Result<(), Failure> {
        let (socket, raw) = socket(to).map_err(|why| match why.kind() {
            // A right that this process lacks says nothing about the other side.
            io::ErrorKind::PermissionDenied => Failure::Vantage,
            _ => of_io(&why),
        })?;
        let echoed = async {
            let socket = Datagrams::new(socket, to)?;
            let echo = Echo::new(to.is_ipv4(), number, self.size)?;
            socket.send(&echo.request)?;
            let mut room = vec![0; HEADS + self.size];
            loop {
                let length = socket.receive(&mut room).await?;
                if echo.is_answered_by(room.get(..length).unwrap_or_default(), raw) {
                    return io::Result::Ok(());
                }
            }
        };
        echoed.await.map_err(|why| of_io(&why))
    }
}
