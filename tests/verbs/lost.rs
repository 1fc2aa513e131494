//! Writes that a store acknowledges and loses, in a lab. A Redis master that is cut off goes on to acknowledge writes, while a watcher makes its
//! replica the master. Without the watcher nothing is lost.

use std::fs;

use crate::{
    bench::{Bench, assert_ends, labs, programs, wait},
    between::{records, tell, until},
};

/// Makes this host the master after the other one did not answer three times. Makes the other one its replica when that answers again.
const WATCHER: &str = "import socket, time
def ask(host, words):
    with socket.create_connection((host, 6379), 0.5) as server:
        server.settimeout(0.5)
        server.sendall(words.encode() + b'\\r\\n')
        return server.recv(4096)
missed, master = 0, False
while True:
    try:
        ask('10.78.5.11', 'PING')
        missed = 0
        if master:
            ask('10.78.5.11', 'REPLICAOF 10.78.5.12 6379')
    except OSError:
        missed += 1
        if missed == 3 and not master:
            ask('127.0.0.1', 'REPLICAOF NO ONE')
            master = True
    time.sleep(0.2)
";

/// For [`fleet`]: the replica has the watcher.
const WATCHED: bool = true;
/// For [`fleet`]: no host has the watcher.
const UNWATCHED: bool = false;

/// Returns a fleet of a master and a replica.
fn fleet(watched: bool) -> String {
    let server = |number: u8, more: &str| {
        format!(
            "[[host]]\nname = \"d{number}\"\nroles = [\"db\"]\naddresses = [\"10.78.5.1{number}\"]\n\
             [[host.service]]\nname = \"redis\"\nargv = [\"redis-server\", \"--bind\", \"0.0.0.0\", \"--protected-mode\", \"no\", \
             \"--save\", \"\", \"--dir\", \"/tmp\", \"--repl-diskless-sync-delay\", \"0\"{more}]\n\
             ready = {{ tcp = 6379, within = \"30s\" }}\n"
        )
    };
    let mut text =
        format!("schema = 1\n{}{}", server(1, ""), server(2, ", \"--replicaof\", \"10.78.5.11 6379\""));
    if watched {
        text += &format!(
            "[[host.service]]\nname = \"watcher\"\nargv = [\"python3\", \"/etc/drill/watch.py\"]\n\
             file = [{{ path = \"/etc/drill/watch.py\", content = '''\n{WATCHER}''' }}]\n"
        );
    }
    text
}

const SCENARIO: &str = r#"
schema = 1
name = "lost"
hypothesis = "What the store acknowledged is there after its network was cut."

[targets.master]
where = { name = "d1" }

[probes.carts]
rate = 40
timeout = "1s"
connection = "reuse"
writes = { redis = { address = ["d1:6379", "d2:6379"] } }

[objectives.kept]
probe = "carts"
lost_writes = { at_most = 0, ghosts = 0 }

[[attack]]
name = "cut the master off"
on = "master"
baseline = "3s"
hold = "8s"
recovery = "6s"
fault.net-block = { to = "d2" }
"#;

#[test]
fn a_master_that_is_cut_off_loses_what_it_acknowledged_where_another_one_is_made() {
    if !labs() || !programs(&["redis-server", "python3"]) {
        return;
    }
    let bench = Bench::with("lost", &fleet(WATCHED));
    let plan = bench.run(SCENARIO, &["--plan"]);
    assert_ends(&plan, 0, "writes to redis d1:6379, d2:6379, in keys that stay");
    assert_ends(&plan, 0, "no acknowledged write lost, at most 0 ghosts");
    let run = bench.run(SCENARIO, &[]);
    assert_ends(&run, 1, "acknowledged writes are lost, the first was due");
    assert_ends(&run, 1, "carts from coordinator read back, after");
    let card = bench.card();
    assert_eq!(card["verdict"], "violated", "{card}");
    let [before, after] = ["before", "after"].map(|moment| {
        let all = card["attacks"][0]["writes"].as_array().unwrap();
        all.iter().find(|one| one["moment"] == moment).unwrap()["counts"].clone()
    });
    assert_eq!((before["lost"].as_u64(), before["ghost"].as_u64()), (Some(0), Some(0)), "{before}");
    // At least two seconds of 40 writes a second.
    let lost = after["lost"].as_u64().unwrap() + after["lost_late"].as_u64().unwrap();
    assert!(lost >= 80, "{after}");
    assert_eq!(after["foreign"], 0, "{after}");
    let folder = crate::runs::run_folders(&bench.reports()).remove(0);
    for file in ["report.html", "report.md"] {
        let report = fs::read_to_string(folder.join(file)).unwrap();
        assert!(report.contains("acknowledged at ") && report.contains("after the fault"), "{file}");
    }
}

#[test]
fn a_master_that_is_cut_off_alone_loses_nothing_and_a_pause_in_its_baseline_is_heard() {
    if !labs() || !programs(&["redis-server"]) {
        return;
    }
    let bench = Bench::with("kept", &fleet(UNWATCHED));
    let (mut child, run) = bench.until_log(SCENARIO, &[], "\"phase\":\"baseline\"");
    assert_ends(&tell(&bench, &["pause"], &run), 0, "it pauses before attack 1");
    // The wish cuts the baseline short. Reading records back takes ten seconds, and meanwhile the wish is taken back.
    assert_ends(&tell(&bench, &["resume"], &run), 0, "");
    until(&bench, &run, "\"event\":\"resumed\"");
    assert_eq!(wait(&mut child).code(), Some(0), "{}", bench.stderr());
    let log = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let all = records(&log);
    let last =
        |name: &str| all.iter().rposition(|one| one == name).unwrap_or_else(|| panic!("no {name}: {all:?}"));
    let asked = last("pause-asked 0");
    assert!(last("baseline 0") > asked, "the baseline is measured after the wish: {all:?}");
    assert!(last("writes-read 0") > last("armed 0"), "{all:?}");
    let card = bench.card();
    assert_eq!(card["verdict"], "held", "{card}");
    assert_eq!(card["attacks"][0]["objectives"][0]["measured"]["value"], 0.0, "{card}");
}
