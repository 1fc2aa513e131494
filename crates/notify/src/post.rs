//! Delivers in a thread of its own, while the program does its work: a message is written by the caller, and sent by the thread.

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
    deliver::{Tried, attempt},
    message::{Message, now},
    read::{Channels, read},
    spool::{Entry, Spool},
};

/// The time between two looks at the spool: others write to it, too.
const LOOK: Duration = Duration::from_secs(1);
/// The time between two looks at what is left, at the end.
const STEP: Duration = Duration::from_millis(20);

/// Messages that wait when the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Their number.
    pub pending: usize,
}

/// A thread that delivers, and the way to it.
#[derive(Debug)]
pub struct Post {
    spool: Spool,
    channels: Channels,
    /// The channels that are told; all of the file without names.
    to: Option<Vec<String>>,
    wake: UnboundedSender<PathBuf>,
    own: Vec<PathBuf>,
    thread: thread::JoinHandle<()>,
}

impl Post {
    /// Starts to deliver by the channels of a file, which was read as `channels`. The file is read again before each try, so that a change
    /// counts at once. Messages of others to channels of these names are delivered, too.
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

    /// Tells these channels only.
    #[must_use]
    pub fn only(mut self, names: Vec<String>) -> Self {
        self.to = Some(names);
        self
    }

    /// Writes a message for each channel that tells of such an event. Never waits for a channel.
    ///
    /// # Errors
    /// It could not be written for all of them.
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
                    // The thread ends with the process only.
                    let _woken = self.wake.send(path);
                }
                Ok(None) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Waits until all messages of this program are delivered or given up. After this time no further try is begun, and one that goes on
    /// is waited for, because a message whose try is cut off is sent again.
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

/// The thread's own.
struct Thread {
    spool: Spool,
    file: PathBuf,
}

impl Thread {
    /// Delivers until the other end is dropped, and ends with the tries that go on then.
    async fn run(self, mut woken: UnboundedReceiver<PathBuf>) {
        let mut tries: JoinSet<String> = JoinSet::new();
        let mut busy: BTreeSet<String> = BTreeSet::new();
        let _tidied = self.spool.tidy();
        loop {
            // What cannot be read now is looked at again.
            let pending = self.spool.pending().unwrap_or_default();
            self.begin(&pending, &mut busy, &mut tries);
            tokio::select! {
                // The end counts before the end of a try: no further try is begun then.
                biased;
                one = timeout(LOOK, woken.recv()) => match one {
                    Ok(Some(path)) => {
                        // A message that cannot be brought to the disk is sent all the same.
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

    /// Begins a try of the first message of each channel that has none in progress.
    fn begin(&self, pending: &[Entry], busy: &mut BTreeSet<String>, tries: &mut JoinSet<String>) {
        let mut seen = BTreeSet::new();
        let first = pending.iter().filter(|entry| seen.insert(entry.channel.as_str()));
        let due: Vec<&Entry> =
            first.filter(|one| one.is_due(now()) && !busy.contains(&one.channel)).collect();
        if due.is_empty() {
            return;
        }
        let Some(channels) = read(&self.file, &mut Sink::default()) else { return };
        for entry in due {
            let Some(channel) = channels.get(&entry.channel).cloned() else { continue };
            busy.insert(entry.channel.clone());
            let (spool, entry) = (self.spool.clone(), entry.clone());
            tries.spawn(async move {
                if let Ok(Tried::Busy | Tried::Gone) | Err(_) = attempt(&spool, &entry, &channel, false).await
                {
                    // Another program sends, or the disk is full: not at once again.
                    tokio::time::sleep(LOOK).await;
                }
                entry.channel
            });
        }
    }
}
