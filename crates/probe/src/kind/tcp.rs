//! A TCP connection that opens, plain or over TLS. With a wanted answer, something is sent if the probe says so, and the answer is read
//! until what is wanted is there.

use firedrill_wire::probe::{ProbeSpec, Refusal, TcpProbe, Wants};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use crate::{
    ask::{Ask, Due, Make, Means, resolver},
    clock::boot_us,
    connect::Connector,
    handshake::failure,
    outcome::{Cause, Failure, Phases},
    server::{Server, Stream},
    tls,
};

/// A TCP probe.
struct Tcp {
    server: Server,
    sends: Vec<u8>,
    wants: Option<Wants>,
}

impl Make for TcpProbe {
    fn make(&self, spec: &ProbeSpec, means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let parsed = self.checked()?;
        let resolver = resolver(spec, parsed.host, parsed.port)?;
        let tls = tls::handshake(parsed.name, self.ca_file.as_deref(), &[], means.reads)?;
        let server = Server { connector: Connector::new(resolver, spec.rate), tls };
        Ok(Box::new(Tcp { server, sends: parsed.sends, wants: parsed.wants }))
    }
}

impl Ask for Tcp {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(self.once(until))
    }
}

impl Tcp {
    /// Asks once. The request is good once the connection is open, and the wanted answer is there.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let stream = self.server.open(until, &mut phases).await?;
        self.converse(stream, &mut phases).await?;
        Ok(phases)
    }

    async fn converse(&self, mut stream: Box<dyn Stream>, phases: &mut Phases) -> Result<(), Failure> {
        let Some(wants) = &self.wants else { return Ok(()) };
        let begun = boot_us();
        stream.write_all(&self.sends).await.map_err(|why| failure(&why))?;
        stream.flush().await.map_err(|why| failure(&why))?;
        let mut answer = Vec::new();
        let mut most = stream.take(TcpProbe::ANSWER_MOST as u64);
        loop {
            let before = answer.len();
            let read = most.read_buf(&mut answer).await.map_err(|why| failure(&why))?;
            if read == 0 {
                // Nothing at all is a connection that was cut; half an answer is another answer.
                return Err(if before == 0 { Cause::Reset } else { Cause::Answer }.into());
            }
            if before == 0 {
                phases.first_byte = boot_us() - begun;
            }
            if is_there(wants, &answer, before) {
                return Ok(());
            }
        }
    }
}

/// Whether an answer has what is wanted. All of it but the bytes from `new` on has been searched already.
fn is_there(wants: &Wants, answer: &[u8], new: usize) -> bool {
    match wants {
        Wants::Text(text) => {
            let from = new.saturating_sub(text.len());
            answer.get(from..).unwrap_or_default().windows(text.len()).any(|part| part == text.as_slice())
        }
        Wants::Pattern(pattern) => pattern.is_match(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_the_answer_was_cut() {
        let answer = b"+OK\r\nMode: leader\r\n";
        let wants = Wants::Text(b"Mode: ".to_vec());
        for cut in 0..answer.len() {
            let first = is_there(&wants, &answer[..cut], 0);
            assert!(first || is_there(&wants, answer, cut), "{cut}");
            assert_eq!(first, cut >= 11, "{cut}");
        }
        assert!(!is_there(&Wants::Text(b"mode".to_vec()), answer, 0));
    }
}
