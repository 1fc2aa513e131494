//! Probes that write to a server which loses, refuses and hides records, and what their record says of it.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use firedrill_probe::{
    Keeping, NoStores, Spool, start_on,
    writes::{Place, Reader},
};
use firedrill_wire::{
    Span,
    probe::{Connection, ProbeKind, ProbeSpec},
    writes::{Author, Counts, ReadBack},
};
use futures_util::StreamExt as _;

use super::{common::http, kv::Kv};

/// The variables by which a test starts itself as a vantage that is killed: the folder, and the address of the server.
const VANTAGE: [&str; 2] = ["FIREDRILL_TEST_RECORD", "FIREDRILL_TEST_KV"];

/// The server keeps writes that it refuses.
const KEPT: bool = true;
/// The server does not keep writes that it refuses.
const NOT_KEPT: bool = false;
/// The server gives no answer: a value of `silent`.
const SILENT: bool = true;
/// The server answers: a value of `silent`.
const ANSWERS: bool = false;

fn place(folder: &Path) -> Place {
    let author = Author { run: "r1".parse().expect("an id"), vantage: "d1".to_owned() };
    Place { folder: folder.to_owned(), author }
}

/// A probe of 200 writes a second.
fn spec(store: &str) -> ProbeSpec {
    let kind: ProbeKind = serde_json::from_str(&format!("{{\"writes\":{store}}}")).expect(store);
    ProbeSpec {
        name: "orders".to_owned(),
        kind,
        rate: 200.0,
        timeout: Span::millis(500),
        connection: Connection::Reuse,
        ..http("")
    }
}

fn plain(kv: &Kv) -> String {
    format!("{{\"http\":{{\"url\":\"http://{}/kv/{{key}}\"}}}}", kv.address)
}

fn etcd(kv: &Kv) -> String {
    format!("{{\"etcd\":{{\"url\":\"http://{}\"}}}}", kv.address)
}

/// Writes for the time `length`. Returns the readers that compare, and the number of good requests.
async fn written(folder: &Path, spec: ProbeSpec, length: Duration) -> (Vec<Reader>, u64) {
    let running = start_on(Spool::new(), vec![spec], length, &Keeping(place(folder)), &NoStores)
        .expect("a probe that can be");
    let bins = running.spool.feed(0).collect::<Vec<_>>().await;
    (running.readers().to_vec(), bins.iter().map(|bin| bin.good).sum())
}

async fn compared(readers: &[Reader]) -> ReadBack {
    readers.first().expect("a probe that writes").read_back(Duration::from_millis(20)).await
}

fn counts(told: &ReadBack) -> Counts {
    assert_eq!(told.failed, None);
    told.counts.expect("it is known")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lost_write_is_counted_and_told_once() {
    for store in [plain, etcd] {
        let (kv, folder) = (Kv::start().await, tempfile::tempdir().expect("a folder"));
        kv.state().lose_every = 7;
        let (readers, good) = written(folder.path(), spec(&store(&kv)), Duration::from_secs(1)).await;
        let told = compared(&readers).await;
        let all = counts(&told);
        assert!(all.acked > 50 && all.acked >= good, "{all:?}, {good} good");
        assert_eq!((all.lost, all.kept), (kv.lacks(), all.acked - kv.lacks()), "{all:?}");
        assert!(all.lost > 5 && (all.lost_late, all.duplicate, all.foreign, all.ghost) == (0, 0, 0, 0));
        assert!(told.lost.iter().all(|one| one.due_us <= one.at_us && !one.late));
        let again = counts(&compared(&readers).await);
        assert_eq!((again.lost, again.lost_before), (0, all.lost), "told once");
        // The store loses one more later.
        let gone = kv.state().kept.pop_first().expect("it has some");
        let late = compared(&readers).await;
        assert_eq!((counts(&late).lost, late.lost.len()), (1, 1));
        assert!(gone.0.ends_with(&format!(":{}", late.lost[0].seq)), "{gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_keeps_all_loses_none_over_many_pages() {
    let (kv, folder) = (Kv::start().await, tempfile::tempdir().expect("a folder"));
    // Records of another vantage, and of a number that was never written.
    for key in ["r1:orders:d2:4294967296", "r1:orders:d1:7"] {
        kv.state().kept.insert(key.to_owned(), "1".to_owned());
    }
    let fast = ProbeSpec { rate: 1500.0, ..spec(&etcd(&kv)) };
    let (readers, _) = written(folder.path(), fast, Duration::from_secs(2)).await;
    let all = counts(&compared(&readers).await);
    assert!(all.acked > 1000, "{all:?}");
    assert_eq!((all.kept, all.foreign, all.newly_lost()), (all.acked, 1, 0));
    assert!(kv.state().pages >= 4, "two passes of more than one page");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_writes_that_are_there_are_ghosts_and_silent_ones_are_unknown() {
    let half = Duration::from_millis(500);
    for (refuse, silent) in [
        (Some((409, NOT_KEPT)), ANSWERS),
        (Some((409, KEPT)), ANSWERS),
        (Some((503, KEPT)), ANSWERS),
        (None, SILENT),
    ] {
        let (kv, folder) = (Kv::start().await, tempfile::tempdir().expect("a folder"));
        (kv.state().refuse, kv.state().silent) = (refuse, silent);
        let (readers, good) = written(folder.path(), spec(&plain(&kv)), half).await;
        let told = compared(&readers).await;
        let all = counts(&told);
        assert_eq!((good, all.acked, all.newly_lost()), (0, 0, 0), "{all:?}");
        let sure = refuse.is_some_and(|(status, _)| status == 409);
        assert_eq!((all.refused > 0, all.unknown() > 0), (sure, !sure), "{all:?}");
        assert_eq!(all.ghost, if refuse == Some((409, KEPT)) { all.refused } else { 0 });
        assert_eq!(told.ghosts.is_empty(), all.ghost == 0);
        if !sure {
            assert_eq!((all.unknown_present, all.unknown_absent), (all.unknown(), 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_refuses_and_a_failed_pass_is_no_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let closed = {
        let kv = Kv::start().await;
        plain(&kv).replace(&kv.address.port().to_string(), "1")
    };
    let (readers, _) = written(folder.path(), spec(&closed), Duration::from_millis(300)).await;
    let told = compared(&readers).await;
    assert_eq!(told.counts, None);
    assert!(
        told.failed.as_deref().is_some_and(|why| why.contains("first read-back failed: refused")),
        "{told:?}"
    );
    for store in [plain, etcd] {
        let (kv, folder) = (Kv::start().await, tempfile::tempdir().expect("a folder"));
        kv.state().lose_every = 2;
        let (readers, _) = written(folder.path(), spec(&store(&kv)), Duration::from_millis(300)).await;
        kv.state().unreadable = true;
        let told = compared(&readers).await;
        assert!(told.counts.is_none() && told.lost.is_empty() && told.failed.is_some(), "{told:?}");
    }
}

/// A vantage for [`the_record_survives_a_killed_vantage`]. By itself it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn vantage_that_is_killed() {
    let [Ok(folder), Ok(kv)] = VANTAGE.map(std::env::var) else { return };
    let spec = spec(&format!("{{\"http\":{{\"url\":\"http://{kv}/kv/{{key}}\"}}}}"));
    written(Path::new(&folder), spec, Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_survives_a_killed_vantage() {
    let (kv, folder) = (Kv::start().await, tempfile::tempdir().expect("a folder"));
    kv.state().lose_every = 5;
    let [at, address] = VANTAGE;
    let mut vantage = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "writes::vantage_that_is_killed"])
        .env(at, folder.path())
        .env(address, kv.address.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts itself");
    while kv.state().acked.len() < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    vantage.kill().expect("kills it");
    vantage.wait().expect("it ended");
    // Writes that the server reads from a connection after the end of its client.
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Another start, which loses nothing.
    let lacks = kv.lacks();
    kv.state().lose_every = 0;
    let (readers, _) = written(folder.path(), spec(&plain(&kv)), Duration::from_millis(300)).await;
    let told = compared(&readers).await;
    let all = counts(&told);
    assert!(all.acked > 100 && all.foreign == 0, "{all:?}");
    // What the server acknowledged and the vantage did not live to note is unknown, and no proof of a loss.
    assert_eq!(all.lost + all.unknown_absent, lacks, "{all:?}");
    assert!(all.unknown_absent <= 3 && all.lost > 10, "{all:?}");
}
