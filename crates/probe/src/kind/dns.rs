//! A question to a name server. A datagram is sent once; an answer that was cut to fit into one is asked for again by TCP.

mod answer;

use std::{io, net::SocketAddr};

use firedrill_wire::probe::{DnsProbe, DnsTransport, ProbeSpec, Refusal};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use self::answer::{Question, Wanted};
use crate::{
    ask::{Ask, Due, Make, Means, resolver},
    clock::boot_us,
    connect::{Connector, any},
    datagrams::Datagrams,
    outcome::{Cause, Failure, Phases, of_io},
};

/// The largest datagram that is read. Without EDNS, which is not asked for, none has more than 512 bytes.
const DATAGRAM_MOST: usize = 4096;

/// A DNS probe.
struct Dns {
    connector: Connector,
    transport: DnsTransport,
    question: Question,
    wanted: Wanted,
}

impl Make for DnsProbe {
    fn make(&self, spec: &ProbeSpec, _means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let parsed = self.checked()?;
        let resolver = resolver(spec, parsed.host, parsed.port)?;
        Ok(Box::new(Dns {
            connector: Connector::new(resolver, spec.rate),
            transport: self.transport,
            question: Question { name: parsed.name, record: self.record },
            wanted: Wanted { rcode: self.rcode, expect: parsed.expect, matching: self.matching },
        }))
    }
}

impl Ask for Dns {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(self.once(until))
    }
}

impl Dns {
    /// Asks once. The request is good once an answer to the question is there, and is the wanted one.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let id = random_id()?;
        let query = self.question.query(id).ok_or(Cause::Protocol)?;
        let answer = match self.transport {
            DnsTransport::Tcp => {
                let stream = self.connector.open(until, &mut phases).await?;
                self.by_tcp(stream, id, &query, &mut phases).await?
            }
            DnsTransport::Udp => {
                let addresses = self.connector.resolver.timed(&mut phases).await?;
                let begun = boot_us();
                let ask = |address| self.by_udp(address, id, &query);
                let (address, answer) = any(&addresses, until, ask).await?;
                phases.first_byte = boot_us() - begun;
                if answer::is_cut(&answer) {
                    let begun = boot_us();
                    let stream = TcpStream::connect(address).await.map_err(|why| of_io(&why))?;
                    phases.connect = boot_us() - begun;
                    self.by_tcp(stream, id, &query, &mut phases).await?
                } else {
                    answer
                }
            }
        };
        self.wanted.judge(&self.question, &answer)?;
        Ok(phases)
    }

    /// Sends a datagram, and waits for one that answers it. Others, such as late answers to somebody else, are ignored.
    async fn by_udp(
        &self,
        address: SocketAddr,
        id: u16,
        query: &[u8],
    ) -> Result<(SocketAddr, Vec<u8>), Failure> {
        let asked = async {
            let socket = Datagrams::udp(address)?;
            socket.send(query)?;
            let mut room = [0; DATAGRAM_MOST];
            loop {
                let length = socket.receive(&mut room).await?;
                let bytes = room.get(..length).unwrap_or_default();
                if self.question.is_answered_by(id, bytes) {
                    return io::Result::Ok(bytes.to_vec());
                }
            }
        };
        asked.await.map(|answer| (address, answer)).map_err(|why| of_io(&why))
    }

    /// Sends the question over a connection, and reads the answer, each behind its length in two bytes.
    async fn by_tcp(
        &self,
        mut stream: TcpStream,
        id: u16,
        query: &[u8],
        phases: &mut Phases,
    ) -> Result<Vec<u8>, Failure> {
        let begun = boot_us();
        let asked = async {
            let length = u16::try_from(query.len()).unwrap_or(u16::MAX);
            stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
            let length = stream.read_u16().await?;
            phases.first_byte += boot_us() - begun;
            let mut answer = vec![0; usize::from(length)];
            stream.read_exact(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let answer = asked.await.map_err(|why| of_io(&why))?;
        if self.question.is_answered_by(id, &answer) { Ok(answer) } else { Err(Cause::Protocol.into()) }
    }
}

/// Returns an id that nobody can guess without seeing the question.
fn random_id() -> Result<u16, Failure> {
    let mut bytes = [0; 2];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| Failure::Vantage)?;
    Ok(u16::from_be_bytes(bytes))
}
