//! TCP probes that send something and read an answer, from servers that answer well, badly, in pieces or not at all.

use crate::common::{http, outcome, server};
use firedrill_wire::probe::{ProbeKind, ProbeSpec, TcpProbe};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn tcp(probe: TcpProbe) -> ProbeSpec {
    ProbeSpec { kind: ProbeKind::Tcp(probe), ..http("") }
}

async fn ends(spec: ProbeSpec, cause: &str) {
    assert_eq!(outcome(spec).await, (0, vec![cause.to_owned()]));
}

async fn good(spec: ProbeSpec) {
    let (good, causes) = outcome(spec).await;
    assert!(good > 0 && causes.is_empty(), "{good} {causes:?}");
}

#[tokio::test]
async fn what_is_sent_arrives_and_the_answer_decides() {
    // Echoes the first seven bytes in two pieces, and stays open.
    let (address, _) = server(|mut stream, _| async move {
        let mut said = [0; 7];
        if stream.read_exact(&mut said).await.is_err() {
            return;
        }
        let _ = stream.write_all(&said[..3]).await;
        tokio::task::yield_now().await;
        let _ = stream.write_all(&said[3..]).await;
        let _ = stream.read_u8().await;
    })
    .await;
    let ask = |send: &str, expect: &str| {
        tcp(TcpProbe {
            send: Some(send.to_owned()),
            expect: Some(expect.to_owned()),
            ..TcpProbe::opens(address.to_string())
        })
    };
    good(ask("+PONG\r\n", "PONG")).await;
    // The server leaves the connection open, so nobody knows that nothing more comes.
    ends(ask("-ERR..\n", "PONG"), "timeout").await;
    let bytes = TcpProbe {
        send_hex: Some("2b504f4e470d0a".to_owned()),
        matches: Some("^.PO".to_owned()),
        ..TcpProbe::opens(address.to_string())
    };
    good(tcp(bytes)).await;
}

#[tokio::test]
async fn banners_need_nothing_that_is_sent_and_an_end_without_the_text_is_bad() {
    let (address, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(b"220 mail ESMTP\r\n").await;
    })
    .await;
    let ask = |expect: &str| {
        tcp(TcpProbe { expect: Some(expect.to_owned()), ..TcpProbe::opens(address.to_string()) })
    };
    good(ask("220 ")).await;
    ends(ask("554 "), "answer").await;
    let (silent, _) = server(|stream, _| async move { drop(stream) }).await;
    let spec = tcp(TcpProbe { expect: Some("220 ".to_owned()), ..TcpProbe::opens(silent.to_string()) });
    ends(spec, "reset").await;
    let (flood, _) = server(|mut stream, _| async move {
        let _ = stream.write_all(&[b'x'; 64 * 1024]).await;
        let _ = stream.write_all(b"220 ").await;
        let _ = stream.read_u8().await;
    })
    .await;
    let spec = tcp(TcpProbe { expect: Some("220 ".to_owned()), ..TcpProbe::opens(flood.to_string()) });
    ends(spec, "answer").await;
}
