//! Delivers messages in a separate thread while the program does its work. The caller writes a message into the spool; the thread sends it.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use firedrill_plan::diagnostic::Sink;
use tokio::{
    runtime::Builder,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::timeout,
};

use crate::{
    deliver::{Retry, Tried, attempt},
    message::{Message, now},
    read::{Channels, read},
    spool::{Entry, Spool},
};

/// Time between two looks at the spool. Other programs write into it, too.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two looks at the messages that are left, at the program's end.
const STEP: Duration = Duration::from_millis(20);

/// The messages that still wait when the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Their number.
    pub pending: usize,
}

/// The handle of a thread that delivers messages.
#[derive(Debug)]
pub struct Post {
    spool: Spool,
    channels: Channels,
    /// The names of the channels that get messages; `None` means all channels of the file.
    to: Option<Vec<String>>,
    /// Wakes the thread for a new message file.
    wake: UnboundedSender<PathBuf>,
    /// The message files that this program has written.
    own: Vec<PathBuf>,
    thread: thread::JoinHandle<()>,
}

impl Post {
    /// Starts a thread that delivers by the channels of a file, which the caller has read as `channels`. The file is read again before each try, so
    /// that a change counts at once. Messages that other programs wrote for channels with these names are delivered, too.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(reports: &Path, file: &Path, channels: Channels) -> io::Result<Self> {
        let spool = Spool::of(reports);
        let (wake, woken) = unbounded_channel();
        let thread = Thread { spool: spool.clone(), file: file.to_owned() };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("notify".to_owned()).spawn(move || {
            runtime.block_on(thread.run(woken));
            runtime.shutdown_background();
        })?;
        Ok(Self { spool, channels, to: None, wake, own: Vec::new(), thread })
    }

    /// Restricts messages to these channels.
    #[must_use]
    pub fn only(mut self, names: Vec<String>) -> Self {
        self.to = Some(names);
        self
    }

    /// Writes a message into the spool, for each channel that gets such events. Does not wait for its delivery.
    ///
    /// # Errors
    /// It could not be written for at least one of the channels.
    pub fn tell(&mut self, message: &Message) -> io::Result<()> {
        let mut result = Ok(());
        for (name, channel) in &self.channels {
            let wanted = self.to.as_ref().is_none_or(|names| names.contains(name));
            if !wanted || !channel.tells(message.what) {
                continue;
            }
            match self.spool.put(name, message) {
                Ok(Some(path)) => {
                    self.own.push(path.clone());
                    // This cannot fail: the thread runs as long as `self` exists.
                    let _woken = self.wake.send(path);
                }
                Ok(None) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Waits until all messages of this program are delivered or given up, at most for `within`. After this time no further try begins. A try that is
    /// going on is not cut off, because its message would be sent again later.
    #[must_use]
    pub fn finish(self, within: Duration) -> Left {
        let until = Instant::now() + within;
        let pending = |own: &[PathBuf]| own.iter().filter(|path| path.exists()).count();
        while pending(&self.own) > 0 && Instant::now() < until {
            thread::sleep(STEP);
        }
        drop(self.wake);
        let _ended = self.thread.join();
        Left { pending: pending(&self.own) }
    }
}

/// The state of the thread.
struct Thread {
    spool: Spool,
    file: PathBuf,
}

impl Thread {
    /// Delivers until the sender of `woken` is dropped, and then waits for the tries that go on.
    async fn run(self, mut woken: UnboundedReceiver<PathBuf>) {
        let mut tries: JoinSet<String> = JoinSet::new();
        let mut busy: BTreeSet<String> = BTreeSet::new();
        let _tidied = self.spool.tidy();
        loop {
            // If the spool cannot be read now, the next round tries again.
            let pending = self.spool.pending().unwrap_or_default();
            self.begin(&pending, &mut busy, &mut tries);
            tokio::select! {
                // In this order: if the program ends and a try ends at the same time, no further try must begin.
                biased;
                received = timeout(LOOK, woken.recv()) => match received {
                    Ok(Some(path)) => {
                        // The file is synced to the disk here and not by the caller, who must not wait. If that fails, the message is still sent.
                        let _synced = self.spool.sync(&path);
                    }
                    Ok(None) => break,
                    Err(_) => {}
                },
                Some(ended) = tries.join_next() => {
                    if let Ok(channel) = ended {
                        busy.remove(&channel);
                    }
                }
            }
        }
        while tries.join_next().await.is_some() {}
    }

    /// Begins a try for the first waiting message of each channel, if it is due and no try of the channel is going on.
    fn begin(&self, pending: &[Entry], busy: &mut BTreeSet<String>, tries: &mut JoinSet<String>) {
        let mut seen = BTreeSet::new();
        let first = pending.iter().filter(|entry| seen.insert(entry.channel.as_str()));
        let due: Vec<&Entry> =
            first.filter(|entry| entry.is_due(now()) && !busy.contains(&entry.channel)).collect();
        if due.is_empty() {
            return;
        }
        let Some(channels) = read(&self.file, &mut Sink::default()) else { return };
        for entry in due {
            let Some(channel) = channels.get(&entry.channel).cloned() else { continue };
            busy.insert(entry.channel.clone());
            let (spool, entry) = (self.spool.clone(), entry.clone());
            tries.spawn(async move {
                let tried = attempt(&spool, &entry, &channel, Retry::Later).await;
                if let Ok(Tried::Busy | Tried::Gone) | Err(_) = tried {
                    // Another program sends for this channel, or the spool cannot be written. A pause avoids a busy loop.
                    tokio::time::sleep(LOOK).await;
                }
                entry.channel
            });
        }
    }
}
