use super::*;

fn of(json: &str) -> RedisProbe {
    serde_json::from_str(json).expect(json)
}

#[test]
fn each_value_that_cannot_be_is_told_once() {
    for (json, why) in [
        (r#"{"address":"c1"}"#, "not host:port"),
        (r#"{"address":"c1:1","command":[]}"#, "`command` is empty"),
        (r#"{"address":"c1:1","command":["GET key"]}"#, "a text of its own"),
        (r#"{"address":"c1:1","command":["auth","pw"]}"#, "secret_env"),
        (r#"{"address":"c1:1","command":["Subscribe","a"]}"#, "SUBSCRIBE"),
        (r#"{"address":"c1:1","user":"u"}"#, "without a password"),
        (r#"{"address":"c1:1","password":{"secret_env":"a=b"}}"#, "`password`"),
        (r#"{"address":"c1:1","sentinel":{"master":"m","addresses":[]}}"#, "no address"),
        (r#"{"address":"c1:1","sentinel":{"master":"","addresses":["s:1"]}}"#, "`master`"),
        (r#"{"address":"c1:1","tls":true,"sentinel":{"master":"m","addresses":["-:1"]}}"#, "the host `-`"),
        (r#"{"address":"c1:1","ca_file":"","sentinel":{"master":"m","addresses":["s:1"]}}"#, "`ca_file`"),
        (r#"{"address":"c1:1","sentinel":{"master":"m","addresses":["s:1"],"user":"u"}}"#, "without"),
        (
            r#"{"address":"c1:1","role":"replica","sentinel":{"master":"m","addresses":["s:1"]}}"#,
            "no replica",
        ),
    ] {
        let said: Vec<String> = of(json).invalid().iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].contains(why), "{json}: {said:?}");
    }
    let probe = of(r#"{"address":"c1:1","sentinel":{"master":"m","addresses":["redis://:geheim@s:1"]}}"#);
    let said = probe.invalid();
    let shown = format!("{said:?} {:?} {}", probe.without_secrets(), probe.about().asks);
    assert!(said.len() == 1 && !shown.contains("geheim"), "{shown}");
}

#[test]
fn whom_it_reaches_and_what_it_reads_is_told() {
    let probe = of(r#"{"address":["c1:1","c2:1"],"password":{"secret_env":"P"},"command":["SET","k","v"],
        "sentinel":{"master":"m","addresses":["s1:2"],"password":{"secret_file":"/s"}}}"#);
    assert_eq!(probe.invalid(), []);
    let hosts: Vec<String> = probe.destinations().into_iter().map(|(host, _)| host).collect();
    assert_eq!(hosts, ["c1", "c2", "s1"]);
    let about = probe.about();
    assert_eq!(about.reads.len(), 2);
    assert_eq!(about.asks, "redis SET k v of the master m by sentinels at c1:1, c2:1");
}
