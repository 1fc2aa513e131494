//! Follows the runs that have viewers: one thread for each run, whatever the number of viewers. A thread ends when its run is over or has had no
//! viewer for a while.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    frame::{Figures, Frame, measure, of_axis, of_head, of_state},
    tail::Tail,
};
use crate::{
    pages::state,
    runs::{LOG, is_written},
};

/// Time between two looks at a log: two frames a second at most.
const LOOK: Duration = Duration::from_millis(500);
/// Minimum time between two judgements of a log.
const JUDGE: Duration = Duration::from_secs(5);
/// After a slow judgement the next one waits this many times as long as it took. So judging takes at most about a tenth of a core.
const JUDGE_SHARE: u32 = 10;
/// Time for which a run is still followed after its last viewer has left.
const LINGER: Duration = Duration::from_secs(10);

/// The channels of the runs that are followed, by their folders.
type All = Arc<Mutex<HashMap<PathBuf, watch::Sender<Arc<Frame>>>>>;

/// The runs that are followed.
#[derive(Debug, Default)]
pub(crate) struct Feeds(All);

/// A thread's entry among the runs that are followed. Dropping it removes the entry, also if the thread panics.
struct Followed {
    all: All,
    folder: PathBuf,
    sender: watch::Sender<Arc<Frame>>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have put its own entry there meanwhile; that entry stays.
        if all.get(&self.folder).is_some_and(|other| other.same_channel(&self.sender)) {
            all.remove(&self.folder);
        }
    }
}

impl Followed {
    /// Removes the entry if there are no viewers, and returns true if it did. It holds the lock meanwhile. So no new viewer gets a receiver from a
    /// thread that is about to end.
    fn ends_if_idle(&self) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = self.sender.receiver_count() == 0;
        if idle {
            all.remove(&self.folder);
        }
        idle
    }
}

impl Feeds {
    /// Follows the run of a folder. A new receiver may first hold an empty frame with number 0; the first real frame comes soon after.
    pub(crate) fn follow(&self, folder: &Path) -> watch::Receiver<Arc<Frame>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = all.get(folder) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Arc::new(Frame::default()));
        all.insert(folder.to_owned(), sender.clone());
        // The lock is released first: a server that shuts down drops the task without running it, and the drop of `followed` takes the lock.
        drop(all);
        let followed = Followed { all: Arc::clone(&self.0), folder: folder.to_owned(), sender };
        tokio::task::spawn_blocking(move || {
            follow(&followed.folder, &followed.sender, || followed.ends_if_idle());
        });
        receiver
    }
}

/// Sends frames until the run is over, its log cannot be read, or it has no viewers (which `ends_if_idle` decides). The pages say why a log cannot be
/// read.
fn follow(folder: &Path, to: &watch::Sender<Arc<Frame>>, ends_if_idle: impl Fn() -> bool) {
    let path = folder.join(LOG);
    let mut tail = Tail::of(&path);
    let (mut frame, mut figures) = (Frame::default(), Figures::default());
    // The time of the next judgement, and the last time at which the run had a viewer.
    let (mut judge_at, mut viewed) = (Instant::now(), Instant::now());
    // Whether the log has lines that were not judged yet.
    let mut stale = true;
    loop {
        // This is checked before the log is read. So all lines that were written before the end are read.
        let over = !is_written(&path);
        let Ok(has_grown) = tail.read() else { break };
        stale |= has_grown;
        if stale && (over || Instant::now() >= judge_at) {
            let began = Instant::now();
            if let Ok((measured, axis)) = measure(&path, &tail.course) {
                figures = measured;
                if let Ok(text) = of_axis(&axis)
                    && text != frame.axis.1
                {
                    frame.axis = (frame.axis.0 + 1, text);
                }
            }
            judge_at = Instant::now() + JUDGE.max(began.elapsed() * JUDGE_SHARE);
            // The number 0 differs from any record's, so a frame with the new figures is sent below.
            (stale, frame.seq) = (false, 0);
        }
        if frame.seq != tail.course.seq || over {
            let Ok(state) = of_state(&tail.course, &figures) else { break };
            if frame.wall != tail.course.wall {
                frame.wall.clone_from(&tail.course.wall);
                frame.head = of_head(state::values(&tail.course, None)).unwrap_or_default();
            }
            let (next, asks) = (tail.course.next(), tail.course.asks().cloned());
            frame = Frame { seq: tail.course.seq, state, next, asks, over, ..frame };
            to.send_replace(Arc::new(frame.clone()));
        }
        if over {
            return;
        }
        if to.receiver_count() > 0 {
            viewed = Instant::now();
        } else if viewed.elapsed() > LINGER && ends_if_idle() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    frame.over = true;
    to.send_replace(Arc::new(frame));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_panics_removes_its_entry_and_its_viewers_learn_of_it() {
        let (feeds, folder) = (Feeds::default(), PathBuf::from("run"));
        let (sender, mut receiver) = watch::channel(Arc::new(Frame::default()));
        feeds.0.lock().unwrap().insert(folder.clone(), sender.clone());
        let followed = Followed { all: Arc::clone(&feeds.0), folder: folder.clone(), sender };
        let thread = std::thread::spawn(move || {
            let _followed = followed;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert!(feeds.0.lock().unwrap().is_empty());
        assert!(receiver.changed().await.is_err(), "its viewers are told");
    }

    #[test]
    fn a_thread_gives_its_place_up_once_nobody_looks() {
        let (feeds, folder) = (Feeds::default(), PathBuf::from("run"));
        let (sender, receiver) = watch::channel(Arc::new(Frame::default()));
        feeds.0.lock().unwrap().insert(folder.clone(), sender.clone());
        let followed = Followed { all: Arc::clone(&feeds.0), folder, sender };
        assert!(!followed.ends_if_idle() && feeds.0.lock().unwrap().len() == 1);
        drop(receiver);
        assert!(followed.ends_if_idle() && feeds.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_thread_leaves_the_place_of_another_alone() {
        let (feeds, folder) = (Feeds::default(), PathBuf::from("run"));
        let channel = || watch::channel(Arc::new(Frame::default())).0;
        feeds.0.lock().unwrap().insert(folder.clone(), channel());
        drop(Followed { all: Arc::clone(&feeds.0), folder, sender: channel() });
        assert_eq!(feeds.0.lock().unwrap().len(), 1);
    }
}
