//! Streaming calls: the events that an agent journals, and the bins of its probes.
//!
//! Each stream lasts as long as its connection. The items are numbered. The caller starts the next stream after the last number that it has
//! seen, so that nothing is lost or seen twice.

use std::time::Duration;

use firedrill_wire::{
    RunId,
    api::END,
    journal::AgentEvent,
    logs::LogBin,
    probe::Bin,
    text::{self, Breaks},
};
use futures_util::{Stream, stream};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{Agent, LinkError, channel::Fate, sse::Parser};

/// Time without any data after which a stream counts as broken. Agents send something every second, at least a keep-alive.
const SILENCE: Duration = Duration::from_secs(10);

impl Agent {
    /// Streams the events after number `after`, then those to come. Ends after an error, which means that the link broke.
    pub fn events(&self, after: u64) -> impl Stream<Item = Result<AgentEvent, LinkError>> + Send + use<> {
        self.follow("events", format!("/v1/events?after={after}"), after, |event: &AgentEvent| event.seq)
    }

    /// Streams the bins of a run after number `after`, then those to come. Ends without an error only when the run's
    /// probes have stopped and everything was read.
    pub fn bins(&self, run: &RunId, after: u64) -> impl Stream<Item = Result<Bin, LinkError>> + Send + use<> {
        self.follow("bins", format!("/v1/runs/{run}/bins?after={after}"), after, |bin: &Bin| bin.seq)
    }

    /// Streams the bins of a run's logs after number `after`, then those to come. Ends without an error only when the agent reads no more logs
    /// and everything was sent.
    pub fn log_bins(
        &self,
        run: &RunId,
        after: u64,
    ) -> impl Stream<Item = Result<LogBin, LinkError>> + Send + use<> {
        self.follow("log bins", format!("/v1/runs/{run}/log-bins?after={after}"), after, |bin: &LogBin| {
            bin.seq
        })
    }

    /// Streams the items of `path` with numbers above `after`; `seq` returns the number of an item. Ends after an error.
    fn follow<T: DeserializeOwned + Send + 'static>(
        &self,
        call: &'static str,
        path: String,
        after: u64,
        seq: fn(&T) -> u64,
    ) -> impl Stream<Item = Result<T, LinkError>> + Send + use<T> {
        let reader = Reader { agent: self.clone(), call, path, seq, last: after, state: State::New };
        stream::unfold(reader, |mut reader| async move {
            let item = reader.next().await.transpose()?;
            if item.is_err() {
                reader.state = State::Over;
            }
            Some((item, reader))
        })
    }
}

/// Reads the items of a stream.
struct Reader<T> {
    agent: Agent,
    call: &'static str,
    path: String,
    seq: fn(&T) -> u64,
    /// The number of the last item that was returned.
    last: u64,
    state: State,
}

/// The state of a stream.
enum State {
    /// The call was not sent yet.
    New,
    Open {
        body: Incoming,
        fate: Fate,
        parser: Parser,
    },
    Over,
}

impl<T: DeserializeOwned> Reader<T> {
    /// Returns the next item; `None` at the end.
    async fn next(&mut self) -> Result<Option<T>, LinkError> {
        loop {
            let (body, fate, parser) = match &mut self.state {
                State::Over => return Ok(None),
                State::Open { body, fate, parser } => (body, fate, parser),
                State::New => {
                    let (response, fate) = self.agent.open(self.call, &self.path).await?;
                    self.state = State::Open { body: response.into_body(), fate, parser: Parser::default() };
                    continue;
                }
            };
            // Items with numbers that were seen before are skipped.
            while let Some(event) = parser.next() {
                if event.kind == END {
                    self.state = State::Over;
                    return Ok(None);
                }
                let item: T = text::from_json(event.data.as_bytes(), Breaks::None)
                    .map_err(|error| self.agent.nonsense(self.call, error.to_string()))?;
                let seq = (self.seq)(&item);
                if seq > self.last {
                    self.last = seq;
                    return Ok(Some(item));
                }
            }
            let frame =
                timeout(SILENCE, body.frame()).await.map_err(|_| self.agent.late(self.call, SILENCE))?;
            match frame {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        parser.push(data).map_err(|why| self.agent.nonsense(self.call, why))?;
                    }
                }
                Some(Err(error)) => return Err(fate.error(self.agent.route(), self.call, &error).await),
                None => return Err(self.agent.broken(self.call, "the agent ended the stream".to_owned())),
            }
        }
    }
}
