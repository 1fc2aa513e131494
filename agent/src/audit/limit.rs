//! How much of many requests is kept: the first of a kind in each minute, and a bounded number of all. The others are
//! counted, and the next one that is kept says how many there were.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::record::{Outcome, Request};

/// Requests of one kind within that time are one.
const WINDOW: Duration = Duration::from_secs(60);
/// Renewals come as long as a run lasts.
const WINDOW_OF_RENEWALS: Duration = Duration::from_secs(3600);
/// So many kinds are known at a time.
const KINDS_MOST: usize = 512;
/// So many of one outcome are kept at once.
const BURST: f64 = 600.0;
/// And so many a second after that.
const REFILL: f64 = 0.1;

/// Who asked for what, and what became of it.
type Kind = (String, String, String, String);

#[derive(Debug)]
struct Seen {
    since: Instant,
    more: u64,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
    /// So many were kept out.
    more: u64,
}

/// What was seen lately.
#[derive(Debug)]
pub(super) struct Limit {
    kinds: HashMap<Kind, Seen>,
    accepted: Bucket,
    refused: Bucket,
}

impl Default for Limit {
    fn default() -> Self {
        let full = || Bucket { left: BURST, at: Instant::now(), more: 0 };
        Self { kinds: HashMap::new(), accepted: full(), refused: full() }
    }
}

impl Limit {
    /// The request with how many like it were not kept, if it is kept.
    pub(super) fn take(&mut self, request: Request) -> Option<Request> {
        self.take_at(request, Instant::now())
    }

    fn take_at(&mut self, mut request: Request, now: Instant) -> Option<Request> {
        // What made or ended a fault is always kept: there are as many as there were faults.
        if request.outcome == Outcome::Accepted && request.what == "arm" {
            return Some(request);
        }
        let window = if request.what == "renew" { WINDOW_OF_RENEWALS } else { WINDOW };
        let kind = kind_of(&request);
        match self.kinds.get_mut(&kind) {
            Some(seen) if now.duration_since(seen.since) < window => {
                seen.more += 1;
                return None;
            }
            Some(seen) => {
                request.more = std::mem::take(&mut seen.more);
                seen.since = now;
            }
            None => {
                if self.kinds.len() >= KINDS_MOST {
                    self.forget(now);
                }
                self.kinds.insert(kind, Seen { since: now, more: 0 });
            }
        }
        let bucket = match request.outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::Refused => &mut self.refused,
        };
        bucket.left = (bucket.left + now.duration_since(bucket.at).as_secs_f64() * REFILL).min(BURST);
        bucket.at = now;
        if bucket.left < 1.0 {
            bucket.more += 1 + request.more;
            return None;
        }
        bucket.left -= 1.0;
        request.more += std::mem::take(&mut bucket.more);
        Some(request)
    }

    /// Makes room: what is over first, else all, so that a flood of kinds is only what the bucket lets through.
    fn forget(&mut self, now: Instant) {
        self.kinds.retain(|_, seen| now.duration_since(seen.since) < WINDOW);
        if self.kinds.len() >= KINDS_MOST {
            self.kinds.clear();
        }
    }
}

fn kind_of(request: &Request) -> Kind {
    // Whoever is refused may make up a run for each request.
    let run = if request.outcome == Outcome::Accepted { request.run.clone() } else { String::new() };
    let outcome = match request.outcome {
        Outcome::Accepted => request.detail.clone(),
        Outcome::Refused => request.code.clone(),
    };
    (request.who.clone(), request.what.clone(), run, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(run: &str, code: &str) -> Request {
        let request = Request::accepted("mallory", "prepare").refused(code, "no rule lets mallory do this");
        Request { run: run.to_owned(), ..request }
    }

    #[test]
    fn the_first_of_a_kind_is_kept_and_the_others_are_counted() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        assert_eq!(limit.take_at(refused("r1", "not-allowed"), now).map(|one| one.more), Some(0));
        for n in 0..500 {
            assert_eq!(limit.take_at(refused(&format!("r{n}"), "not-allowed"), now), None);
        }
        assert!(limit.take_at(refused("r1", "halted"), now).is_some(), "of another kind");
        let later = now + WINDOW;
        assert_eq!(limit.take_at(refused("r2", "not-allowed"), later).map(|one| one.more), Some(500));
    }

    #[test]
    fn no_flood_is_kept_whole_and_every_arm_is() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let of = |what: &str, n: u32| Request { run: format!("r{n}"), ..Request::accepted("olga", what) };
        let kept = (0..5000).filter(|n| limit.take_at(of("prepare", *n), now).is_some()).count();
        assert_eq!(kept, 600);
        assert!(limit.kinds.len() <= KINDS_MOST);
        assert_eq!((0..100).filter(|n| limit.take_at(of("arm", *n), now).is_some()).count(), 100);
        let later = limit.take_at(of("prepare", 9999), now + Duration::from_secs(11));
        assert_eq!(later.map(|one| one.more), Some(4400));
    }
}
