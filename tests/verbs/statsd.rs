//! Objectives about a lab's programs that send StatsD: held or violated by their packets, and unknown while a sender is dead.

use serde_json::Value;

use crate::{
    bench::{Bench, assert_ends, labs, programs},
    output::said,
};

const FLEET: &str = include_str!("../right/statsd-fleet.toml");
const SCENARIO: &str = include_str!("../right/statsd.toml");

/// Starts a lab with the senders. Prints a message and returns `None` if this machine cannot.
fn up(name: &str) -> Option<Bench> {
    (labs() && programs(&["bash"])).then(|| Bench::with(name, FLEET))
}

#[test]
fn packets_say_held_and_violated_and_the_silence_of_a_sender_is_unknown() {
    let Some(bench) = up("statsd") else { return };
    let run = bench.run(SCENARIO, &[]);
    assert_ends(&run, 1, "requests");
    let card = bench.card();
    let all = card["attacks"][0]["objectives"].as_array().unwrap();
    let of = |name: &str| {
        let one =
            all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{card:#}: {}", said(&run)));
        let text = |key: &str| one[key].as_str().unwrap();
        (text("verdict"), text("why"))
    };
    let (verdict, why) = of("requests");
    assert!(verdict == "violated" && why.contains("not above 2; the worst is 0 at"), "{verdict}: {why}");
    for name in ["silence", "latency"] {
        let (verdict, why) = of(name);
        assert!(verdict == "unknown" && !why.contains("did not answer"), "{name}: {verdict}: {why}");
    }
    for name in ["beat", "queue", "took", "users", "share", "lost"] {
        let (verdict, why) = of(name);
        assert_eq!(verdict, "held", "{name}: {why}");
    }
    let beat: &Value = &all.iter().find(|objective| objective["name"] == "beat").unwrap()["metric"];
    assert!(beat["samples"].as_u64().unwrap() >= 8 && beat["asks"] == "rate(watch.beat[1s])", "{beat:#}");
    let logs = bench.logs();
    assert!(
        logs.iter().any(|log| log.contains("events and service checks of DogStatsD were skipped")),
        "{logs:?}"
    );
}

#[test]
fn a_guard_on_packets_aborts_and_a_metric_that_nobody_sends_refuses_the_run() {
    let Some(bench) = up("statsd-guard") else { return };
    let nothing = SCENARIO.replace("\"watch.users\"", "\"watch.usres\"");
    let refused = bench.run(&nothing, &[]);
    assert_ends(&refused, 4, "objective users cannot be measured: source app: `watch.usres` was not sent;");
    let elsewhere = SCENARIO.replace("10.77.0.2:8126", "192.0.2.1:8126");
    let refused = bench.run(&elsewhere, &["--plan"]);
    assert_ends(&refused, 4, "source app cannot be heard: 192.0.2.1:8126 is no address of this machine");
    bench.assert_untouched();
    let guarded = format!("{SCENARIO}\n[guard]\nabort = [{{ objective = \"requests\", over = \"2s\" }}]\n");
    let aborted = bench.run(&guarded, &[]);
    // The window may include requests from before the stop, so the number is 0, 1 or 2.
    assert_ends(&aborted, 1, "a guard aborted: guard: objective requests: ");
    assert_ends(&aborted, 1, ", not above 2, over 2s");
    bench.assert_quiet();
}
