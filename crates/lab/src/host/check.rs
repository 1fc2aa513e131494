//! The ready checks that need no program of the machine. Each check runs in the host as its own process, so that the supervisor never
//! waits. A check never changes the service.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    process::ExitCode,
    time::Duration,
};

/// Maximum time for each step of a request: connecting, writing, and each read.
const STEP: Duration = Duration::from_secs(2);

/// Entry point of a check. The arguments are `tcp PORT` or `http ADDRESS PATH`.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let result = match words {
        [kind, port] if kind == "tcp" => listening(port),
        [kind, address, path] if kind == "http" => answers(address, path),
        _ => Err("a ready check is `tcp PORT` or `http ADDRESS PATH`".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Checks that a process listens on the port. No connection is made, so that no entry appears in the service's log.
fn listening(port: &str) -> Result<(), String> {
    let number: u16 = port.parse().map_err(|_| format!("{port} is not a port"))?;
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    if tables.iter().any(|table| has_listener(table, number)) {
        Ok(())
    } else {
        Err(format!("nothing listens on port {port}"))
    }
}

/// Whether a table of TCP sockets, as in `/proc/net/tcp`, has a listener on the port.
#[must_use]
pub fn has_listener(table: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (own, _, state) = (words.next(), words.next(), words.next());
        own.is_some_and(|own| own.ends_with(&wanted)) && state == Some(LISTEN)
    })
}

/// Checks that a GET request is answered with status 200.
fn answers(address: &str, path: &str) -> Result<(), String> {
    let line = first_line(address, path).map_err(|error| format!("no answer from {address}: {error}"))?;
    match line.split_whitespace().nth(1) {
        Some("200") if line.starts_with("HTTP/") => Ok(()),
        _ => Err(format!("{address} answered {path} with: {}", line.trim())),
    }
}

/// Sends a GET request and returns the first line of the answer. Tries all addresses of the name until one accepts a connection.
fn first_line(address: &str, path: &str) -> io::Result<String> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for resolved in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&resolved, STEP) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(STEP))?;
                stream.set_write_timeout(Some(STEP))?;
                // Sent in one write, because some servers call read only once.
                let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
                stream.write_all(request.as_bytes())?;
                let mut line = String::new();
                BufReader::new(stream.take(1024)).read_line(&mut line)?;
                return Ok(line);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_listeners_count() {
        let table = "  sl  local_address rem_address   st\n   \
                     0: 0100007F:1F40 00000000:0000 0A 00000000\n   \
                     1: 0100007F:1F41 0100007F:1F40 01 00000000\n";
        assert!(has_listener(table, 8000));
        assert!(!has_listener(table, 8001), "this socket is a connection from the port");
        assert!(!has_listener(table, 80));
    }

    #[test]
    fn only_status_200_is_ready() {
        for (answer, wanted) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(())),
            ("HTTP/1.1 503 Not now\r\n\r\n", Err("503 Not now")),
            ("+PONG 200\r\n", Err("+PONG 200")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut asked, mut byte) = (Vec::new(), [0]);
                while !asked.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    asked.extend(byte);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(asked).unwrap()
            });
            let got = answers(&address, "/ready?x=1");
            assert!(server.join().unwrap().starts_with("GET /ready?x=1 HTTP/1.1\r\n"));
            match (got, wanted) {
                (Ok(()), Ok(())) => {}
                (Err(said), Err(part)) => assert!(said.contains(part), "{said}"),
                (got, _) => panic!("{answer:?}: {got:?}"),
            }
        }
    }
}
