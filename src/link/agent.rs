//! An agent, and its calls with a single answer. A call that may have arrived is never repeated here, except an undo.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use firedrill_wire::{
    RefusalCode, RunId,
    api::{
        AgentStatus, Arm, Armed, Clock, Doctor, EndState, Prepare, PrepareAnswer, Problem, Renew, Renewed,
        StartProbes, Undo, UndoAnswer,
    },
    exchange::{Exchange, Exchanged},
    logs::StartLogs,
    text::{self, Breaks, TEXT_MOST, cleaned},
    writes::ReadBacks,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Incoming, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{
    LinkError,
    channel::{Channel, Fate, Route, server_name},
    identity::Identity,
    way::Persistence,
};
use crate::plan::model::Host;

/// Time-out of most calls.
pub(super) const USUAL: Duration = Duration::from_secs(5);
/// Time-out of an undo: an agent tries for its `undo_budget`, and waits until a service is up.
const UNDO: Duration = Duration::from_secs(130);
/// Maximum number of repetitions of an undo whose answer was lost.
const UNDO_AGAIN: u32 = 3;
/// Time-out of a comparison of the host with its snapshot.
const COMPARE: Duration = Duration::from_secs(60);
/// Time-out of a comparison of write records with their stores: two passes of a minute, and the time between.
const READ_BACK: Duration = Duration::from_secs(150);
/// Maximum size of an answer, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// The agent of a host. Cheap to clone; clones share their connections, which end when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Agent(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: Arc<Route>,
    /// The connection for calls with a single answer.
    commands: Channel,
    /// The connection for streams.
    streams: Channel,
}

/// An answer without content.
#[derive(Deserialize)]
struct Empty {}

/// A call to an agent, without its body.
struct Call {
    /// The name in errors.
    name: &'static str,
    method: Method,
    path: String,
    /// The time-out.
    limit: Duration,
    /// Whether the call leads to harm. Then it is refused if the agent's certificate has expired or revocations are unknown.
    harm: bool,
    /// The time for which opening a link is retried.
    persistence: Persistence,
}

impl Call {
    fn get(name: &'static str, path: impl Into<String>) -> Self {
        let (method, persistence) = (Method::GET, Persistence::Usual);
        Self { name, method, path: path.into(), limit: USUAL, harm: false, persistence }
    }
    fn post(name: &'static str, path: impl Into<String>) -> Self {
        Self { method: Method::POST, ..Self::get(name, path) }
    }
    fn harming(self) -> Self {
        Self { harm: true, ..self }
    }
    fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
    fn persistent(self) -> Self {
        Self { persistence: Persistence::Undo, ..self }
    }
}

/// Returns the path of a resource of a run.
fn of_run(run: &RunId, resource: &str) -> String {
    format!("/v1/runs/{run}/{resource}")
}

impl Agent {
    /// Creates an agent without a connection.
    #[must_use]
    pub fn new(host: &Host, identity: Arc<Identity>) -> Self {
        let (reach, via) = (host.agent.clone(), host.via.clone());
        let route = Arc::new(Route { host: host.name.clone(), reach, via, identity });
        Self(Arc::new(Inner { route, commands: Channel::default(), streams: Channel::default() }))
    }

    /// Returns the host's name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.route.host
    }

    /// Returns the host's open injections.
    ///
    /// # Errors
    /// [`LinkError`], as all calls.
    pub async fn status(&self) -> Result<AgentStatus, LinkError> {
        self.ask(Call::get("status", "/v1/status")).await
    }

    /// Returns the host's clocks.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn clock(&self) -> Result<Clock, LinkError> {
        self.ask(Call::get("clock", "/v1/clock")).await
    }

    /// Returns the host's capabilities.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn doctor(&self) -> Result<Doctor, LinkError> {
        self.ask(Call::get("doctor", "/v1/doctor").within(Duration::from_secs(15))).await
    }

    /// Returns the effects that faults would have. Waits up to 15 s, because hosts look up many things.
    ///
    /// # Errors
    /// [`LinkError`]; a refusal of a single injection is in the answer.
    pub async fn prepare(&self, run: &RunId, prepare: &Prepare) -> Result<PrepareAnswer, LinkError> {
        let call = Call::post("prepare", of_run(run, "prepare")).within(Duration::from_secs(15));
        self.tell(call.harming(), prepare).await
    }

    /// Arms prepared injections. After an error other than a refusal they may be armed or not, so undo them.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn arm(&self, run: &RunId, arm: &Arm) -> Result<Armed, LinkError> {
        self.tell(Call::post("arm", of_run(run, "arm")).harming(), arm).await
    }

    /// Renews the run's lease.
    ///
    /// # Errors
    /// [`LinkError`]; the agent refuses if the lease has ended already.
    pub async fn renew(&self, run: &RunId, renew: &Renew) -> Result<Renewed, LinkError> {
        self.tell(Call::post("renew", of_run(run, "renew")), renew).await
    }

    /// Undoes faults and waits until that is done. Retries to open a link longer than any other call.
    ///
    /// # Errors
    /// [`LinkError`]; the state is unknown then, and repeating the call is safe.
    pub async fn undo(&self, undo: &Undo) -> Result<UndoAnswer, LinkError> {
        self.tell(Call::post("undo", "/v1/undo").within(UNDO).persistent(), undo).await
    }

    /// Undoes faults as [`Self::undo`] does. If the link breaks under the call, which loses the answer, calls again, three times at most.
    /// Also returns whether it called again: then the answer lacks faults that earlier calls have undone.
    ///
    /// # Errors
    /// As [`Self::undo`].
    pub async fn undo_until_answered(&self, undo: &Undo) -> Result<(UndoAnswer, bool), LinkError> {
        let mut again = 0;
        loop {
            match self.undo(undo).await {
                Err(LinkError::Broken { .. }) if again < UNDO_AGAIN => again += 1,
                answer => return answer.map(|answer| (answer, again > 0)),
            }
        }
    }

    /// Ends a halt.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn release(&self) -> Result<(), LinkError> {
        let Empty {} =
            self.tell(Call::post("release", "/v1/release").harming(), &serde_json::json!({})).await?;
        Ok(())
    }

    /// Compares the host with its snapshot from before the run; waits up to 60 s.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn finish(&self, run: &RunId) -> Result<EndState, LinkError> {
        self.tell(Call::post("finish", of_run(run, "finish")).within(COMPARE), &serde_json::json!({})).await
    }

    /// Starts probes; replaces existing probes of the run.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn start_probes(&self, run: &RunId, start: &StartProbes) -> Result<(), LinkError> {
        let Empty {} = self.tell(Call::post("start probes", of_run(run, "probes")).harming(), start).await?;
        Ok(())
    }

    /// Compares what probes of the run wrote with what is in their stores; waits for that.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn read_back(&self, run: &RunId) -> Result<ReadBacks, LinkError> {
        let call = Call::post("read back", of_run(run, "read-back")).within(READ_BACK).harming();
        self.tell(call, &serde_json::json!({})).await
    }

    /// Stops probes; their measurements can still be read.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn stop_probes(&self, run: &RunId) -> Result<(), LinkError> {
        let call = Call { method: Method::DELETE, ..Call::get("stop probes", of_run(run, "probes")) };
        let Empty {} = self.ask(call).await?;
        Ok(())
    }

    /// Starts to read logs; replaces those of the run that are read.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn start_logs(&self, run: &RunId, start: &StartLogs) -> Result<(), LinkError> {
        let Empty {} = self.tell(Call::post("read logs", of_run(run, "logs")).harming(), start).await?;
        Ok(())
    }

    /// Stops to read logs; what was read can still be fetched.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn stop_logs(&self, run: &RunId) -> Result<(), LinkError> {
        let call = Call { method: Method::DELETE, ..Call::get("stop logs", of_run(run, "logs")) };
        let Empty {} = self.ask(call).await?;
        Ok(())
    }

    /// Exchanges packets with another host; waits until the exchange is over.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn exchange(&self, run: &RunId, ask: &Exchange) -> Result<Exchanged, LinkError> {
        let limit = Duration::from(ask.takes()) + USUAL;
        self.tell(Call::post("exchange", of_run(run, "exchange")).within(limit).harming(), ask).await
    }

    /// Calls without a body.
    async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, LinkError> {
        self.call(call, Bytes::new()).await
    }

    /// Calls with a JSON body.
    async fn tell<T: DeserializeOwned>(&self, call: Call, body: &impl Serialize) -> Result<T, LinkError> {
        let body = serde_json::to_vec(body).map_err(|error| self.nonsense(call.name, error.to_string()))?;
        self.call(call, body.into()).await
    }

    /// Sends a call, and reads its answer.
    async fn call<T: DeserializeOwned>(&self, call: Call, body: Bytes) -> Result<T, LinkError> {
        let mut request = self.request(call.name, call.method.clone(), &call.path, body)?;
        let mut tries = 0;
        loop {
            let live = self.0.commands.live(&self.0.route, call.persistence).await?;
            if call.harm {
                live.check_harm(&self.0.route)?;
            }
            let exchange = async {
                let (response, fate) = live.send(&self.0.route, call.name, request).await?;
                self.whole(call.name, response, &fate).await.map_err(|error| (error, None))
            };
            match timeout(call.limit, exchange).await {
                Ok(Ok(whole)) => {
                    return text::from_json(&whole, Breaks::None)
                        .map_err(|error| self.nonsense(call.name, error.to_string()));
                }
                // The connection had ended before the request was sent, so the request is sent once more, on a new connection.
                Ok(Err((_, Some(unsent)))) if tries == 0 => {
                    tries += 1;
                    request = unsent;
                }
                Ok(Err((error, _))) => return Err(error),
                Err(_) => return Err(self.late(call.name, call.limit)),
            }
        }
    }

    /// Makes a request. The error is that the host's name cannot be verified by TLS, or that the path is invalid.
    pub(super) fn request(
        &self,
        call: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, LinkError> {
        // The name is checked first, because the error about a name is clearer than the one about an invalid address.
        server_name(&self.0.route)?;
        let builder = Request::builder().method(method).uri(format!("https://{}{path}", self.host()));
        let json = "application/json";
        let builder = if body.is_empty() { builder } else { builder.header(header::CONTENT_TYPE, json) };
        builder.body(Full::new(body)).map_err(|error| self.nonsense(call, error.to_string()))
    }

    /// Opens a stream on the connection for streams. The head of the answer must arrive within the usual time-out.
    pub(super) async fn open(&self, call: &str, path: &str) -> Result<(Response<Incoming>, Fate), LinkError> {
        let mut request = self.request(call, Method::GET, path, Bytes::new())?;
        let mut tries = 0;
        loop {
            let live = self.0.streams.live(&self.0.route, Persistence::Usual).await?;
            let opened = async {
                let (response, fate) = live.send(&self.0.route, call, request).await?;
                if response.status().is_success() {
                    return Ok((response, fate));
                }
                let error = match self.whole(call, response, &fate).await {
                    Err(error) => error,
                    Ok(_) => self.nonsense(call, "a refusal without a reason".to_owned()),
                };
                Err((error, None))
            };
            match timeout(USUAL, opened).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err((_, Some(unsent)))) if tries == 0 => {
                    tries += 1;
                    request = unsent;
                }
                Ok(Err((error, _))) => return Err(error),
                Err(_) => return Err(self.late(call, USUAL)),
            }
        }
    }

    /// Returns the body of a successful answer; any other answer is a refusal. An answer that has arrived completely
    /// counts even if its stream breaks: an agent may answer before it has read the request, and then close both.
    async fn whole(&self, call: &str, response: Response<Incoming>, fate: &Fate) -> Result<Bytes, LinkError> {
        let status = response.status();
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let mut body = response.into_body();
        let mut whole = BytesMut::new();
        let broken = loop {
            if length == Some(whole.len()) {
                break None;
            }
            match body.frame().await {
                None => break None,
                Some(Err(error)) => break Some(error),
                Some(Ok(frame)) => whole.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            }
            if whole.len() > LONGEST_ANSWER {
                return Err(self.nonsense(call, format!("more than {LONGEST_ANSWER} bytes")));
            }
        };
        if status.is_success() {
            return match broken {
                None => Ok(whole.freeze()),
                Some(error) => Err(fate.error(&self.0.route, call, &error).await),
            };
        }
        let problem = match (text::from_json::<Problem>(&whole, Breaks::None), broken) {
            (Ok(problem), _) => problem,
            // The status says that the agent refused, although the text of the refusal was lost.
            (Err(_), Some(error)) => Problem {
                code: RefusalCode::Unread,
                title: format!("its reason was lost: {}", fate.error(&self.0.route, call, &error).await),
                hint: "ask again, or look into the agent's log".to_owned(),
            },
            (Err(error), None) => {
                return Err(self.nonsense(call, format!("status {status} without a reason ({error})")));
            }
        };
        let (host, call) = (self.host().to_owned(), call.to_owned());
        Err(LinkError::Refused { host, call, status: status.as_u16(), problem })
    }

    /// Returns the way to the agent.
    pub(super) fn route(&self) -> &Route {
        &self.0.route
    }

    /// The error that an answer is not understood.
    pub(super) fn nonsense(&self, call: &str, why: String) -> LinkError {
        let why = cleaned(why, TEXT_MOST);
        LinkError::Protocol { host: self.host().to_owned(), call: call.to_owned(), why }
    }

    /// The error that the link broke under the call.
    pub(super) fn broken(&self, call: &str, why: String) -> LinkError {
        let why = cleaned(why, TEXT_MOST);
        LinkError::Broken { host: self.host().to_owned(), call: call.to_owned(), why }
    }

    /// The error that there was no answer within `limit`.
    pub(super) fn late(&self, call: &str, limit: Duration) -> LinkError {
        LinkError::TimedOut { host: self.host().to_owned(), call: call.to_owned(), limit }
    }
}
