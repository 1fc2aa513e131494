//! The rate limit by which journald drops messages of a unit. journald reports that only with the unit's next message after the
//! limit's interval. Until then it is unknown whether messages were dropped.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Directories of journald's configuration. A file in an earlier directory wins.
const PLACES: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];
/// journald's default values.
const BUILT_IN: Limits = Limits { interval_us: 30_000_000, burst: 10_000 };
/// Time without a message after a burst from which on journald may have dropped messages, in microseconds.
const QUIET_US: u64 = 1_000_000;

/// A rate limit: a number of messages in an interval (microseconds). journald takes up to six times as many if the disk has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) interval_us: u64,
    pub(super) burst: u64,
}

impl Limits {
    /// Returns the limit of a unit whose settings have these values, of which 0 means journald's; `None` if no limit applies.
    pub(super) fn of((interval_us, burst): (u64, u64)) -> Option<Self> {
        let common = configured(&PLACES.map(PathBuf::from));
        let own_or = |own: u64, common: u64| if own == 0 { common } else { own };
        let limits =
            Self { interval_us: own_or(interval_us, common.interval_us), burst: own_or(burst, common.burst) };
        (limits.interval_us > 0 && limits.burst > 0).then_some(limits)
    }
}

/// Returns the limit in journald's configuration.
fn configured(places: &[PathBuf]) -> Limits {
    let main = places.iter().map(|place| place.join("journald.conf")).find(|file| file.exists());
    // A file in an earlier directory replaces a file of the same name in a later limiter.
    let mut more: BTreeMap<std::ffi::OsString, PathBuf> = BTreeMap::new();
    for place in places {
        for file in fs::read_dir(place.join("journald.conf.d")).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|end| end == "conf") {
                more.entry(file.file_name()).or_insert_with(|| file.path());
            }
        }
    }
    let mut limits = BUILT_IN;
    main.iter().chain(more.values()).for_each(|file| take(file, &mut limits));
    limits
}

/// Applies the settings of a file.
fn take(file: &Path, limits: &mut Limits) {
    for line in fs::read_to_string(file).unwrap_or_default().lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        match key.trim() {
            "RateLimitIntervalSec" | "RateLimitInterval" => {
                limits.interval_us = if value.is_empty() {
                    BUILT_IN.interval_us
                } else {
                    span(value).unwrap_or(limits.interval_us)
                };
            }
            "RateLimitBurst" => {
                limits.burst =
                    if value.is_empty() { BUILT_IN.burst } else { value.parse().unwrap_or(limits.burst) };
            }
            _ => {}
        }
    }
}

/// Reads a time as systemd writes it, in microseconds. A bare number counts seconds, and `infinity` is the longest time.
fn span(text: &str) -> Option<u64> {
    if text == "infinity" {
        return Some(u64::MAX);
    }
    match text.parse::<u64>() {
        Ok(seconds) => seconds.checked_mul(1_000_000),
        Err(_) => u64::try_from(humantime::parse_duration(text).ok()?.as_micros()).ok(),
    }
}

/// Messages of similar priorities, which journald counts together. Times are by CLOCK_BOOTTIME in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Pool {
    /// The time at which the interval began.
    began_us: u64,
    /// The time of the last message.
    last_us: u64,
    /// Number of messages in the interval.
    count: u64,
}

impl Pool {
    /// Returns the end of the interval. An endless interval ends at `u64::MAX`.
    const fn ends_us(&self, limits: Limits) -> u64 {
        self.began_us.saturating_add(limits.interval_us)
    }

    /// Whether a message at that moment begins a new interval.
    const fn is_over(&self, limits: Limits, at_us: u64) -> bool {
        self.count == 0 || self.ends_us(limits) < at_us
    }
}

/// Counts a unit's messages as journald does. Messages from before reading began are not counted. Times are by CLOCK_BOOTTIME in
/// microseconds.
pub(super) struct Limiter {
    limits: Option<Limits>,
    /// The time at which reading began.
    began_us: u64,
    /// The time up to which doubts were returned.
    told_us: u64,
    pools: [Pool; 5],
}

impl Limiter {
    pub(super) fn new(limits: Option<Limits>, began_us: u64) -> Self {
        Self { limits, began_us, told_us: began_us, pools: [Pool::default(); 5] }
    }

    /// Counts a message that journald took.
    pub(super) fn took(&mut self, priority: u64, at_us: u64) {
        let Some(limits) = self.limits else { return };
        // journald's groups of syslog priorities: critical and above, errors, warnings, notices and infos, debug.
        let pool = &mut self.pools[match priority {
            0..=2 => 0,
            3 => 1,
            4 => 2,
            5 | 6 => 3,
            _ => 4,
        }];
        if pool.is_over(limits, at_us) {
            *pool = Pool { began_us: at_us, ..Pool::default() };
        }
        (pool.last_us, pool.count) = (at_us, pool.count.saturating_add(1));
    }

    /// Notes that messages up to `until_us` were not counted. There may have been as many as the limit allows, of every priority, and
    /// the interval of a pool may have begun with the last of them.
    pub(super) fn lost_count(&mut self, until_us: u64) {
        let Some(limits) = self.limits else { return };
        for pool in &mut self.pools {
            if pool.is_over(limits, until_us) {
                pool.began_us = until_us;
            }
            (pool.last_us, pool.count) = (pool.last_us.max(until_us), pool.count.max(limits.burst));
        }
    }

    /// Returns the range of times in which journald may have dropped the messages that it reported as dropped at `said_us`.
    pub(super) fn dropped(&self, said_us: u64) -> (u64, u64) {
        let interval_us = self.limits.unwrap_or(BUILT_IN).interval_us;
        let used = || self.pools.iter().filter(|pool| pool.count > 0);
        let full = used().filter(|pool| self.limits.is_some_and(|limits| pool.count >= limits.burst));
        // If no pool is full by this count, journald has also counted messages from before reading began.
        let first = full.map(|pool| pool.last_us).min().or_else(|| used().map(|pool| pool.last_us).min());
        let last = used().map(|pool| pool.last_us).max().unwrap_or(self.began_us);
        (first.unwrap_or(self.began_us).min(said_us), last.saturating_add(interval_us).min(said_us))
    }

    /// Returns the range of times up to `now_us` in which journald may have dropped messages that it has not reported yet; `None` if there
    /// is none. Leaves out the ranges that were returned before. At the end of reading even a short silence counts.
    pub(super) fn doubt(&mut self, now_us: u64, at_end: bool) -> Option<(u64, u64)> {
        let limits = self.limits?;
        let quiet_us = if at_end { 0 } else { QUIET_US };
        let full = self
            .pools
            .iter()
            .filter(|pool| pool.count >= limits.burst && pool.last_us.saturating_add(quiet_us) < now_us);
        let ends = |pool: &Pool| pool.ends_us(limits).min(now_us);
        let from = full.clone().map(|pool| pool.last_us).min()?.max(self.told_us);
        let until = full.map(ends).max()?;
        (from < until).then(|| {
            self.told_us = until;
            (from, until)
        })
    }

    /// Returns the number of messages after which journald may drop messages; 0 if there is no limit.
    pub(super) fn burst(&self) -> u64 {
        self.limits.map_or(0, |limits| limits.burst)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000;

    fn three_in_30_s() -> Limiter {
        Limiter::new(Some(Limits { interval_us: 30 * S, burst: 3 }), 0)
    }

    #[test]
    fn silence_after_a_burst_is_a_doubt_until_the_interval_is_over() {
        let mut limiter = three_in_30_s();
        (1..=3).for_each(|second| limiter.took(6, second * S));
        assert_eq!(limiter.doubt(3 * S + 500_000, false), None, "a short time tells nothing");
        assert_eq!(limiter.doubt(5 * S, false), Some((3 * S, 5 * S)));
        assert_eq!(limiter.doubt(6 * S, false), Some((5 * S, 6 * S)), "only what is new");
        limiter.took(6, 7 * S);
        assert_eq!(limiter.doubt(7 * S + 1, false), None, "journald takes messages");
        assert_eq!(
            limiter.doubt(60 * S, false),
            Some((7 * S, 31 * S)),
            "the interval began with the first message"
        );
        limiter.took(6, 61 * S);
        assert_eq!(limiter.doubt(70 * S, false), None, "a new interval");
        limiter.lost_count(71 * S);
        assert_eq!(
            limiter.doubt(80 * S, false),
            Some((71 * S, 80 * S)),
            "there may have been enough of them"
        );
    }

    #[test]
    fn after_messages_that_were_not_counted_every_pool_may_be_full() {
        let mut limiter = three_in_30_s();
        limiter.took(6, S);
        // The first interval is over: the messages that were lost may have begun another limiter.
        limiter.lost_count(100 * S);
        assert_eq!(limiter.doubt(105 * S, false), Some((100 * S, 105 * S)));
        limiter.took(6, 106 * S);
        assert_eq!(
            limiter.doubt(106 * S + 1, false),
            Some((105 * S, 106 * S + 1)),
            "it tells nothing of the other priorities"
        );
        assert_eq!(limiter.doubt(200 * S, false), Some((106 * S + 1, 130 * S)));
        let mut quiet = three_in_30_s();
        quiet.lost_count(100 * S);
        assert_eq!(
            quiet.doubt(105 * S, false),
            Some((100 * S, 105 * S)),
            "it may have written for the first time"
        );
    }

    #[test]
    fn an_endless_interval_never_begins_anew() {
        let mut limiter = Limiter::new(Some(Limits { interval_us: u64::MAX, burst: 3 }), 0);
        (1..=3).for_each(|second| limiter.took(6, second * S));
        assert_eq!(limiter.doubt(5 * S, false), Some((3 * S, 5 * S)));
        assert_eq!(limiter.doubt(5000 * S, false), Some((5 * S, 5000 * S)));
        assert_eq!(limiter.dropped(9000 * S), (3 * S, 9000 * S));
        for (text, us) in
            [("infinity", Some(u64::MAX)), ("18446744073709551615", None), ("1min 30s", Some(90 * S))]
        {
            assert_eq!(span(text), us, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_doubt_is_always_a_range_of_times_before_now(
            interval_us in prop_oneof![Just(u64::MAX), Just(30 * S), any::<u64>()],
            burst in 1..5_u64,
            steps in prop::collection::vec((any::<u64>(), 0..8_u64, any::<bool>()), 0..40),
            far in any::<bool>(),
        ) {
            let mut limiter = Limiter::new(Some(Limits { interval_us, burst }), 0);
            let mut told_us = 0;
            for (number, priority, lost) in steps {
                let at_us = if far { number } else { number % (120 * S) };
                if lost { limiter.lost_count(at_us) } else { limiter.took(priority, at_us) }
                let (from_us, until_us) = limiter.dropped(at_us);
                prop_assert!(from_us <= at_us && until_us <= at_us);
                if let Some((from_us, until_us)) = limiter.doubt(at_us, true) {
                    prop_assert!(told_us <= from_us && from_us < until_us && until_us <= at_us);
                    told_us = until_us;
                }
            }
        }
    }

    #[test]
    fn each_group_of_priorities_has_a_separate_limit() {
        let mut limiter = three_in_30_s();
        (1..=3).for_each(|second| limiter.took(6, second * S));
        limiter.took(3, 4 * S);
        assert_eq!(limiter.doubt(6 * S, false), Some((3 * S, 6 * S)), "an error tells nothing of the others");
        let mut apart = three_in_30_s();
        (1..=2).for_each(|second| (3..=7).for_each(|priority| apart.took(priority, second * S)));
        apart.took(5, 2 * S);
        assert_eq!(apart.doubt(9 * S, true), Some((2 * S, 9 * S)), "notices and the rest count together");
    }

    #[test]
    fn messages_were_dropped_after_the_last_one_taken_and_before_the_end_of_the_interval() {
        let mut limiter = three_in_30_s();
        assert_eq!(limiter.dropped(9 * S), (0, 9 * S), "all of it came before reading began");
        limiter.took(3, S / 2);
        (1..=3).for_each(|second| limiter.took(6, second * S));
        assert_eq!(limiter.dropped(32 * S), (3 * S, 32 * S));
        assert_eq!(limiter.dropped(300 * S), (3 * S, 33 * S));
    }

    #[test]
    fn journalds_configuration_is_read_as_journald_does() {
        let dir = tempfile::tempdir().unwrap();
        let (etc, lib) = (dir.path().join("etc"), dir.path().join("lib"));
        let places = [etc.clone(), lib.clone()];
        assert_eq!(configured(&places), BUILT_IN);
        for dir in [&etc, &lib] {
            fs::create_dir_all(dir.join("journald.conf.d")).unwrap();
        }
        fs::write(
            lib.join("journald.conf"),
            "[Journal]\n#RateLimitBurst=9\nRateLimitBurst=7\nRateLimitIntervalSec=1min 30s\n",
        )
        .unwrap();
        assert_eq!(configured(&places), Limits { interval_us: 90 * S, burst: 7 });
        fs::write(etc.join("journald.conf"), "[Journal]\nRateLimitIntervalSec=5\n").unwrap();
        assert_eq!(
            configured(&places),
            Limits { interval_us: 5 * S, burst: 10_000 },
            "one file replaces the other"
        );
        fs::write(
            lib.join("journald.conf.d/10-a.conf"),
            "[Journal]\nRateLimitBurst=50\nRateLimitIntervalSec=0\n",
        )
        .unwrap();
        fs::write(etc.join("journald.conf.d/20-b.conf"), "[Journal]\nRateLimitBurst = 60\n").unwrap();
        assert_eq!(configured(&places), Limits { interval_us: 0, burst: 60 });
        fs::write(etc.join("journald.conf.d/10-a.conf"), "").unwrap();
        assert_eq!(configured(&places), Limits { interval_us: 5 * S, burst: 60 });
    }
}
