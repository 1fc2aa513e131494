//! Metrics and traces of runs: Prometheus' checker accepts the metrics, a real Pushgateway has those that were pushed last, and a collector
//! receives the trace.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "its other tests use all of it")]
#[path = "common/receiver.rs"]
mod receiver;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use firedrill::log::Writer;
use firedrill_judge::testing::Drill;

/// Writes a run into a folder of its own.
fn run(home: &Path, drill: &Drill) {
    fs::create_dir_all(home).unwrap();
    let mut writer = Writer::create(&home.join("events.jsonl")).unwrap();
    for record in drill.records() {
        writer.append(record.at_us, record.event).unwrap();
    }
}

/// Runs `firedrill report`.
fn report(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    command.arg("report").args(words).current_dir(folder).output().unwrap()
}

/// Writes three runs of a scenario: one that held, one that never recovered, and one without measurements.
fn runs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(&folder.path().join("reports/held"), &Drill::one());
    let mut endless = Drill::one();
    endless.acts[0].bad = vec![(0..400, 100)];
    run(&folder.path().join("reports/endless"), &endless);
    let mut blind = Drill::one();
    blind.bins = Box::new(|_, _, _| None);
    run(&folder.path().join("reports/blind"), &blind);
    folder
}

#[test]
fn the_checker_of_prometheus_accepts_the_file() {
    let folder = runs();
    let file = folder.path().join("firedrill.prom");
    for (name, code) in [("held", 0), ("endless", 1), ("blind", 3)] {
        let written =
            report(folder.path(), &[name, "--format", "openmetrics", "--textfile", "firedrill.prom"]);
        assert_eq!(written.status.code(), Some(code), "{written:?}");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join(format!("reports/{name}/metrics.prom"))).unwrap(),
            text
        );
        assert_eq!(text.contains("+Inf") || text.contains(" inf"), name == "endless", "{text}");
        let checked = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(fs::File::open(&file).unwrap())
            .output();
        match checked {
            Ok(checked) => {
                assert!(checked.status.success() && checked.stderr.is_empty(), "{name}: {checked:?}\n{text}");
            }
            Err(_) => eprintln!("skipped: promtool is not installed (tests/packages.sh metrics)"),
        }
    }
    let other = report(folder.path(), &["held", "--textfile", "firedrill.txt"]);
    assert_eq!(other.status.code(), Some(2), "{other:?}");
}

/// The address of Pushgateways.
const GATEWAY: &str = "127.91.26.3";

/// A Pushgateway that ends with the test.
struct Gateway {
    child: Child,
    port: u16,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// Starts the program; `None` if it is not installed.
    fn start() -> Option<Self> {
        // The port is free now. No other program uses this address, so nobody gets the port before the Pushgateway.
        let port = TcpListener::bind((GATEWAY, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("prometheus-pushgateway");
        command
            .arg(format!("--web.listen-address={GATEWAY}:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut gateway = Self { child: command.spawn().ok()?, port };
        let end = Instant::now() + Duration::from_secs(60);
        while !gateway.get("/-/ready").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            let ended = gateway.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < end,
                "the Pushgateway is not ready in 60 s: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(gateway)
    }

    /// Asks for a page; `None` if the Pushgateway does not answer.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((GATEWAY, self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: push\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

#[test]
fn a_pushgateway_has_the_last_run_of_the_scenario() {
    let Some(gateway) = Gateway::start() else {
        eprintln!("skipped: prometheus-pushgateway is not installed (tests/packages.sh metrics)");
        return;
    };
    let folder = runs();
    let url = format!("http://{GATEWAY}:{}", gateway.port);
    let pushed = report(folder.path(), &["held", "--push", &url]);
    assert_eq!(pushed.status.code(), Some(0), "{pushed:?}");
    let metrics = gateway.get("/metrics").unwrap();
    let has = |metrics: &str, name: &str, words: &[&str]| {
        metrics.lines().any(|line| line.starts_with(name) && words.iter().all(|word| line.contains(word)))
    };
    let held = ["job=\"firedrill\"", "scenario=\"friday\"", "environment=\"ci\"", "verdict=\"held\"", "} 1"];
    assert!(has(&metrics, "firedrill_run_verdict{", &held), "{metrics}");
    assert!(
        has(&metrics, "firedrill_objective_ratio{", &["objective=\"users\"", "bound=\"low\"", "} 0.9"]),
        "{metrics}"
    );
    // Metrics that the next run does not have are removed.
    let pushed = report(folder.path(), &["blind", "--push", &format!("{url}/")]);
    assert_eq!(pushed.status.code(), Some(3), "{pushed:?}");
    let metrics = gateway.get("/metrics").unwrap();
    assert!(has(&metrics, "firedrill_run_verdict{", &["verdict=\"unknown\"", "} 1"]), "{metrics}");
    assert!(!has(&metrics, "firedrill_objective_ratio{", &[]), "{metrics}");
    // A URL that is no Pushgateway's is an error for any run.
    let wrong = report(folder.path(), &["held", "--push", &format!("{url}/elsewhere")]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    assert!(
        said.contains(&format!("cannot push the metrics to {url}/elsewhere"))
            && said.contains("is this a Pushgateway"),
        "{said}"
    );
}

#[test]
fn a_collector_receives_the_trace_and_rejected_spans_are_reported() {
    let folder = runs();
    let collector = receiver::Receiver::start();
    let sent = |run: &str, path: &str| {
        let url = collector.url(path).replace("http://", "http://me:secret@");
        Command::new(env!("CARGO_BIN_EXE_firedrill"))
            .args(["report", run, "--otlp", &url])
            .current_dir(folder.path())
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
            .output()
            .unwrap()
    };
    for (path, wanted) in [("", "/v1/traces"), ("/otel/", "/otel/v1/traces"), ("/v1/traces", "/v1/traces")] {
        collector.answers_next("200 OK", "{}");
        assert_eq!(sent("held", path).status.code(), Some(0));
        let request = collector.next();
        assert_eq!(request.line, format!("POST {wanted} HTTP/1.1"));
        for (header, value) in
            [("content-type", "application/json"), ("authorization", "Basic bWU6c2VjcmV0"), ("x-key", "a b")]
        {
            assert_eq!(request.headers[header], value);
        }
        let spans = request.json()["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len();
        assert!(spans > 4, "{}", request.body);
    }
    for (head, body, message) in [
        (
            "200 OK",
            r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#,
            "rejected 2 spans: too old",
        ),
        ("404 Not Found", "", "port 4318"),
        ("401 Unauthorized", "who?", "OTEL_EXPORTER_OTLP_HEADERS"),
    ] {
        collector.answers_next(head, body);
        let refused = sent("endless", "");
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains(message) && !said.contains("secret"), "{said}");
    }
}
