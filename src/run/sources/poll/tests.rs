//! Polls of a server of the test's own, whose clock and answers the test chooses.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use firedrill_sources::SourceKind;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::plan::model::Phase;

/// The server is an hour ahead.
const AHEAD: Duration = Duration::from_secs(3600);

type Reply = Arc<Mutex<Box<dyn FnMut(&str) -> Option<String> + Send>>>;

/// Starts a server; `reply` gets a request and returns the body of the answer, or `None` to close the connection. Returns its URL.
async fn server(reply: impl FnMut(&str) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let reply: Reply = Arc::new(Mutex::new(Box::new(reply)));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut some).await {
                request.extend_from_slice(&some[..read]);
                let text = String::from_utf8_lossy(&request);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
                });
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let body = (reply.lock().expect("no panic"))(&String::from_utf8_lossy(&request));
            let Some(body) = body else { continue };
            let now = SystemTime::now() + AHEAD;
            let date = http_date(now.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs());
            let answer = format!(
                "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

fn http_date(seconds: u64) -> String {
    let text =
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        [text[5..7].parse::<usize>().expect("a month") - 1];
    format!("Mon, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}

fn poll(source: &str, goal: MetricGoal, asks: Asks) -> Poll {
    let kind: SourceKind = serde_json::from_str(source).expect("a source");
    let metric = Metric {
        name: "errors".to_owned(),
        source: "prom".to_owned(),
        asks,
        goal,
        every: Span::secs(1),
        lag: Span::secs(2),
        stale_after: Span::secs(5),
        during: vec![Phase::Fault],
    };
    let asker = Asker::new(&kind, Duration::from_secs(5), &BTreeMap::new()).expect("it can be asked");
    Poll::new(metric, asker, RunClock::start())
}

/// Returns a field of the form that was sent.
fn field(request: &str, name: &str) -> f64 {
    let value = request.rsplit("\r\n\r\n").next().unwrap_or_default().split('&').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key == name).then_some(value)
    });
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {request}"))
}

/// Answers a range query with a value for each moment; the age query, too.
fn range(request: &str, value: impl Fn(f64) -> Option<f64>, age: f64) -> String {
    let is_age = request.contains("timestamp");
    let (start, end, step) = (field(request, "start"), field(request, "end"), field(request, "step"));
    let mut values = Vec::new();
    let mut at = start;
    while at <= end + 1e-6 {
        if let Some(value) = if is_age { Some(age) } else { value(at) } {
            values.push(format!("[{at:.3},\"{value}\"]"));
        }
        at += step;
    }
    format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{}]}}]}}}}"#,
        values.join(",")
    )
}

fn one() -> Asks {
    Asks::One { query: "sum(rate(x[3s]))".to_owned() }
}

fn sampled(event: Option<Event>) -> (Vec<Sample>, i64, Option<String>) {
    match event {
        Some(Event::Sampled { samples, unsure_us, failed, .. }) => (samples, unsure_us, failed),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn samples_of_a_clock_that_is_ahead_are_put_on_the_runs() {
    let url = server(|request| Some(range(request, |_| Some(7.0), 0.25))).await;
    let mut poll = poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one());
    let (samples, unsure_us, failed) = sampled(poll.once().await);
    assert_eq!(failed, None);
    let sample = samples.last().expect("a sample");
    assert_eq!((sample.low, sample.high, sample.series, sample.lacks), (Some(7.0), Some(7.0), 1, None));
    assert_eq!((sample.window_us, sample.age_us), (3_000_000, 250_000));
    // It is about a moment two seconds ago, by the run's clock, give or take a step and the clocks.
    let ago = poll.clock.now_us() - sample.at_us;
    assert!((1_000_000..4_500_000).contains(&ago), "{ago}");
    assert!((1_000..=600_000).contains(&unsure_us), "{unsure_us}");
}

#[tokio::test]
async fn moments_without_an_answer_are_asked_for_again_and_those_without_a_value_are_told() {
    let mut count = 0;
    let url = server(move |request| {
        count += u32::from(!request.contains("timestamp"));
        // The third question has no answer; its moments come with the next.
        (count != 3).then(|| range(request, |at| ((at.round() % 2.0).abs() < 0.5).then_some(1.0), 0.1))
    })
    .await;
    let mut poll = poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one());
    let mut all = Vec::new();
    let mut failures = 0;
    while all.len() < 4 {
        if let Some(event) = poll.once().await {
            let (samples, _, failed) = sampled(Some(event));
            failures += usize::from(failed.is_some());
            all.extend(samples);
        }
        tokio::time::sleep(poll.until_next()).await;
    }
    assert_eq!(failures, 1);
    // Offsets are told better with each answer, so moments are a second apart by about a millisecond or, at first, half a second.
    assert!(
        all.windows(2).all(|pair| (pair[1].at_us - pair[0].at_us - 1_000_000).abs() < 600_000),
        "{all:#?}"
    );
    assert!(all.windows(2).all(|pair| pair[0].lacks.is_some() != pair[1].lacks.is_some()), "{all:#?}");
    assert!(all.iter().all(|one| one.lacks.is_none_or(|lack| lack == Lack::Empty)), "{all:#?}");
}

#[tokio::test]
async fn old_data_and_values_without_data_are_stale() {
    let url = server(|request| Some(range(request, |_| Some(1.0), 6.0))).await;
    let mut old = poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one());
    let (samples, ..) = sampled(old.once().await);
    assert!(samples.iter().all(|one| one.lacks == Some(Lack::Stale)), "{samples:#?}");
    let url = server(|request| {
        let nothing = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned();
        Some(if request.contains("timestamp") { nothing } else { range(request, |_| Some(0.0), 0.0) })
    })
    .await;
    let mut nothing = poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one());
    let why = nothing.trial().await.expect("a value made from nothing is none");
    assert!(why.contains("older than 5s"), "{why}");
}

#[tokio::test]
async fn a_share_has_both_parts_and_a_refused_query_says_why() {
    let url = server(|request| {
        let value = if request.contains("query=g&") { 90.0 } else { 100.0 };
        Some(range(request, |_| Some(value), 0.1))
    })
    .await;
    let asks = Asks::Ratio { good: "g".to_owned(), total: "t".to_owned() };
    let goal = MetricGoal::Good(firedrill_wire::Share::ALL);
    let mut share = poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), goal, asks);
    let (samples, ..) = sampled(share.once().await);
    assert_eq!(samples.last().map(|one| (one.low, one.total)), Some((Some(90.0), Some(100.0))));
    let url = server(|_| {
        Some(r#"{"status":"error","errorType":"bad_data","error":"1:4: parse error"}"#.to_owned())
    })
    .await;
    let mut wrong = poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one());
    assert_eq!(wrong.trial().await.as_deref(), Some("it refuses the query: 1:4: parse error"));
}

#[tokio::test]
async fn points_with_times_of_their_own_are_taken_once_and_after_the_lag() {
    let url = server(|_| {
        let now = SystemTime::now() + AHEAD;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let points: Vec<String> = (now - 8..=now).map(|at| format!("[{at},{}]", at % 10)).collect();
        Some(format!(r#"{{"series":[{{"pointlist":[{}]}}]}}"#, points.join(",")))
    })
    .await;
    let source =
        format!(r#"{{"json":{{"url":"{url}","points":"/series/*/pointlist","time":"/0","value":"/1"}}}}"#);
    let asks = Asks::One { query: String::new() };
    let mut poll = poll(&source, MetricGoal::Below(99.0), asks);
    let (first, ..) = sampled(poll.once().await);
    assert!((3..=6).contains(&first.len()), "the last five seconds, two seconds ago: {first:#?}");
    let newest = first.last().map(|one| poll.clock.now_us() - one.at_us).unwrap_or(0);
    assert!(newest > 1_000_000, "nothing is taken before its lag is over: {newest}");
    let mut more = Vec::new();
    while more.is_empty() {
        tokio::time::sleep(poll.until_next()).await;
        if let Some(event) = poll.once().await {
            more = sampled(Some(event)).0;
        }
    }
    assert!(more.len() <= 2, "only what is new: {more:#?}");
}
