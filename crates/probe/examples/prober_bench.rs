//! Measures which rate the prober keeps: 5,000 requests a second against a small server on loopback, in a process of its own.
//!
//! With `writes`, writes are sent instead, and noted in a write record.
//!
//! `cargo run --release -p firedrill-probe --example prober_bench [-- [writes] REQUESTS_A_SECOND [SECONDS]]`

use std::{
    convert::Infallible,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use firedrill_probe::{Keeping, NoStores, Spool, histogram, start_on, writes::Place};
use firedrill_wire::{
    Span,
    probe::{Arrivals, Bin, Connection, HttpProbe, ProbeKind, ProbeSpec},
    writes::Author,
};
use http_body_util::Full;
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "serve") {
        return serve();
    }
    let writes = arguments.next_if(|first| first == "writes").is_some();
    let rate: f64 = arguments.next().as_deref().unwrap_or("5000").parse()?;
    let seconds: u64 = arguments.next().as_deref().unwrap_or("10").parse()?;
    let (mut server, url) = server()?;
    let length = Duration::from_secs(seconds);
    if writes {
        let store = serde_json::json!({ "writes": { "http": { "url": format!("{url}{{key}}") } } });
        bench(serde_json::from_value(store)?, rate, length, Connection::Reuse)?;
    } else {
        for connection in [Connection::Reuse, Connection::New] {
            bench(ProbeKind::Http(HttpProbe::get(&url)), rate, length, connection)?;
        }
    }
    server.kill()?;
    server.wait()?;
    Ok(())
}

fn bench(kind: ProbeKind, rate: f64, length: Duration, connection: Connection) -> Result<(), Failure> {
    let spec = ProbeSpec {
        name: "bench".to_owned(),
        kind,
        rate,
        arrivals: Arrivals::Even,
        key: 0,
        timeout: Span::secs(1),
        connection,
        names: [].into(),
    };
    let (begun, used) = (Instant::now(), cpu());
    let folder = tempfile::tempdir()?;
    let author = Author { run: "bench".parse()?, vantage: "here".to_owned() };
    let place = Place { folder: folder.path().to_owned(), author };
    let running = start_on(Spool::new(), vec![spec], length, &Keeping(place), &NoStores)?;
    while !running.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (took, used) = (begun.elapsed().as_secs_f64(), (cpu() - used).as_secs_f64());
    let bins = running.spool.after(0);
    let sum = |what: fn(&Bin) -> u64| bins.iter().map(what).sum::<u64>();
    let late = running.start_errors();
    let mut latency = histogram(bins.first().ok_or("nothing was measured")?)?;
    for bin in bins.iter().skip(1) {
        latency.add(histogram(bin)?)?;
    }
    let good = u32::try_from(sum(|bin| bin.good))?;
    println!(
        "{connection:?}: due-time error p50 {} µs, p99 {} µs, max {} µs · CPU {:.1} % of a core · {:.0} good a second of {rate} \
         · {} bad {:?}, {} slipped · latency p50 {} µs, p99 {} µs · {} bytes a bin",
        late.value_at_quantile(0.5),
        late.value_at_quantile(0.99),
        late.max(),
        100.0 * used / took,
        f64::from(good) / length.as_secs_f64(),
        sum(Bin::bad_total),
        bins.iter().flat_map(|bin| bin.bad.keys()).collect::<std::collections::BTreeSet<_>>(),
        sum(|bin| bin.slipped),
        latency.value_at_quantile(0.5),
        latency.value_at_quantile(0.99),
        serde_json::to_vec(&bins[bins.len() / 2])?.len(),
    );
    Ok(())
}

/// Returns the CPU time of this process so far. The prober's thread used nearly all of it.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn server() -> Result<(Child, String), Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut address)?;
    Ok((child, format!("http://{}/", address.trim())))
}

fn serve() -> Result<(), Failure> {
    // This server ends with the bench, however the bench ends: then the other end of the pipe is closed.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            let answer =
                service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("ok")))) });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    })
}
