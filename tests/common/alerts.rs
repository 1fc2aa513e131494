//! A source of alerts on this machine, for tests.

/// Starts a source of alerts that answers each request with a text, in which `{sent}` becomes the request's token. With `None` it closes
/// connections without an answer. Returns the source's URL.
pub(crate) fn source(answer: Option<&'static str>) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut bytes = [0; 8192];
            let read = stream.read(&mut bytes).unwrap_or(0);
            let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let Some(answer) = answer else { continue };
            let sent = request.lines().find_map(|line| {
                line.to_lowercase().split_once("authorization: bearer ").map(|(_, token)| token.to_owned())
            });
            let body = answer.replace("{sent}", &sent.unwrap_or_default());
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    url
}
