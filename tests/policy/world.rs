//! The lab: its hosts, its people, and a server that receives requests of probes.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use firedrill::{
    link::{Agent, Identity},
    pki::{PersonAsk, Pki},
    plan::model::{self, Reach},
    rehearsal,
};
use firedrill_lab::{FileSpec, Lab, LabSpec, Options, SELF_EXE, ServiceSpec};
use firedrill_wire::identity::Role;

/// The hosts, their environments, and further lines of their `agent.toml`.
const HOSTS: [(&str, Option<&str>, &str); 5] = [
    ("free", None, ""),
    ("halted", None, ""),
    ("prod", Some("prod"), ""),
    ("guarded", None, "[policy]\nprotected_services = [\"victim\"]\n"),
    (
        "ruled",
        Some("staging"),
        "
[[policy.allow]]
name = \"shop may measure itself\"
teams = [\"shop\"]
kinds = [\"probe-http\"]
peers = [\"10.77.1.0/24\"]
[[policy.allow]]
name = \"shop may run its check\"
teams = [\"shop\"]
kinds = [\"probe-exec\"]
commands = [[\"/bin/sh\", \"-c\", \"exit 3\"]]
run_as = \"root\"
[[policy.allow]]
name = \"shop may run what cannot be run here\"
teams = [\"shop\"]
kinds = [\"probe-exec\"]
commands = [[\"/bin/true\"]]
run_as = \"daemon\"
[[policy.allow]]
name = \"sre may release\"
teams = [\"sre\"]
kinds = [\"release\"]
",
    ),
];

/// Contents of the file in each host's directory of secrets.
pub(crate) const TOKEN: &str = "s3cret-token";

/// The argument by which this program is a service that does nothing.
pub(crate) const NAP: &str = "policy-nap";

/// A lab with the hosts, and identities of the people.
pub(crate) struct World {
    lab: Lab,
    pki: PathBuf,
    _folder: tempfile::TempDir,
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// Returns a host as a plan has it.
pub(crate) fn model(name: &str) -> model::Host {
    let (number, (_, environment, _)) =
        HOSTS.iter().enumerate().find(|(_, (known, ..))| *known == name).unwrap();
    let address: IpAddr = format!("10.77.1.{}", number + 10).parse().unwrap();
    let env = environment.map(|name| ("env".to_owned(), name.to_owned()));
    model::Host {
        name: name.to_owned(),
        addresses: vec![address],
        labels: env.into_iter().collect::<BTreeMap<_, _>>(),
        roles: Vec::new(),
        tags: Vec::new(),
        agent: Reach::Tcp(format!("{address}:{}", firedrill_wire::DEFAULT_PORT)),
        via: None,
    }
}

impl World {
    /// Starts the lab and enters it. The process must have one thread.
    pub(crate) fn up() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::init(&folder.path().join("pki")).unwrap();
        let people = [
            ("alice", None, &[][..]),
            ("bob", None, &[]),
            ("shop", Some("shop"), &[]),
            ("sre", Some("sre"), &[]),
            ("stage", Some("shop"), &["staging"]),
        ];
        for (name, team, environments) in people {
            let ask = PersonAsk::new(name, Role::Operator, 1);
            let environments = environments.iter().map(ToString::to_string).collect();
            pki.issue_person(&PersonAsk { team: team.map(str::to_owned), environments, ..ask }).unwrap();
        }
        let hosts = HOSTS.iter().map(|(name, _, more)| {
            let mut host = rehearsal::host(&pki, &model(name), more).unwrap();
            let path = "/etc/firedrill/secrets/token".into();
            host.files.push(FileSpec { path, content: format!("{TOKEN}\n"), mode: 0o600 });
            let argv = [SELF_EXE, NAP].map(str::to_owned).to_vec();
            host.services.push(ServiceSpec { name: "victim".into(), argv, ..ServiceSpec::default() });
            host.region = "here".into();
            host
        });
        let spec = LabSpec::new(format!("policy-{}", std::process::id()), hosts.collect());
        let lab = Lab::up(&spec, &Options::default()).unwrap();
        lab.enter().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let world = Self { lab, pki: pki.dir().to_owned(), _folder: folder, runtime };
        world.runtime.block_on(async {
            for (name, ..) in HOSTS {
                let end = tokio::time::Instant::now() + Duration::from_secs(40);
                while let Err(error) = world.agent("alice", name).status().await {
                    assert!(tokio::time::Instant::now() < end, "{name} does not serve: {error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        world
    }

    /// Returns the client for a host's agent, with a person's identity.
    pub(crate) fn agent(&self, person: &str, host: &str) -> Agent {
        Agent::new(&model(host), Arc::new(Identity::load_as(&self.pki, person).unwrap()))
    }

    /// Takes the lab down.
    pub(crate) fn down(self) {
        let Self { lab, runtime, .. } = self;
        drop(runtime);
        lab.down().unwrap();
    }
}

/// Starts a server at an address of the lab's coordinator. Returns its address and the requests that it receives.
pub(crate) fn listener() -> (SocketAddr, mpsc::Receiver<String>) {
    // Connecting a UDP socket sends nothing. It only chooses the address on the way to the hosts.
    let route = UdpSocket::bind("0.0.0.0:0").unwrap();
    route.connect((model("free").addresses[0], 9)).unwrap();
    let listener = TcpListener::bind((route.local_addr().unwrap().ip(), 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let (send, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).unwrap_or(0);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n");
            if send.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    (at, requests)
}

/// Returns the next request. Panics if none comes within a minute.
pub(crate) fn next(requests: &mpsc::Receiver<String>) -> String {
    requests.recv_timeout(Duration::from_secs(60)).unwrap()
}
