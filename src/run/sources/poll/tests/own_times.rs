//! Tests of sources whose points have their own times, in one list or in several.

use super::*;

#[tokio::test]
async fn points_with_their_own_times_are_taken_once_and_after_the_lag() {
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
    assert!((3..=6).contains(&first.len()), "five seconds, which ended two seconds ago: {first:#?}");
    let newest = first.last().map(|sample| poll.clock.now_us() - sample.at_us).unwrap_or(0);
    assert!(newest > 1_000_000, "nothing is taken before its lag is over: {newest}");
    let mut more = Vec::new();
    while more.is_empty() {
        tokio::time::sleep(poll.until_next()).await;
        if let Some(event) = poll.once().await {
            more = sampled(Some(event)).0;
        }
    }
    assert!(more.len() <= 2, "only new points: {more:#?}");
}

#[tokio::test]
async fn points_that_are_near_to_each_other_are_all_taken_and_too_many_are_refused() {
    let many = Arc::new(Mutex::new(4));
    let count = Arc::clone(&many);
    let url = server(move |_| {
        let now = SystemTime::now() + AHEAD - Duration::from_secs(4);
        let now = now.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis();
        let many = *count.lock().expect("no panic");
        let points: Vec<String> =
            (0..many).map(|place| format!("[{},{place}]", now - many + place)).collect();
        Some(format!(r#"{{"points":[{}]}}"#, points.join(",")))
    })
    .await;
    let source =
        format!(r#"{{"json":{{"url":"{url}","points":"/points","time":"/0","value":"/1","unit":"ms"}}}}"#);
    let asks = Asks::One { query: String::new() };
    let mut near = poll(&source, MetricGoal::Below(99.0), asks.clone());
    let values: Vec<_> = next(&mut near).await.0.iter().filter_map(|sample| sample.high).collect();
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0], "each millisecond has its own point");
    *many.lock().expect("no panic") = 8_000;
    let mut wide = poll(&source, MetricGoal::Below(99.0), asks);
    wide.metric.stale_after = Span::secs(60);
    let why = next(&mut wide).await.1.expect("too many");
    assert!(why.contains("it answers with") && why.contains("610 can be taken at once"), "{why}");
}

/// Starts a server with two lists of points. The points of a list are one second apart, and half a second away from the points of the
/// other list. Returns its URL, and a handle: a time in milliseconds in it ends the second list at that time.
async fn two_lists() -> (String, Arc<Mutex<Option<u128>>>) {
    let end = Arc::new(Mutex::new(None));
    let ends = Arc::clone(&end);
    let url = server(move |_| {
        let now = SystemTime::now() + AHEAD;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis();
        let last = ends.lock().expect("no panic").unwrap_or(now);
        let list = |late: u128, until: u128, value: u32| {
            let times = (0..20).rev().map(|ago| (now / 1_000 - ago) * 1_000 + late);
            let points = times.filter(|at| *at <= until).map(|at| format!("[{at},{value}]"));
            format!(r#"{{"values":[{}]}}"#, points.collect::<Vec<_>>().join(","))
        };
        Some(format!(r#"{{"series":[{},{}]}}"#, list(0, now, 5), list(500, last, 100)))
    })
    .await;
    (url, end)
}

fn lists(url: &str, goal: MetricGoal) -> Poll {
    let source = format!(
        r#"{{"json":{{"url":"{url}","points":"/series/*/values","time":"/0","value":"/1","unit":"ms"}}}}"#
    );
    poll(&source, goal, Asks::One { query: String::new() })
}

#[tokio::test]
async fn points_of_several_lists_are_no_increase() {
    let (url, _) = two_lists().await;
    let mut poll = lists(&url, MetricGoal::IncreaseBelow(50.0));
    for _ in 0..2 {
        let (samples, failed) = next(&mut poll).await;
        assert_eq!(failed, None);
        let several = |sample: &Sample| sample.lacks == Some(Lack::Several) && sample.series == 2;
        assert!(!samples.is_empty() && samples.iter().all(several), "{samples:#?}");
    }
}

#[tokio::test]
async fn a_list_that_ends_is_missed_although_the_others_have_other_times() {
    let (url, end) = two_lists().await;
    let mut poll = lists(&url, MetricGoal::Below(500.0));
    let (samples, _) = next(&mut poll).await;
    assert!(samples.iter().skip(1).all(|sample| sample.series == 2), "{samples:#?}");
    assert!(next(&mut poll).await.0.iter().all(|sample| sample.series == 2));
    *end.lock().expect("no panic") = Some(0);
    let mut last = 2;
    while last == 2 {
        last = next(&mut poll).await.0.last().map_or(2, |sample| sample.series);
    }
    assert_eq!(last, 1);
}
