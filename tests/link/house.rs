//! An authority, agents with a recorder behind them, and ways to talk to them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use firedrill::{
    link::{Agent, Identity},
    pki::{HostAsk, Issued, PersonAsk, Pki, Validity, ca_file},
    plan::model::{Host, Reach},
};
use firedrill_agent::{
    audit::Request,
    control::{Caller, Control, Feed, Trusted},
    serve::{Tls, serve},
};
use firedrill_probe::clock;
use firedrill_wire::{
    RunId, Span,
    api::{
        About, AgentStatus, Arm, ArmOne, Armed, Clock, Doctor, EndState, HostState, Prepare, PrepareAnswer,
        Prepared, PreparedOne, Problem, Renew, Renewed, StartProbes, Undo, UndoAnswer, UndoScope,
    },
    exchange::{Exchange, Exchanged, Way},
    identity::Role,
    journal::{AgentEvent, What},
    probe::Bin,
};
use futures_util::stream;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

pub(crate) const HOST: &str = "app-1";

/// An authority with the certificate of one host.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) pki: Pki,
}

impl House {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::init(dir.path()).unwrap();
        pki.issue_host(&HostAsk::new(HOST, 1)).unwrap();
        Self { dir, pki }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        ca_file(self.dir.path())
    }

    pub(crate) fn person(&self, name: &str, role: Role) -> Arc<Identity> {
        self.pki.issue_person(&PersonAsk::new(name, role, 1)).unwrap();
        self.identity(name)
    }

    pub(crate) fn expired_person(&self, name: &str, role: Role) -> Arc<Identity> {
        let valid = past();
        self.pki.issue_person(&PersonAsk { valid, ..PersonAsk::new(name, role, 1) }).unwrap();
        self.identity(name)
    }

    /// Without a revocation list of its own, which is the agent's business.
    pub(crate) fn identity(&self, name: &str) -> Arc<Identity> {
        let people = self.dir.path().join("people");
        let (cert, key) = (people.join(format!("{name}.pem")), people.join(format!("{name}.key")));
        Arc::new(Identity::from_files(name, &cert, &key, &self.ca(), None).unwrap())
    }

    /// A certificate with any URI names and for any use, signed by this authority.
    pub(crate) fn odd(&self, name: &str, uris: &[&str]) -> Arc<Identity> {
        use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SanType};
        let issuer = self.pki.issuer().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let (cert_file, key_file) = (self.dir.path().join("odd.pem"), self.dir.path().join("odd.key"));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        Arc::new(Identity::from_files(name, &cert_file, &key_file, &self.ca(), None).unwrap())
    }

    pub(crate) fn tls(&self, crl: Option<&Path>) -> Tls {
        self.tls_of(&self.dir.path().join("hosts").join(format!("{HOST}.pem")), crl)
    }

    pub(crate) fn tls_of(&self, cert: &Path, crl: Option<&Path>) -> Tls {
        Tls::load(cert, &cert.with_extension("key"), &self.ca(), crl).unwrap()
    }

    pub(crate) async fn serve(&self) -> Served {
        Served::new(self.tls(None), Recorder::new()).await
    }
}

/// Two days until one day ago.
pub(crate) fn past() -> Validity {
    let day = Duration::from_secs(86_400);
    Validity { from: SystemTime::now() - 2 * day, until: SystemTime::now() - day }
}

/// A server that ends with its test.
pub(crate) struct Served {
    pub(crate) at: SocketAddr,
    pub(crate) control: Arc<Recorder>,
    pub(crate) tls: Tls,
    pub(crate) stop: CancellationToken,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl Served {
    pub(crate) async fn new(tls: Tls, control: Arc<Recorder>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(
            listener,
            tls.clone(),
            Arc::clone(&control) as Arc<dyn Control>,
            stop.clone(),
        ));
        Self { at, control, tls, stop, task }
    }

    pub(crate) fn agent(&self, identity: &Arc<Identity>) -> Agent {
        agent(HOST, Reach::Tcp(self.at.to_string()), identity)
    }

    /// A bare HTTP/2 connection with a person's certificate.
    pub(crate) async fn bare(&self, house: &House, person: &str) -> SendRequest<Full<Bytes>> {
        let config = client_config(house, Some(person));
        let tcp = TcpStream::connect(self.at).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        let (send, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        send
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn agent(host: &str, reach: Reach, identity: &Arc<Identity>) -> Agent {
    let host = Host {
        name: host.to_owned(),
        addresses: Vec::new(),
        labels: Default::default(),
        roles: Vec::new(),
        tags: Vec::new(),
        agent: reach,
        via: None,
    };
    Agent::new(&host, Arc::clone(identity))
}

/// A plain client's TLS, with or without a certificate.
pub(crate) fn client_config(house: &House, person: Option<&str>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(house.ca()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match person {
        Some(person) => {
            let people = house.dir.path().join("people");
            let cert = CertificateDer::from_pem_file(people.join(format!("{person}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(people.join(format!("{person}.key"))).unwrap();
            builder.with_client_auth_cert(vec![cert], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

pub(crate) fn issued_host(house: &House, name: &str, valid: Validity) -> Issued {
    house.pki.issue_host(&HostAsk { valid, ..HostAsk::new(name, 1) }).unwrap()
}

pub(crate) fn run() -> RunId {
    "friday-1".parse().unwrap()
}

pub(crate) fn prepare() -> Prepare {
    Prepare { plan_digest: "d".to_owned(), environment: None, injections: Vec::new(), only_look: false }
}

pub(crate) fn arm() -> Arm {
    Arm {
        plan_digest: "d".to_owned(),
        boot_id: clock::boot_id(),
        lease: Span::secs(5),
        about: About::default(),
        injections: vec![ArmOne {
            id: "friday-1-0-0".parse().unwrap(),
            start_boot_us: 1,
            hold: Span::secs(1),
            fingerprint: "f".to_owned(),
        }],
    }
}

pub(crate) fn renew() -> Renew {
    Renew { lease: Span::secs(5) }
}

pub(crate) fn undo_all() -> Undo {
    Undo { scope: UndoScope::All, halt: false }
}

pub(crate) fn exchange() -> Exchange {
    let (count, every, within) = (1, Span::ZERO, Span::secs(1));
    Exchange { to: [127, 0, 0, 1].into(), way: Way::Echo, count, every, within }
}

pub(crate) fn probes() -> StartProbes {
    StartProbes { probes: Vec::new(), at_most: Span::secs(60), environment: None }
}

pub(crate) fn event(seq: u64) -> AgentEvent {
    AgentEvent {
        seq,
        boot_us: seq * 10,
        boot_id: "b".to_owned(),
        wall_us: 0,
        what: What::Halted { by: format!("event\n{seq}") },
    }
}

pub(crate) fn bin(seq: u64) -> Bin {
    Bin {
        seq,
        probe: "p".to_owned(),
        start_boot_us: seq,
        boot_id: "b".to_owned(),
        length_us: 1_000_000,
        due: 1,
        good: 1,
        bad: Default::default(),
        slipped: 0,
        worst_slip_us: 0,
        lateness: String::new(),
        requests: None,
        first_bad_us: None,
        last_bad_us: None,
        latency: String::new(),
        phases: Default::default(),
    }
}

/// Writes down what it was asked, and answers.
pub(crate) struct Recorder {
    pub(crate) calls: Mutex<Vec<String>>,
    /// Records of requests.
    pub(crate) requests: Mutex<Vec<Request>>,
    /// The callers that armed something.
    held_by: Mutex<Vec<Caller>>,
    /// How far events have come; bins too, and whether they have ended.
    pub(crate) events: watch::Sender<u64>,
    pub(crate) bins: watch::Sender<(u64, bool)>,
    /// Calls of `doctor` and `prepare` block while this is true.
    pub(crate) blocked: watch::Sender<bool>,
    /// Calls of `finish` and `stop_probes` block while this is true.
    pub(crate) endless: watch::Sender<bool>,
    pub(crate) renewals: AtomicU64,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            requests: Mutex::default(),
            held_by: Mutex::default(),
            events: watch::Sender::new(0),
            bins: watch::Sender::new((0, false)),
            blocked: watch::Sender::new(false),
            endless: watch::Sender::new(false),
            renewals: AtomicU64::new(0),
        })
    }

    fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn block(&self) {
        Self::block_on(&self.blocked);
    }

    fn block_on(switch: &watch::Sender<bool>) {
        while *switch.borrow() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Control for Recorder {
    fn status(&self) -> AgentStatus {
        self.note("status");
        AgentStatus {
            host: HOST.to_owned(),
            version: "1".to_owned(),
            clock: self.clock(),
            halted_by: None,
            open: Vec::new(),
            last_seq: *self.events.borrow(),
            warnings: Vec::new(),
        }
    }
    fn clock(&self) -> Clock {
        Clock { boot_us: clock::boot_us(), boot_id: clock::boot_id(), wall_us: clock::wall_us() }
    }
    fn doctor(&self) -> Doctor {
        self.note("doctor");
        self.block();
        Doctor {
            host: HOST.to_owned(),
            version: "1".to_owned(),
            kernel: "6".to_owned(),
            findings: Vec::new(),
        }
    }
    fn prepare(&self, caller: &Caller, run: &RunId, _: &Prepare) -> Result<PrepareAnswer, Problem> {
        self.note(format!("prepare {run} by {caller:?}"));
        self.block();
        let mut injections = Vec::new();
        if run.as_str() == "forbidden" {
            let (code, title) = ("not-allowed".to_owned(), "no rule lets you do this".to_owned());
            let answer = Prepared::Refused(Problem { code, title, hint: String::new() });
            injections.push(PreparedOne { id: "forbidden-1-1".parse().unwrap(), answer });
        }
        Ok(PrepareAnswer { clock: self.clock(), injections })
    }
    fn arm(&self, caller: &Caller, run: &RunId, arm: &Arm) -> Result<Armed, Problem> {
        self.held_by.lock().unwrap().push(caller.clone());
        self.note(format!("arm {run}"));
        if run.as_str() == "tombstone" {
            let (code, title) = ("tombstone".to_owned(), "run tombstone was undone".to_owned());
            return Err(Problem { code, title, hint: "start another run".to_owned() });
        }
        if run.as_str() == "evil" {
            let (code, title) = ("evil".to_owned(), "run evil was \u{1b}[2J\nundone".to_owned());
            return Err(Problem { code, title, hint: "start another run ".repeat(10_000) });
        }
        Ok(Armed { injections: arm.injections.iter().map(|one| one.id.clone()).collect() })
    }
    fn renew(&self, _: &Caller, run: &RunId, _: &Renew) -> Result<Renewed, Problem> {
        self.note(format!("renew {run}"));
        self.renewals.fetch_add(1, Ordering::Relaxed);
        Ok(Renewed { clock: self.clock(), last_seq: 0, open: Vec::new() })
    }
    fn audit(&self, request: Request) {
        self.requests.lock().unwrap().push(request);
    }
    fn distrust(&self, trusted: Trusted<'_>) {
        let held = self.held_by.lock().unwrap().clone();
        let ended = held.iter().filter_map(|caller| {
            let why = trusted(caller.certificate.as_ref()?).err()?;
            Some(format!("distrust {}: {why}", caller.name))
        });
        ended.for_each(|told| self.note(told));
    }
    fn undo(&self, caller: &Caller, _: &Undo) -> UndoAnswer {
        self.note(format!("undo by {} may_harm={}", caller.name, caller.may_harm));
        UndoAnswer {
            injections: Vec::new(),
            runs: Vec::new(),
            stuck: Vec::new(),
            swept: Vec::new(),
            lost: Vec::new(),
        }
    }
    fn release(&self, caller: &Caller) -> Result<(), Problem> {
        self.note(format!("release by {}", caller.name));
        Ok(())
    }
    fn finish(&self, run: &RunId) -> Result<EndState, Problem> {
        self.note(format!("finish {run}"));
        Self::block_on(&self.endless);
        Ok(EndState { state: HostState::Clean, ours: Vec::new(), foreign: Vec::new(), compared: 1 })
    }
    fn events(&self, after: u64) -> Feed<AgentEvent> {
        self.note(format!("events after {after}"));
        let source = self.events.subscribe();
        Box::pin(stream::unfold((source, after), |(mut source, last)| async move {
            source.wait_for(|newest| *newest > last).await.ok()?;
            Some((event(last + 1), (source, last + 1)))
        }))
    }
    fn exchange(&self, caller: &Caller, ask: &Exchange) -> Result<Exchanged, Problem> {
        self.note(format!("exchange with {} by {}", ask.to, caller.name));
        Ok(Exchanged::default())
    }
    fn start_probes(&self, _: &Caller, run: &RunId, _: &StartProbes) -> Result<(), Problem> {
        self.note(format!("probes {run}"));
        Ok(())
    }
    fn stop_probes(&self, run: &RunId) {
        self.note(format!("stop probes {run}"));
        Self::block_on(&self.endless);
    }
    fn bins(&self, run: &RunId, after: u64) -> Result<Feed<Bin>, Problem> {
        self.note(format!("bins {run} after {after}"));
        if run.as_str() == "nobody" {
            let (code, title) = ("unknown-run".to_owned(), "run nobody has no probes here".to_owned());
            return Err(Problem { code, title, hint: String::new() });
        }
        let source = self.bins.subscribe();
        Ok(Box::pin(stream::unfold((source, after), |(mut source, last)| async move {
            let (newest, _) = *source.wait_for(|(newest, over)| *newest > last || *over).await.ok()?;
            (newest > last).then(|| (bin(last + 1), (source, last + 1)))
        })))
    }
}

/// Waits until it is so, for 20 s at most.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(tokio::time::Instant::now() < end, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
