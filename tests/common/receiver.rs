//! A receiver of HTTP requests whose answers a test sets.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{Receiver as Queue, Sender, channel},
    },
    thread,
    time::Duration,
};

/// The longest wait for a request that has to come.
const LONG: Duration = Duration::from_secs(60);

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The request line, such as `POST / HTTP/1.1`.
    pub(crate) line: String,
    /// The headers by their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A status with headers, as they follow `HTTP/1.1`, and a body.
type Answer = (String, String);

/// The answers to requests.
#[derive(Default)]
struct Answers {
    /// The answers to the next requests.
    next: VecDeque<Answer>,
    /// The answer to all other requests; `None` holds them without an answer.
    others: Option<Answer>,
}

/// A receiver on a port of this machine. Its threads end with the process.
pub(crate) struct Receiver {
    port: u16,
    /// The answers, and the notice that they were changed.
    answers: Arc<(Mutex<Answers>, Condvar)>,
    came: Queue<Request>,
}

impl Receiver {
    /// Listens, and answers each request with 200.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: Arc<(Mutex<Answers>, Condvar)> = Arc::default();
        let (tell, came) = channel();
        let of_thread = Arc::clone(&answers);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answers, tell) = (Arc::clone(&of_thread), tell.clone());
                thread::spawn(move || serve(&stream, &answers, &tell));
            }
        });
        let receiver = Self { port, answers, came };
        receiver.answers("200 OK", "ok");
        receiver
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sets the answer to all further requests, also to those that are held.
    pub(crate) fn answers(&self, head: &str, body: &str) {
        self.answers.0.lock().unwrap().others = Some((head.to_owned(), body.to_owned()));
        self.answers.1.notify_all();
    }

    /// Holds requests from now on.
    pub(crate) fn holds(&self) {
        self.answers.0.lock().unwrap().others = None;
    }

    /// Sets the answer to the next request only.
    pub(crate) fn answers_next(&self, head: &str, body: &str) {
        self.answers.0.lock().unwrap().next.push_back((head.to_owned(), body.to_owned()));
    }

    /// Waits for the next request.
    pub(crate) fn next(&self) -> Request {
        self.came.recv_timeout(LONG).expect("a request")
    }

    /// Returns the next request if it has arrived already. Does not wait.
    pub(crate) fn came(&self) -> Option<Request> {
        self.came.try_recv().ok()
    }

    /// Whether no further request has arrived. All programs that could send one must have ended.
    pub(crate) fn is_quiet(&self) -> bool {
        self.came().is_none()
    }
}

/// Reads a request, passes it on, and answers it. Waits while requests are held.
fn serve(mut stream: &TcpStream, (answers, changed): &(Mutex<Answers>, Condvar), tell: &Sender<Request>) {
    let mut lines = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut head = head.into_iter();
    let line = head.next().unwrap_or_default();
    let headers: BTreeMap<String, String> = head
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    // The sender may be killed in the middle.
    if lines.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8(body).unwrap();
    let _unheard = tell.send(Request { line, headers, body });
    let held = answers.lock().unwrap();
    let mut answers = changed.wait_while(held, |set| set.next.is_empty() && set.others.is_none()).unwrap();
    let (status, body) = answers.next.pop_front().or_else(|| answers.others.clone()).unwrap();
    drop(answers);
    let text =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let _gone = stream.write_all(text.as_bytes());
}
