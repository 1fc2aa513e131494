//! Redis: a master, a replica, sentinels, and what goes wrong with them.

use std::{fs, net::SocketAddr, sync::atomic::Ordering, time::Duration};

use firedrill_wire::probe::Connection;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::{
    DUE, LONG, all_come_back, asked, at_last, client, found,
    programs::{self, Server, command, cutting, folder, program},
    said, write, write_within, writer,
};

/// A server and its folder.
pub(crate) struct Redis {
    pub(crate) server: Server,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one; `None` where it is not installed.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        program("redis-server")?;
        Some(Self::on(folder(), settings))
    }

    fn on(folder: tempfile::TempDir, settings: &[&str]) -> Self {
        let at = programs::address(6379);
        let mut redis = command(&program("redis-server").unwrap(), folder.path());
        redis.args([
            "--bind",
            &at.ip().to_string(),
            "--port",
            "6379",
            "--protected-mode",
            "no",
            "--save",
            "",
        ]);
        redis.args(["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"]);
        redis.args(["--replica-announce-ip", &at.ip().to_string()]).args(settings);
        let log = folder.path().join("log");
        Self { server: Server::start(redis, at, log), folder }
    }

    /// Starts a sentinel of a master.
    fn sentinel(of: SocketAddr) -> Option<Self> {
        let path = program("redis-sentinel")?;
        let (at, folder) = (programs::address(26379), folder());
        let file = folder.path().join("sentinel.conf");
        let ip = at.ip();
        // It keeps its word for longer than the test lasts.
        let text = format!(
            "bind {ip}\nport 26379\nprotected-mode no\nsentinel monitor shop {} 6379 2\nsentinel down-after-milliseconds shop 600000\n",
            of.ip()
        );
        fs::write(&file, text).unwrap();
        programs::give(&file);
        let mut sentinel = command(&path, folder.path());
        sentinel.arg(&file);
        let log = folder.path().join("log");
        Some(Self { server: Server::start(sentinel, at, log), folder })
    }

    pub(crate) fn json(&self, command: &[&str], more: &str) -> String {
        of(&[self.server.at], command, more)
    }

    /// Carries out a command for the test itself.
    pub(crate) async fn does(&self, command: &[&str]) {
        assert_eq!(asked(&self.json(command, "")).await, "good", "{command:?}");
    }
}

pub(crate) fn of(addresses: &[SocketAddr], command: &[&str], more: &str) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!(r#"{{"address":{addresses:?},"command":{command:?}{more}}}"#)
}

#[tokio::test]
async fn good_answers_are_good_and_others_have_their_words() {
    let Some(one) =
        Redis::start(&["--requirepass", "s3cret", "--user", "app", "on", ">geheim", "~*", "+ping"])
    else {
        return;
    };
    let secret = |name: &str, text: &str| {
        let path = one.folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!(r#","password":{{"secret_file":{path:?}}}"#)
    };
    let (right, wrong) = (secret("right", "s3cret\n"), secret("wrong", "other\n"));
    let app = format!(r#","user":"app"{}"#, secret("app", "geheim"));
    let with = |more: &str| format!("{right}{more}");
    for (command, more, said) in [
        (&["PING"][..], with(""), "good"),
        (&["PING"], with(r#","expect":"PONG""#), "good"),
        (&["PING"], with(r#","expect":"PING""#), "answer"),
        (&["ECHO", "a b"], with(r#","expect":"a b""#), "good"),
        (&["SETNX", "k", "v"], with(r#","expect":"1""#), "good"),
        (&["GET", "nothing"], with(r#","expect":"""#), "answer"),
        (&["NOSUCH"], with(""), "redis error"),
        (&["PING"], with(r#","role":"master""#), "good"),
        (&["PING"], with(r#","role":"replica""#), "answered by a primary"),
        (&["PING"], wrong, "wrong password"),
        (&["PING"], String::new(), "password wanted"),
        (&["PING"], app.clone(), "good"),
        (&["GET", "k"], app, "not permitted"),
    ] {
        assert_eq!(asked(&one.json(command, &more)).await, said, "{command:?} {more}");
    }
    assert_eq!(asked(&of(&[programs::address(6380)], &["PING"], "")).await, "refused");
}

#[tokio::test]
async fn a_kept_connection_is_used_again_until_the_server_ends_it() {
    let Some(one) = Redis::start(&[]) else { return };
    // The first connection of a server has the number that `CLIENT ID` tells; the port's test had one, too.
    let id = |id: u64, connection| {
        client(&one.json(&["CLIENT", "ID"], &format!(r#","expect":"{id}""#)), connection)
    };
    let until = || Instant::now() + LONG;
    let mut first = 1;
    while said(id(first, Connection::New).ask(DUE, until()).await) != "good" {
        first += 2;
        assert!(first < 99);
    }
    let kept = id(first + 1, Connection::Reuse);
    assert_eq!(said(kept.ask(DUE, until()).await), "good");
    assert_eq!(said(kept.ask(DUE, until()).await), "good");
    one.does(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    // It is replaced by a new one, which has another number.
    assert_eq!(said(kept.ask(DUE, until()).await), "answer");
}

#[tokio::test]
async fn a_replica_and_a_master_without_replicas_refuse_writes() {
    let Some(master) = Redis::start(&[]) else { return };
    let ip = master.server.at.ip().to_string();
    let replica = Redis::start(&["--replicaof", &format!("{ip} 6379")]).unwrap();
    let both = [replica.server.at, master.server.at];
    let set = &["SET", "k", "v"];
    assert_eq!(asked(&replica.json(set, "")).await, "read only");
    assert_eq!(asked(&replica.json(set, r#","role":"master""#)).await, "answered by a standby");
    assert_eq!(asked(&replica.json(&["PING"], r#","role":"replica""#)).await, "good");
    assert_eq!(asked(&of(&both, set, r#","role":"master""#)).await, "good");
    let pinned = writer(&replica.json(&["PING"], ""), Connection::New);
    assert_eq!(write(&*pinned, "a:1", 0).await, "no: read only");
    assert_eq!(said(found(&*pinned, "a:").await.map(|_| Default::default())), "answered by a standby");
    let store = writer(&of(&both, &["PING"], ""), Connection::New);
    assert_eq!(write(&*store, "a:1", 0).await, "acked");
    assert_eq!(found(&*store, "a:").await.unwrap().len(), 1);

    master.does(&["CONFIG", "SET", "min-replicas-to-write", "3"]).await;
    assert_eq!(asked(&master.json(set, "")).await, "too few replicas");
    assert_eq!(write(&*store, "a:2", 0).await, "no: too few replicas");

    // Both are masters: nobody knows what the store has.
    replica.does(&["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(said(found(&*store, "a:").await.map(|_| Default::default())), "several primaries");
    // A replica that has lost its master and gives no stale data.
    replica.does(&["CONFIG", "SET", "replica-serve-stale-data", "no"]).await;
    replica.does(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_eq!(asked(&replica.json(&["GET", "k"], "")).await, "master down");
}

#[tokio::test]
async fn a_server_that_reads_its_data_says_so() {
    let Some(mut one) = Redis::start(&[]) else { return };
    one.does(&["DEBUG", "POPULATE", "100000"]).await;
    one.does(&["SAVE"]).await;
    one.server.stop(Signal::KILL);
    // A millisecond for each key.
    let one = Redis::on(
        one.folder,
        &["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"],
    );
    assert_eq!(asked(&one.json(&["PING"], "")).await, "starting up");
    let store = writer(&one.json(&["PING"], ""), Connection::New);
    assert_eq!(write(&*store, "a:1", 0).await, "no: starting up");
    assert_eq!(said(found(&*store, "a:").await.map(|_| Default::default())), "starting up");
    one.server.signal(Signal::KILL);
}

#[tokio::test]
async fn a_stopped_server_is_a_time_out_and_what_it_has_is_unknown() {
    let Some(one) = Redis::start(&[]) else { return };
    let store = writer(&one.json(&["PING"], ""), Connection::Reuse);
    assert_eq!(write(&*store, "a:1", 0).await, "acked");
    let short = Duration::from_millis(300);
    one.server.signal(Signal::STOP);
    let begun = Instant::now();
    let probe = client(&one.json(&["PING"], ""), Connection::New);
    assert_eq!(said(probe.ask(DUE, Instant::now() + short).await), "timeout");
    assert_eq!(write_within(&*store, "a:2", 0, short).await, "unknown: timeout");
    let read = store.read_back("a:", Instant::now() + short, &mut |_| {}).await;
    assert_eq!(said(read.map(|()| Default::default())), "timeout");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    one.server.signal(Signal::CONT);
    let late = one.json(&["GET", "a:2"], r#","expect":"77""#);
    at_last(&late, "good").await;
}

#[tokio::test]
async fn a_cut_connection_leaves_a_write_unknown() {
    let Some(one) = Redis::start(&[]) else { return };
    let (at, cuts) = cutting(one.server.at, b"SET").await;
    let store = writer(&of(&[at], &["PING"], ""), Connection::Reuse);
    store.prepare(Instant::now() + LONG).await.unwrap();
    assert_eq!(write(&*store, "a:1", 0).await, "unknown: reset");
    cuts.store(false, Ordering::SeqCst);
    assert_eq!(found(&*store, "a:").await.unwrap().len(), 1, "it is there");
    assert_eq!(write(&*store, "a:1", 1).await, "acked", "at a retry the key that is there is the own one");
}

#[tokio::test]
async fn a_sentinel_with_a_stale_master_is_not_believed() {
    let Some(old) = Redis::start(&[]) else { return };
    let new = Redis::start(&[]).unwrap();
    let Some(stale) = Redis::sentinel(old.server.at) else { return };
    let fresh = Redis::sentinel(new.server.at).unwrap();
    old.does(&["REPLICAOF", &new.server.at.ip().to_string(), "6379"]).await;
    let by = |sentinels: &[&Redis], master: &str, addresses: &[SocketAddr]| {
        let sentinels: Vec<String> = sentinels.iter().map(|one| one.server.at.to_string()).collect();
        let more = format!(r#","sentinel":{{"master":"{master}","addresses":{sentinels:?}}}"#);
        of(addresses, &["SET", "k", "v"], &more)
    };
    let both = [old.server.at, new.server.at];
    assert_eq!(asked(&by(&[&fresh], "shop", &both)).await, "good");
    assert_eq!(asked(&by(&[&stale], "shop", &both)).await, "answered by a standby");
    assert_eq!(asked(&by(&[&stale, &fresh], "shop", &both)).await, "good");
    assert_eq!(asked(&by(&[&fresh], "shop", &[old.server.at])).await, "other master by sentinels");
    assert_eq!(asked(&by(&[&fresh], "other", &both)).await, "no master by sentinels");
    let store = writer(&by(&[&stale, &fresh], "shop", &both), Connection::Reuse);
    assert_eq!(write(&*store, "a:1", 0).await, "acked");
    assert_eq!(found(&*store, "a:").await.unwrap().len(), 1);
    assert_eq!(asked(&new.json(&["GET", "a:1"], r#","expect":"77""#)).await, "good");
    // A sentinel that stands still has its share of the time only.
    stale.server.signal(Signal::STOP);
    assert_eq!(asked(&by(&[&stale, &fresh], "shop", &both)).await, "good");
    fresh.server.signal(Signal::STOP);
    let probe = client(&by(&[&stale, &fresh], "shop", &both), Connection::New);
    assert_eq!(said(probe.ask(DUE, Instant::now() + Duration::from_millis(500)).await), "timeout");
}

#[tokio::test]
async fn records_come_back_page_by_page() {
    let Some(one) = Redis::start(&[]) else { return };
    all_come_back(&*writer(&one.json(&["PING"], ""), Connection::Reuse), 2_100).await;
}
