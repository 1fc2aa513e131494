//! Answers as vendors document them.

use super::*;

fn json(table: &str) -> Json {
    serde_json::from_str(table).expect("its parameters")
}

/// A question about all times, with points each half a second.
fn everything() -> Question {
    Question { query: String::new(), from_us: 0, until_us: i64::MAX, step_us: 500_000 }
}

fn values(points: &[Point]) -> Vec<(i64, f64)> {
    points.iter().map(|point| (point.at_us / 1_000, point.high)).collect()
}

#[test]
fn datadog() {
    let source = json(
        r#"{"url":"https://api.datadoghq.com/api/v1/query?from={from}&to={to}&query={query}","points":"/series/*/pointlist","time":"/0",
            "value":"/1","unit":"ms","window":"20s","stamp":"start"}"#,
    );
    let answer = br#"{"status":"ok","res_type":"time_series","series":[{"metric":"system.cpu.idle","scope":"host:a","interval":20,"length":2,
        "pointlist":[[1430311800000.0,98.19375610351562],[1430311820000.0,null],[1430311840000.0,99.85856628417969]]}],
        "from_date":1430311800000,"to_date":1430311860000,"query":"system.cpu.idle{*}by{host}","message":""}"#;
    // A point is stamped with its start, and describes 20 s.
    let read = source.points(&everything(), 200, answer).expect("points");
    let times: Vec<i64> = read.iter().map(|point| point.at_us / 1_000).collect();
    assert_eq!(times, [1_430_311_820_000, 1_430_311_860_000], "null is no measurement");
    assert!((read[0].high - 98.19).abs() < 0.01 && (read[1].high - 99.86).abs() < 0.01, "{read:?}");
    let question = Question {
        query: "avg:system.cpu.idle{*}".to_owned(),
        from_us: 1_430_311_840_000_000,
        until_us: 1_430_311_860_500_000,
        step_us: 20_000_000,
    };
    let asked = source.question(&question);
    assert_eq!(
        asked.url,
        "https://api.datadoghq.com/api/v1/query?from=1430311820&to=1430311861&query=avg%3Asystem.cpu.idle%7B%2A%7D"
    );
}

#[test]
fn librato() {
    let source = json(
        r#"{"url":"https://metrics-api.librato.com/v1/measurements/{query}?start_time={from}&end_time={to}&resolution=1",
            "points":"/series/*/measurements","time":"/time","value":"/value"}"#,
    );
    let answer = br#"{"attributes":{"created_by_ua":"a"},"links":[],"name":"cpu_temp","resolution":1,"series":[
        {"measurements":[{"time":1476916800,"value":3.0},{"time":1476916801,"value":4.0}],"tags":{"host":"a"}},
        {"measurements":[{"time":1476916800,"value":5.0}],"tags":{"host":"b"}}]}"#;
    let read = source.points(&everything(), 200, answer).expect("points");
    assert_eq!(values(&read), [(1_476_916_800_000, 5.0), (1_476_916_801_000, 4.0)]);
    assert_eq!((read[0].series, read[0].low, read[1].series), (2, 3.0, 1));
}

#[test]
fn graphite() {
    let source = json(
        r#"{"url":"http://graphite/render?format=json&from={from}&until={to}&target={query}","points":"/*/datapoints","time":"/1",
            "value":"/0"}"#,
    );
    let answer =
        br#"[{"target":"entries","datapoints":[[1.0,1311836008],[2.0,1311836009],[null,1311836010]]}]"#;
    let read = source.points(&everything(), 200, answer).expect("points");
    assert_eq!(values(&read), [(1_311_836_008_000, 1.0), (1_311_836_009_000, 2.0)], "null is no measurement");
}

#[test]
fn influxdb() {
    let source = json(
        r#"{"url":"http://influx:8086/query?db=app&epoch=ms&q={query}","points":"/results/0/series/*/values","time":"/0","value":"/1",
            "unit":"ms"}"#,
    );
    let answer = br#"{"results":[{"statement_id":0,"series":[{"name":"cpu_load_short","columns":["time","value"],"values":[
        [1422568543702,0.55],[1422568544702,0.64]]}]}]}"#;
    assert_eq!(
        values(&source.points(&everything(), 200, answer).expect("points")),
        [(1_422_568_543_702, 0.55), (1_422_568_544_702, 0.64)]
    );
    let with_text = Json { unit: Unit::Rfc3339, ..source.clone() };
    let answer = br#"{"results":[{"statement_id":0,"series":[{"name":"cpu_load_short","columns":["time","value"],"values":[
        ["2015-01-29T21:55:43.702900257Z",0.55]]}]}]}"#;
    assert_eq!(
        values(&with_text.points(&everything(), 200, answer).expect("points")),
        [(1_422_568_543_702, 0.55)]
    );
    // Without a series there is nothing, which is not an error.
    assert_eq!(source.points(&everything(), 200, br#"{"results":[{"statement_id":0}]}"#), Ok(Vec::new()));
}

#[test]
fn an_answer_of_another_form_is_an_error_and_not_an_absence_of_points() {
    let source = json(r#"{"url":"http://m/","points":"/points","time":"/t","value":"/v"}"#);
    for (status, body, wanted) in [
        (403, "forbidden", "status 403: forbidden"),
        (200, "<html>", "the answer is not JSON: <html>"),
        (200, r#"{"points":5}"#, "what stands at `/points` is not a list of points"),
        (200, r#"{"points":[{"t":1,"v":"many"}]}"#, "the value at `/v` is not a number"),
        (200, r#"{"points":[{"v":1}]}"#, "a point has no time at `/t`"),
        (
            200,
            r#"{"points":[{"t":"now","v":1}]}"#,
            "the time at `/t` is not one in the unit that the source gives",
        ),
    ] {
        assert_eq!(source.points(&everything(), status, body.as_bytes()).expect_err(body), wanted);
    }
}

#[test]
fn parameters_are_checked_and_bodies_stay_json() {
    let source = json(
        r#"{"url":"http://m/{query}","points":"points","time":"/t","value":"/v","method":"POST","body":"{\"q\": \"{query}\"}",
            "secrets":{"from":{"secret_env":"X"}}}"#,
    );
    let wrong: Vec<String> = source.invalid().iter().map(ToString::to_string).collect();
    assert!(wrong.iter().any(|text| text.contains("`points` is not a JSON pointer")), "{wrong:?}");
    assert!(wrong.iter().any(|text| text.contains("`{from}` is filled in")), "{wrong:?}");
    let question = Question { query: "a\"b/{from}".to_owned(), from_us: 5_000_000, until_us: 0, step_us: 0 };
    let asked = source.question(&question);
    assert_eq!(asked.body.as_deref(), Some(r#"{"q": "a\"b/{from}"}"#));
    assert_eq!(asked.url, "http://m/a%22b%2F%7Bfrom%7D");
    assert_eq!(source.invalid_query("").len(), 1);
    assert_eq!(
        json(r#"{"url":"http://m/","points":"","time":"/t","value":"/v"}"#).invalid_query("x").len(),
        1
    );
}

#[test]
fn rows_of_several_series_need_not_have_the_same_times() {
    let source = json(
        r#"{"url":"http://influx:8086/query?db=app&epoch=ms&q={query}","points":"/results/0/series/*/values","time":"/0",
            "value":"/1","unit":"ms"}"#,
    );
    let answer = br#"{"results":[{"statement_id":0,"series":[
        {"name":"orders","tags":{"host":"a"},"columns":["time","count"],"values":[[0,5],[10000,5],[20000,5]]},
        {"name":"orders","tags":{"host":"b"},"columns":["time","count"],"values":[[5000,100],[15000,100]]}]}]}"#;
    let asked = |from_us: i64, until_us: i64| {
        let question = Question { from_us, until_us, step_us: 10_000_000, ..everything() };
        source.points(&question, 200, answer).expect("points")
    };
    let points = asked(0, 20_000_000);
    assert_eq!(points.iter().map(|point| point.series).collect::<Vec<_>>(), [1, 2, 2, 2, 2]);
    assert!(points.iter().all(|point| point.lists == 2), "{points:?}");
    assert!(asked(0, 4_000_000).iter().all(|point| point.lists == 1), "of the asked time only");
}
