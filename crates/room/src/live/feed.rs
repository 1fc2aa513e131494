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

/// The runs that are followed.
#[derive(Debug, Default)]
pub(crate) struct Feeds(Arc<Mutex<HashMap<PathBuf, watch::Sender<Arc<Frame>>>>>);

impl Feeds {
    /// Follows the run of a folder. The first frame has number 0, and is followed at once by one of the run.
    pub(crate) fn follow(&self, folder: &Path) -> watch::Receiver<Arc<Frame>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = all.get(folder) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Arc::new(Frame::default()));
        all.insert(folder.to_owned(), sender.clone());
        let (feeds, folder) = (Arc::clone(&self.0), folder.to_owned());
        tokio::task::spawn_blocking(move || {
            follow(&folder, &sender, || {
                // Under the lock, so that nobody gets a receiver of a thread that ends.
                let mut all = feeds.lock().unwrap_or_else(PoisonError::into_inner);
                let idle = sender.receiver_count() == 0;
                if idle {
                    all.remove(&folder);
                }
                idle
            });
            // Somebody may have begun to look again.
            let mut all = feeds.lock().unwrap_or_else(PoisonError::into_inner);
            if all.get(&folder).is_some_and(|other| other.same_channel(&sender)) {
                all.remove(&folder);
            }
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
            frame = Frame { seq: tail.course.seq, state, over, ..frame };
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
