//! Tests with a small bus at the other end of the socket, and with bytes that no bus should send.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    thread::{self, JoinHandle},
    time::Duration,
};

use proptest::prelude::*;

use super::{
    message::{Answer, Call, Header},
    value::Reader,
    *,
};

/// Maximum time for an expected event, also on a busy machine.
const LONG: Duration = Duration::from_secs(60);
const SOMEBODY: Target<'_> = Target { destination: "a.b", path: "/a", interface: "a.b.C" };

/// Starts a bus that serves one connection: it authenticates the client, answers `Hello`, and passes each later call to `serve`. Returns the
/// socket's path, and a handle that returns the client's first line.
fn bus(
    serve: impl Fn(&mut UnixStream, u32, &[u8]) + Send + 'static,
) -> (tempfile::TempDir, PathBuf, JoinHandle<String>) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("bus");
    let listener = UnixListener::bind(&path).expect("a socket");
    let server = thread::spawn(move || {
        let mut stream = listener.accept().expect("a caller").0;
        let mut reader = BufReader::new(stream.try_clone().expect("the same socket"));
        let mut first = String::new();
        reader.read_line(&mut first).expect("AUTH");
        stream.write_all(b"OK 0123456789abcdef\r\n").expect("written");
        let mut begin = String::new();
        reader.read_line(&mut begin).expect("BEGIN");
        assert_eq!(begin, "BEGIN\r\n");
        let mut serial = 0;
        loop {
            let mut start = [0; Header::LENGTH];
            if reader.read_exact(&mut start).is_err() {
                return first;
            }
            serial += 1;
            let mut rest = vec![0; Header::decode(&start).expect("a header").rest];
            reader.read_exact(&mut rest).expect("a whole message");
            if serial == 1 {
                stream.write_all(&reply(serial, 2, "s", &text_body(":1.7"))).expect("hello");
            } else {
                serve(&mut stream, serial, &rest);
            }
        }
    });
    (dir, path, server)
}

/// Makes a reply (kind 2) or an error (kind 3), big-endian, as a bus on another machine could send it.
fn reply(serial: u32, kind: u8, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = vec![5, 1, b'u', 0];
    fields.extend(serial.to_be_bytes());
    fields.extend([4, 1, b's', 0]);
    fields.extend(text_body("a.b.Wrong"));
    fields.resize(fields.len().next_multiple_of(8), 0);
    fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).expect("short")]);
    fields.extend(signature.as_bytes());
    fields.push(0);
    let mut bytes = vec![b'B', kind, 0, 1];
    bytes.extend(u32::try_from(body.len()).expect("short").to_be_bytes());
    bytes.extend(99_u32.to_be_bytes());
    bytes.extend(u32::try_from(fields.len()).expect("short").to_be_bytes());
    bytes.extend(fields);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body);
    bytes
}

/// Encodes a text as a body, big-endian.
fn text_body(text: &str) -> Vec<u8> {
    let mut body = u32::try_from(text.len()).expect("short").to_be_bytes().to_vec();
    body.extend(text.as_bytes());
    body.push(0);
    body
}

#[test]
fn signals_and_late_answers_before_the_answer_are_skipped() {
    let (_dir, path, server) = bus(|stream, serial, rest| {
        assert!(rest.windows(6).any(|part| part == b"Method") && rest.ends_with(b"\x03\0\0\0two\0"));
        stream.write_all(&reply(serial - 1, 2, "s", &text_body("late"))).expect("written");
        let signal = reply(serial, 4, "", b"");
        stream.write_all(&signal).expect("written");
        // The answer is sent byte by byte, because a message may arrive in any number of pieces.
        for byte in reply(serial, 2, "s", &text_body("right")) {
            stream.write_all(&[byte]).expect("written");
        }
    });
    let mut connection = Connection::open(&path, LONG).expect("let in");
    let answer = connection.call(&SOMEBODY, "Method", &["one", "two"], LONG).expect("answered");
    assert_eq!(answer, [Value::Text("right".to_owned())]);
    drop(connection);
    let hex: String = nix::unistd::geteuid().to_string().bytes().map(|b| format!("{b:02x}")).collect();
    assert_eq!(server.join().expect("served"), format!("\0AUTH EXTERNAL {hex}\r\n"));
}

#[test]
fn an_error_has_its_name_and_text() {
    let (_dir, path, _server) = bus(|stream, serial, _| {
        stream.write_all(&reply(serial, 3, "s", &text_body("why"))).expect("written");
    });
    let error =
        Connection::open(&path, LONG).expect("let in").call(&SOMEBODY, "M", &[], LONG).expect_err("refused");
    assert!(
        matches!(&error, DbusError::Refused { name, text } if name == "a.b.Wrong" && text == "why"),
        "{error:?}"
    );
}

#[test]
fn silence_and_a_closed_connection_are_errors_in_time() {
    let (_dir, path, _server) = bus(|_, _, _| {});
    let mut connection = Connection::open(&path, LONG).expect("let in");
    let error = connection.call(&SOMEBODY, "M", &[], Duration::from_millis(50)).expect_err("silence");
    assert_eq!(error.to_string(), "no answer in time");
    let (_dir, path, _server) =
        bus(|stream, _, _| stream.shutdown(std::net::Shutdown::Both).expect("closed"));
    let mut connection = Connection::open(&path, LONG).expect("let in");
    assert!(connection.call(&SOMEBODY, "M", &[], LONG).is_err());
    assert!(Connection::open(std::path::Path::new("/nowhere/at/all"), LONG).is_err());
}

#[test]
fn every_type_is_read_at_its_alignment() {
    let mut bytes = vec![7, 0, 0, 0]; // y, then b at 4
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend((-2_i16).to_le_bytes());
    bytes.extend([0; 6]); // x at 16
    bytes.extend((-3_i64).to_le_bytes());
    bytes.extend(0.5_f64.to_le_bytes());
    bytes.extend([2, b'a', b's', 0]); // v: an array of texts
    bytes.extend(7_u32.to_le_bytes());
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend(b"hi\0");
    let values = Reader::new(&bytes, false).values("ybnxdv").expect("read");
    let texts = Value::Array(vec![Value::Text("hi".to_owned())]);
    assert_eq!(
        values,
        [Value::Byte(7), Value::Bool(true), Value::Signed(-2), Value::Signed(-3), Value::Double(0.5), texts]
    );
}

#[test]
fn dictionaries_are_arrays_of_pairs() {
    let mut bytes = 20_u32.to_le_bytes().to_vec();
    bytes.extend([0; 4]); // entries begin at 8
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(b"k\0\x01u\0\0\0\0");
    bytes.extend([0; 4]);
    bytes.truncate(20);
    bytes.extend(42_u32.to_le_bytes());
    bytes[..4].copy_from_slice(&16_u32.to_le_bytes());
    let values = Reader::new(&bytes, false).values("a{sv}").expect("read");
    let entry = Value::Struct(vec![Value::Text("k".to_owned()), Value::Unsigned(42)]);
    assert_eq!(values, [Value::Array(vec![entry])]);
}

#[test]
fn values_without_an_end_are_errors() {
    for (signature, bytes) in [
        ("a()", [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("av", [12, 0, 0, 0, 1, b'v', 0, 1, b'v', 0, 1, b'v', 0, 1, b'v', 0]),
        ("(", [0; 16]),
        ("a", [0; 16]),
        (")", [0; 16]),
        ("as", [255; 16]),
    ] {
        assert!(Reader::new(&bytes, false).values(signature).is_err(), "{signature}");
    }
    let deep = "v".to_owned();
    let bytes = b"\x01v\0".repeat(200);
    assert!(Reader::new(&bytes, false).values(&deep).is_err());
}

proptest! {
    #[test]
    fn a_call_is_read_back(path in "/[a-z]{1,20}", method in "[A-Z][a-z]{0,20}", arguments in proptest::collection::vec("\\PC{0,20}", 0..5)) {
        let target = Target { path: &path, ..SOMEBODY };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let bytes = Call { serial: 5, target: &target, method: &method, arguments: &arguments }.encode().expect("short");
        let (start, rest) = bytes.split_first_chunk().expect("a header");
        let header = Header::decode(start).expect("a header");
        prop_assert_eq!(header.rest, rest.len());
        let body_at = rest.len() - usize::try_from(u32::from_le_bytes([start[4], start[5], start[6], start[7]])).expect("small");
        let values = Reader::new(&rest[body_at..], false).values(&"s".repeat(arguments.len())).expect("the arguments");
        let texts: Vec<&str> = values.iter().filter_map(Value::text).collect();
        prop_assert_eq!(texts, arguments);
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), signature in "[ybnqiuxtdsogvah(){}]{0,12}", big: bool) {
        let _ = Reader::new(&bytes, big).values(&signature);
        if let Some((start, rest)) = bytes.split_first_chunk() && let Ok(header) = Header::decode(start) {
            let _ = header.complete(rest.to_vec()).and_then(|message| message.answer_to(1));
        }
    }

    #[test]
    fn damaged_answers_never_panic(at in 0_usize..80, byte: u8) {
        let mut bytes = reply(1, 2, "a{sv}", &text_body("whatever"));
        let at = at % bytes.len();
        bytes[at] = byte;
        let (start, rest) = bytes.split_first_chunk().expect("a header");
        if let Ok(header) = Header::decode(start) {
            let read = header.complete(rest.to_vec()).and_then(|message| message.answer_to(1));
            let turned = at != 1 && matches!(read, Ok(Some(Answer::Error { .. })));
            prop_assert!(!turned, "an answer became an error");
        }
    }
}
