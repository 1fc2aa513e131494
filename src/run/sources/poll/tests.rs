//! Tests of polls with a small HTTP server, whose clock and answers the tests choose.

mod own_times;
mod server;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use firedrill_judge::testing::metric;
use firedrill_sources::SourceKind;

use self::server::{AHEAD, behind, field, range, server, server_at};
use super::*;
use crate::{log::Lack, plan::model::MetricGoal};

fn poll(source: &str, goal: MetricGoal, asks: Asks) -> Poll {
    let kind: SourceKind = serde_json::from_str(source).expect("a source");
    let metric = Metric { asks, lag: Span::secs(2), ..metric(goal) };
    let asker = Asker::new(&kind, Duration::from_secs(5), &BTreeMap::new()).expect("it can be asked");
    Poll::new(metric, asker, RunClock::start())
}

fn one_query() -> Asks {
    Asks::One { query: "sum(rate(x[3s]))".to_owned() }
}

fn sampled(event: Option<Event>) -> (Vec<Sample>, i64, Option<String>) {
    match event {
        Some(Event::Sampled { samples, unsure_us, failed, .. }) => (samples, unsure_us, failed),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn samples_of_a_source_whose_clock_is_ahead_get_times_of_the_runs_clock() {
    let url = server(|request| Some(range(request, |_| Some(7.0), 0.25))).await;
    let mut poll =
        poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one_query());
    let (samples, unsure_us, failed) = sampled(poll.once().await);
    assert_eq!(failed, None);
    let sample = samples.last().expect("a sample");
    assert_eq!((sample.low, sample.high, sample.series, sample.lacks), (Some(7.0), Some(7.0), 1, None));
    assert_eq!((sample.window_us, sample.age_us), (3_000_000, 250_000));
    // The newest moment is about two seconds ago by the run's clock, because of the lag; one step and the clocks' uncertainty are allowed.
    let ago = poll.clock.now_us() - sample.at_us;
    assert!((1_000_000..4_500_000).contains(&ago), "{ago}");
    assert!((1_000..=600_000).contains(&unsure_us), "{unsure_us}");
}

#[tokio::test]
async fn moments_without_an_answer_are_asked_for_again_and_moments_without_a_value_get_a_sample() {
    let mut count = 0;
    let url = server(move |request| {
        // The third question for values gets no answer; the fourth asks for its moments again.
        let is_value = !request.contains("timestamp");
        count += u32::from(is_value);
        (!is_value || count != 3)
            .then(|| range(request, |at| ((at.round() % 2.0).abs() < 0.5).then_some(1.0), 0.1))
    })
    .await;
    let mut poll =
        poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one_query());
    let mut seen = Vec::new();
    let mut failures = 0;
    while seen.len() < 4 {
        if let Some(event) = poll.once().await {
            let (samples, _, failed) = sampled(Some(event));
            failures += usize::from(failed.is_some());
            seen.extend(samples);
        }
        tokio::time::sleep(poll.until_next()).await;
    }
    assert_eq!(failures, 1);
    // Moments are one second apart. The clock's offset is known to half a second at first, and better with each answer.
    assert!(
        seen.windows(2).all(|pair| (pair[1].at_us - pair[0].at_us - 1_000_000).abs() < 600_000),
        "{seen:#?}"
    );
    assert!(seen.windows(2).all(|pair| pair[0].lacks.is_some() != pair[1].lacks.is_some()), "{seen:#?}");
    assert!(seen.iter().all(|sample| sample.lacks.is_none_or(|lack| lack == Lack::Empty)), "{seen:#?}");
}

#[tokio::test]
async fn old_data_and_values_without_data_are_stale() {
    let url = server(|request| Some(range(request, |_| Some(1.0), 6.0))).await;
    let mut old =
        poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one_query());
    let (samples, ..) = sampled(old.once().await);
    assert!(samples.iter().all(|sample| sample.lacks == Some(Lack::Stale)), "{samples:#?}");
    let url = server(|request| {
        let nothing = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned();
        Some(if request.contains("timestamp") { nothing } else { range(request, |_| Some(0.0), 0.0) })
    })
    .await;
    let mut nothing =
        poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one_query());
    let why = nothing.trial().await.expect("a value without data behind it is not usable");
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
    assert_eq!(samples.last().map(|sample| (sample.low, sample.total)), Some((Some(90.0), Some(100.0))));
    let url = server(|_| {
        Some(r#"{"status":"error","errorType":"bad_data","error":"1:4: parse error"}"#.to_owned())
    })
    .await;
    let mut wrong =
        poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), MetricGoal::Below(9.0), one_query());
    assert_eq!(wrong.trial().await.as_deref(), Some("it refuses the query: 1:4: parse error"));
}

fn prometheus(url: &str, goal: MetricGoal) -> Poll {
    poll(&format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#), goal, one_query())
}

/// Asks until there is a record. Returns its samples, and the reason if there was no answer.
async fn next(poll: &mut Poll) -> (Vec<Sample>, Option<String>) {
    loop {
        tokio::time::sleep(poll.until_next()).await;
        if let Some(event) = poll.once().await {
            let (samples, _, failed) = sampled(Some(event));
            return (samples, failed);
        }
    }
}

#[tokio::test]
async fn series_behind_an_aggregate_are_counted() {
    let series = Arc::new(Mutex::new(4));
    let served = Arc::clone(&series);
    let url = server(move |request| {
        let series = *served.lock().expect("no panic");
        Some(if request.contains("timestamp") {
            behind(request, series)
        } else {
            range(request, |_| Some(0.1), 0.0)
        })
    })
    .await;
    let mut poll = prometheus(&url, MetricGoal::Below(9.0));
    let newest = |samples: Vec<Sample>| samples.last().map(|sample| (sample.behind.clone(), sample.lacks));
    assert_eq!(newest(next(&mut poll).await.0), Some((vec![4], None)));
    *series.lock().expect("no panic") = 3;
    assert_eq!(newest(next(&mut poll).await.0), Some((vec![3], None)));
    *series.lock().expect("no panic") = 0;
    assert_eq!(newest(next(&mut poll).await.0), Some((vec![], None)));
}

#[tokio::test]
async fn the_data_behind_a_value_are_asked_for_before_the_value() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let url = server(move |request| {
        seen.lock().expect("no panic").push(request.contains("timestamp"));
        Some(range(request, |_| Some(1.0), 0.1))
    })
    .await;
    next(&mut prometheus(&url, MetricGoal::Below(9.0))).await;
    let asked = asked.lock().expect("no panic").clone();
    assert_eq!(asked, [false, true, false], "the clock, the data behind the value, the value");
}

#[tokio::test]
async fn a_source_without_a_date_is_asked_for_its_clock_once() {
    let count = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&count);
    let url = server_at(
        || None,
        move |request| {
            *seen.lock().expect("no panic") += 1;
            Some(range(request, |_| Some(1.0), 0.1))
        },
    )
    .await;
    let mut poll = prometheus(&url, MetricGoal::Below(9.0));
    next(&mut poll).await;
    assert_eq!(*count.lock().expect("no panic"), 3);
    next(&mut poll).await;
    assert_eq!(*count.lock().expect("no panic"), 5);
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_followed() {
    let ahead = Arc::new(Mutex::new(AHEAD));
    let clock = Arc::clone(&ahead);
    let url = server_at(
        move || Some(*clock.lock().expect("no panic")),
        |request| Some(range(request, |_| Some(1.0), 0.1)),
    )
    .await;
    let mut poll = prometheus(&url, MetricGoal::Below(9.0));
    assert_eq!(next(&mut poll).await.1, None);
    *ahead.lock().expect("no panic") = Duration::ZERO;
    let why = next(&mut poll).await.1.expect("moments of another clock");
    assert!(why.starts_with("its clock was set back by about "), "{why}");
    let (samples, failed) = next(&mut poll).await;
    assert_eq!((samples.len(), failed), (1, None));
    let ago = poll.clock.now_us() - samples[0].at_us;
    assert!((0..6_000_000).contains(&ago), "{ago}");
}

#[tokio::test]
async fn a_backlog_that_is_too_much_is_asked_for_in_parts() {
    let most = Arc::new(Mutex::new(0.0_f64));
    let seen = Arc::clone(&most);
    let url = server(move |request| {
        let moments = (field(request, "end") - field(request, "start")).round() + 1.0;
        let mut most = seen.lock().expect("no panic");
        *most = most.max(moments);
        // It cannot answer for more than ten moments.
        (moments <= 10.0).then(|| range(request, |_| Some(1.0), 0.1))
    })
    .await;
    let mut poll = prometheus(&url, MetricGoal::Below(9.0));
    next(&mut poll).await;
    poll.next_us = poll.next_us.map(|next| next - 25_000_000);
    let mut seen = Vec::new();
    let mut failures = 0;
    while seen.len() < 25 {
        // Asks without a pause, to keep the test short.
        if let Some(event) = poll.once().await {
            let (samples, _, failed) = sampled(Some(event));
            failures += usize::from(failed.is_some());
            seen.extend(samples);
        }
    }
    assert!(*most.lock().expect("no panic") >= 25.0, "the first question is for all of them at once");
    assert!((2..12).contains(&failures), "{failures}");
    assert!(
        seen.windows(2).all(|pair| (pair[1].at_us - pair[0].at_us - 1_000_000).abs() < 600_000),
        "{seen:#?}"
    );
}

#[tokio::test]
async fn a_share_of_an_infinite_count_is_no_number() {
    let infinite = r#""+Inf""#;
    let url =
        server(move |request| Some(range(request, |_| Some(1.0), 0.1).replace(r#""1""#, infinite))).await;
    let source = format!(r#"{{"prometheus":{{"url":"{url}"}}}}"#);
    let asks = Asks::Ratio { good: "g".to_owned(), total: "t".to_owned() };
    let mut share = poll(&source, MetricGoal::Good(firedrill_wire::Share::ALL), asks);
    assert_eq!(next(&mut share).await.0.last().and_then(|sample| sample.lacks), Some(Lack::NotANumber));
    let (samples, _) = next(&mut prometheus(&url, MetricGoal::Below(9.0))).await;
    assert_eq!(samples.last().and_then(|sample| sample.lacks), None, "it can be compared with a bound");
}

#[tokio::test]
async fn a_moment_that_the_source_refuses_is_recorded_and_does_not_block_later_moments() {
    let bad = Arc::new(Mutex::new(f64::MAX));
    let refused = Arc::clone(&bad);
    let url = server(move |request| {
        let bad = *refused.lock().expect("no panic");
        let asks_for_it = (field(request, "start") - 0.1..field(request, "end") + 0.1).contains(&bad);
        Some(if asks_for_it {
            r#"{"status":"error","error":"found duplicate series"}"#.to_owned()
        } else {
            range(request, |_| Some(1.0), 0.1)
        })
    })
    .await;
    let mut poll = prometheus(&url, MetricGoal::Below(9.0));
    next(&mut poll).await;
    let first_us = poll.next_us.expect("a moment was answered") - 20_000_000;
    poll.next_us = Some(first_us);
    *bad.lock().expect("no panic") = (first_us + 5_000_000) as f64 / 1e6;
    let (mut seen, mut failures) = (Vec::new(), Vec::new());
    while seen.len() < 19 {
        if let Some(Event::Sampled { samples, failed, until_us, .. }) = poll.once().await {
            failures.extend(failed.map(|_| until_us));
            seen.extend(samples);
        }
    }
    let steps: Vec<i64> =
        seen.windows(2).map(|pair| (pair[1].at_us - pair[0].at_us + 500_000) / 1_000_000).collect();
    assert_eq!(steps.iter().filter(|step| **step == 2).count(), 1, "{steps:?}");
    assert!(steps.iter().all(|step| (1..=2).contains(step)), "{steps:?}");
    let alone = |pair: &[i64]| pair[0].abs_diff(pair[1]) < 500_000;
    assert!(failures.windows(2).any(alone), "the refused moment was asked for alone twice: {failures:?}");
}

#[tokio::test]
async fn a_moment_is_asked_for_again_as_long_as_the_source_gives_no_answer() {
    let down = Arc::new(Mutex::new(false));
    let is_down = Arc::clone(&down);
    let url = server(move |request| {
        (!*is_down.lock().expect("no panic")).then(|| range(request, |_| Some(1.0), 0.1))
    })
    .await;
    let mut poll = prometheus(&url, MetricGoal::Below(9.0));
    next(&mut poll).await;
    *down.lock().expect("no panic") = true;
    let next_us = poll.next_us;
    poll.moments = 1;
    for _ in 0..3 {
        assert!(next(&mut poll).await.1.is_some());
    }
    assert_eq!(poll.next_us, next_us);
}
