//! Bounds the number of requests that are recorded: the first of a kind in each minute, and a limited number for each
//! name. The others are counted, and the next one that is recorded says how many there were.

mod kinds;

use std::{collections::HashMap, sync::Arc, time::Instant};

use self::kinds::{Kinds, Moment, Seen, kind_of};
use super::record::{Outcome, Request};

/// Maximum number of names that have a bucket of their own. All names beyond it share one bucket.
const NAMES_MOST: usize = 32;
/// Maximum number of requests of one name and outcome that are recorded at once.
const BURST: f64 = 600.0;
/// Number of further requests that are recorded each second after that.
const REFILL: f64 = 0.1;

/// The callers that share a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Callers {
    /// One name. The name is shared by its bucket and its kinds.
    Name(Arc<str>),
    /// All whose certificates are not trusted: they have no name.
    Strangers,
    /// All names beyond the maximum.
    Others,
}

/// The key of a bucket: the callers, and whether the request was refused, so that refusals take no room from accepted
/// requests.
type BucketKey = (Callers, bool);

#[derive(Debug)]
struct Bucket {
    /// Tells it from others, also from those that are forgotten.
    number: u32,
    left: f64,
    at: Instant,
    /// Number of requests that were not recorded.
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

    /// Takes a token. Without one the request is only counted.
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
    began: Instant,
    kinds: Kinds,
    buckets: HashMap<BucketKey, Bucket>,
    /// Number of buckets that were made.
    made: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Self { began: Instant::now(), kinds: Kinds::default(), buckets: HashMap::new(), made: 0 }
    }
}

impl Limit {
    /// Returns the request, with the number of similar ones that were not recorded before it, if it is to be recorded.
    pub(super) fn take(&mut self, request: Request) -> Option<Request> {
        self.take_at(request, Instant::now())
    }

    fn take_at(&mut self, mut request: Request, now: Instant) -> Option<Request> {
        // Faults are always recorded: there are as many of these requests as there were faults.
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
        // Before the kind is noted: a request that is not recorded must not suppress the next one of its kind as well.
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

    /// Returns the bucket of these callers, which is a full one if there was none.
    fn bucket(&mut self, key: BucketKey, now: Instant) -> &mut Bucket {
        self.buckets.entry(key).or_insert_with(|| {
            self.made = self.made.wrapping_add(1);
            Bucket::full(self.made, now)
        })
    }

    /// Returns the bucket for a request. Full buckets are forgotten first, because a new one is full too.
    fn bucket_key(&mut self, request: &Request, now: Instant) -> BucketKey {
        let refused = request.outcome == Outcome::Refused;
        if request.who.is_empty() {
            return (Callers::Strangers, refused);
        }
        let own = (Callers::Name(request.who.as_str().into()), refused);
        let are_many = |buckets: &HashMap<BucketKey, Bucket>| {
            let named = |key: &&BucketKey| matches!(key, (Callers::Name(_), of) if *of == refused);
            buckets.keys().filter(named).count() >= NAMES_MOST
        };
        if let Some((known, _)) = self.buckets.get_key_value(&own) {
            return known.clone();
        }
        if !are_many(&self.buckets) {
            return own;
        }
        self.buckets.retain(|_, bucket| {
            bucket.refill(now);
            bucket.left < BURST || bucket.more > 0
        });
        if are_many(&self.buckets) { (Callers::Others, refused) } else { own }
    }

    /// Makes room: forgets the kinds whose window is over, or all if there are none. The buckets take over their
    /// counts.
    fn forget(&mut self, now: Instant) {
        let moment = self.moment(now);
        for seen in self.kinds.forget(moment) {
            let own = self.buckets.values_mut().find(|bucket| bucket.number == seen.bucket);
            let more = u64::from(seen.more);
            match own {
                Some(bucket) => bucket.more += more,
                None => self.bucket((Callers::Others, seen.refused), now).more += more,
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
        assert_eq!((0..100).filter(|n| limit.take_at(of("arm", *n), now).is_some()).count(), 100);
        let later = limit.take_at(of("prepare", 9999), now + Duration::from_secs(11));
        assert_eq!(later.map(|one| one.more), Some(4400));
    }

    #[test]
    fn a_flood_of_one_name_hides_no_request_of_another() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let of = |who: &str, n: u32| Request { run: format!("r{n}"), ..Request::accepted(who, "undo") };
        for n in 0..5000 {
            limit.take_at(of("victor", n), now);
        }
        assert_eq!(limit.take_at(of("olga", 1), now).map(|one| one.more), Some(0));
        // Names are bounded as well: all others share one bucket.
        let kept = (0..5000).filter(|n| limit.take_at(of(&format!("v{n}"), 1), now).is_some()).count();
        assert_eq!(kept, NAMES_MOST - 2 + 600);
        assert!(limit.buckets.len() <= NAMES_MOST + 1);
        // Strangers, who have no name, take nothing from them.
        assert_eq!(limit.take_at(of("", 1), now).map(|one| one.more), Some(0));
        // A bucket that is full again makes room for another name.
        assert!(limit.take_at(of("oscar", 1), now + Duration::from_secs(60)).is_some());
        assert!(limit.buckets.contains_key(&(Callers::Name("oscar".into()), false)));
    }

    #[test]
    fn a_request_without_a_token_does_not_stand_for_its_kind() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let of = |n: u32| Request { run: format!("r{n}"), ..Request::accepted("olga", "prepare") };
        (0..600).for_each(|n| drop(limit.take_at(of(n), now)));
        assert_eq!(limit.take_at(of(700), now), None);
        let soon = now + Duration::from_secs(11);
        assert_eq!(
            limit.take_at(of(700), soon).map(|one| one.more),
            Some(1),
            "the kind was not recorded yet"
        );
    }

    #[test]
    fn counts_of_forgotten_kinds_are_told_all_the_same() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        for _ in 0..3 {
            limit.take_at(refused("r1", "not-allowed"), now);
        }
        (1..=KINDS_MOST).for_each(|n| drop(limit.take_at(refused("r1", &format!("code-{n}")), now)));
        let more = limit.take_at(refused("r1", "another"), now).map(|one| one.more);
        assert_eq!((more, limit.kinds.len()), (Some(2), 2));
    }
}
