//! The records of calls in the audit log.

use firedrill::pki::{Kind, crl_file};
use firedrill_agent::audit::Request;
use firedrill_wire::identity::Role;
use http_body_util::Full;

use super::house::{House, Recorder, Served, arm, prepare, probes, renew, run, undo_all, until};

/// Returns caller, call, run, outcome and code of all requests since the last call of this function.
fn recorded(served: &Served) -> Vec<(String, String, String, &'static str, String)> {
    let requests = std::mem::take(&mut *served.control.requests.lock().unwrap());
    let fields =
        |request: Request| (request.who, request.what, request.run, request.outcome.word(), request.code);
    requests.into_iter().map(fields).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_that_could_harm_or_heal_is_recorded() {
    let house = House::new();
    house.pki.write_crl(10).unwrap();
    let served = Served::new(house.tls(Some(&crl_file(house.dir.path()))), Recorder::new()).await;
    let (olga, vera) = (house.person("olga", Role::Operator), house.person("vera", Role::Viewer));
    let (olga, vera) = (served.agent(&olga), served.agent(&vera));
    let run = run();
    olga.status().await.unwrap();
    olga.prepare(&run, &prepare()).await.unwrap();
    olga.arm(&run, &arm()).await.unwrap();
    olga.renew(&run, &renew()).await.unwrap();
    olga.start_probes(&run, &probes()).await.unwrap();
    olga.stop_probes(&run).await.unwrap();
    olga.release().await.unwrap();
    olga.finish(&run).await.unwrap();
    let line = |who: &str, what: &str, run: &str, outcome, code: &str| {
        (who.to_owned(), what.to_owned(), run.to_owned(), outcome, code.to_owned())
    };
    assert_eq!(
        recorded(&served),
        ["prepare", "arm", "renew", "probes", "stop-probes", "release"].map(|what| {
            let run = if what == "release" { "" } else { run.as_str() };
            line("olga", what, run, "accepted", "")
        })
    );
    olga.prepare(&"forbidden".parse().unwrap(), &prepare()).await.unwrap();
    vera.arm(&run, &arm()).await.unwrap_err();
    vera.undo(&undo_all()).await.unwrap();
    olga.arm(&"tombstone".parse().unwrap(), &arm()).await.unwrap_err();
    // One request has an invalid body, the other an invalid run id.
    let mut bare = served.bare(&house, "olga").await;
    for path in ["/v1/runs/a/arm", "/v1/runs/a%20b/arm"] {
        let request = hyper::Request::post(format!("https://app-1{path}"));
        let answer = bare.send_request(request.body(Full::new("{".into())).unwrap()).await.unwrap();
        assert!(answer.status().is_client_error());
    }
    assert_eq!(
        recorded(&served),
        [
            line("olga", "prepare", "forbidden", "refused", "not-allowed"),
            line("vera", "arm", run.as_str(), "refused", "not-allowed"),
            line("vera", "undo", "", "accepted", ""),
            line("olga", "arm", "tombstone", "refused", "tombstone"),
            line("olga", "arm", "a", "refused", "bad-body"),
            line("olga", "arm", "", "refused", "bad-id"),
        ]
    );
    // A person whose certificate is not trusted is recorded when connecting.
    let other = House::new();
    let stranger = other.person("olga", Role::Operator);
    served.agent(&stranger).status().await.unwrap_err();
    house.person("mallory", Role::Operator);
    house.pki.revoke(Kind::Person, "mallory", 10).unwrap();
    served.agent(&house.identity("mallory")).status().await.unwrap_err();
    until("the revoked one is recorded", || {
        let requests = served.control.requests.lock().unwrap();
        let revoked = |request: &Request| request.what == "connect" && request.detail == "it was revoked";
        requests.iter().any(|request| revoked(request) && request.from == "127.0.0.1")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_caller_leaves_before_the_answer_is_recorded() {
    let house = House::new();
    let served = house.serve().await;
    let olga = served.agent(&house.person("olga", Role::Operator));
    served.control.blocked.send_replace(true);
    let asked = tokio::spawn(async move { olga.prepare(&run(), &prepare()).await.map(drop) });
    until("it is asked", || {
        served.control.calls.lock().unwrap().iter().any(|call| call.starts_with("prepare"))
    })
    .await;
    asked.abort();
    until("it is recorded", || {
        let requests = served.control.requests.lock().unwrap();
        requests
            .iter()
            .any(|request| request.what == "prepare" && request.detail.contains("left before the answer"))
    })
    .await;
    served.control.blocked.send_replace(false);
    let requests = served.control.requests.lock().unwrap();
    assert!(
        requests.iter().all(|request| request.who == "olga" && request.certificate.len() == 32),
        "{requests:?}"
    );
}
