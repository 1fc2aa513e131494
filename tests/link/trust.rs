//! Trust: the certificates that each side accepts, and the errors for others.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use firedrill::{
    link::{LinkError, Trust},
    pki::{HostAsk, Kind, Validity, ca_file, crl_file},
    plan::model::Reach,
};
use firedrill_agent::serve::Tls;
use firedrill_wire::{RunId, api::Prepare, identity::Role, journal::What};
use futures_util::StreamExt as _;
use rustls::AlertDescription;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::house::{
    HOST, House, Recorder, Served, agent, arm, client_config, issued_host, past, prepare, run, undo_all,
    until,
};

/// Returns the reason why a link was not trusted.
fn trust<T: std::fmt::Debug>(result: Result<T, LinkError>) -> Trust {
    match result {
        Err(LinkError::Tls { trust, .. }) => trust,
        other => panic!("{other:?}"),
    }
}

/// Returns the alert that a bare client gets, and checks that it gets nothing else.
async fn alert(served: &Served, config: rustls::ClientConfig) -> AlertDescription {
    let tcp = TcpStream::connect(served.at).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let error = match tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await {
        Err(error) => error,
        // With TLS 1.3 a client learns only when it reads whether the server accepts it.
        Ok(mut tls) => {
            let _ = tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
            tls.read_u8().await.expect_err("nothing but the alert")
        }
    };
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_with_the_reason() {
    let (house, other) = (House::new(), House::new());
    let served = house.serve().await;
    assert_eq!(alert(&served, client_config(&house, None)).await, AlertDescription::CertificateRequired);

    // This person has a certificate of another authority, and this fleet's authority file.
    other.person("olga", Role::Operator);
    let people = other.dir.path().join("people");
    let stranger = firedrill::link::Identity::from_files(
        "olga",
        &people.join("olga.pem"),
        &people.join("olga.key"),
        &house.ca(),
        None,
    );
    let stranger = Arc::new(stranger.unwrap());
    for _ in 0..20 {
        assert_eq!(trust(served.agent(&stranger).status().await), Trust::CoordinatorUnknown);
    }
    // The authority of this coordinator did not sign the agent's certificate.
    assert_eq!(trust(served.agent(&other.identity("olga")).status().await), Trust::AgentUnknown);
    // A host's certificate is valid for servers only.
    let hosts = house.dir.path().join("hosts");
    let (cert, key) = (hosts.join("app-1.pem"), hosts.join("app-1.key"));
    let host = firedrill::link::Identity::from_files("app-1", &cert, &key, &house.ca(), None).unwrap();
    assert!(matches!(trust(served.agent(&Arc::new(host)).status().await), Trust::Other(_)));
    assert_eq!(served.control.taken(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_tls_and_plain_text_are_refused() {
    let house = House::new();
    let served = house.serve().await;
    house.person("olga", Role::Operator);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let old = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    assert_eq!(alert(&served, old).await, AlertDescription::ProtocolVersion);

    let mut plain = TcpStream::connect(served.at).await.unwrap();
    plain.write_all(b"GET /v1/status HTTP/1.1\r\nhost: app-1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    assert_eq!(served.control.taken(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_another_host_is_refused() {
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Operator);
    let other = agent("app-2", Reach::Tcp(served.at.to_string()), &olga);
    match trust(other.status().await) {
        Trust::WrongName(presented) => assert!(presented.contains(HOST), "{presented}"),
        other => panic!("{other:?}"),
    }
    let impossible = agent("app 2", Reach::Tcp(served.at.to_string()), &olga);
    assert!(matches!(impossible.status().await, Err(LinkError::Unreachable { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_an_expired_certificate_is_healed_and_not_harmed() {
    let house = House::new();
    let olga = house.person("olga", Role::Operator);
    let old = issued_host(&house, "app-2", past());
    let served = Served::new(house.tls_of(&old.cert, None), Recorder::new()).await;
    let agent = agent("app-2", Reach::Tcp(served.at.to_string()), &olga);
    agent.status().await.unwrap();
    agent.undo(&undo_all()).await.unwrap();
    served.control.taken();
    assert_eq!(trust(agent.prepare(&run(), &prepare()).await), Trust::AgentOutOfDate);
    assert_eq!(trust(agent.arm(&run(), &arm()).await), Trust::AgentOutOfDate);
    assert_eq!(served.control.taken(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_whose_certificate_was_revoked_are_cut_off_and_refused() {
    let house = House::new();
    house.pki.write_crl(10).unwrap();
    let crl = crl_file(house.dir.path());
    let served = Served::new(house.tls(Some(&crl)), Recorder::new()).await;
    let (olga, mallory) = (house.person("olga", Role::Operator), house.person("mallory", Role::Operator));
    let (olga, mallory) = (served.agent(&olga), served.agent(&mallory));
    olga.arm(&run(), &arm()).await.unwrap();
    mallory.arm(&run(), &arm()).await.unwrap();
    let mut following = Box::pin(mallory.events(0));
    served.control.events.send_replace(1);
    following.next().await.unwrap().unwrap();

    house.pki.revoke(Kind::Person, "mallory", 10).unwrap();
    served.tls.reload().unwrap();
    assert!(following.next().await.unwrap().is_err(), "the open stream is not cut");
    // The first calls may still use the connection that is being cut. It refuses them.
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    let last = loop {
        let last = mallory.status().await;
        assert!(last.is_err() && tokio::time::Instant::now() < end, "{last:?}");
        if matches!(last, Err(LinkError::Tls { .. })) {
            break last;
        }
    };
    assert_eq!(trust(last), Trust::CoordinatorRevoked);
    assert_eq!(trust(mallory.undo(&undo_all()).await), Trust::CoordinatorRevoked);
    olga.arm(&run(), &arm()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_revocation_list_is_noticed_and_ends_runs_of_revoked_people() {
    let house = House::new();
    // The revocation list is a symbolic link to a directory that another program keeps up to date.
    let kept = tempfile::tempdir().unwrap();
    house.pki.write_crl(10).unwrap();
    let (crl, elsewhere) = (crl_file(house.dir.path()), kept.path().join("list.pem"));
    std::fs::rename(&crl, &elsewhere).unwrap();
    let link = house.dir.path().join("link.pem");
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    let served = Served::new(house.tls(Some(&link)), Recorder::new()).await;
    let (olga, mallory) = (house.person("olga", Role::Operator), house.person("mallory", Role::Operator));
    let (olga, mallory) = (served.agent(&olga), served.agent(&mallory));
    olga.arm(&run(), &arm()).await.unwrap();
    mallory.arm(&run(), &arm()).await.unwrap();
    let mut following = Box::pin(mallory.events(0));
    served.control.events.send_replace(1);
    following.next().await.unwrap().unwrap();
    served.control.taken();

    house.pki.revoke(Kind::Person, "mallory", 10).unwrap();
    std::fs::rename(&crl, &elsewhere).unwrap();
    let since = std::time::Instant::now();
    until("the end of mallory's run", || {
        served.control.taken().contains(&"distrust mallory: it was revoked".to_owned())
    })
    .await;
    // On the open stream mallory still gets the next event, and then nothing more.
    served.control.events.send_replace(2);
    following.next().await.unwrap().unwrap();
    assert!(following.next().await.unwrap().is_err(), "the open stream is not cut");
    let took = since.elapsed();
    // The agent looks for changes only ten seconds after its start.
    assert!(took < Duration::from_secs(8), "noticed after {took:?}: only by looking once in a while");
    olga.arm(&run(), &arm()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_begins_after_a_list_was_replaced_is_refused() {
    let house = House::new();
    house.pki.write_crl(10).unwrap();
    let served = Served::new(house.tls(Some(&crl_file(house.dir.path()))), Recorder::new()).await;
    // Eight tries, because a race would not show in each.
    for number in 0..8 {
        let name = format!("mallory-{number}");
        let mallory = served.agent(&house.person(&name, Role::Operator));
        mallory.arm(&run(), &arm()).await.unwrap();
        served.control.taken();
        house.pki.revoke(Kind::Person, &name, 10).unwrap();
        let answer = mallory.arm(&run(), &arm()).await;
        assert!(answer.is_err(), "{answer:?}");
        let taken = served.control.taken();
        assert!(!taken.iter().any(|call| call.starts_with("arm")), "{taken:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_list_does_not_undo_a_revocation() {
    let house = House::new();
    let (olga, mallory) = (house.person("olga", Role::Operator), house.person("mallory", Role::Operator));
    house.pki.revoke(Kind::Person, "mallory", 10).unwrap();
    let crl = crl_file(house.dir.path());
    let served = Served::new(house.tls(Some(&crl)), Recorder::new()).await;
    assert_eq!(trust(served.agent(&mallory).status().await), Trust::CoordinatorRevoked);
    // The file is empty, as on a full disk or during a copy.
    std::fs::write(&crl, "").unwrap();
    let error = served.tls.reload().unwrap_err().to_string();
    assert!(error.contains("revocation list") && error.contains("there is none"), "{error}");
    assert_eq!(trust(served.agent(&mallory).status().await), Trust::CoordinatorRevoked);
    served.agent(&olga).arm(&run(), &arm()).await.unwrap();
    house.pki.write_crl(10).unwrap();
    served.tls.reload().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_counts_although_the_hosts_new_files_are_invalid() {
    let house = House::new();
    house.pki.write_crl(10).unwrap();
    let served = Served::new(house.tls(Some(&crl_file(house.dir.path()))), Recorder::new()).await;
    let (olga, mallory) = (house.person("olga", Role::Operator), house.person("mallory", Role::Operator));
    served.agent(&mallory).arm(&run(), &arm()).await.unwrap();
    house.pki.revoke(Kind::Person, "mallory", 10).unwrap();
    std::fs::write(house.dir.path().join("hosts/app-1.key"), "half a ke").unwrap();
    let error = served.tls.reload().unwrap_err().to_string();
    assert!(error.contains("app-1.key"), "{error}");
    assert_eq!(trust(served.agent(&mallory).status().await), Trust::CoordinatorRevoked);
    served.agent(&olga).arm(&run(), &arm()).await.expect("the key from before is still in use");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outdated_revocation_list_stops_harm_and_not_healing() {
    let house = House::new();
    let (olga, mallory) = (house.person("olga", Role::Operator), house.person("mallory", Role::Operator));
    house.pki.revoke(Kind::Person, "mallory", 10).unwrap();
    // The list is valid for no day, so it is outdated after one second.
    house.pki.write_crl(0).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let crl = crl_file(house.dir.path());
    let served = Served::new(house.tls(Some(&crl)), Recorder::new()).await;
    let agent = served.agent(&olga);
    agent.status().await.unwrap();
    agent.undo(&undo_all()).await.unwrap();
    match agent.arm(&run(), &arm()).await {
        Err(LinkError::Refused { status: 403, problem, .. }) => {
            assert!(problem.title.contains("revocation list"), "{}", problem.title);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        trust(served.agent(&mallory).status().await),
        Trust::CoordinatorRevoked,
        "an outdated list revokes nothing"
    );
    // The agent reads a fresh list without a restart, and the open connection continues.
    house.pki.write_crl(10).unwrap();
    served.tls.reload_if_changed().unwrap();
    agent.arm(&run(), &arm()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_counts_only_while_its_signer_is_trusted() {
    // The agent trusts two authorities. Only the list of the other one is outdated, so that olga may still prepare.
    let (house, other) = (House::new(), House::new());
    let olga = house.person("olga", Role::Operator);
    house.person("bob", Role::Viewer);
    house.person("mallory", Role::Viewer);
    house.expired_person("eve", Role::Viewer);
    house.odd("host", &["firedrill://host/app-2"]);
    other.person("carol", Role::Viewer);
    house.pki.revoke(Kind::Person, "mallory", 10).unwrap();
    // The list is valid for no day, so it is outdated after one second.
    other.pki.write_crl(0).unwrap();
    let both = |file: fn(&Path) -> PathBuf, name: &str| {
        let text = [&house, &other].map(|house| std::fs::read_to_string(file(house.dir.path())).unwrap());
        let path = house.dir.path().join(name);
        std::fs::write(&path, text.concat()).unwrap();
        path
    };
    let (ca, crl) = (both(ca_file, "both-ca.pem"), both(crl_file, "both-crl.pem"));
    let cert = house.dir.path().join("hosts/app-1.pem");
    let tls = Tls::load(&cert, &cert.with_extension("key"), &ca, Some(&crl)).unwrap();
    let served = Served::new(tls, Recorder::new()).await;
    let olga = served.agent(&olga);
    let mut approvals: Vec<_> = ["people/bob.pem", "people/mallory.pem", "people/eve.pem", "odd.pem"]
        .map(|file| house.approval(file))
        .into();
    approvals.push(other.approval("people/carol.pem"));
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    let results = loop {
        olga.prepare(&run(), &Prepare { approvals: approvals.clone(), ..prepare() }).await.unwrap();
        let calls = served.control.taken();
        let results: Vec<_> = calls.iter().filter_map(|call| call.strip_prefix("approval: ")).collect();
        if !results.contains(&"carol") {
            break results.join("\n");
        }
        assert!(tokio::time::Instant::now() < end, "{results:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(
        results,
        "bob\n\
         an approver's certificate is not trusted: it was revoked\n\
         an approver's certificate is out of date\n\
         it is signed by host app-2\n\
         the host's revocation list is out of date, so no approval counts"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_without_a_restart_and_invalid_files_change_nothing() {
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Operator);
    served.agent(&olga).status().await.unwrap();
    let cert = house.dir.path().join("hosts/app-1.pem");
    std::fs::write(&cert, "half a fi").unwrap();
    let error = served.tls.reload().unwrap_err().to_string();
    assert!(error.contains("app-1.pem"), "{error}");
    served.agent(&olga).status().await.expect("the old certificate is still in use");

    house
        .pki
        .issue_host(&HostAsk { renew: true, valid: Validity::days(3), ..HostAsk::new(HOST, 1) })
        .unwrap();
    served.tls.reload_if_changed().unwrap();
    served.agent(&olga).status().await.expect("the new one is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_an_agent_are_cleaned() {
    let house = House::new();
    let served = house.serve().await;
    let olga = served.agent(&house.person("olga", Role::Operator));
    let evil: RunId = "evil".parse().unwrap();
    match olga.arm(&evil, &arm()).await {
        Err(LinkError::Refused { problem, .. }) => {
            assert_eq!(problem.title, "run evil was ␛[2J undone");
            assert!(problem.hint.len() < 100_000 && problem.hint.ends_with('…'), "{}", problem.hint.len());
        }
        other => panic!("{other:?}"),
    }
    served.control.events.send_replace(1);
    let event = Box::pin(olga.events(0)).next().await.unwrap().unwrap();
    assert_eq!(event.what, What::Halted { by: "event 1".to_owned() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_agent_differs_from_an_address_without_a_server() {
    let house = House::new();
    let olga = house.person("olga", Role::Operator);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let talker = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest).await;
    });
    assert!(matches!(trust(agent(HOST, Reach::Tcp(at.clone()), &olga).status().await), Trust::Other(_)));
    talker.await.unwrap();
    // The port is held and nobody listens on it, so no other program can listen there.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = held.local_addr().unwrap().to_string();
    let gone = agent(HOST, Reach::Tcp(at.clone()), &olga).status().await;
    match gone {
        Err(error @ LinkError::Unreachable { .. }) => {
            let text = error.to_string();
            assert!(text.contains(&at) && text.contains("refused"), "{text}");
            assert!(error.passing());
        }
        other => panic!("{other:?}"),
    }
}
