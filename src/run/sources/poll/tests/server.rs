//! A small HTTP server for tests, whose clock and answers the tests choose.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// Time by which the server's clock is ahead of this machine's clock.
pub(super) const AHEAD: Duration = Duration::from_secs(3600);

type Reply = Arc<Mutex<Box<dyn FnMut(&str) -> Option<String> + Send>>>;

/// Starts a server whose clock is an hour ahead. `reply` gets a request and returns the body of the answer, or `None` to close the
/// connection. Returns the server's URL.
pub(super) async fn server(reply: impl FnMut(&str) -> Option<String> + Send + 'static) -> String {
    server_at(|| Some(AHEAD), reply).await
}

/// Starts a server whose clock is ahead by the result of `ahead`; for `None`, its answers have no `Date`.
pub(super) async fn server_at(
    ahead: impl Fn() -> Option<Duration> + Send + 'static,
    reply: impl FnMut(&str) -> Option<String> + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let reply: Reply = Arc::new(Mutex::new(Box::new(reply)));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                request.extend_from_slice(&buffer[..read]);
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
            let date = ahead().map_or_else(String::new, |ahead| {
                let now = SystemTime::now() + ahead;
                let seconds = now.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
                format!("Date: {}\r\n", http_date(seconds))
            });
            let answer = format!(
                "HTTP/1.1 200 OK\r\n{date}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

/// Formats seconds since 1970 as an HTTP date. The day of the week is always Monday; the client ignores it.
fn http_date(seconds: u64) -> String {
    let text =
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        [text[5..7].parse::<usize>().expect("a month") - 1];
    format!("Mon, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}

/// Returns a numeric field of the form in a request's body.
pub(super) fn field(request: &str, name: &str) -> f64 {
    let value = request.rsplit("\r\n\r\n").next().unwrap_or_default().split('&').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key == name).then_some(value)
    });
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {request}"))
}

/// Answers a range query with `value` of each moment, and the query for the data's age with `age` seconds for each moment.
pub(super) fn range(request: &str, value: impl Fn(f64) -> Option<f64>, age: f64) -> String {
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

/// Answers a question for the data behind a query: an age of 0.1 seconds, and `series` as the number of series of the first selector.
pub(super) fn behind(request: &str, series: u32) -> String {
    let (start, end, step) = (field(request, "start"), field(request, "end"), field(request, "step"));
    let constant = |value: String| {
        let mut at = start;
        let mut values = Vec::new();
        while at <= end + 1e-6 {
            values.push(format!("[{at:.3},\"{value}\"]"));
            at += step;
        }
        values.join(",")
    };
    let count = if series == 0 {
        String::new()
    } else {
        format!(r#",{{"metric":{{"firedrill":"count-0"}},"values":[{}]}}"#, constant(series.to_string()))
    };
    format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"firedrill":"age-0"}},"values":[{}]}}{count}]}}}}"#,
        constant("0.1".to_owned())
    )
}
