//! Writes that real stores acknowledged and lost, against what the stores say themselves by their own programs: PostgreSQL with a follower that
//! lags, Redis with two masters, etcd without its leader. The control of each loses none.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use firedrill_probe::{
    Keeping, Running, Spool, start_on,
    writes::{
        Place,
        classes::{Outcome, writes},
        file,
    },
};
use firedrill_stores::Clients;
use firedrill_wire::{
    Span,
    probe::{Connection, ProbeKind, ProbeSpec, WritesProbe},
    writes::{Author, Counts, ReadBack},
};
use rustix::process::Signal;

use crate::{
    LONG, at_last,
    etcd::Etcd,
    postgres::{self, Postgres, TRUST},
    programs::program,
    redis::{self, Redis},
    spec,
};

/// A vantage that writes.
struct Vantage {
    running: Running,
    folder: tempfile::TempDir,
    author: Author,
}

/// The record of a vantage, compared with its store.
struct Told {
    read: ReadBack,
    counts: Counts,
    /// Keys of writes that the store acknowledged.
    acked: BTreeSet<String>,
}

impl Vantage {
    fn start(store: WritesProbe, rate: f64) -> Self {
        let (folder, author) =
            (tempfile::tempdir().unwrap(), Author { run: "r1".parse().unwrap(), vantage: "v".to_owned() });
        let spec =
            ProbeSpec { rate, timeout: Span::secs(1), ..spec(ProbeKind::Writes(store), Connection::Reuse) };
        let place = Place { folder: folder.path().to_owned(), author: author.clone() };
        let length = Duration::from_secs(300);
        let running = start_on(Spool::new(), vec![spec], length, &Keeping(place), &Clients).unwrap();
        Self { running, folder, author }
    }

    /// Stops, and compares the record with the store.
    async fn compared(self) -> Told {
        let readers = self.running.readers().to_vec();
        tokio::task::spawn_blocking(|| self.running.join()).await.unwrap();
        let read = readers[0].read_back(Duration::from_millis(200)).await;
        assert_eq!(read.failed, None);
        let counts = read.counts.unwrap();
        let files = file::read_all(self.folder.path(), &self.author, "store").unwrap();
        let all = writes(files.into_iter().flat_map(|file| file.entries));
        let prefix = file::prefix(&self.author, "store");
        let acked = all.iter().filter(|(_, write)| write.outcome == Outcome::Acked);
        let acked: BTreeSet<String> = acked.map(|(seq, _)| format!("{prefix}{seq}")).collect();
        assert_eq!(acked.len() as u64, counts.acked);
        Told { read, counts, acked }
    }
}

impl Told {
    /// Compares what the record tells with the keys that the store has by its own words. Returns the lost ones.
    fn agrees_with(&self, has: &BTreeSet<String>) -> BTreeSet<String> {
        let Counts { acked, kept, lost, unknown_present, ghost, foreign, duplicate, .. } = self.counts;
        let gone: BTreeSet<String> = self.acked.difference(has).cloned().collect();
        assert_eq!((lost, kept), (gone.len() as u64, acked - gone.len() as u64), "{:?}", self.counts);
        assert_eq!(kept + unknown_present, has.len() as u64, "{:?}", self.counts);
        assert_eq!((ghost, foreign, duplicate), (0, 0, 0), "{:?}", self.counts);
        let ends = |key: &String, seq: u64| assert!(key.ends_with(&format!(":{seq}")), "{key} {seq}");
        for (key, told) in [
            (gone.iter().min_by_key(|key| seq(key)), self.read.lost.first()),
            (gone.iter().max_by_key(|key| seq(key)), self.read.lost.last()),
        ] {
            assert_eq!(key.is_some(), told.is_some());
            if let (Some(key), Some(told)) = (key, told) {
                ends(key, told.seq);
                assert!(told.due_us <= told.at_us && told.at_us <= self.read.began_us, "{told:?}");
            }
        }
        gone
    }
}

fn seq(key: &str) -> u64 {
    key.rsplit(':').next().unwrap().parse().unwrap()
}

/// Returns the lines that a program prints.
fn lines(command: &mut Command) -> BTreeSet<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

/// Waits until there are `more` keys more than at first.
async fn grows(keys: impl Fn() -> BTreeSet<String>, more: usize) {
    let (begun, first) = (Instant::now(), keys().len());
    while keys().len() < first + more {
        assert!(begun.elapsed() < LONG, "{} of {more} more keys", keys().len() - first);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn rows(at: SocketAddr) -> BTreeSet<String> {
    let mut psql = Command::new(program("psql").unwrap());
    psql.args(["-h", &at.ip().to_string(), "-U", "drill", "-d", "postgres", "-At", "-c"]);
    lines(psql.arg("select key from firedrill_writes").env("PGPASSWORD", "s3cret"))
}

/// The follower is synchronous: a value of `synchronous`.
const SYNCHRONOUS: bool = true;
/// The follower is asynchronous: a value of `synchronous`.
const ASYNCHRONOUS: bool = false;
/// Replication ends before the primary does: a value of `cut`.
const CUT: bool = true;
/// Replication goes on until the primary ends: a value of `cut`.
const WHOLE: bool = false;

/// Kills the primary of a pair and promotes its follower. `cut` ends replication before. Returns what the record tells, and the lost keys;
/// `None` where PostgreSQL is not installed.
async fn failover(synchronous: bool, cut: bool) -> Option<(Told, BTreeSet<String>)> {
    let mut primary = Postgres::start(&[TRUST])?;
    let follower = primary.follower(&[TRUST]);
    if synchronous {
        primary.does("alter system set synchronous_standby_names = '*'").await;
        primary.does("select pg_reload_conf()").await;
        let state = r#","statement":"select count(*) from pg_stat_replication where sync_state = 'sync'","expect":"1""#;
        at_last(&primary.json(state), "good").await;
    }
    let (old, new) = (primary.server.at, follower.server.at);
    let servers = postgres::of(&[&old.to_string(), &new.to_string()], "");
    // A server has 100 connections, and a write that waits for a standby keeps its own.
    let vantage = Vantage::start(crate::store(&servers), if synchronous && cut { 20.0 } else { 100.0 });
    at_last(&primary.json(r#","statement":"select count(*) from firedrill_writes""#), "good").await;
    grows(|| rows(old), 50).await;
    if cut {
        follower.does("alter system set primary_conninfo = ''").await;
        follower.does("select pg_reload_conf()").await;
        let nobody = r#","statement":"select count(*) from pg_stat_replication","expect":"0""#;
        at_last(&primary.json(nobody), "good").await;
        if synchronous {
            let waits = r#","statement":"select count(*) > 5 from pg_stat_activity where wait_event = 'SyncRep'","expect":"t""#;
            at_last(&primary.json(waits), "good").await;
        } else {
            grows(|| rows(old), 100).await;
        }
    }
    let had = rows(old);
    primary.server.stop(Signal::KILL);
    follower.does("select pg_promote()").await;
    grows(|| rows(new), 50).await;
    let told = vantage.compared().await;
    let has = rows(new);
    let lost = told.agrees_with(&has);
    // What the old primary had last, and was acknowledged, is kept or told as lost.
    let missing: BTreeSet<String> = had.difference(&has).cloned().collect();
    assert!(missing.iter().all(|key| lost.contains(key) || !told.acked.contains(key)));
    assert!(missing.intersection(&told.acked).count() <= lost.len());
    Some((told, lost))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asynchronous_follower_that_is_promoted_lacks_what_was_acknowledged() {
    let Some((told, lost)) = failover(ASYNCHRONOUS, CUT).await else { return };
    assert!(lost.len() >= 100, "{:?}", told.counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_follower_that_is_promoted_has_all() {
    let Some((told, lost)) = failover(SYNCHRONOUS, WHOLE).await else { return };
    assert_eq!(lost.len(), 0);
    assert!(told.counts.unknown() * 20 <= told.counts.writes(), "{:?}", told.counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_follower_that_is_cut_off_leaves_writes_unknown_and_loses_none() {
    let Some((told, lost)) = failover(SYNCHRONOUS, CUT).await else { return };
    assert_eq!(lost.len(), 0);
    assert!(told.counts.unknown_absent > 0, "{:?}", told.counts);
}

fn keys(at: SocketAddr) -> BTreeSet<String> {
    let mut cli = Command::new(program("redis-cli").unwrap());
    lines(cli.args(["-h", &at.ip().to_string(), "--scan", "--pattern", "r1:*"]))
}

/// The old master hands over: a value of `coordinated`.
const COORDINATED: bool = true;
/// The old master does not hear of the new one at first: a value of `coordinated`.
const UNCOORDINATED: bool = false;

/// Makes the replica of a pair the master. Returns the lost keys; `None` where Redis is not installed.
async fn new_master(coordinated: bool) -> Option<BTreeSet<String>> {
    let old = Redis::start(&[])?;
    let ip = old.server.at.ip().to_string();
    let new = Redis::start(&["--replicaof", &format!("{ip} 6379")]).unwrap();
    at_last(&old.json(&["WAIT", "1", "0"], r#","expect":"1""#), "good").await;
    let servers = redis::of(&[old.server.at, new.server.at], &["PING"], "");
    let vantage = Vantage::start(crate::store(&servers), 200.0);
    grows(|| keys(old.server.at), 50).await;
    if coordinated {
        old.does(&["FAILOVER"]).await;
    } else {
        // The old master goes on to acknowledge until it hears of the new one.
        new.does(&["REPLICAOF", "NO", "ONE"]).await;
        grows(|| keys(old.server.at), 100).await;
        old.does(&["REPLICAOF", &new.server.at.ip().to_string(), "6379"]).await;
    }
    at_last(&new.json(&["PING"], r#","role":"master""#), "good").await;
    at_last(&old.json(&["PING"], r#","role":"replica""#), "good").await;
    grows(|| keys(new.server.at), 50).await;
    Some(vantage.compared().await.agrees_with(&keys(new.server.at)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hears_late_of_another_one_loses_what_it_acknowledged() {
    let Some(lost) = new_master(UNCOORDINATED).await else { return };
    assert!(lost.len() >= 100, "{}", lost.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hands_over_loses_none() {
    let Some(lost) = new_master(COORDINATED).await else { return };
    assert_eq!(lost.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_without_its_leader_loses_none() {
    let Some(mut all) = Etcd::three() else { return };
    let leader = all.iter().position(Etcd::is_leader).expect("a leader");
    let mut leader = all.remove(leader);
    let url = format!("http://{}", all[0].server.at);
    let store = WritesProbe::Etcd(serde_json::from_value(serde_json::json!({ "url": url })).unwrap());
    let vantage = Vantage::start(store, 100.0);
    grows(|| all[0].keys(), 50).await;
    leader.server.stop(Signal::KILL);
    grows(|| all[0].keys(), 50).await;
    let told = vantage.compared().await;
    assert_eq!(told.agrees_with(&all[1].keys()).len(), 0);
}
