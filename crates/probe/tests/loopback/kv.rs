//! A key-value server on loopback, by HTTP and as etcd's gateway, that loses acknowledged writes on command.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::common::{answer, head};

/// The server's state, for the test.
#[derive(Default)]
pub(crate) struct State {
    /// The records that it has.
    pub(crate) kept: BTreeMap<String, String>,
    /// All records that it acknowledged.
    pub(crate) acked: BTreeMap<String, String>,
    /// The server loses one of so many writes; none if this is 0.
    pub(crate) lose_every: usize,
    /// The status with which the server refuses writes, and whether it keeps them all the same.
    pub(crate) refuse: Option<(u16, bool)>,
    /// Whether the server keeps writes and gives no answer to them.
    pub(crate) silent: bool,
    /// Whether the server refuses to read.
    pub(crate) unreadable: bool,
    /// The number of requests for a page.
    pub(crate) pages: usize,
}

pub(crate) struct Kv {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Kv {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State::default()));
        let served = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked in it")
    }

    /// Returns the number of acknowledged records that the server lacks.
    pub(crate) fn lacks(&self) -> u64 {
        let state = self.state();
        state.acked.keys().filter(|key| !state.kept.contains_key(*key)).count() as u64
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(head) = head(&mut stream).await {
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let said = handle(&state, method, path, &String::from_utf8_lossy(&body));
        let Some((status, body)) = said else {
            // The client waits until its time is up.
            std::future::pending::<()>().await;
            return;
        };
        if stream.write_all(answer(&status, &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

fn handle(state: &Mutex<State>, method: &str, path: &str, body: &str) -> Option<(String, String)> {
    let mut state = state.lock().expect("no test panicked in it");
    let json = || serde_json::from_str::<Value>(body).expect("JSON");
    let text = |value: &Value| {
        String::from_utf8(STANDARD.decode(value.as_str().expect("a text")).expect("base64")).expect("UTF-8")
    };
    match (method, path) {
        (_, "/v3/kv/range") => {
            state.pages += 1;
            if state.unreadable {
                return Some(("503 Unavailable".to_owned(), String::new()));
            }
            let ask = json();
            let (from, end) = (text(&ask["key"]), text(&ask["range_end"]));
            let limit = usize::try_from(ask["limit"].as_u64().expect("a number")).expect("small");
            let all: Vec<_> = state.kept.range(from..end).collect();
            let kvs: Vec<Value> = (all.iter().take(limit))
                .map(|(key, value)| json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value)}))
                .collect();
            let page =
                json!({"header": {}, "kvs": kvs, "more": all.len() > limit, "count": all.len().to_string()});
            Some(("200 OK".to_owned(), page.to_string()))
        }
        (_, "/v3/kv/put") => {
            let put = json();
            write(&mut state, text(&put["key"]), text(&put["value"]))
        }
        ("PUT", path) => write(&mut state, path.trim_start_matches("/kv/").to_owned(), body.to_owned()),
        (_, _) if state.unreadable => Some(("500 Broken".to_owned(), String::new())),
        (_, path) => Some(match state.kept.get(path.trim_start_matches("/kv/")) {
            Some(value) => ("200 OK".to_owned(), value.clone()),
            None => ("404 Not Found".to_owned(), String::new()),
        }),
    }
}

fn write(state: &mut State, key: String, value: String) -> Option<(String, String)> {
    if let Some((status, keeps)) = state.refuse {
        if keeps {
            state.kept.insert(key, value);
        }
        return Some((format!("{status} No"), String::new()));
    }
    if state.silent {
        state.kept.insert(key, value);
        return None;
    }
    state.acked.insert(key.clone(), value.clone());
    if state.lose_every == 0 || !state.acked.len().is_multiple_of(state.lose_every) {
        state.kept.insert(key, value);
    }
    Some(("200 OK".to_owned(), String::new()))
}
