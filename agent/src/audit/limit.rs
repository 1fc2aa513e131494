//! Bounds the number of requests that are recorded.
//!
//! Of each kind, only the first request in a minute is recorded. Each caller has token buckets: recording a request takes a
//! token, and tokens come back slowly. All other requests are only counted, and the next record has their number.

mod kinds;

use std::{collections::HashMap, sync::Arc, time::Instant};

use self::kinds::{Kinds, Moment, Seen, kind_of};
use super::record::{Outcome, Request};

/// Maximum number of names that have their own bucket, for accepted and for refused requests each. All other names share
/// one bucket.
const NAMES_MOST: usize = 32;
/// Maximum number of requests of one name and outcome that are recorded at once.
const BURST: f64 = 600.0;
/// Number of further requests that are recorded each second after that.
const REFILL: f64 = 0.1;

/// The callers that share a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Callers {
    /// The caller with this name. Shared, so that a copy of the key is cheap.
    Name(Arc<str>),
    /// All callers without a trusted certificate, because they have no name.
    Strangers,
    /// All names beyond [`NAMES_MOST`].
    Others,
}

/// The key of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct BucketKey {
    callers: Callers,
    /// Whether the requests are refused ones. These have their own buckets, so that they take no token from accepted
    /// requests.
    refused: bool,
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    /// The number of this bucket, which no other bucket has or had.
    number: u32,
    /// Number of tokens, with the fraction that has come back so far.
    left: f64,
    /// The time for which `left` is right.
    at: Instant,
    /// Number of requests that were not recorded since the last one that was.
    more: u64,
}

impl Bucket {
    const fn full(number: u32, now: Instant) -> Self {
        Self { number, left: BURST, at: now, more: 0 }
    }

    fn refill(&mut self, now: Instant) {
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * REFILL).min(BURST);
        self.at = now;
    }

    /// Takes a token. Returns false if none is left; the request is only counted then.
    fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        if self.left < 1.0 {
            self.more += 1;
            return false;
        }
        self.left -= 1.0;
        true
    }
}

/// The requests of the last minutes, by kind, and the buckets of their callers.
#[derive(Debug)]
pub(super) struct Limit {
    /// The start of the time that [`Moment`] counts.
    began: Instant,
    kinds: Kinds,
    buckets: HashMap<BucketKey, Bucket>,
    /// Number of buckets that were made so far; the number of the newest one.
    made: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Self { began: Instant::now(), kinds: Kinds::default(), buckets: HashMap::new(), made: 0 }
    }
}

impl Limit {
    /// Decides about a request. If it is to be recorded, returns it with the number of similar requests that were not
    /// recorded before it; else counts it and returns `None`.
    pub(super) fn take(&mut self, request: Request) -> Option<Request> {
        self.take_at(request, Instant::now())
    }

    fn take_at(&mut self, mut request: Request, now: Instant) -> Option<Request> {
        // These requests make faults, so each of them is recorded. Their number is that of the faults, which is small.
        if request.outcome == Outcome::Accepted && request.what == "arm" {
            return Some(request);
        }
        let (kind, moment) = (kind_of(&request), self.moment(now));
        if let Some(seen) = self.kinds.get_mut(&kind)
            && !seen.is_over(moment)
        {
            seen.more = seen.more.saturating_add(1);
            return None;
        }
        let key = self.bucket_key(&request, now);
        let bucket = self.bucket(key, now);
        // The kind is noted only after this. If this request is not recorded, the next one of its kind still can be.
        if !bucket.take(now) {
            return None;
        }
        request.more = std::mem::take(&mut bucket.more);
        let (bucket, refused) = (bucket.number, request.outcome == Outcome::Refused);
        let renewals = request.what == "renew";
        if self.kinds.get_mut(&kind).is_none() && self.kinds.is_full() {
            self.forget(now);
        }
        if let Some(before) =
            self.kinds.insert(kind, Seen { since: moment, more: 0, bucket, refused, renewals })
        {
            request.more += u64::from(before.more);
        }
        Some(request)
    }

    fn moment(&self, now: Instant) -> Moment {
        Moment(u64::try_from(now.duration_since(self.began).as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns the bucket with this key. Makes a full one if there is none.
    fn bucket(&mut self, key: BucketKey, now: Instant) -> &mut Bucket {
        self.buckets.entry(key).or_insert_with(|| {
            self.made = self.made.wrapping_add(1);
            Bucket::full(self.made, now)
        })
    }

    /// Returns the key of the bucket for a request: the caller's own, or the shared one if too many names have a bucket.
    /// Removes full buckets to make room for a name. Nothing is lost by that, because a new bucket is full, too.
    fn bucket_key(&mut self, request: &Request, now: Instant) -> BucketKey {
        let refused = request.outcome == Outcome::Refused;
        if request.who.is_empty() {
            return BucketKey { callers: Callers::Strangers, refused };
        }
        let own = BucketKey { callers: Callers::Name(request.who.as_str().into()), refused };
        if let Some((known, _)) = self.buckets.get_key_value(&own) {
            return known.clone();
        }
        let has_room = |buckets: &HashMap<BucketKey, Bucket>| {
            let is_named =
                |key: &&BucketKey| key.refused == refused && matches!(key.callers, Callers::Name(_));
            buckets.keys().filter(is_named).count() < NAMES_MOST
        };
        if has_room(&self.buckets) {
            return own;
        }
        self.buckets.retain(|_, bucket| {
            bucket.refill(now);
            bucket.left < BURST || bucket.more > 0
        });
        if has_room(&self.buckets) { own } else { BucketKey { callers: Callers::Others, refused } }
    }

    /// Makes room for a kind: removes the kinds whose window is over, or all kinds if no window is over. Adds their counts
    /// to their buckets.
    fn forget(&mut self, now: Instant) {
        let moment = self.moment(now);
        for seen in self.kinds.forget(moment) {
            let bucket = self.buckets.values_mut().find(|bucket| bucket.number == seen.bucket);
            let more = u64::from(seen.more);
            match bucket {
                Some(bucket) => bucket.more += more,
                None => {
                    let key = BucketKey { callers: Callers::Others, refused: seen.refused };
                    self.bucket(key, now).more += more;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        kinds::{KINDS_MOST, WINDOW},
        *,
    };

    fn refused(run: &str, code: &str) -> Request {
        let code = serde_json::from_value(code.into()).unwrap();
        let request = Request::accepted("mallory", "prepare").refused(&code, "no rule lets mallory do this");
        Request { run: run.to_owned(), ..request }
    }

    #[test]
    fn the_first_of_a_kind_is_kept_and_the_others_are_counted() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        assert_eq!(limit.take_at(refused("r1", "not-allowed"), now).map(|kept| kept.more), Some(0));
        for n in 0..500 {
            assert_eq!(limit.take_at(refused(&format!("r{n}"), "not-allowed"), now), None);
        }
        assert!(limit.take_at(refused("r1", "halted"), now).is_some(), "of another kind");
        let later = now + WINDOW;
        assert_eq!(limit.take_at(refused("r2", "not-allowed"), later).map(|kept| kept.more), Some(500));
    }

    #[test]
    fn a_flood_is_recorded_in_part_and_every_arm_is_recorded() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let request =
            |what: &str, n: u32| Request { run: format!("r{n}"), ..Request::accepted("olga", what) };
        let kept = (0..5000).filter(|n| limit.take_at(request("prepare", *n), now).is_some()).count();
        assert_eq!(kept, 600);
        assert_eq!((0..100).filter(|n| limit.take_at(request("arm", *n), now).is_some()).count(), 100);
        // A token has come back after ten seconds.
        let later = limit.take_at(request("prepare", 9999), now + Duration::from_secs(11));
        assert_eq!(later.map(|kept| kept.more), Some(4400));
    }

    #[test]
    fn a_flood_of_one_name_hides_no_request_of_another() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let request = |who: &str, n: u32| Request { run: format!("r{n}"), ..Request::accepted(who, "undo") };
        for n in 0..5000 {
            limit.take_at(request("victor", n), now);
        }
        assert_eq!(limit.take_at(request("olga", 1), now).map(|kept| kept.more), Some(0));
        // The number of names is bounded, too. Victor and Olga have buckets, so the first 30 of these names get their own, and
        // record one request each. All others share one bucket, which has 600 tokens.
        let kept = (0..5000).filter(|n| limit.take_at(request(&format!("v{n}"), 1), now).is_some()).count();
        assert_eq!(kept, NAMES_MOST - 2 + 600);
        assert!(limit.buckets.len() <= NAMES_MOST + 1);
        // Callers without a name have another bucket.
        assert_eq!(limit.take_at(request("", 1), now).map(|kept| kept.more), Some(0));
        // Buckets that are full again make room for another name.
        assert!(limit.take_at(request("oscar", 1), now + Duration::from_secs(60)).is_some());
        let oscar = BucketKey { callers: Callers::Name("oscar".into()), refused: false };
        assert!(limit.buckets.contains_key(&oscar));
    }

    #[test]
    fn a_request_that_was_not_recorded_does_not_suppress_the_next_of_its_kind() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let request = |n: u32| Request { run: format!("r{n}"), ..Request::accepted("olga", "prepare") };
        (0..600).for_each(|n| drop(limit.take_at(request(n), now)));
        assert_eq!(limit.take_at(request(700), now), None);
        // A token has come back after ten seconds.
        let soon = now + Duration::from_secs(11);
        assert_eq!(
            limit.take_at(request(700), soon).map(|kept| kept.more),
            Some(1),
            "the kind was not recorded yet"
        );
    }

    #[test]
    fn counts_of_removed_kinds_come_with_the_next_record() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        for _ in 0..3 {
            limit.take_at(refused("r1", "not-allowed"), now);
        }
        (1..=KINDS_MOST).for_each(|n| drop(limit.take_at(refused("r1", &format!("code-{n}")), now)));
        // This kind is one too many. No window is over, so all kinds before it are removed.
        let more = limit.take_at(refused("r1", "another"), now).map(|kept| kept.more);
        assert_eq!((more, limit.kinds.len()), (Some(2), 2));
    }
}
