//! A duplex byte stream to an agent: TCP, or the standard streams of a program.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use firedrill_wire::text::{TEXT_MOST, clean};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::plan::model::Reach;

/// Number of a program's last error lines that are kept.
const COMPLAINTS: usize = 5;

/// A stream that TLS can run on.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Opens the stream. Also returns the error output of the program, if the stream is a program.
pub(super) async fn open(reach: &Reach) -> io::Result<(Box<dyn Duplex>, Complaints)> {
    match reach {
        Reach::Tcp(address) => {
            let tcp = TcpStream::connect(address).await?;
            // A renewal must not wait for the acknowledgement of earlier data.
            tcp.set_nodelay(true)?;
            Ok((Box::new(tcp), Complaints::default()))
        }
        Reach::Command(argv) => {
            let (piped, complaints) = Piped::spawn(argv)?;
            Ok((Box::new(piped), complaints))
        }
    }
}

/// Returns the time-out for opening a link, including TLS. A program gets more time, because it may have to log in somewhere first.
pub(super) const fn patience(reach: &Reach) -> Duration {
    match reach {
        Reach::Tcp(_) => Duration::from_secs(4),
        Reach::Command(_) => Duration::from_secs(15),
    }
}

/// Describes the way to an agent for messages: its address, or the command.
pub(super) fn describe(reach: &Reach) -> String {
    match reach {
        Reach::Tcp(_) => reach.shown(),
        Reach::Command(_) => format!("`{}`", reach.shown()),
    }
}

/// A program whose standard streams are the link; killed when this is dropped.
struct Piped {
    from: ChildStdout,
    to: ChildStdin,
    _child: Child,
}

impl Piped {
    /// Starts the program.
    fn spawn(argv: &[String]) -> io::Result<(Self, Complaints)> {
        let (program, args) = argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // A process group of its own, because Ctrl-C is sent to the whole process group of the terminal, and healing needs the links.
        #[cfg(unix)]
        command.process_group(0);
        let mut child =
            command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(to), Some(from), Some(stderr)) => {
                Ok((Self { from, to, _child: child }, Complaints::listen(stderr)))
            }
            _ => Err(io::Error::other(format!("{program}: its standard streams are missing"))),
        }
    }
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.from).poll_read(cx, to)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.to).poll_write(cx, from)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(cx)
    }
}

/// The last lines of a program's standard error.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaints {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// The task that reads; `None` if there is no program.
    listener: Option<Arc<JoinHandle<()>>>,
}

impl Complaints {
    /// Starts to read the standard error of a program.
    fn listen(stderr: ChildStderr) -> Self {
        let lines = Arc::<Mutex<VecDeque<String>>>::default();
        let kept = Arc::clone(&lines);
        let listener = tokio::spawn(async move {
            let mut reader = BufReader::new(stderr);
            let mut line = Vec::new();
            // At most 1024 bytes are read at a time, so that a line without an end cannot fill the memory.
            while let Ok(1..) = (&mut reader).take(1024).read_until(b'\n', &mut line).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let text = String::from_utf8_lossy(&line);
                if !text.trim().is_empty() {
                    kept.push_back(clean(text.trim(), TEXT_MOST).into_owned());
                }
                if kept.len() > COMPLAINTS {
                    kept.pop_front();
                }
                line.clear();
            }
        });
        Self { lines, listener: Some(Arc::new(listener)) }
    }

    /// Returns `why` with the program's last error output; waits a moment for the output of a program that is ending.
    pub(super) async fn with(&self, why: String) -> String {
        if let Some(listener) = &self.listener {
            let ended = async {
                while !listener.is_finished() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            let _ = timeout(Duration::from_millis(300), ended).await;
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return why;
        }
        format!("{why}; it said: {}", lines.iter().map(String::as_str).collect::<Vec<_>>().join(" / "))
    }
}
