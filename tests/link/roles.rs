//! All roles of people × all calls.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use firedrill::link::{Agent, Identity, LinkError};
use firedrill_wire::{RefusalCode, api::Prepare, identity::Role};
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;

use super::house::{House, Recorder, Served, arm, exchange, prepare, probes, renew, run, undo_all};

type Asked = Pin<Box<dyn Future<Output = Result<(), LinkError>>>>;

/// The name of a call, its sort, and the call.
type Call = (&'static str, Sort, fn(Agent) -> Asked);

/// The sort of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sort {
    /// It only looks or heals.
    Look,
    /// It may harm.
    Harm,
}

/// Returns the calls of the API, each with its sort.
fn calls() -> Vec<Call> {
    macro_rules! call {
        ($sort:ident $name:literal $agent:ident $does:expr) => {
            ($name, Sort::$sort, |$agent: Agent| -> Asked { Box::pin(async move { $does.await.map(drop) }) })
        };
    }
    vec![
        call!(Look "status" agent agent.status()),
        call!(Look "clock" agent agent.clock()),
        call!(Look "doctor" agent agent.doctor()),
        call!(Look "undo" agent agent.undo(&undo_all())),
        call!(Look "finish" agent agent.finish(&run())),
        call!(Look "stop probes" agent agent.stop_probes(&run())),
        call!(Look "events" agent async move { Box::pin(agent.events(0)).next().await.unwrap() }),
        call!(Look "bins" agent async move { Box::pin(agent.bins(&run(), 0)).next().await.unwrap() }),
        call!(Harm "prepare" agent agent.prepare(&run(), &prepare())),
        call!(Harm "arm" agent agent.arm(&run(), &arm())),
        call!(Harm "renew" agent agent.renew(&run(), &renew())),
        call!(Harm "start probes" agent agent.start_probes(&run(), &probes())),
        call!(Harm "exchange" agent agent.exchange(&run(), &exchange())),
        call!(Harm "release" agent agent.release()),
    ]
}

/// Makes all calls, and returns those that were allowed. Checks that the others were refused with a reason and had no effect.
async fn gone_through(served: &Served, identity: &Arc<Identity>, reason: &str) -> Vec<&'static str> {
    let mut through = Vec::new();
    for (name, _, call) in calls() {
        served.control.taken();
        match call(served.agent(identity)).await {
            Ok(()) => through.push(name),
            Err(LinkError::Refused { status: 403, problem, .. }) => {
                assert_eq!(problem.code, RefusalCode::NotAllowed);
                assert!(problem.title.contains(reason), "{name}: `{}` should say `{reason}`", problem.title);
                assert_eq!(served.control.taken(), Vec::<String>::new(), "{name} was refused and done");
            }
            Err(other) => panic!("{name} by {}: {other}", identity.name()),
        }
    }
    through
}

/// Returns the names of the calls of some sorts.
fn names(sorts: &[Sort]) -> Vec<&'static str> {
    calls().iter().filter(|(_, sort, _)| sorts.contains(sort)).map(|(name, ..)| *name).collect()
}

/// Starts a server that has an event and a bin, so that no stream waits.
async fn served_with_streams(house: &House) -> Served {
    let served = house.serve().await;
    served.control.events.send_replace(1);
    served.control.bins.send_replace((1, Recorder::OPEN));
    served
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_may_do_all_and_viewers_may_look_and_heal() {
    let house = House::new();
    let served = served_with_streams(&house).await;
    let operator = house.person("olga", Role::Operator);
    let viewer = house.person("vera", Role::Viewer);
    assert_eq!(gone_through(&served, &operator, "").await, names(&[Sort::Look, Sort::Harm]));
    assert_eq!(gone_through(&served, &viewer, "a viewer may look and heal").await, names(&[Sort::Look]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_with_an_expired_certificate_may_heal_and_not_harm() {
    let house = House::new();
    let served = served_with_streams(&house).await;
    let operator = house.expired_person("olga", Role::Operator);
    let viewer = house.expired_person("vera", Role::Viewer);
    assert_eq!(gone_through(&served, &operator, "expired").await, names(&[Sort::Look]));
    assert_eq!(gone_through(&served, &viewer, "a viewer").await, names(&[Sort::Look]));
    served.agent(&operator).undo(&undo_all()).await.unwrap();
    assert_eq!(served.control.taken(), ["undo by olga may_harm=false"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_name_no_person_are_refused() {
    let house = House::new();
    let served = served_with_streams(&house).await;
    let host = house.odd("host", &["firedrill://host/app-2"]);
    assert_eq!(gone_through(&served, &host, "host app-2").await, Vec::<&str>::new());
    let nobody = house.odd("nobody", &["https://example.org/"]);
    assert_eq!(gone_through(&served, &nobody, "no URI name").await, Vec::<&str>::new());
    let two = house.odd("two", &["firedrill://person/a?role=operator", "firedrill://host/app-2"]);
    assert_eq!(gone_through(&served, &two, "more than one").await, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_restriction_forbids_harm() {
    let house = House::new();
    let served = served_with_streams(&house).await;
    let odd = house.odd("odd", &["firedrill://person/olga?role=operator&environment=ci"]);
    assert_eq!(gone_through(&served, &odd, "not understood").await, names(&[Sort::Look]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_is_the_person_of_the_certificate() {
    let house = House::new();
    let served = served_with_streams(&house).await;
    let several = [
        "firedrill://person/olga",
        "firedrill://role/operator",
        "firedrill://team/pay",
        "firedrill://env/ci",
    ];
    for uris in [&several[..], &["firedrill://person/olga?role=operator&team=pay&env=ci"]] {
        served.agent(&house.odd("olga", uris)).prepare(&run(), &prepare()).await.unwrap();
        let call = served.control.taken().pop().unwrap();
        for part in ["name: \"olga\"", "Some(\"pay\")", "[\"ci\"]", "may_harm: true"] {
            assert!(call.contains(part), "{call}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_call_is_refused_with_its_status_and_code() {
    let house = House::new();
    let served = served_with_streams(&house).await;
    let operator = house.person("olga", Role::Operator);
    let mut bare = served.bare(&house, "olga").await;
    let big = format!("{{\"plan_digest\":\"{}\"}}", "x".repeat(Prepare::MOST_BYTES));
    for (method, path, body, status, code, says) in [
        ("GET", "/v2/status", "", 404, "unknown-version", "/v1/"),
        ("GET", "/v1/nothing", "", 404, "unknown-path", "no such call"),
        ("GET", "/", "", 404, "unknown-path", "/v1/"),
        ("POST", "/v1/status", "", 405, "bad-method", "POST"),
        ("POST", "/v1/undo", "{", 422, "bad-body", "line 1"),
        ("POST", "/v1/undo", "{\"scope\":\"some\"}", 422, "bad-body", "unknown variant `some`"),
        ("POST", "/v1/runs/a/prepare", "{}", 422, "bad-body", "missing field `plan_digest`"),
        ("POST", "/v1/runs/a/arm", &big, 413, "too-large", "bytes"),
        ("POST", "/v1/runs/A%20b/finish", "{}", 400, "bad-id", "not an id"),
        ("GET", "/v1/runs/nobody/bins", "", 404, "unknown-run", "no probes"),
        ("GET", "/v1/events?after=soon", "", 400, "bad-after", "after"),
    ] {
        let request = Request::builder().method(method).uri(format!("https://app-1{path}"));
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let answer = bare.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let problem: firedrill_wire::api::Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.code.as_str(), code, "{method} {path}");
        let text = format!("{} {}", problem.title, problem.hint);
        assert!(text.contains(says), "{method} {path}: {text}");
    }
    let agent = served.agent(&operator);
    match agent.arm(&"tombstone".parse().unwrap(), &arm()).await {
        Err(error @ LinkError::Refused { status: 409, .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("run tombstone was undone") && text.contains("start another run"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}
