//! PostgreSQL: a primary, a standby, and what goes wrong with them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{OnceLock, atomic::Ordering},
    time::Duration,
};

use firedrill_wire::probe::Connection;
use rcgen::{CertificateParams, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::{
    DUE, LONG, all_come_back, asked, at_last, client, found,
    programs::{self, Server, command, cutting, folder, program, run},
    said, write, write_within, writer,
};

/// A setting by which no password is asked for: in a program that is not optimized each login takes long.
pub(crate) const TRUST: &str = "hba_file=data/trust.conf";

/// A server and its data.
pub(crate) struct Postgres {
    pub(crate) server: Server,
    data: tempfile::TempDir,
}

/// A cluster that was made once and is copied.
fn made() -> Option<&'static Path> {
    static MADE: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let initdb = program("initdb")?;
        let folder = folder();
        fs::write(folder.path().join("pw"), "s3cret\n").unwrap();
        let pw = folder.path().join("pw");
        let mut command = command(&initdb, folder.path());
        command.args(["-D", "data", "-U", "drill", "-A", "scram-sha-256", "--no-sync", "--pwfile"]).arg(&pw);
        run(&mut command);
        let hba = folder.path().join("data/pg_hba.conf");
        let replication = "host replication all all trust\n";
        fs::write(&hba, format!("host all all all scram-sha-256\n{replication}")).unwrap();
        let trust = folder.path().join("data/trust.conf");
        fs::write(&trust, format!("host all all all trust\n{replication}")).unwrap();
        programs::give(&trust);
        Some(folder)
    });
    made.as_ref().map(tempfile::TempDir::path)
}

impl Postgres {
    /// Starts one with data of its own; `None` where it is not installed.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let data = folder();
        let from = made()?.join("data");
        run(command(Path::new("/bin/cp"), data.path()).arg("-r").arg(from).arg("data"));
        Some(Self::on(data, settings))
    }

    /// Starts one that follows this one.
    pub(crate) fn follower(&self, settings: &[&str]) -> Self {
        let data = folder();
        let mut copy = command(&program("pg_basebackup").unwrap(), data.path());
        copy.args(["-D", "data", "-R", "-X", "stream", "-c", "fast", "-U", "drill", "-h"]);
        run(copy.arg(self.server.at.ip().to_string()).args(["-p", "5432"]));
        Self::on(data, settings)
    }

    fn on(data: tempfile::TempDir, settings: &[&str]) -> Self {
        let at = programs::address(5432);
        let mut postgres = command(&program("postgres").unwrap(), data.path());
        postgres.args(["-D", "data", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c"]);
        postgres.arg(format!("listen_addresses={}", at.ip())).args(["-c", "unix_socket_directories="]);
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        let log = data.path().join("log");
        let mut server = Server::start(postgres, at, log);
        let ready = program("pg_isready").unwrap();
        server.wait("an answer", |at| {
            let mut ask = std::process::Command::new(&ready);
            ask.args(["-q", "-h", &at.ip().to_string(), "-p", "5432"]).status().unwrap().success()
        });
        Self { server, data }
    }

    pub(crate) fn json(&self, more: &str) -> String {
        of(&[&self.server.at.to_string()], more)
    }

    /// Carries out a statement for the test itself.
    pub(crate) async fn does(&self, statement: &str) {
        let ask = self.json(&format!(r#","statement":"{statement}""#));
        assert_eq!(asked(&ask).await, "good", "{statement}");
    }
}

fn password() -> PathBuf {
    made().unwrap().join("pw")
}

pub(crate) fn of(addresses: &[&str], more: &str) -> String {
    let password = password();
    format!(
        r#"{{"address":{addresses:?},"user":"drill","database":"postgres","password":{{"secret_file":{password:?}}}{more}}}"#
    )
}

#[tokio::test]
async fn good_answers_are_good_and_others_have_their_words() {
    let Some(one) = Postgres::start(&["max_connections=10", "superuser_reserved_connections=0"]) else {
        return;
    };
    for (more, said) in [
        ("", "good"),
        (r#","expect":"1""#, "good"),
        (r#","expect":"2""#, "answer"),
        (r#","statement":"select null","expect":"""#, "answer"),
        (r#","statement":"select 'a b' union select 'c' order by 1","expect":"a b""#, "good"),
        (r#","statement":"selec 1""#, "sql 42601"),
        (r#","statement":"select * from nothing""#, "sql 42P01"),
        (r#","role":"primary""#, "good"),
        (r#","role":"standby""#, "answered by a primary"),
        (
            r#","tls":true,"server_name":"db","ca_file":"/etc/ssl/certs/ca-certificates.crt""#,
            "no tls at the server",
        ),
    ] {
        assert_eq!(asked(&one.json(more)).await, said, "{more}");
    }
    assert_eq!(asked(&one.json("").replace("/pw", "/data/PG_VERSION")).await, "wrong password");
    assert_eq!(asked(&one.json("").replace("postgres", "nowhere")).await, "no such database");
    let none = format!(r#"{{"address":"{}","user":"drill","database":"postgres"}}"#, one.server.at);
    assert_eq!(asked(&none).await, "password wanted");
    let names = programs::address(5433);
    assert_eq!(asked(&of(&[&names.to_string()], "")).await, "refused");

    let all: Vec<_> = (0..12)
        .map(|_| client(&one.json(r#","statement":"select pg_sleep(60)""#), Connection::New))
        .collect();
    let until = Instant::now() + LONG;
    // Backends of earlier requests end later than their clients. Whoever finds no place asks again, so that all places get taken.
    let holds = all.iter().map(async |one| while said(one.ask(DUE, until).await) == "too many clients" {});
    let mut held = futures_util::future::join_all(holds);
    let plain = one.json("");
    tokio::select! {
        _ = &mut held => panic!("nothing was held"),
        () = at_last(&plain, "too many clients") => {}
    }
}

#[tokio::test]
async fn a_kept_connection_is_used_again_until_the_server_ends_it() {
    let Some(one) = Postgres::start(&[]) else { return };
    one.does("create table seen (pid int primary key)").await;
    // A second row of one backend is an error, so this is good once for each backend.
    let insert = one.json(r#","statement":"insert into seen values (pg_backend_pid())""#);
    let until = || Instant::now() + LONG;
    let kept = client(&insert, Connection::Reuse);
    assert_eq!(said(kept.ask(DUE, until()).await), "good");
    assert_eq!(said(kept.ask(DUE, until()).await), "sql 23505");
    // The error threw it away.
    assert_eq!(said(kept.ask(DUE, until()).await), "good");
    one.does("select pg_terminate_backend(pid) from seen join pg_stat_activity using (pid)").await;
    let gone = one
        .json(r#","statement":"select count(*) from seen join pg_stat_activity using (pid)","expect":"0""#);
    at_last(&gone, "good").await;
    assert_eq!(
        said(kept.ask(DUE, until()).await),
        "good",
        "one that was ended while it was idle is replaced"
    );
    let new = client(&insert, Connection::New);
    assert_eq!(said(new.ask(DUE, until()).await), "good");
    assert_eq!(said(new.ask(DUE, until()).await), "good");
}

#[tokio::test]
async fn encrypted_connections_check_the_name() {
    let Some(mut one) = Postgres::start(&[]) else { return };
    one.server.stop(Signal::INT);
    let key = KeyPair::generate().unwrap();
    let ca = CertificateParams::new(vec!["db.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let data = one.data.path();
    let (cert, private) = (data.join("ca.pem"), data.join("key.pem"));
    fs::write(&cert, ca.pem()).unwrap();
    fs::write(&private, key.serialize_pem()).unwrap();
    programs_own(&private);
    let one = Postgres::on(one.data, &["ssl=on", "ssl_cert_file=../ca.pem", "ssl_key_file=../key.pem"]);
    let tls = |name: &str| {
        one.json(&format!(
            r#","tls":true,"server_name":"{name}","ca_file":{:?}"#,
            one.data.path().join("ca.pem")
        ))
    };
    assert_eq!(asked(&tls("db.test")).await, "good");
    assert_eq!(asked(&tls("other.test")).await, "tls: certificate of another name");
    let system = r#","tls":true,"server_name":"db.test","ca_file":"/etc/ssl/certs/ca-certificates.crt""#;
    assert_eq!(asked(&one.json(system)).await, "tls: unknown issuer");
}

/// PostgreSQL wants its key to be nobody else's.
fn programs_own(key: &Path) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let owner = fs::metadata(key.parent().unwrap()).unwrap();
    chown(key, Some(owner.uid()), Some(owner.gid())).unwrap();
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_standby_is_told_from_a_primary() {
    let Some(primary) = Postgres::start(&[]) else { return };
    let standby = primary.follower(&[]);
    let alone = standby.server.at.to_string();
    let both = [alone.as_str(), &primary.server.at.to_string()];
    assert_eq!(asked(&standby.json(r#","role":"primary""#)).await, "answered by a standby");
    assert_eq!(asked(&standby.json(r#","role":"standby""#)).await, "good");
    assert_eq!(asked(&of(&both, r#","role":"primary""#)).await, "good");
    assert_eq!(asked(&standby.json(r#","statement":"create table x ()""#)).await, "read only");

    let store = writer(&of(&both, ""), Connection::New);
    store.prepare(Instant::now() + LONG).await.unwrap();
    assert_eq!(write(&*store, "k:1", 0).await, "acked");
    assert_eq!(found(&*store, "k:").await.unwrap().len(), 1);
    let pinned = writer(&standby.json(""), Connection::New);
    let arrived = standby.json(r#","statement":"select count(*) from firedrill_writes","expect":"1""#);
    at_last(&arrived, "good").await;
    assert_eq!(write(&*pinned, "k:2", 0).await, "no: read only");
    assert_eq!(said(found(&*pinned, "k:").await.map(|_| Default::default())), "answered by a standby");

    // Both are primaries: nobody knows what the store has.
    standby.does("select pg_promote()").await;
    assert_eq!(said(found(&*store, "k:").await.map(|_| Default::default())), "several primaries");
    // The old one is gone: the new one is the authority.
    drop(primary);
    assert_eq!(found(&*store, "k:").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_stopped_server_is_a_time_out_and_what_it_has_is_unknown() {
    let Some(one) = Postgres::start(&[]) else { return };
    let store = writer(&one.json(""), Connection::Reuse);
    store.prepare(Instant::now() + LONG).await.unwrap();
    assert_eq!(write(&*store, "k:0", 0).await, "acked");
    let short = Duration::from_millis(500);
    // The kept connection waits for a lock that the test holds.
    let lock = client(
        &one.json(r#","statement":"begin; lock table firedrill_writes in access exclusive mode; select pg_sleep(60)""#),
        Connection::New,
    );
    let mut lock = lock.ask(DUE, Instant::now() + LONG);
    let locked = one.json(r#","statement":"select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 'firedrill_writes'::regclass","expect":"1""#);
    let wait = at_last(&locked, "good");
    tokio::select! { _ = &mut lock => panic!("no lock"), () = wait => {} }
    assert_eq!(write_within(&*store, "k:1", 0, short).await, "unknown: timeout");
    drop(lock);

    one.server.signal(Signal::STOP);
    let begun = Instant::now();
    let probe = client(&one.json(""), Connection::New);
    assert_eq!(said(probe.ask(DUE, Instant::now() + short).await), "timeout");
    // Nothing of it was sent.
    assert_eq!(write_within(&*store, "k:2", 0, short).await, "no: timeout");
    let read = store.read_back("k:", Instant::now() + short, &mut |_| {}).await;
    assert_eq!(said(read.map(|()| Default::default())), "timeout");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    one.server.signal(Signal::CONT);
    assert_eq!(asked(&one.json("")).await, "good");
}

#[tokio::test]
async fn a_cut_connection_leaves_a_write_unknown() {
    let Some(one) = Postgres::start(&[]) else { return };
    let (at, cuts) = cutting(one.server.at, b"insert").await;
    let store = writer(&of(&[&at.to_string()], ""), Connection::Reuse);
    store.prepare(Instant::now() + LONG).await.unwrap();
    assert_eq!(write(&*store, "k:1", 0).await, "unknown: reset");
    cuts.store(false, Ordering::SeqCst);
    assert_eq!(found(&*store, "k:").await.unwrap().len(), 1, "it is there");
    assert_eq!(write(&*store, "k:1", 1).await, "acked", "at a retry the row that is there is the own one");
    let ends = one.json(r#","statement":"select pg_terminate_backend(pg_backend_pid())""#);
    assert_eq!(asked(&ends).await, "shutting down");
}

#[tokio::test]
async fn a_wait_for_a_standby_that_is_cancelled_is_no_ack() {
    let Some(one) = Postgres::start(&[]) else { return };
    let store = writer(&one.json(""), Connection::Reuse);
    store.prepare(Instant::now() + LONG).await.unwrap();
    one.does("alter system set synchronous_standby_names = 'FIRST 1 (nobody)'").await;
    one.does("select pg_reload_conf()").await;
    let cancel = one.json(r#","statement":"select count(*) from (select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep') x","expect":"1""#);
    // The server takes the setting over some time later.
    let mut written = 0;
    let until_it_waits = async {
        loop {
            written += 1;
            match write(&*store, &format!("k:{written}"), 0).await.as_str() {
                "acked" => {}
                how => return how.to_owned(),
            }
        }
    };
    let cancels = async {
        loop {
            asked(&cancel).await;
        }
    };
    let how: String = tokio::select! {
        how = until_it_waits => how,
        () = cancels => unreachable!("it goes on"),
        () = tokio::time::sleep(LONG) => panic!("no write waited for a standby"),
    };
    assert_eq!(how, "unknown: warning");
    assert_eq!(found(&*store, "k:").await.unwrap().len(), written, "the last one is on this one server, too");
}

#[tokio::test]
async fn records_come_back_page_by_page() {
    let Some(one) = Postgres::start(&["standard_conforming_strings=off", "backslash_quote=safe_encoding"])
    else {
        return;
    };
    all_come_back(&*writer(&one.json(""), Connection::Reuse), 10_500).await;
    // A server that ends all connections in the middle of a write.
    let pid: i32 = fs::read_to_string(one.data.path().join("data/postmaster.pid"))
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    let store = writer(&one.json(""), Connection::New);
    let until = Instant::now() + LONG;
    loop {
        match write(&*store, "last", 1).await.as_str() {
            "no: refused" => break,
            how => assert!(
                Instant::now() < until
                    && (how == "acked" || how.starts_with("no: ") || how.starts_with("unknown: ")),
                "{how}"
            ),
        }
    }
}
