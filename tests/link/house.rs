//! An authority, servers of agents with a recorder behind them, and clients.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use firedrill::{
    link::{Agent, Identity},
    pki::{HostAsk, Issued, PasskeyAsk, PersonAsk, Pki, Validity, ca_file},
    plan::model::{Host, Reach},
};
use firedrill_agent::{
    control::Control,
    serve::{Tls, serve},
};
use firedrill_approval::{Statement, challenge, seal, seal_by_passkey, testing::Authenticator};
use firedrill_probe::clock;
use firedrill_wire::{
    RunId, Span,
    api::{About, Arm, ArmOne, Prepare, Renew, Signed, StartProbes, Undo, UndoScope},
    exchange::{Exchange, Way},
    identity::Role,
    journal::{AgentEvent, What},
    probe::Bin,
};
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[path = "house/recorder.rs"]
mod recorder;

pub(crate) use recorder::Recorder;

/// The name of the host that most tests ask.
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

    /// Returns the path of the authority's file.
    pub(crate) fn ca(&self) -> PathBuf {
        ca_file(self.dir.path())
    }

    /// Issues a certificate for a person, and returns the person's identity.
    pub(crate) fn person(&self, name: &str, role: Role) -> Arc<Identity> {
        self.pki.issue_person(&PersonAsk::new(name, role, 1)).unwrap();
        self.identity(name)
    }

    /// Issues a certificate that has expired, and returns the person's identity.
    pub(crate) fn expired_person(&self, name: &str, role: Role) -> Arc<Identity> {
        let valid = past();
        self.pki.issue_person(&PersonAsk { valid, ..PersonAsk::new(name, role, 1) }).unwrap();
        self.identity(name)
    }

    /// Returns a person's identity. It has no revocation list, because the agent checks revocations.
    pub(crate) fn identity(&self, name: &str) -> Arc<Identity> {
        let people = self.dir.path().join("people");
        let (cert, key) = (people.join(format!("{name}.pem")), people.join(format!("{name}.key")));
        Arc::new(Identity::from_files(name, &cert, &key, &self.ca(), None).unwrap())
    }

    /// Returns an identity with any URI names, for any use, signed by this authority.
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

    /// Enrols a passkey for a person. Returns the path of its certificate below the authority's directory.
    pub(crate) fn enrol(&self, name: &str, key: &Authenticator, valid: Validity) -> String {
        let (name, public_key) = (name.to_owned(), key.public_key());
        let ask = PasskeyAsk { name, environments: Vec::new(), public_key, valid };
        let path = self.pki.enrol(&ask).unwrap();
        path.strip_prefix(self.dir.path()).unwrap().to_str().unwrap().to_owned()
    }

    /// Returns an approval of some plan by a passkey, with the certificate in a file below the authority's directory.
    pub(crate) fn approval_by_passkey(&self, key: &Authenticator, certificate: &str) -> Signed {
        let text = serde_json::to_string(&Statement { run: Some(run()), ..statement() }).unwrap();
        let signature = key.approve(&challenge(&text));
        seal_by_passkey(text, &self.chain(certificate), signature.answer())
    }

    /// Reads the certificates in a file below the authority's directory.
    fn chain(&self, certificate: &str) -> Vec<CertificateDer<'static>> {
        let file = self.dir.path().join(certificate);
        CertificateDer::pem_file_iter(&file).unwrap().map(Result::unwrap).collect()
    }

    /// Returns an approval of some plan, signed with the certificate in a file below the authority's directory.
    pub(crate) fn approval(&self, certificate: &str) -> Signed {
        let file = self.dir.path().join(certificate);
        let chain = self.chain(certificate);
        let key = PrivateKeyDer::from_pem_file(file.with_extension("key")).unwrap();
        let key = rustls::crypto::ring::sign::any_ecdsa_type(&key).unwrap();
        let signer = key.choose_scheme(&[rustls::SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
        seal(&statement(), &chain, |message| Ok(("ecdsa-p256-sha256", signer.sign(message).unwrap())))
            .unwrap()
    }

    /// Returns the server's side of TLS for [`HOST`], with a revocation list or none.
    pub(crate) fn tls(&self, crl: Option<&Path>) -> Tls {
        self.tls_of(&self.dir.path().join("hosts").join(format!("{HOST}.pem")), crl)
    }

    /// Returns the server's side of TLS for the certificate in a file, with a revocation list or none.
    pub(crate) fn tls_of(&self, cert: &Path, crl: Option<&Path>) -> Tls {
        Tls::load(cert, &cert.with_extension("key"), &self.ca(), crl).unwrap()
    }

    /// Starts a server for [`HOST`] without a revocation list.
    pub(crate) async fn serve(&self) -> Served {
        Served::new(self.tls(None), Recorder::new()).await
    }
}

/// Returns the statement of all approvals here.
fn statement() -> Statement {
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let now = SystemTime::now();
    Statement {
        plan: "d".to_owned(),
        name: "friday".to_owned(),
        run: None,
        given: time(now),
        until: time(now + Duration::from_secs(3600)),
        requests: None,
        faults: None,
        standing: None,
    }
}

/// Returns a validity that began two days ago and ended one day ago.
pub(crate) fn past() -> Validity {
    let day = Duration::from_secs(86_400);
    Validity { from: SystemTime::now() - 2 * day, until: SystemTime::now() - day }
}

/// A server that ends with its test.
pub(crate) struct Served {
    /// The address at which it listens.
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

    /// Returns the client for this server, with a person's identity.
    pub(crate) fn agent(&self, identity: &Arc<Identity>) -> Agent {
        agent(HOST, Reach::Tcp(self.at.to_string()), identity)
    }

    /// Opens a bare HTTP/2 connection with a person's certificate.
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

/// Returns the client for an agent, with a person's identity.
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

/// Returns the TLS configuration of a plain client, with or without a certificate.
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

/// Issues a host's certificate with a validity.
pub(crate) fn issued_host(house: &House, name: &str, valid: Validity) -> Issued {
    house.pki.issue_host(&HostAsk { valid, ..HostAsk::new(name, 1) }).unwrap()
}

pub(crate) fn run() -> RunId {
    "friday-1".parse().unwrap()
}

pub(crate) fn prepare() -> Prepare {
    Prepare {
        plan_digest: "d".to_owned(),
        environment: None,
        injections: Vec::new(),
        only_look: false,
        approvals: Vec::new(),
    }
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
    StartProbes { probes: Vec::new(), at_most: Span::secs(60), environment: None, vantage: None }
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

/// Waits until a condition holds, at most a minute. `what` names the condition.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
