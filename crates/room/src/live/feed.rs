//! Follows the runs that somebody looks at: one thread for each run, however many look. A thread ends when nobody has looked for a while.

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
/// Time between two judgements of a log; longer if they take long.
const JUDGE: Duration = Duration::from_secs(5);
/// Times that a judgement takes by which the next one is later: it takes a tenth of a core at most.
const JUDGE_SHARE: u32 = 10;
/// Time for which a run is followed that nobody looks at.
const LINGER: Duration = Duration::from_secs(10);

/// The channels of the runs that are followed, by their folders.
type All = Arc<Mutex<HashMap<PathBuf, watch::Sender<Arc<Frame>>>>>;

/// The runs that are followed.
#[derive(Debug, Default)]
pub(crate) struct Feeds(All);

/// The place of a thread among them, until it ends in any way.
struct Followed {
    all: All,
    folder: PathBuf,
    sender: watch::Sender<Arc<Frame>>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may follow the run already.
        if all.get(&self.folder).is_some_and(|other| other.same_channel(&self.sender)) {
            all.remove(&self.folder);
        }
    }
}

impl Followed {
    /// Gives the place up if nobody looks. Under the lock, so that nobody gets a receiver of a thread that ends.
    fn ends(&self) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = self.sender.receiver_count() == 0;
        if idle {
            all.remove(&self.folder);
        }
        idle
    }
}

impl Feeds {
    /// Follows the run of a folder. The first frame has number 0, and is followed at once by one of the run.
    pub(crate) fn follow(&self, folder: &Path) -> watch::Receiver<Arc<Frame>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = all.get(folder) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Arc::new(Frame::default()));
        all.insert(folder.to_owned(), sender.clone());
        // A server that ends drops the thread's work here, and with it the place.
        drop(all);
        let followed = Followed { all: Arc::clone(&self.0), folder: folder.to_owned(), sender };
        tokio::task::spawn_blocking(move || {
            follow(&followed.folder, &followed.sender, || followed.ends());
        });
        receiver
    }
}

/// Sends frames until the run is over or nobody looks. What cannot be read ends it: pages tell why.
fn follow(folder: &Path, to: &watch::Sender<Arc<Frame>>, ends: impl Fn() -> bool) {
    let path = folder.join(LOG);
    let mut tail = Tail::of(&path);
    let (mut frame, mut figures) = (Frame::default(), Figures::default());
    let (mut judge_at, mut looked) = (Instant::now(), Instant::now());
    let mut stale = true;
    loop {
        // Before the last look: what is written after it is read all the same.
        let over = !is_written(&path);
        let Ok(news) = tail.read() else { break };
        stale |= news;
        if stale && (over || Instant::now() >= judge_at) {
            let began = Instant::now();
            if let Ok((now, axis)) = measure(&path, &tail.course) {
                figures = now;
                if let Ok(text) = of_axis(&axis)
                    && text != frame.axis.1
                {
                    frame.axis = (frame.axis.0 + 1, text);
                }
            }
            judge_at = Instant::now() + JUDGE.max(began.elapsed() * JUDGE_SHARE);
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
            looked = Instant::now();
        } else if looked.elapsed() > LINGER && ends() {
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
    async fn a_thread_that_panics_is_followed_by_another() {
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
        assert!(receiver.changed().await.is_err(), "its viewers know");
    }

    #[test]
    fn a_thread_gives_its_place_up_once_nobody_looks() {
        let (feeds, folder) = (Feeds::default(), PathBuf::from("run"));
        let (sender, receiver) = watch::channel(Arc::new(Frame::default()));
        feeds.0.lock().unwrap().insert(folder.clone(), sender.clone());
        let followed = Followed { all: Arc::clone(&feeds.0), folder, sender };
        assert!(!followed.ends() && feeds.0.lock().unwrap().len() == 1);
        drop(receiver);
        assert!(followed.ends() && feeds.0.lock().unwrap().is_empty());
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
