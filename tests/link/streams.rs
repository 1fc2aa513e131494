//! Streams of events and bins: no event is lost or repeated, and the end differs from a break.

use std::time::Duration;

use firedrill::link::{LinkError, offset};
use firedrill_wire::{
    identity::Role,
    journal::{AgentEvent, What},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;

use super::house::{House, Recorder, Served, renew, run, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_on_after_a_break_without_loss_or_repetition() {
    let house = House::new();
    let olga = house.person("olga", Role::Viewer);
    let control = Recorder::new();
    control.events.send_replace(5);
    let mut seen = Vec::new();
    // Each server is stopped in the middle of the stream. The next one has more events.
    for newest in [20, 40, 60] {
        let served = Served::new(house.tls(None), control.clone()).await;
        let agent = served.agent(&olga);
        let mut events = Box::pin(agent.events(seen.last().copied().unwrap_or(0)));
        control.events.send_replace(newest);
        while seen.last() != Some(&newest) {
            let event = events.next().await.unwrap().unwrap();
            let what = What::Halted { by: format!("event {}", event.seq) };
            assert_eq!(event, AgentEvent { what, ..super::house::event(event.seq) });
            seen.push(event.seq);
        }
        served.stop.cancel();
        match events.next().await {
            Some(Err(LinkError::Broken { .. })) => {}
            other => panic!("{other:?}"),
        }
        assert!(events.next().await.is_none(), "the stream goes on after an error");
    }
    assert_eq!(seen, (1..=60).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_bins_differs_from_a_break() {
    let house = House::new();
    let served = house.serve().await;
    let agent = served.agent(&house.person("olga", Role::Viewer));
    served.control.bins.send_replace((3, Recorder::OVER));
    let bins: Vec<_> = agent.bins(&run(), 1).try_collect().await.unwrap();
    assert_eq!(bins.iter().map(|bin| bin.seq).collect::<Vec<_>>(), [2, 3]);

    served.control.bins.send_replace((3, Recorder::OPEN));
    let mut cut = Box::pin(agent.bins(&run(), 2));
    assert_eq!(cut.next().await.unwrap().unwrap().seq, 3);
    served.stop.cancel();
    assert!(matches!(cut.next().await, Some(Err(LinkError::Broken { .. }))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_header_resumes_a_stream_and_comments_are_sent() {
    let house = House::new();
    let served = house.serve().await;
    house.person("olga", Role::Viewer);
    served.control.events.send_replace(3);
    let mut bare = served.bare(&house, "olga").await;
    let request = hyper::Request::get("https://app-1/v1/events?after=1").header("last-event-id", "2");
    let request = request.body(http_body_util::Full::default()).unwrap();
    let mut body = bare.send_request(request).await.unwrap().into_body();
    let mut text = String::new();
    while text.matches("\n:").count() < 2 {
        text.push_str(std::str::from_utf8(body.frame().await.unwrap().unwrap().data_ref().unwrap()).unwrap());
    }
    assert!(text.contains("id: 3") && !text.contains("id: 2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_and_healing_do_not_wait_for_slow_calls() {
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Operator);
    served.control.blocked.send_replace(true);
    let slow: Vec<_> = (0..40)
        .map(|number| {
            let agent = served.agent(&olga);
            tokio::spawn(async move {
                if number % 2 == 0 {
                    agent.doctor().await.map(drop)
                } else {
                    agent.prepare(&run(), &super::house::prepare()).await.map(drop)
                }
            })
        })
        .collect();
    until("slow calls under way", || served.control.calls.lock().unwrap().len() >= 16).await;
    let agent = served.agent(&olga);
    for _ in 0..10 {
        agent.renew(&run(), &renew()).await.unwrap();
        agent.clock().await.unwrap();
    }
    agent.undo(&super::house::undo_all()).await.unwrap();
    agent.finish(&run()).await.unwrap();
    served.control.blocked.send_replace(false);
    for call in slow {
        match call.await.unwrap() {
            Ok(()) | Err(LinkError::Refused { status: 503, .. }) => {}
            // On a busy machine a link breaks, or the time is over.
            Err(error) if error.passing() => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Viewers may ask for comparisons as often as they like, so an undo must not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_does_not_wait_for_comparisons() {
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Viewer);
    served.control.endless.send_replace(true);
    let ends: Vec<_> = (0..60)
        .map(|number| {
            let agent = served.agent(&olga);
            tokio::spawn(async move {
                if number % 2 == 0 {
                    agent.finish(&run()).await.map(drop)
                } else {
                    agent.stop_probes(&run()).await.map(drop)
                }
            })
        })
        .collect();
    let agent = served.agent(&olga);
    // The loop ends when the agent has refused some calls. Then all places for such calls were taken.
    let mut at_once = true;
    while at_once && !ends.iter().any(tokio::task::JoinHandle::is_finished) {
        let request = super::house::undo_all();
        let undo = tokio::time::timeout(Duration::from_secs(60), agent.undo(&request)).await;
        // On a busy machine a link breaks.
        at_once = undo.is_ok_and(|answer| answer.is_ok() || answer.is_err_and(|error| error.passing()));
    }
    // The calls are released before an assertion can fail, or the test would never end.
    served.control.endless.send_replace(false);
    assert!(at_once, "an undo waits for other calls");
    for call in ends {
        match call.await.unwrap() {
            Ok(()) => {}
            Err(error) => assert!(error.is_busy() || error.passing(), "{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_offset_of_the_same_clock_is_zero() {
    let house = House::new();
    let served = house.serve().await;
    let agent = served.agent(&house.person("olga", Role::Viewer));
    let offset = offset(&agent, 8).await.unwrap();
    let uncertainty = i64::try_from(offset.uncertainty_us).unwrap();
    assert!(offset.boot_minus_local_us.abs() <= uncertainty + 1, "{offset:?}");
    assert_eq!(offset.boot_id, firedrill_probe::clock::boot_id());
}
