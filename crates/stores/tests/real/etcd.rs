//! etcd: three members, asked by the JSON gateway.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    LONG,
    programs::{self, Server, command, folder, program},
};

/// One member and its folder.
pub(crate) struct Etcd {
    pub(crate) server: Server,
    _folder: tempfile::TempDir,
}

impl Etcd {
    /// Starts three, and waits for their leader; `None` where it is not installed.
    pub(crate) fn three() -> Option<Vec<Self>> {
        let path = program("etcd")?;
        let at = [(); 3].map(|()| programs::address(2379));
        let peer = |at: &SocketAddr| format!("http://{}:2380", at.ip());
        let cluster: Vec<String> =
            at.iter().enumerate().map(|(number, at)| format!("m{number}={}", peer(at))).collect();
        let all = at.iter().enumerate().map(|(number, at)| {
            let (folder, client) = (folder(), format!("http://{at}"));
            let mut etcd = command(&path, folder.path());
            etcd.args(["--name", &format!("m{number}"), "--data-dir", "data"]);
            etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            etcd.args(["--listen-peer-urls", &peer(at), "--initial-advertise-peer-urls", &peer(at)]);
            etcd.args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"]);
            let log = folder.path().join("log");
            (etcd, *at, log, folder)
        });
        // A member takes no clients before the cluster has a leader, so none may be waited for before all are started.
        let started: Vec<_> =
            all.map(|(etcd, at, log, folder)| (Server::spawn(etcd, at, log), folder)).collect();
        let all: Vec<Self> = started
            .into_iter()
            .map(|(server, folder)| Self { server: server.up(), _folder: folder })
            .collect();
        let begun = Instant::now();
        while !all.iter().any(Self::is_leader) {
            assert!(begun.elapsed() < LONG, "no leader");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(all)
    }

    /// Whether it says that it is the leader.
    pub(crate) fn is_leader(&self) -> bool {
        let status = self.post("/v3/maintenance/status", &json!({}));
        status["leader"].is_string() && status["leader"] == status["header"]["member_id"]
    }

    /// Returns the keys of the vantage, which begin with `r1:`.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        // `r1:` to `r1;`, both in base 64.
        let all =
            self.post("/v3/kv/range", &json!({ "key": "cjE6", "range_end": "cjE7", "keys_only": true }));
        let Some(all) = all["kvs"].as_array() else { return BTreeSet::new() };
        all.iter().map(|one| text(one["key"].as_str().unwrap())).collect()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let (mut stream, body) = (TcpStream::connect(self.server.at).unwrap(), body.to_string());
        let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).unwrap_or(Value::Null)
    }
}

/// Reads a text in base 64.
fn text(coded: &str) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for sign in coded.bytes().filter(|sign| *sign != b'=') {
        let value = SIGNS.iter().position(|one| *one == sign).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    String::from_utf8(bytes).unwrap()
}
