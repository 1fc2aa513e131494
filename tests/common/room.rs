//! A control room as a separate process, and a very simple browser.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A running control room. It ends when this is dropped.
pub(crate) struct Room {
    child: Child,
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    /// The path and query of the login link that it printed.
    pub(crate) link: String,
}

/// An answer of a control room.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the headers.
    pub(crate) head: String,
    /// The body, without the lengths of its chunks.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Room {
    /// Starts a control room in a folder that has `reports`, with these options and with its state in `room`. It listens
    /// on a free port of loopback if no option says otherwise.
    pub(crate) fn start(program: &str, folder: &Path, options: &[&str]) -> Self {
        let options = if options.contains(&"--listen") {
            options.to_vec()
        } else {
            [&["--listen", "127.0.0.1:0"], options].concat()
        };
        let mut child = Command::new(program)
            .arg("serve")
            .args(options)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = printed.next().expect("a line with the address").unwrap();
        let link = printed.next().expect("a line with a link").unwrap();
        let address = first.split_once("listens on ").unwrap().1.split(';').next().unwrap().to_owned();
        let link = format!("/login?{}", link.rsplit_once("/login?").unwrap().1);
        Self { child, address, link }
    }

    /// Sends a request as [`ask`] does, and reads the whole answer.
    pub(crate) fn ask(&self, head: &str, body: &str) -> Answer {
        ask(&self.address, head, body)
    }

    /// Asks for a page, with a cookie or with an empty one.
    pub(crate) fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nCookie: {cookie}\r\n"), "")
    }

    /// Sends a form as a browser does from a page of the control room.
    pub(crate) fn post(&self, path: &str, cookie: &str, body: &str) -> Answer {
        self.post_from("Sec-Fetch-Site: same-origin", path, cookie, body)
    }

    /// Sends a form with a header that says where it comes from.
    pub(crate) fn post_from(&self, header: &str, path: &str, cookie: &str, body: &str) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nCookie: {cookie}\r\n{header}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.ask(&head, body)
    }

    /// Opens a stream of events with a cookie. The server sends it in chunks, so lengths of chunks are between its lines.
    pub(crate) fn stream(&self, path: &str, cookie: &str) -> impl BufRead + use<> {
        self.stream_as(path, &format!("Cookie: {cookie}"))
    }

    /// Opens a stream of events with a header that identifies the person.
    pub(crate) fn stream_as(&self, path: &str, header: &str) -> impl BufRead + use<> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n{header}\r\n\r\n", self.address).unwrap();
        BufReader::new(stream)
    }

    /// Uses a login link. Returns the cookie.
    pub(crate) fn login(&self, link: &str) -> String {
        let answer = self.post("/login", "", link.split_once('?').unwrap().1);
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }

    /// Makes a login link as an administrator, and uses it as that person. Returns the person's cookie.
    pub(crate) fn invite(&self, admin: &str, name: &str, role: &str) -> String {
        let page = self.post("/people/links", admin, &format!("name={name}&role={role}")).text();
        let link = page.split_once("login?link=").unwrap().1.split('<').next().unwrap();
        self.login(&format!("/login?link={link}"))
    }

    /// Returns the id of the control room's process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends the control room by a signal, and waits for its end.
    pub(crate) fn end(&mut self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
        let _ = self.child.wait();
    }
}

/// Sends a request to an address, and reads the whole answer. `head` is the request line and headers; `Host` and
/// `Connection` are added.
pub(crate) fn ask(address: &str, head: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "{head}Host: {address}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a status");
    Answer { status, head, body: unchunked(&bytes[end + 4..], &bytes[..end]) }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

/// Reads a stream up to a line that begins with a text. Returns all lines up to it.
pub(crate) fn until(stream: &mut impl BufRead, begin: &str) -> Vec<String> {
    until_line(stream, begin, |line| line.starts_with(begin))
}

/// Reads a stream up to a line for which `is_wanted` holds. Returns all lines up to it.
pub(crate) fn until_line(
    stream: &mut impl BufRead,
    wanted: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<String> {
    let (mut lines, end) = (Vec::new(), Instant::now() + Duration::from_secs(60));
    loop {
        assert!(Instant::now() < end, "no `{wanted}` came: {lines:?}");
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended before `{wanted}`: {lines:?}");
        lines.push(line.trim_end().to_owned());
        if is_wanted(&line) {
            return lines;
        }
    }
}

/// Returns a body without the lengths of its chunks.
fn unchunked(body: &[u8], head: &[u8]) -> Vec<u8> {
    if !String::from_utf8_lossy(head).to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_vec();
    }
    let (mut rest, mut whole) = (body, Vec::new());
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap().trim(), 16).unwrap();
        whole.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[(end + 4 + length).min(rest.len())..];
    }
    whole
}
