//! Receives requests over the lab's socket and sends the answers. A connection may carry any number of requests. This module never carries
//! out a request; `power.rs` does.

use std::{
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixListener as StdListener,
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};

use super::event::Event;
use crate::{
    LabError,
    error::Doing as _,
    message::{Answer, Request, body_length, encode, send_first},
};

/// Starts a task that accepts connections.
pub(super) fn listen(listener: OwnedFd, events: mpsc::UnboundedSender<Event>) -> Result<(), LabError> {
    let listener = StdListener::from(listener);
    listener.set_nonblocking(true).doing("listen for questions")?;
    let listener = UnixListener::from_std(listener).doing("listen for questions")?;
    tokio::spawn(async move {
        loop {
            // accept fails if no file descriptors are left. The task waits until some are closed, instead of using up the processor.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let events = events.clone();
            // An error is ignored: only the peer of this connection is affected.
            tokio::spawn(async move { converse(stream, &events).await.ok() });
        }
    });
    Ok(())
}

/// Answers the requests of one connection until it ends.
async fn converse(mut stream: UnixStream, events: &mpsc::UnboundedSender<Event>) -> io::Result<()> {
    loop {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let mut body = vec![0; body_length(head)?];
        stream.read_exact(&mut body).await?;
        let (reply, answered) = oneshot::channel();
        match serde_json::from_slice::<Request>(&body) {
            Ok(request) => drop(events.send(Event::Asked { request, reply })),
            Err(e) => drop(reply.send((Answer::Refused(format!("not a question for a lab: {e}")), None))),
        }
        let (answer, descriptor) = answered.await.map_err(io::Error::other)?;
        send(&mut stream, &answer, descriptor).await?;
    }
}

async fn send(stream: &mut UnixStream, answer: &Answer, descriptor: Option<OwnedFd>) -> io::Result<()> {
    let bytes = encode(answer)?;
    let sent = stream
        .async_io(Interest::WRITABLE, || {
            send_first(stream.as_raw_fd(), &bytes, descriptor.as_ref().map(|fd| fd.as_raw_fd()))
        })
        .await?;
    stream.write_all(&bytes[sent..]).await
}
