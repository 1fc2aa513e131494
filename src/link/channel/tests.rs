use std::collections::VecDeque;

use http_body_util::BodyExt as _;

use super::*;

/// A stream whose answer can be read only after a write has failed: the order in which the kernel reports it to a
/// coordinator that is still sending when the agent has answered and closed.
struct Closed {
    /// Number of bytes that can be written.
    room: usize,
    to_read: VecDeque<u8>,
    waker: Option<std::task::Waker>,
    failed: bool,
}

impl AsyncRead for Closed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.failed {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        while to.remaining() > 0
            && let Some(byte) = self.to_read.pop_front()
        {
            to.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Closed {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let Some(room) = self.room.checked_sub(from.len()) else {
            self.failed = true;
            self.waker.take().into_iter().for_each(std::task::Waker::wake);
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        self.room = room;
        Poll::Ready(Ok(from.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_was_said_before_the_end_is_read_though_nothing_can_be_written() {
    // Settings; `:status: 403`, which is not in the static table; the body, which ends the stream.
    let mut answer = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    answer.extend([0, 0, 5, 1, 4, 0, 0, 0, 1, 0x08, 3, b'4', b'0', b'3'].map(|byte| byte));
    answer.extend([0, 0, 2, 0, 1, 0, 0, 0, 1, b'n', b'o']);
    let stream = Closed { room: 4096, to_read: answer.into(), waker: None, failed: false };
    let first = Arc::new(OnceLock::new());
    let watched = Watched::new(stream, Arc::clone(&first));
    let (mut send, connection) =
        Builder::new(TokioExecutor::new()).handshake::<_, Full<Bytes>>(TokioIo::new(watched)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("https://app-1/").body(Full::new(Bytes::from(vec![b' '; 60_000]))).unwrap();
    let response = send.send_request(request).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "no");
    assert!(matches!(first.get(), None | Some(Cause::Io(_))));
}
