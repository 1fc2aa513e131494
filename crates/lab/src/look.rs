//! Two small tools to inspect the network from inside a host: an HTTP request, and listening to a connection. Tests and people need no
//! other programs there. They change nothing.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    process::ExitCode,
    time::Duration,
};

/// Maximum time for connecting and for each read.
const LIMIT: Duration = Duration::from_secs(3);

/// Makes one HTTP request, and prints the status code and the body. Fails if there is no answer.
pub(crate) fn get(address: &str, path: &str) -> ExitCode {
    let ask = || -> io::Result<String> {
        let mut stream = connect(address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Ok(format!("{} {body}", head.split(' ').nth(1).unwrap_or("?")))
    };
    match ask() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("failed to get {path} from {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Connects, prints `connected`, and waits up to `at_most_ms` milliseconds for the peer. Then prints `spoke` if the peer sent anything,
/// `closed` if it closed the connection, `silent` if it did neither, or `broke off` with the error.
pub(crate) fn hear(address: &str, at_most_ms: &str) -> ExitCode {
    let mut stream = match connect(address) {
        Ok(stream) => stream,
        Err(error) => {
            eprintln!("failed to connect to {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("connected");
    let at_most = Duration::from_millis(at_most_ms.parse().unwrap_or(1000));
    // A timeout of zero would be an error.
    let _ = stream.set_read_timeout(Some(at_most.max(Duration::from_millis(1))));
    let mut read = stream.read(&mut [0; 16]);
    // The read is interrupted when this process is stopped and continued; then it is repeated.
    while read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
        read = stream.read(&mut [0; 16]);
    }
    let heard = match read {
        Ok(0) => "closed".into(),
        Ok(_) => "spoke".into(),
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => "silent".into(),
        Err(e) => format!("broke off: {e}"),
    };
    println!("{heard}");
    ExitCode::SUCCESS
}

/// Connects to the first address of the name that accepts.
fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
