//! Probes against real servers on loopback that answer well, badly, late, half or not at all.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use crate::common::{always, answer, head, http, measure, outcome, part, server};
use firedrill_probe::{ProbeError, check, histogram, start};
use firedrill_wire::{
    Span,
    probe::{Connection, ProbeKind, ProbeSpec, Secret, Status, Statuses, TcpProbe},
};
use tokio::io::AsyncWriteExt;

async fn all_bad(spec: ProbeSpec, cause: &str) {
    let (good, causes) = outcome(spec).await;
    assert_eq!((good, causes), (0, vec![cause.to_owned()]));
}

async fn some_good(spec: ProbeSpec) {
    let (good, causes) = outcome(spec).await;
    assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
}

#[tokio::test]
async fn good_answers_are_good_in_both_ways_to_connect() {
    for (connection, fewer) in [(Connection::New, false), (Connection::Reuse, true)] {
        let (address, count) = server(|stream, _| always(stream, answer("200 OK", "hello"))).await;
        let mut spec = http(format!("http://{address}/a?b=c"));
        part(&mut spec).contains = Some("hell".to_owned());
        spec.connection = connection;
        some_good(spec).await;
        assert_eq!(count.load(Ordering::SeqCst) < 24, fewer, "{connection:?}: {count:?}");
    }
}

#[tokio::test]
async fn statuses_and_bodies_are_judged() {
    let (down, _) = server(|stream, _| always(stream, answer("503 Service Unavailable", "no"))).await;
    let mut spec = http(format!("http://{down}"));
    all_bad(spec.clone(), "status 503").await;
    part(&mut spec).status = Some(503.into());
    some_good(spec.clone()).await;
    part(&mut spec).contains = Some("yes".to_owned());
    all_bad(spec, "body").await;
    let (moved, count) = server(|stream, _| always(stream, answer("302 Found", ""))).await;
    let mut spec = http(format!("http://{moved}"));
    spec.connection = Connection::Reuse;
    all_bad(spec, "status 302").await;
    assert!(count.load(Ordering::SeqCst) < 24, "a bad answer that is whole leaves its connection in use");
}

#[tokio::test]
async fn statuses_by_class_and_list_are_judged() {
    let (created, _) = server(|stream, _| always(stream, answer("201 Created", ""))).await;
    let mut spec = http(format!("http://{created}"));
    part(&mut spec).status = Some(Statuses::One(Status::Class("2xx".to_owned())));
    some_good(spec.clone()).await;
    part(&mut spec).status = Some(Statuses::Any(vec![Status::Number(200), Status::Number(201)]));
    some_good(spec.clone()).await;
    part(&mut spec).status = Some(Statuses::Any(vec![Status::Number(200), Status::Class("4xx".to_owned())]));
    all_bad(spec, "status 201").await;
}

#[tokio::test]
async fn patterns_and_values_of_bodies_are_judged() {
    let body = r#"{"queue": {"depth": 7}, "order": "order-12"}"#;
    let (address, _) = server(move |stream, _| always(stream, answer("200 OK", body))).await;
    let with = |matches: Option<&str>, json: Option<&str>| {
        let mut spec = http(format!("http://{address}"));
        part(&mut spec).matches = matches.map(str::to_owned);
        part(&mut spec).json = json.map(|json| serde_json::from_str(json).unwrap());
        spec
    };
    some_good(with(Some("order-[0-9]{2}"), None)).await;
    all_bad(with(Some("order-[0-9]{3}"), None), "body").await;
    some_good(with(None, Some(r#"{"at": "/queue/depth", "at_most": 7}"#))).await;
    all_bad(with(None, Some(r#"{"at": "/queue/depth", "at_most": 6}"#)), "body").await;
    all_bad(with(None, Some(r#"{"at": "/queue/width", "at_most": 7}"#)), "body").await;
    let of = format!("7{}", " ".repeat(64 * 1024));
    let (long, _) = server(move |stream, _| always(stream, answer("200 OK", &of))).await;
    let mut spec = http(format!("http://{long}"));
    part(&mut spec).json = serde_json::from_str(r#"{"at": "", "equals": 7}"#).unwrap();
    all_bad(spec, "body").await;
}

#[tokio::test]
async fn each_request_has_an_id_of_its_own() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&seen);
    let (address, _) = server(move |mut stream, _| {
        let heads = Arc::clone(&heads);
        async move {
            while let Some(head) = head(&mut stream).await {
                heads.lock().unwrap().push(head);
                let _ = stream.write_all(answer("200 OK", "").as_bytes()).await;
            }
        }
    })
    .await;
    let mut spec = http(format!("http://{address}"));
    part(&mut spec).id_header = Some("X-Request-Id".to_owned());
    some_good(spec.clone()).await;
    spec.connection = Connection::Reuse;
    some_good(spec).await;
    let heads = seen.lock().unwrap();
    let ids = heads.iter().map(|head| head.lines().find_map(|line| line.strip_prefix("x-request-id: ")));
    let ids: BTreeSet<&str> = ids.map(|id| id.expect("each has one")).collect();
    assert!(heads.len() > 10 && ids.len() == heads.len(), "{ids:?} in {} requests", heads.len());
}

#[tokio::test]
async fn only_the_first_64_kib_are_read() {
    let body = format!("{}late", "x".repeat(64 * 1024));
    let (address, _) = server(move |stream, _| always(stream, answer("200 OK", &body))).await;
    let mut spec = http(format!("http://{address}"));
    spec.connection = Connection::Reuse;
    part(&mut spec).contains = Some("xxx".to_owned());
    some_good(spec.clone()).await;
    part(&mut spec).contains = Some("late".to_owned());
    all_bad(spec, "body").await;
}

#[tokio::test]
async fn what_is_cut_half_or_garbage_is_bad() {
    let (half, _) = server(|mut stream, _| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf").await;
    })
    .await;
    all_bad(http(format!("http://{half}")), "reset").await;
    let (reset, _) = server(|mut stream, _| async move {
        head(&mut stream).await;
        let _ = stream.set_zero_linger();
    })
    .await;
    all_bad(http(format!("http://{reset}")), "reset").await;
    let (garbage, _) = server(|stream, _| always(stream, "+PONG\r\n\r\n".to_owned())).await;
    all_bad(http(format!("http://{garbage}")), "protocol").await;
    let (slow, _) = server(|mut stream, _| async move {
        head(&mut stream).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    })
    .await;
    all_bad(http(format!("http://{slow}")), "timeout").await;
}

#[tokio::test]
async fn ports_that_are_closed_and_names_that_do_not_exist() {
    // Held without listening: nobody else can get the port and listen there.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = held.local_addr().unwrap();
    all_bad(http(format!("http://{closed}")), "refused").await;
    all_bad(tcp(closed.to_string()), "refused").await;
    all_bad(http("http://no-such-host.invalid/"), "dns").await;
    let (open, _) = server(|_stream, _| async {}).await;
    some_good(tcp(open.to_string())).await;
}

fn tcp(address: String) -> ProbeSpec {
    ProbeSpec { kind: ProbeKind::Tcp(TcpProbe::opens(address)), ..http("") }
}

#[tokio::test]
async fn the_fleets_names_go_first_and_every_address_is_tried() {
    let (address, _) = server(|stream, _| always(stream, answer("200 OK", ""))).await;
    let mut spec = http(format!("http://Edge.invalid:{}/", address.port()));
    // Nothing listens on the first two.
    let addresses = ["::1", "127.0.0.9", "127.0.0.1"].map(|text| text.parse().unwrap());
    spec.names = [("edge.invalid".to_owned(), addresses.to_vec())].into();
    some_good(spec).await;
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_and_one_cut_in_use_is_not() {
    // One answer a connection, then closed without saying so beforehand.
    let (idle, count) = server(|mut stream, _| async move {
        head(&mut stream).await;
        let _ = stream.write_all(answer("200 OK", "").as_bytes()).await;
    })
    .await;
    let mut spec = http(format!("http://{idle}"));
    spec.connection = Connection::Reuse;
    some_good(spec.clone()).await;
    assert!(count.load(Ordering::SeqCst) > 10, "{count:?}");
    // One answer, and the connection is cut when the second request has arrived.
    let (in_use, _) = server(|mut stream, _| async move {
        head(&mut stream).await;
        let _ = stream.write_all(answer("200 OK", "").as_bytes()).await;
        head(&mut stream).await;
    })
    .await;
    spec.kind = http(format!("http://{in_use}")).kind;
    let (good, causes) = outcome(spec).await;
    assert!(good > 0);
    assert_eq!(causes, ["reset"], "a request that was sent is never silently sent again");
}

#[tokio::test]
async fn a_server_that_stalls_cannot_hide_it() {
    // Stalls from its first second on for two seconds, for all connections, then answers what is left.
    let begin = tokio::time::Instant::now() + Duration::from_secs(1);
    let end = begin + Duration::from_secs(2);
    let (address, _) = server(move |mut stream, _| async move {
        if head(&mut stream).await.is_some() {
            if tokio::time::Instant::now() > begin {
                tokio::time::sleep_until(end).await;
            }
            let _ = stream.write_all(answer("200 OK", "").as_bytes()).await;
        }
    })
    .await;
    let mut spec = http(format!("http://{address}"));
    spec.timeout = Span::secs(1);
    let bins = measure(spec, Duration::from_secs(4)).await.unwrap();
    let bad: u64 = bins.iter().map(|bin| bin.bad.get("timeout").copied().unwrap_or(0)).sum();
    let slipped: u64 = bins.iter().map(|bin| bin.slipped).sum();
    let slow: u64 = bins.iter().map(|bin| histogram(bin).unwrap().count_between(100_000, 1_000_999)).sum();
    // 50 were due in the stall's first second and ran out of time; 45 waited for more than 100 ms and were answered.
    assert!((50_u64.saturating_sub(slipped + 4)..=54).contains(&bad), "{bad} {slipped}");
    assert!((45_u64.saturating_sub(slipped + 4)..=49).contains(&slow), "{slow} {slipped}");
    assert!(bins.iter().map(|bin| bin.due).sum::<u64>().abs_diff(200) <= 1);
}

#[tokio::test]
async fn headers_bodies_and_tokens_arrive() {
    let (said, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let (address, _) = server(move |mut stream, _| {
        let said = said.clone();
        async move {
            if let Some(head) = head(&mut stream).await {
                let mut body = [0; 7];
                let _ = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await;
                let _ = said.send((head, body));
                let _ = stream.write_all(answer("200 OK", "").as_bytes()).await;
            }
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let what = dir.path().join("what");
    std::fs::write(&what, "a&b={x}\n").unwrap();
    let mut spec = http(format!("http://{address}/buy?what={{what}}"));
    spec.names = [("unused".to_owned(), vec!["192.0.2.1".parse().unwrap()])].into();
    let probe = part(&mut spec);
    probe.method = "POST".to_owned();
    probe.body = Some("{what}".to_owned());
    probe.headers =
        [("X-Drill".to_owned(), "yes".to_owned()), ("X-Key".to_owned(), "k {what}".to_owned())].into();
    probe.secrets = [("what".to_owned(), Secret::SecretFile(what.to_string_lossy().into_owned()))].into();
    probe.bearer = Some(Secret::SecretFile(token.to_string_lossy().into_owned()));
    some_good(spec).await;
    let (head, body) = hear.recv().await.unwrap();
    assert!(head.starts_with("POST /buy?what=a%26b%3D%7Bx%7D HTTP/1.1\r\n"), "{head}");
    let expected = [
        format!("host: {address}"),
        "x-drill: yes".into(),
        "x-key: k a&b={x}".into(),
        "authorization: Bearer s3cret".into(),
        "content-length: 7".into(),
        "connection: close".into(),
    ];
    for line in expected {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert_eq!(&body, b"a&b={x}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_runs() {
    let refused = |change: &dyn Fn(&mut ProbeSpec), word: &str| {
        let mut spec = http("http://edge/");
        change(&mut spec);
        let error = check(&spec).expect_err(word).to_string();
        assert!(error.contains("`users`") && error.contains(word), "{error}");
        assert!(start(vec![spec], Duration::from_secs(1)).is_err());
    };
    check(&http("http://edge/")).unwrap();
    check(&http("https://[::1]:8443")).unwrap();
    for rate in [0.0, -3.0, f64::NAN, 20_001.0] {
        refused(&|spec| spec.rate = rate, "rate");
    }
    refused(&|spec| spec.timeout = Span::ZERO, "time-out");
    refused(&|spec| spec.timeout = Span::secs(301), "time-out");
    for url in [
        "",
        "edge",
        "ftp://edge/",
        "http://",
        "http://u:p@edge/",
        "http://edge:0/",
        "http://edge:99999/",
        "http://e dge/",
        "/path",
    ] {
        refused(&|spec| part(spec).url = url.to_owned(), "url");
    }
    refused(&|spec| part(spec).method = "G ET".to_owned(), "method");
    refused(&|spec| part(spec).status = Some(99.into()), "status");
    refused(&|spec| part(spec).status = Some(700.into()), "700");
    refused(&|spec| part(spec).matches = Some("order-[0-9".to_owned()), "pattern");
    refused(&|spec| part(spec).matches = Some(String::new()), "every body");
    refused(
        &|spec| part(spec).json = serde_json::from_str(r#"{"at":"depth","equals":1}"#).unwrap(),
        "pointer",
    );
    refused(
        &|spec| {
            part(spec).json = serde_json::from_str(r#"{"at":"/depth","equals":1}"#).unwrap();
            part(spec).status = Some(204.into());
        },
        "no body",
    );
    for name in ["sp ace", "Host", "Authorization"] {
        refused(&|spec| part(spec).id_header = Some(name.to_owned()), "header");
    }
    for name in ["sp ace", "", "Connection", "content-length"] {
        refused(&|spec| drop(part(spec).headers.insert(name.to_owned(), "x".to_owned())), "header");
    }
    refused(&|spec| drop(part(spec).headers.insert("X".to_owned(), "a\nb".to_owned())), "header");
    refused(&|spec| spec.names = [("edge".to_owned(), vec![])].into(), "edge");
    refused(&|spec| spec.kind = ProbeKind::Tcp(TcpProbe::opens("db1")), "db1");
    let again = start(vec![http("http://edge/"), http("http://edge/")], Duration::from_secs(1));
    assert!(matches!(again, Err(ProbeError::Twice(_))));
    let mut secret = http("http://edge/");
    part(&mut secret).bearer = Some(Secret::SecretFile("/no/such/token".to_owned()));
    check(&secret).unwrap();
    let error = start(vec![secret], Duration::from_secs(1)).expect_err("no token").to_string();
    assert!(error.contains("/no/such/token"), "{error}");
    let mut authority = http("https://edge/");
    part(&mut authority).ca_file = Some("/no/such/ca.pem".to_owned());
    let error = start(vec![authority], Duration::from_secs(1)).expect_err("no CA").to_string();
    assert!(error.contains("/no/such/ca.pem"), "{error}");
}

#[tokio::test]
async fn stopping_counts_what_was_due_and_the_spool_stays() {
    let (address, _) = server(|stream, _| always(stream, answer("200 OK", ""))).await;
    let running = start(vec![http(format!("http://{address}"))], Duration::from_secs(600)).unwrap();
    let spool = std::sync::Arc::clone(&running.spool);
    let mut feed = Box::pin(spool.feed(0));
    let first = futures_util::StreamExt::next(&mut feed).await.unwrap();
    assert_eq!((first.seq, first.length_us, first.start_boot_us % 1_000_000), (1, 1_000_000, 0));
    assert_eq!(first.boot_id, firedrill_probe::clock::boot_id());
    assert!(running.start_errors().len() >= first.good);
    tokio::task::spawn_blocking(move || running.join()).await.unwrap();
    let rest: Vec<_> = futures_util::StreamExt::collect(feed).await;
    assert!(!rest.is_empty() && rest.iter().zip(2..).all(|(bin, seq)| bin.seq == seq), "{rest:?}");
    assert_eq!(spool.after(0).len(), rest.len() + 1);
}
