//! Messages about runs, through a channel that is down during the run.

use rustix::process::Signal;

use crate::{
    bench::{Bench, assert_ends, end, labs, plain_scenario, wait},
    output::said,
    receiver::Receiver,
};

const OPTIONS: [&str; 2] = ["--notify", "channels.toml"];

/// Makes a lab, and a channel to which nothing can be delivered yet.
fn with_channel(name: &str) -> Bench {
    let bench = Bench::up(name);
    bench.file(
        "channels.toml",
        "schema = 1\n[channel.ops]\nwebhook = { url = { secret_file = \"url\" }, key = { secret_file = \"key\" } }\n",
    );
    bench.file("key", "k3y-of-the-signature");
    bench.file("url", "http://127.0.0.1:9/s3cretpath");
    bench
}

/// Lets the channel be up, and delivers a number of messages. Returns them, and checks that no further one comes.
fn delivered(bench: &Bench, number: usize) -> Vec<serde_json::Value> {
    let receiver = Receiver::start();
    bench.file("url", &receiver.url("/s3cretpath"));
    assert_ends(
        &bench.firedrill(&["notify", "deliver"]).output().unwrap(),
        0,
        "ops: Firedrill: drill \"verbs\"",
    );
    let all = (0..number).map(|_| receiver.next().json()).collect();
    assert!(receiver.is_quiet(), "more than {number} messages were delivered");
    all
}

/// Returns the kinds of messages, in their order.
fn kinds(messages: &[serde_json::Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["what"].as_str()).collect()
}

#[test]
fn a_channel_that_is_down_changes_no_run_and_is_told_later() {
    if !labs() {
        return;
    }
    let bench = with_channel("told");
    let ended = bench.run(&plain_scenario(1, "2s"), &OPTIONS);
    assert!(said(&ended).contains("3 messages for channels are not delivered yet"), "{}", said(&ended));
    let exit = bench.card()["exit"].as_i64();
    assert_eq!(ended.status.code().map(i64::from), exit, "as the report says: {}", said(&ended));
    let all = delivered(&bench, 3);
    assert_eq!(kinds(&all), ["started", "landed", "ended"]);
    let [started, landed, ended] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&started["hosts"][0], &landed["hosts"][0]), (&"app1".into(), &"app1".into()));
    let stop = format!("firedrill undo --run {} --lab={}", started["run"].as_str().unwrap(), bench.lab);
    assert_eq!((started["stop"].as_str(), landed["stop"].as_str()), (Some(&*stop), Some(&*stop)));
    assert!(landed["title"].as_str().unwrap().ends_with("attack stop 1 is in force"), "{landed}");
    assert!(landed["until"].as_str() > landed["at"].as_str() && started["until"].is_string(), "{all:?}");
    assert_eq!(ended["begun"]["id"], started["id"]);
    for log in bench.logs() {
        assert!(!log.contains("s3cretpath"), "{log}");
    }
}

#[test]
fn the_end_of_a_run_whose_program_was_killed_is_told_by_whoever_collects_it() {
    if !labs() {
        return;
    }
    let bench = with_channel("killed");
    let (mut child, folder) = bench.until_in_force_with(&plain_scenario(1, "40s"), &OPTIONS);
    end(&mut child, Signal::KILL);
    assert!(wait(&mut child).code().is_none());
    let collect = ["collect", folder.to_str().unwrap(), "--notify", "channels.toml"];
    let collected = bench.on(&collect).output().unwrap();
    assert!(said(&collected).contains("not delivered yet"), "{}", said(&collected));
    let all = delivered(&bench, bench.pending());
    let (first, last) = (all.first().unwrap(), all.last().unwrap());
    assert_eq!((first["what"].as_str(), last["what"].as_str()), (Some("started"), Some("ended")));
    assert_eq!((&last["run"], &last["begun"]["id"]), (&first["run"], &first["id"]));
    assert_eq!(last["result"], "unknown", "{last}");
    assert!(last["why"].as_str().unwrap().contains("had died"), "{last}");
}

#[test]
fn a_run_that_somebody_halts_tells_so() {
    if !labs() {
        return;
    }
    let bench = with_channel("halts");
    let (mut child, _) = bench.until_in_force_with(&plain_scenario(1, "40s"), &OPTIONS);
    // The run is halted only after the message about the fault was made.
    while bench.pending() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    end(&mut child, Signal::INT);
    assert_eq!(wait(&mut child).code(), Some(5), "{}", bench.stderr());
    let all = delivered(&bench, 4);
    assert_eq!(kinds(&all), ["started", "landed", "aborted", "halted"]);
    assert_eq!(all[3]["result"], "stopped");
    assert!(
        all[2]["why"].as_str().unwrap().contains("Ctrl-C")
            && all[3]["why"].as_str().unwrap().contains("Ctrl-C"),
        "{all:?}"
    );
}
